"""From a clause to effects: what was said with its numbers, and choices for what was not."""

from shub.language.clause import Clause
from shub.language.sound.completing import checked, complete, in_mid_side
from shub.language.sound.draft import Sound
from shub.language.sound.drafting import drafts_of
from shub.language.sound.frequencies import place_edges
from shub.language.sound.numbers import give_numbers
from shub.language.words import Token


def sound_of(clause: Clause, tokens: list[Token]) -> Sound:
    """The effects of a clause that asks for some, and what of its numbers no effect takes."""
    target = clause.targets[0] if clause.targets else "master"
    drafts, unavailable = drafts_of(clause, target)
    place_edges(clause, drafts, tokens)
    sound = Sound(unavailable=unavailable)
    give_numbers(clause, drafts, sound, tokens)
    for draft in drafts:
        complete(draft, clause, target)
    wrapped = in_mid_side(drafts, clause)
    for draft in wrapped:
        effect = checked(draft, sound)
        if effect is not None:
            sound.effects.append(effect)
    return sound
