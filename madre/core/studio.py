"""A session in the studio: what is on the table, what was made of it so far, and what a command makes of that. Values in, values out.

Every change makes a new take, which says from the files on how to make what is heard; nothing that was made is changed or deleted, so
going back is only taking an earlier take.
"""

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from config.contracts.common import Wire
from config.contracts.effects import MOST_EFFECTS
from config.contracts.shub import Asset, StemRole
from config.contracts.shub_language import CommandAction

MOST_TAKES = 50
CONTEXT_KEY = "studio"
MOST_ON_A_TRACK = MOST_EFFECTS - 2
"""Its level and its place are effects too where it is worked on without a mix."""
OUTPUT_PARAMS = ("format", "bit_depth", "sample_rate_hz", "dither", "bitrate_kbps")
MIX_PARAMS = ("target_lufs", "ceiling_dbtp", "stems_out", *OUTPUT_PARAMS)
MASTER_PARAMS = ("target", "target_lufs", "ceiling_dbtp", "reference_asset_id", "match", *OUTPUT_PARAMS)
ALL, MASTER = "*", "master"


class Track(Wire):
    """A file on the table and what is done to it."""

    asset_id: str
    name: str
    role: StemRole | None = None
    gain_db: float = 0.0
    pan: float | None = None
    """None where nobody said: then the mix finds it a place."""
    is_muted: bool = False
    chain: list[dict[str, Any]] = []

    @property
    def title(self) -> str:
        return PurePath(self.name).stem

    def is_called(self, target: str) -> bool:
        """Whether a command's target is this track: its role, or its name with or without its ending."""
        wanted = target.casefold()
        return wanted in (self.name.casefold(), self.title.casefold()) or (
            self.role is not None and wanted == self.role
        )


class Take(Wire):
    """How what is heard is made, and what was made."""

    tracks: list[Track] = []
    mix: dict[str, Any] | None = None
    """Parameters of the mix; None while single files are worked on."""
    bus: list[dict[str, Any]] = []
    """Effects on the sum."""
    focus: str | None = None
    """The track that is worked on while nothing is mixed, by its asset."""
    master: dict[str, Any] | None = None
    unmastered: str | None = None
    """The asset that the master was made of."""
    current: str | None = None
    """The asset that is heard now."""
    about: list[str] = []
    """The tracks that the command spoke of, as it named them: "a bit more" goes on with them."""
    plan_id: str | None = None
    """The plan that makes it; while it runs, `current` is not known yet."""

    @property
    def is_in_the_making(self) -> bool:
        """Whether there is something to be heard that is not known yet."""
        return self.current is None and (self.mix, self.master, self.focus) != (None, None, None)

    @property
    def focused(self) -> Track | None:
        return next((track for track in self.tracks if track.asset_id == self.focus), None)

    def mix_order(self) -> dict[str, Any]:
        """The mix as shub takes it."""
        stems = [track.model_dump(mode="json", exclude_none=True) for track in self.tracks]
        return {"stems": stems, "chain": self.bus, "auto": {"pan": True, "masking": True}, **(self.mix or {})}


class Studio(Wire):
    """The takes of a session, newest last."""

    takes: list[Take] = []
    undone: dict[str, int] = {}
    """How many changes the last plans that went back took away: asked again after a kill, each goes back once."""
    given_up: list[str] = []
    """Plans whose takes were taken away before they were made: what comes of them is not laid on the table again."""

    @property
    def now(self) -> Take:
        return self.takes[-1] if self.takes else Take()

    def with_take(self, take: Take) -> "Studio":
        """With one more take, or with the one of its plan as it stands now; before the first change stand the files as they came."""
        if take.plan_id in self.given_up:
            return self
        if any(one.plan_id == take.plan_id for one in self.takes):
            changed = [take if one.plan_id == take.plan_id else one for one in self.takes]
            return self.model_copy(update={"takes": changed})
        before = self.takes or ([] if _is_plain(take) else [_plain(take)])
        return self.model_copy(update={"takes": [*before, take][-MOST_TAKES:]})

    def without(self, plan_ids: Iterable[str]) -> "Studio":
        """Without the takes of these plans, which came to nothing."""
        gone = set(plan_ids)
        return self.model_copy(update={"takes": [take for take in self.takes if take.plan_id not in gone]})

    def back(self, steps: int, plan_id: str) -> tuple["Studio", int]:
        """As it stood so many changes ago, or at the first take; and how many steps that were."""
        if plan_id in self.undone:
            return self, self.undone[plan_id]
        left = max(1, len(self.takes) - steps)
        gone = self.takes[left:]
        undone = [*self.undone.items(), (plan_id, len(gone))][-MOST_TAKES:]
        given_up = [*self.given_up, *(take.plan_id for take in gone if take.plan_id is not None)][-MOST_TAKES:]
        return Studio(takes=self.takes[:left], undone=dict(undone), given_up=given_up), len(gone)


class Unclear(Exception):
    """The command cannot be carried out before something is said; `key` names the question, `values` what it tells."""

    def __init__(self, key: str, **values: Any) -> None:
        self.key, self.values = key, values
        super().__init__(key)


def with_files(take: Take, files: Sequence[Asset]) -> Take:
    """The take with these files on the table; one that comes alone is what is spoken of from now on."""
    known = {track.asset_id for track in take.tracks}
    new = [
        Track(asset_id=asset.asset_id, name=asset.name, role=asset.role)
        for asset in files
        if asset.asset_id not in known
    ]
    changed = take.model_copy(update={"tracks": [*take.tracks, *new]})
    if take.mix is None and len(files) == 1:
        one = files[0].asset_id
        alone: dict[str, Any] = {"focus": one, "current": one, "unmastered": one, "master": None, "bus": []}
        changed = changed.model_copy(update=alone)
    return changed


def _plain(take: Take) -> Take:
    tracks = [Track(asset_id=track.asset_id, name=track.name, role=track.role) for track in take.tracks]
    only = tracks[0].asset_id if len(tracks) == 1 else take.focus
    return Take(tracks=tracks, focus=only, current=only, unmastered=only)


def _is_plain(take: Take) -> bool:
    return (
        take.mix is None
        and take.master is None
        and not any(track != one for track, one in zip(take.tracks, _plain(take).tracks, strict=True))
    )


def applied(take: Take, action: CommandAction) -> Take:
    """The take after one action that changes the sound. Raises Unclear."""
    return _CHANGES[action.action](take, action)


def _mixed(take: Take, action: CommandAction) -> Take:
    if not take.tracks:
        raise Unclear("which_stems")
    said = {name: action.params[name] for name in MIX_PARAMS if action.params.get(name) is not None}
    mix = {**(take.mix or {}), **said}
    changed = take.model_copy(update={"mix": mix, "focus": None})
    return _with_effects(changed, action) if action.effects else changed


def _set_mix(take: Take, action: CommandAction) -> Take:
    """Faders and places: relative gains, absolute places."""
    if not take.tracks:
        raise Unclear("which_file")
    if action.params.get("solo") is False:  # everybody is heard again
        heard = [track.model_copy(update={"is_muted": False}) for track in take.tracks]
        return take.model_copy(update={"tracks": heard})
    is_all = action.targets in ([], [MASTER]) or (action.targets == [ALL] and take.mix is not None)
    if is_all and not _excepted(action):
        return _with_effects(take, action, extra=_as_effects(action.params))
    chosen = _chosen(take, action.targets or [ALL]) - _excepted_of(take, action)
    gain, pans, effects = _fader(action)
    tracks, placed = [], 0
    for track in take.tracks:
        if track.asset_id in chosen:
            changes: dict[str, Any] = {
                "gain_db": min(24.0, max(-60.0, track.gain_db + gain)),
                "chain": [*track.chain, *effects],
            }
            if pans:  # several places are for several tracks in turn: two guitars, left and right
                changes["pan"] = pans[placed % len(pans)]
                placed += 1
            if (muted := action.params.get("mute", action.params.get("is_muted"))) is not None:
                changes["is_muted"] = bool(muted)
            track = track.model_copy(update=changes)
        if action.params.get("solo"):
            track = track.model_copy(update={"is_muted": track.asset_id not in chosen})
        tracks.append(track)
    return _focusing(take.model_copy(update={"tracks": tracks}), chosen)


def _with_effects(take: Take, action: CommandAction, extra: Sequence[dict[str, Any]] = ()) -> Take:
    effects, removed = [*action.effects, *extra], _removed(action)
    if not effects and not removed:
        raise Unclear("which_effect")
    if not take.tracks:
        raise Unclear("which_file")

    def changed(chain: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = _joined(_without(chain, removed), effects)
        if len(found) > MOST_ON_A_TRACK:
            raise Unclear("too_many_effects", most=MOST_ON_A_TRACK)
        return found

    spared = _excepted_of(take, action)
    is_all = not spared and (not action.targets or any(target in (ALL, MASTER) for target in action.targets))
    if is_all and take.mix is not None:
        made = take.model_copy(update={"bus": changed(take.bus)})
        if removed and not any(effect["type"].startswith(removed) for effect in take.bus):  # then it is the tracks'
            tracks = [track.model_copy(update={"chain": _without(track.chain, removed)}) for track in take.tracks]
            _unless_same(take, take.model_copy(update={"tracks": tracks}), removed)
            made = made.model_copy(update={"tracks": tracks})
        return _unless_same(take, made, removed)
    chosen = _focus_of(take) if is_all else _chosen(take, action.targets or [ALL]) - spared
    tracks = [
        track.model_copy(update={"chain": changed(track.chain)}) if track.asset_id in chosen else track
        for track in take.tracks
    ]
    _unless_same(take, take.model_copy(update={"tracks": tracks}), removed)
    return _focusing(take.model_copy(update={"tracks": tracks}), chosen)


def _without(chain: list[dict[str, Any]], removed: tuple[str, ...]) -> list[dict[str, Any]]:
    return [effect for effect in chain if not effect["type"].startswith(removed)]


def _removed(action: CommandAction) -> tuple[str, ...]:
    """Beginnings of the types of effects that are to go: `eq` is every equalizer."""
    names = action.params.get("remove") or []
    return tuple(str(name) for name in (names if isinstance(names, list) else [names]))


def _unless_same(take: Take, made: Take, removed: tuple[str, ...]) -> Take:
    if removed and made == take:
        raise Unclear("not_there", effects=", ".join(removed))
    return made


def _normalized(take: Take, action: CommandAction) -> Take:
    said = {name: action.params[name] for name in MIX_PARAMS if action.params.get(name) is not None}
    peak = action.params.get("peak_dbtp")
    effects = [dict(effect) for effect in action.effects if effect.get("type") == "normalize"]
    if effects:
        said = {**{name: value for name, value in effects[0].items() if name in MIX_PARAMS}, **said}
        peak = effects[0].get("peak_dbtp", peak)
    if take.mix is not None and peak is None and set(action.targets) <= {ALL, MASTER}:
        return take.model_copy(update={"mix": {**take.mix, **{"target_lufs": -14.0, **said}}})
    if peak is not None:
        effect = {"type": "normalize", "peak_dbtp": peak}
    else:
        effect = {"type": "normalize", "target_lufs": said.get("target_lufs", -14.0)}
        effect |= {"ceiling_dbtp": said["ceiling_dbtp"]} if "ceiling_dbtp" in said else {}
    return _with_effects(take, action.model_copy(update={"effects": [effect]}))


def _mastered(take: Take, action: CommandAction) -> Take:
    if take.current is None and take.mix is None and not take.tracks:
        raise Unclear("which_file")
    said = {name: action.params[name] for name in MASTER_PARAMS if action.params.get(name) is not None}
    if (platform := action.params.get("platform")) is not None:
        said.setdefault("target", platform)
    chain = {"chain": list(action.effects)} if action.effects else {}
    changed = take.model_copy(update={"master": {**(take.master or {}), **said, **chain}})
    if take.mix is None and take.focus is None:
        changed = _focusing(changed, _focus_of(take))
    return changed


_CHANGES = {
    "mix": _mixed,
    "set_mix": _set_mix,
    "apply_effects": _with_effects,
    "normalize": _normalized,
    "master": _mastered,
    "match_reference": _mastered,
}
CHANGES = frozenset(_CHANGES)


def _fader(action: CommandAction) -> tuple[float, list[float], list[dict[str, Any]]]:
    """Gain and places that an action gives to tracks, and the effects that are neither."""
    gain = float(action.params.get("gain_db") or 0.0)
    pan = action.params.get("pan")
    effects = []
    for effect in action.effects:
        if effect.get("type") == "gain":
            gain += float(effect.get("gain_db") or 0.0)
        elif effect.get("type") == "pan":
            pan = effect.get("pan", pan)
        else:
            effects.append(effect)
    pans = [] if pan is None else pan if isinstance(pan, list) else [pan]
    return gain, [min(1.0, max(-1.0, float(one))) for one in pans], effects


def _excepted(action: CommandAction) -> list[str]:
    names = action.params.get("except") or []
    return names if isinstance(names, list) else [names]


def _excepted_of(take: Take, action: CommandAction) -> set[str]:
    return {track.asset_id for track in take.tracks if any(track.is_called(name) for name in _excepted(action))}


def effects_of(track: Track) -> list[dict[str, Any]]:
    """What is done to a track where it is worked on without a mix: its fader and its place are effects then."""
    fader = {"gain_db": track.gain_db, "pan": track.pan}
    return [*track.chain, *_as_effects({name: value for name, value in fader.items() if value})]


def titles(take: Take) -> str:
    return ", ".join(track.title for track in take.tracks)


def _as_effects(params: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if params.get("gain_db") is not None:
        found.append({"type": "gain", "gain_db": params["gain_db"]})
    if isinstance(params.get("pan"), int | float):
        found.append({"type": "pan", "pan": params["pan"]})
    return found


def _joined(chain: list[dict[str, Any]], effects: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chain with more effects; of normalizing only the last word counts, and it stays last."""
    said = [*chain, *effects]
    levels = [effect for effect in said if effect.get("type") == "normalize"]
    return [*(effect for effect in said if effect.get("type") != "normalize"), *levels[-1:]]


def _chosen(take: Take, targets: Sequence[str]) -> set[str]:
    """The assets of the tracks that are meant. Raises Unclear for one that is not on the table."""
    chosen: set[str] = set()
    for target in targets:
        found = {track.asset_id for track in take.tracks if target == ALL or track.is_called(target)}
        if not found:
            raise Unclear("no_such_track", name=target, tracks=titles(take))
        chosen |= found
    return chosen


def _focus_of(take: Take) -> set[str]:
    """The one track that is worked on. Raises Unclear when there are several and none was spoken of."""
    if take.focus is not None:
        return {take.focus}
    if len(take.tracks) == 1:
        return {take.tracks[0].asset_id}
    raise Unclear("which_track", tracks=titles(take))


def _focusing(take: Take, chosen: set[str]) -> Take:
    if take.mix is not None:
        return take
    if len(chosen) != 1:
        raise Unclear("mix_first", tracks=", ".join(track.title for track in take.tracks if track.asset_id in chosen))
    return take.model_copy(update={"focus": next(iter(chosen))})
