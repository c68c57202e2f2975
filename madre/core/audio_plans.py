"""From a command to the audio engineer to steps: what the session holds, what shub made of the words, and what follows."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from config.contracts.shub import MOST_STEMS, Asset, ChainRequest, MasterRequest, MixRequest
from config.contracts.shub_language import LONGEST_STEM_NAME, CommandAction, CommandContext, Interpretation, KnownStem
from madre.core import audio_words
from madre.core.draft import Draft, checked, step
from madre.core.models import IntentName, IntentV2, PlanV2, StepType, StepV2
from madre.core.studio import (
    ALL,
    CHANGES,
    OUTPUT_PARAMS,
    Studio,
    Take,
    Track,
    Unclear,
    applied,
    effects_of,
    titles,
    with_files,
)

LEAST_CONFIDENCE = 0.6
INTENT_OF_ACTION: dict[str, IntentName] = {
    "mix": IntentName.AUDIO_MIX,
    "set_mix": IntentName.AUDIO_EFFECTS,
    "apply_effects": IntentName.AUDIO_EFFECTS,
    "normalize": IntentName.AUDIO_EFFECTS,
    "master": IntentName.AUDIO_MASTER,
    "match_reference": IntentName.AUDIO_MASTER,
    "analyze": IntentName.AUDIO_ANALYZE,
    "visualize": IntentName.AUDIO_ANALYZE,
    "export": IntentName.AUDIO_EXPORT,
    "undo": IntentName.AUDIO_UNDO,
    "delete": IntentName.DELETE_RESOURCE,
}


@dataclass(frozen=True)
class Command:
    """A message as shub reads it, on a session's table."""

    interpretation: Interpretation
    studio: Studio
    files: Sequence[Asset]
    """Those that came with the message."""


def context_of(take: Take, files: Sequence[Asset]) -> CommandContext:
    """What is on the table, as shub wants to know it."""
    known = [
        KnownStem(name=track.title[:LONGEST_STEM_NAME], role=track.role, asset_id=track.asset_id)
        for track in take.tracks
    ]
    new = [
        KnownStem(name=PurePath(one.name).stem[:LONGEST_STEM_NAME], role=one.role, asset_id=one.asset_id)
        for one in files
    ]
    stems = list({stem.asset_id: stem for stem in (*known, *new)}.values())[:MOST_STEMS]
    return CommandContext(stems=stems, last_targets=take.about)


def pending_take(plan: PlanV2) -> Take | None:
    """The take that a plan makes, as far as it is known before it is made: the next command builds on it."""
    keeping = next((one for one in plan.steps if one.operation == "madre:take"), None)
    return None if keeping is None else Take.model_validate({**keeping.params["take"], "plan_id": plan.plan_id})


def changes_studio(plan: PlanV2) -> bool:
    return any(one.operation in ("madre:undo", "madre:take") for one in plan.steps)


def awaited(studio: Studio, plan: PlanV2) -> Studio:
    """The studio as it stands for the next command, from the moment that a plan is begun: what it takes back is gone, what it makes
    is built on."""
    for one in plan.steps:
        if one.operation == "madre:undo":
            studio, _ = studio.back(one.params["steps"], plan.plan_id)
    take = pending_take(plan)
    return studio if take is None else studio.with_take(take)


def is_deletion(interpretation: Interpretation) -> bool:
    """Whether a command wants files gone, and nothing else."""
    return all(action.action == "delete" for action in interpretation.actions)


def to_delete(command: Command) -> list[str]:
    """The files that a command to delete speaks of: those that it names, be they on the table or sent with it, else those sent with it.

    None of them where it names one that is not there: nothing is deleted in place of something else.
    """
    take = with_files(command.studio.now, command.files)
    targets = {target for action in command.interpretation.actions for target in action.targets}
    named = [track.asset_id for track in take.tracks if any(track.is_called(target) for target in targets)]
    if named or not (targets <= {ALL} or len(command.files) == 1):
        return named
    return [asset.asset_id for asset in command.files]


def is_for_studio(interpretation: Interpretation) -> bool:
    """Whether shub knows something to do."""
    return bool(interpretation.actions) and all(action.action in INTENT_OF_ACTION for action in interpretation.actions)


def intent_of(interpretation: Interpretation) -> IntentV2:
    """The intent that a plan carries: that of the last action that changes something, else of the first."""
    actions = interpretation.actions
    chief = next((action for action in reversed(actions) if action.action in CHANGES), actions[0])
    return IntentV2(
        name=INTENT_OF_ACTION[chief.action],
        domain="audio",
        action=chief.action,
        target=", ".join(chief.targets) or None,
        params={"actions": [action.model_dump(mode="json") for action in actions]},
        language=interpretation.language,
        confidence=interpretation.confidence,
        source="rules" if interpretation.source == "rules" else "switch",
        alternatives=[],
    )


def plan(command: Command, many_stems: int) -> Draft:
    """The steps that do what was said, or a question. Raises InvalidRequest for values that shub would refuse."""
    heard = command.interpretation
    warnings = [warning.text for warning in heard.warnings]
    if heard.needs_clarification or heard.confidence < LEAST_CONFIDENCE:
        asked = " ".join(heard.questions) or audio_words.say("say_more", heard.language)
        return Draft(question=asked, missing="command", warnings=warnings, asked=_asked(heard, "unclear"))
    try:
        steps = _Session(command).steps()
    except Unclear as unclear:
        missing = "files" if unclear.key in ("which_stems", "which_file", "which_reference") else "command"
        question = audio_words.say(unclear.key, heard.language, **unclear.values)
        return Draft(question=question, missing=missing, asked=_asked(heard, unclear.key, unclear.values.get("name")))
    is_mix = any(action.action == "mix" for action in heard.actions)  # changes of a mix are not asked about one by one
    stems = max((len(one.params["stems"]) for one in steps if one.operation == "shub:mix"), default=0)
    return Draft(steps, warnings=warnings, takes_long=is_mix and stems >= many_stems)


def _output_of(action: CommandAction) -> dict[str, Any]:
    """How a file is to be written. What shub warned of as being without meaning for its format is left out."""
    wanted = {name: action.params[name] for name in OUTPUT_PARAMS if action.params.get(name) is not None}
    meaningless = ("bit_depth", "dither") if wanted.get("format") in ("mp3", "ogg") else ()
    return {name: value for name, value in wanted.items() if name not in meaningless}


def _asked(heard: Interpretation, key: str, absent: str | None = None) -> dict[str, Any]:
    return {"key": key, "absent": absent, "heard": heard.model_dump(mode="json")}


@dataclass
class _Session:
    """Plans one command: every action changes the take, and what is asked to be heard, seen or written is made of it."""

    command: Command
    made: list[StepV2] = field(default_factory=list)

    def steps(self) -> list[StepV2]:
        actions = self._after_undo(self.command.interpretation.actions)
        if not actions:
            return self.made
        if any(action.action == "delete" for action in actions):
            raise Unclear("delete_alone")
        take = before = self._table(actions)
        asked = [action for action in actions if action.action not in CHANGES]
        for action in actions:
            if action.action in CHANGES:
                take = applied(take, self._with_reference(action, take))
        names = {action.action for action in actions}
        current, unmastered = self._render(before, take, names)
        for action in asked:
            if action.action == "export":
                self._export(action, take, current)
            elif action.action in ("analyze", "visualize"):
                self._analyze(action, take, current)
        if take != self.command.studio.now:
            self._keep(take, current, unmastered)
        if not self.made:
            raise Unclear("nothing_changed")
        return self.made

    def _table(self, actions: Sequence[CommandAction]) -> Take:
        """The take that the command begins with: files that came with it are laid on the table, unless they are only looked at there."""
        now, files, names = self.command.studio.now, self.command.files, {action.action for action in actions}
        if not files or "match_reference" in names:
            return now
        if now.mix is None or "mix" in names:
            return with_files(now, files)
        return with_files(Take(), files) if names & CHANGES else now

    def _after_undo(self, actions: Sequence[CommandAction]) -> list[CommandAction]:
        """What there is to do besides going back, which comes first: the rest builds on what was there then."""
        studio, count = self.command.studio, 0
        for action in actions:
            if action.action == "undo":
                steps = action.params.get("steps", 1)
                count += max(1, int(steps)) if isinstance(steps, int | float) else max(1, len(studio.takes))
        if count:
            self._add(StepType.NOOP, "madre:undo", {"steps": count})
            self.command = replace(self.command, studio=studio.back(count, "")[0])
        return [action for action in actions if action.action != "undo"]

    def _with_reference(self, action: CommandAction, take: Take) -> CommandAction:
        """A file that came with the message, or is called by its name, is what the master shall sound like."""
        if action.action != "match_reference":
            return action
        named = [track for target in action.targets for track in take.tracks if track.is_called(target)]
        came = [asset.asset_id for asset in self.command.files]
        reference = action.params.get("reference_asset_id") or next(iter(came), None)
        reference = reference or next((track.asset_id for track in named), None)
        if reference is None:
            raise Unclear("which_reference")
        return action.model_copy(update={"params": {**action.params, "reference_asset_id": reference}})

    def _render(self, before: Take, take: Take, names: AbstractSet[str]) -> tuple[Any, Any]:
        """The steps that make what the take describes: what is heard, and what that is before mastering, by asset or as pointers.

        What was asked for by name is made also where nothing changed: it costs time and gives the same file.
        """
        unmastered: Any = take.unmastered
        is_changed = "mix" in names or (take.tracks, take.mix, take.bus, take.focus) != (
            before.tracks,
            before.mix,
            before.bus,
            before.focus,
        )
        if take.mix is not None and (is_changed or unmastered is None):
            unmastered = self._mix(take)
        elif take.mix is None and (is_changed or unmastered is None):
            unmastered = self._chains(before, take)
        if take.master is None:
            return unmastered, unmastered
        is_asked = bool(names & {"master", "match_reference"})
        if is_asked or is_changed or take.master != before.master or take.current is None:
            source = unmastered or (take.focused.asset_id if take.focused else take.current)
            checked(MasterRequest, {"asset_id": "later", **take.master})
            return self._add(StepType.CALL_SHUB, "shub:master", {"asset_id": source, **take.master}), source
        return take.current, unmastered

    def _mix(self, take: Take) -> Any:
        order = take.mix_order()
        checked(MixRequest, order)
        self._add(StepType.CALL_SHUB, "shub:inspect", {"asset_ids": [track.asset_id for track in take.tracks]})
        return self._add(StepType.CALL_SHUB, "shub:mix", order)

    def _chains(self, before: Take, take: Take) -> Any:
        """Every single track that was changed, and at least the one that is worked on; what is heard is that one."""
        known = {track.asset_id: track for track in before.tracks}
        heard: Any = take.unmastered
        for track in take.tracks:
            is_focused = track.asset_id == take.focus
            if is_focused or (track.asset_id in known and track != known[track.asset_id]):
                made = self._chain(track)
                heard = made if is_focused else heard
        return heard

    def _chain(self, track: Track) -> Any:
        if not (effects := effects_of(track)):
            return track.asset_id
        order = {"asset_id": track.asset_id, "chain": {"name": "session", "effects": effects}}
        checked(ChainRequest, order)
        return self._add(StepType.CALL_SHUB, "shub:chain", order)

    def _export(self, action: CommandAction, take: Take, current: Any) -> None:
        wanted = _output_of(action)
        if action.params.get("stems_out"):
            self._export_stems(take, wanted)
            return
        if self.command.files and not self.made:  # the file that came with it, as it is
            current = self.command.files[0].asset_id
        source = current or (take.focused.asset_id if take.focused else None)
        if source is None and len(take.tracks) == 1:
            source = take.tracks[0].asset_id
        if source is None:
            raise Unclear("which_track", tracks=titles(take)) if take.tracks else Unclear("which_file")
        effects = [*action.effects]
        if (channels := action.params.get("channels")) in (1, 2):
            effects.append({"type": "channels", "to": "mono" if channels == 1 else "stereo"})
        order = {"chain": {"name": "chain", "effects": effects}, **wanted}
        checked(ChainRequest, {"asset_id": "later", **order})
        self._add(StepType.CALL_SHUB, "shub:chain", {"asset_id": source, **order})

    def _export_stems(self, take: Take, wanted: dict[str, Any]) -> None:
        """Every stem as a file: as it stands in the mix, with the mix; without one, with what was done to it."""
        if not take.tracks:
            raise Unclear("which_file")
        if take.mix is not None:
            order = {**take.mix_order(), **wanted, "stems_out": True}
            checked(MixRequest, order)
            self._add(StepType.CALL_SHUB, "shub:mix", order)
            return
        for track in take.tracks:
            order = {"asset_id": track.asset_id, "chain": {"name": "session", "effects": effects_of(track)}, **wanted}
            checked(ChainRequest, order)
            self._add(StepType.CALL_SHUB, "shub:chain", order)

    def _analyze(self, action: CommandAction, take: Take, current: Any) -> None:
        wanted: list[Any] = [
            track.asset_id for target in action.targets for track in take.tracks if track.is_called(target)
        ]
        wanted = wanted or [asset.asset_id for asset in self.command.files]
        wanted = wanted or ([current] if current is not None else [track.asset_id for track in take.tracks])
        if not wanted:
            raise Unclear("which_file")
        target = action.params.get("target") or action.params.get("platform")
        names = {track.asset_id: track.title for track in take.tracks}
        for one in wanted:
            name = names.get(one) if isinstance(one, str) and len(wanted) > 1 else None
            params = {"asset_id": one, "target": target, "name": name}
            said = {key: value for key, value in params.items() if value}
            self._add(StepType.CALL_SHUB, "shub:analyze", said)

    def _keep(self, take: Take, current: Any, unmastered: Any) -> None:
        about = dict.fromkeys(target for one in self.command.interpretation.actions for target in one.targets)
        take = take.model_copy(update={"about": [one for one in about if any(t.is_called(one) for t in take.tracks)]})
        kept = take.model_dump(mode="json", exclude={"current", "unmastered"})
        self._add(StepType.NOOP, "madre:take", {"take": kept, "current": current, "unmastered": unmastered})

    def _add(self, kind: StepType, operation: str, params: dict[str, Any]) -> dict[str, str]:
        """One more step; a pointer to the file that it makes."""
        self.made.append(step(len(self.made) + 1, kind, operation, params))
        return {"from": self.made[-1].step_id, "key": "asset_id"}
