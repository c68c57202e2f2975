"""A clause as actions, with their effects and parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.contracts.shub_language import CommandAction, CommandContext, KnownStem
from shub.language.clause import Clause
from shub.language.deleting import deleted
from shub.language.faders import mix_targets, set_mix
from shub.language.files import output_params, trim_of
from shub.language.kinds import kind_of
from shub.language.outcome import Reading
from shub.language.scanning import Scan
from shub.language.signs import cuts_time, has_effects, is_with
from shub.language.sound.draft import Sound
from shub.language.sound.making import sound_of
from shub.language.sound.numbers import keep
from shub.language.stems import role_in
from shub.language.words import words_of


def actions_of(
    clause: Clause,
    clauses: list[Clause],
    found: Scan,
    reading: Reading,
    context: CommandContext,
    stems: Sequence[KnownStem],
) -> list[CommandAction]:
    """What one clause asks for."""
    action = kind_of(clause, clauses, found, context)
    match action:
        case "":
            return []
        case "undo":
            return [_undo(clause, reading)]
        case "delete":
            return [CommandAction(action="delete", targets=deleted(clause), params=_counted(clause, reading))]
        case "export" | "master" | "normalize" | "match_reference" | "mix":
            return _whole(action, clause, found, reading, stems)
        case "analyze":
            measures = list(dict.fromkeys(item["measure"] for item in clause.items if "measure" in item.tags))
            params: dict[str, Any] = {"measures": measures} if measures else {}
            platform = next((item["platform"] for item in clause.items if "platform" in item.tags), None)
            return [
                CommandAction(
                    action="analyze",
                    targets=_whole_targets(clause),
                    params=params | ({"target": platform} if platform else {}) | _counted(clause, reading),
                )
            ]
        case "visualize":
            pictures = list(
                dict.fromkeys(
                    item["picture"] for item in clause.items if item.is_a("picture") and item["picture"] != "picture"
                )
            )
            return [
                CommandAction(
                    action="visualize",
                    targets=_whole_targets(clause),
                    params=({"pictures": pictures} if pictures else {}) | _counted(clause, reading),
                )
            ]
        case "set_mix":
            return [set_mix(clause, reading, stems)]
        case "apply_effects":
            return _apply(clause, found, reading, context, stems, len(clauses) > 1)
    reading.doubts.append("unclear")
    return [CommandAction(action="unknown", params=_counted(clause, reading))]


_ALL = words_of("todo toda todos todas all everything every")


def _undo(clause: Clause, reading: Reading) -> CommandAction:
    counts = [item.quantity.value for item in clause.numbers if item.quantity is not None]
    steps = {"dos": 2, "two": 2, "tres": 3, "three": 3}
    said = next((steps[word] for word in clause.words if word in steps), None)
    count = int(counts[0]) if counts else said
    if count is None and ("*" in clause.own_targets or _ALL & set(clause.words)):
        return CommandAction(action="undo", params={"steps": "all"})
    return CommandAction(action="undo", params={"steps": count} if count else {})


def _counted(clause: Clause, reading: Reading) -> dict[str, Any]:
    """Numbers that an action has no use for, kept."""
    sound = Sound()
    for item in clause.numbers:
        if item.quantity is not None and item.quantity.unit == "count":
            sound.params["stem_count"] = int(item.quantity.value)
        else:
            keep(sound, item.label, item)
    reading.unused += sound.unused
    return sound.params


def _whole_targets(clause: Clause, default: str = "master") -> list[str]:
    own = ["master" if one == "song" else one for one in clause.own_targets]
    return own or [one for one in clause.targets if not clause.is_guess] or [default]


def _whole(
    action: str, clause: Clause, found: Scan, reading: Reading, stems: Sequence[KnownStem]
) -> list[CommandAction]:
    """What is done to the whole, or is written to a file; with effects that were asked for in the same breath."""
    output = output_params(clause)
    params = output.params
    if action == "mix":
        count = params.pop("stem_count", None)
        params = ({"stem_count": count} if count else {}) | params
        is_all = clause.own_targets in ([], ["song"], ["master"]) or "*" in clause.own_targets or bool(count)
        is_all = is_all or is_with(clause, found)
        targets = ["*"] if is_all else clause.own_targets
        if clause.excepted:
            params["except"] = clause.excepted
    elif action == "export":
        targets = _whole_targets(clause)
        if clause.has("special", "stems_out") or targets == ["*"]:
            params["stems_out"], targets = True, ["*"] if targets == ["master"] else targets
        if params.get("bit_depth") == 16 and "dither" not in params:
            params["dither"] = "tpdf"
        params.pop("target", None) if action == "export" and not clause.has("platform") else None
    else:
        targets = _whole_targets(clause)
    effects: list[dict[str, Any]] = []
    unused = output.unused
    if action == "normalize":
        effects, params = _normalize(clause, params)
    elif has_effects(clause) and action in ("master", "mix") and not clause.has("special", "auto"):
        clause.targets = targets
        wanted = sound_of(_without_output_numbers(clause, params), found.tokens)
        effects = wanted.effects if action == "master" or clause.own_targets else []
        reading.unavailable += wanted.unavailable
    reading.unused += unused
    return [CommandAction(action=action, targets=targets, effects=effects, params=params)]


def _without_output_numbers(clause: Clause, params: dict[str, Any]) -> Clause:
    taken = {value for value in params.values() if isinstance(value, int | float)}
    kept = [
        item
        for item in clause.items
        if item.quantity is None or not {item.quantity.value, -item.quantity.value} & taken
    ]
    return Clause(
        items=kept, verbs=clause.verbs, own_targets=clause.own_targets, targets=clause.targets, words=clause.words
    )


def _normalize(clause: Clause, params: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """To a loudness, or, where only decibels of a peak were said, to that peak."""
    says_peak = clause.has("param", "ceiling") or clause.has("measure", "true_peak")
    if "target_lufs" not in params and "ceiling_dbtp" in params:
        peak = params["ceiling_dbtp"]
        return [{"type": "normalize", "peak_dbtp": peak, "ceiling_dbtp": -1.0}], {**params, "peak_dbtp": peak}
    if says_peak and "target_lufs" not in params:
        return [{"type": "normalize", "peak_dbtp": -1.0, "ceiling_dbtp": -1.0}], params
    from_target = {"spotify": -14.0, "ebu_r128": -23.0, "atsc_a85": -24.0, "apple_music": -16.0, "podcast": -16.0}.get(
        params.get("target", ""), -14.0
    )
    loudness = params.get("target_lufs", from_target)
    if not -60.0 <= loudness <= -1.0:
        return [], params
    effect = {
        "type": "normalize",
        "target_lufs": loudness,
        "ceiling_dbtp": max(params.get("ceiling_dbtp", -1.0), -24.0),
    }
    return [effect], {**params, "target_lufs": loudness}


def _apply(
    clause: Clause,
    found: Scan,
    reading: Reading,
    context: CommandContext,
    stems: Sequence[KnownStem],
    is_one_of_many: bool,
) -> list[CommandAction]:
    targets, params = mix_targets(clause, stems)
    role = role_in(context, targets[0]) if targets else "master"
    shown = clause.targets
    clause.targets = [role]
    removed = _removed_effects(clause)
    if removed:
        params["remove"] = removed
        sound = Sound()
        for item in clause.numbers:
            keep(sound, item.label, item)
    elif softened := _softened(clause):
        sound = sound_of(clause, found.tokens)
        sound.effects = [_softer(effect) for effect in sound.effects]
        params["remove"] = softened  # the one that is there gives way to a softer one
    elif cuts_time(clause) and not has_effects(clause, "trim", "mono", "stereo"):
        sound = Sound()
        trim = trim_of(clause, sound)
        if trim:
            sound.effects.append(trim)
        elif trim is None:
            sound.effects.append({"type": "trim", "start_seconds": 0.0})
            reading.doubts.append("which_part")
    else:
        sound = sound_of(clause, found.tokens)
    clause.targets = shown
    if not (sound.effects or removed or sound.unavailable or clause.numbers) and is_one_of_many:
        return []
    reading.unused += sound.unused
    reading.unavailable += sound.unavailable
    if clause.is_guess:
        reading.doubts.append("assumed_master")
    if not sound.effects and not removed and not sound.unavailable:
        reading.doubts.append("which_effect")
    actions = []
    gain = _level_beside(clause, sound)
    if gain is not None:
        actions.append(CommandAction(action="set_mix", targets=targets, params={"gain_db": gain}))
        sound.params.pop("gain_db", None)
    actions.append(
        CommandAction(action="apply_effects", targets=targets, effects=sound.effects, params=params | sound.params)
    )
    return actions


def _level_beside(clause: Clause, sound: Sound) -> float | None:
    """A gain that no effect took, in a clause that raises or lowers as well: it is the level that is meant."""
    if any(effect["type"] == "mid_side" for effect in sound.effects):
        if sound.params.pop("gain_db", None) is not None:
            sound.unused = [one for one in sound.unused if "db" not in one]
        return None
    gain = sound.params.get("gain_db")
    if gain is None or not clause.said("raise", "lower"):
        return None
    sound.unused = [one for one in sound.unused if "db" not in one]
    return -abs(gain) if clause.said("lower") else float(gain)


SOFTER = 0.5


def _softer(effect: dict[str, Any]) -> dict[str, Any]:
    key = {"reverb": "wet", "delay": "wet", "saturation": "drive_db"}.get(effect["type"])
    return {**effect, key: round(effect[key] * SOFTER, 3)} if key else effect


_SOFTENED = ("reverb", "delay", "saturation")


def _softened(clause: Clause) -> list[str]:
    """Effects that there is to be less of: "menos reverb en la voz", "too much delay"."""
    found = []
    for number, item in enumerate(clause.items):
        before = clause.items[number - 1] if number else None
        if item["effect"] in _SOFTENED and before is not None and before.is_a("place", "less", "too"):
            found.append(item["effect"])
    return found if not clause.numbers else []


_TYPES: Mapping[str, str] = {
    "compressor": "compressor", "parallel": "compressor", "sidechain": "compressor", "limiter": "limiter", "gate": "gate",
    "expander": "expander", "deesser": "deesser", "multiband": "multiband", "saturation": "saturation", "tape": "saturation",
    "tube": "saturation", "distortion": "saturation", "delay": "delay", "pingpong": "delay", "reverb": "reverb", "hall": "reverb",
    "plate": "reverb", "chamber": "reverb", "eq": "eq", "highpass": "highpass", "lowpass": "lowpass",
}  # fmt: skip
"""Beginnings of the types that an effect's name takes off: `eq` is every equalizer."""
EVERY_TYPE = ""
_ALSO_VERBS = ("eq", "delay", "reverb")


def _removed_effects(clause: Clause) -> list[str]:
    """Beginnings of the types of effects that are to be taken off: "quita la reverb"."""
    if not clause.said("remove", "mute") or clause.said("add", "give", "put"):
        return []
    if clause.has("band") or clause.has("word") or clause.numbers or clause.has("place", "slightly", "less"):
        return []
    if clause.has("special", "all_effects"):
        return [EVERY_TYPE]
    named = [
        item["effect"]
        for item in clause.items
        if item.before not in ("con", "with")  # "destroy the drums with distortion"
        and ("verb" not in item.tags or item["effect"] in _ALSO_VERBS)
    ]
    return list(dict.fromkeys(_TYPES[name] for name in named if name in _TYPES))
