"""An order to the audio engineer that waits for a particular, completed by the answer. Values in, values out."""

from config.contracts.shub_language import CommandAction, Interpretation
from madre.core.studio import ALL, CHANGES, MASTER, Take

WHICH = frozenset({"which_track", "no_such_track", "unclear"})
"""Questions that the name of a track answers."""


def as_command(answer: str, language: str) -> str:
    """The answer as the object of a plain order: so its words for tracks are read by the rules that read every command's."""
    return f"{'silencia' if language == 'es' else 'mute'} {answer}"


def tracks_named(said: Interpretation, take: Take) -> list[str]:
    """The tracks of the table that were named, as the command named them."""
    targets = dict.fromkeys(target for action in said.actions for target in action.targets)
    return [target for target in targets if any(track.is_called(target) for track in take.tracks)]


def about_tracks(heard: Interpretation, named: list[str], absent: str | None) -> Interpretation | None:
    """The order about these tracks, in place of the one that is not there or of nobody in particular; None where that was not open."""
    open_targets = {absent} if absent else {ALL, MASTER}

    def told(action: CommandAction) -> CommandAction:
        if action.action not in CHANGES or (action.targets and not open_targets & set(action.targets)):
            return action
        kept = [target for target in action.targets if target not in open_targets]
        return action.model_copy(update={"targets": [*kept, *named]})

    actions = [told(action) for action in heard.actions]
    return None if actions == heard.actions else _sure(heard, actions)


def mixed_first(heard: Interpretation) -> Interpretation:
    """The order after a mix."""
    return _sure(heard, [CommandAction(action="mix", targets=[ALL]), *heard.actions])


def _sure(heard: Interpretation, actions: list[CommandAction]) -> Interpretation:
    return heard.model_copy(
        update={"actions": actions, "needs_clarification": False, "questions": [], "confidence": 1.0}
    )
