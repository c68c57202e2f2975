"""A command as actions: which of them each clause asks for, on what, with which effects and parameters. Pure, by rules alone."""

import re
from collections.abc import Sequence
from typing import Any

from config.contracts.shub_language import CommandAction, CommandContext, Descriptor, KnownStem
from shub.language.acting import actions_of
from shub.language.clause import INDEX, Clause
from shub.language.clauses import clauses_of
from shub.language.descriptors import WORDS
from shub.language.outcome import Reading
from shub.language.relevance import is_about_audio
from shub.language.scanning import Scan, scan
from shub.language.sound.directions import word_direction
from shub.language.sound.numbers import free_name, named
from shub.language.stems import carry_targets, give_roles, own_names
from shub.language.tongue import language_of
from shub.language.vocabulary import BANDS
from shub.language.words import composed, folded

ASSET_ID = re.compile(r"\basset_[0-9a-f]+\b")


def read(command: str, context: CommandContext) -> Reading:
    """The actions of a command, by the rules."""
    stems = [stem if isinstance(stem, KnownStem) else KnownStem(name=stem) for stem in context.stems]
    text = composed(_with_names(command, stems))
    said = folded(text)
    found = scan(said, own_names(stems))
    found.past = frozenset(at for at, token in enumerate(found.tokens) if text[token.end - 1] in "éó")
    reading = Reading(language=language_of(text, said))
    clauses = clauses_of(found)
    for clause in clauses:
        first, last = min(item.at for item in clause.items), max(item.until for item in clause.items)
        clause.words = [token.text for token in found.tokens[first:last]]
        give_roles(clause, found)
    carry_targets(clauses, context, stems)
    if not is_about_audio(found, clauses, context):
        reading.actions = [CommandAction(action="not_audio")]
        reading.confidence = 0.9
        return reading
    for clause in clauses:
        reading.descriptors += _descriptors(clause, text, found)
        reading.actions += actions_of(clause, clauses, found, reading, context, stems)
    reading.actions = _merged(reading.actions)
    if not reading.actions:
        is_denied = bool(found.parts) and any(
            item.is_a("special", "neg", "keep") for part in found.parts for item in part
        )
        reading.actions = [CommandAction(action="unknown")]
        reading.doubts.append("nothing_asked" if is_denied else "unclear")
    reading.numbers = [
        item for part in found.parts for item in part if item.quantity is not None and item.label != INDEX
    ]
    keep_all_numbers(reading)
    reading.confidence = _confidence(reading, found)
    return reading


def _with_names(command: str, stems: Sequence[KnownStem]) -> str:
    """The command with the name of a stem for its id: the random letters of an id spell drums (`bd`) and units (`db`)."""
    names = {stem.asset_id: stem.name for stem in stems}
    return ASSET_ID.sub(lambda found: names.get(found.group(), ""), command)


def _descriptors(clause: Clause, text: str, found: Scan) -> list[Descriptor]:
    told = []
    for item in clause.items:
        quote = text[found.tokens[item.at].start : found.tokens[item.until - 1].end]
        if "word" in item.tags and item["special"] not in ("quiet_complaint", "loud_complaint", "louder", "softer"):
            word = WORDS[item["word"]]
            direction = word_direction(clause, item, word)
            told.append(
                Descriptor(
                    term=word.term,
                    said=quote,
                    direction="more" if direction > 0 else "less",
                    low_hz=word.low_hz,
                    high_hz=word.high_hz,
                )
            )
        elif "band" in item.tags:
            low, high = BANDS[item["band"]]
            direction = -1 if clause.said("cut", "remove", "lower", "tame") or clause.has("place", "less", "too") else 1
            told.append(
                Descriptor(
                    term=item["band"],
                    said=quote,
                    direction="more" if direction > 0 else "less",
                    low_hz=low,
                    high_hz=high,
                )
            )
    return told


def _merged(actions: list[CommandAction]) -> list[CommandAction]:
    """Neighbours that do the same to the same are one: "comprime la voz y ponle reverb"."""
    merged: list[CommandAction] = []
    for action in actions:
        last = merged[-1] if merged else None
        same = last is not None and last.action == action.action and last.targets == action.targets
        if same and last is not None and action.action in ("analyze", "visualize"):
            merged[-1] = last.model_copy(update={"params": _joined(last.params, action.params)})
            continue
        if same and last is not None and action.action == "set_mix" and _are_two_places(last.params, action.params):
            places = [last.params["pan"], action.params["pan"]]
            merged[-1] = last.model_copy(update={"params": last.params | {"pan": places}})
            continue
        if same and last is not None and not (set(last.params) & set(action.params)):
            merged[-1] = last.model_copy(
                update={"effects": _one_width(last.effects + action.effects), "params": last.params | action.params}
            )
        elif action not in merged:
            merged.append(action)
    known = [action for action in merged if action.action != "unknown"]
    return known or merged[:1]


def _are_two_places(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """ "one guitar to the left and the other to the right"."""
    pans = (one.get("pan"), other.get("pan"))
    is_placed = all(isinstance(pan, int | float) for pan in pans) and set(other) == {"pan"}
    return is_placed and pans[0] != pans[1]


def _one_width(effects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A width and what is to be mono below it are one effect: "wider, but mono below 120 Hz"."""
    widths = [effect for effect in effects if effect["type"] == "width"]
    if len(widths) != 2 or widths[1].get("mono_below_hz") is None or widths[1]["width"] != 1.0:
        return effects
    both = {**widths[1], "width": widths[0]["width"]}
    return [both if effect is widths[0] else effect for effect in effects if effect is not widths[1]]


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both, with their lists one after the other."""
    lists = {
        key: [*one[key], *(item for item in value if item not in one[key])]
        for key, value in other.items()
        if isinstance(one.get(key), list)
    }
    return {**one, **other, **lists}


def keep_all_numbers(reading: Reading) -> None:
    """Whatever number was said and stands nowhere yet is kept with the last action."""
    present = set(_numbers([[action.effects, action.params] for action in reading.actions]))
    for item in reading.numbers:
        quantity = item.quantity
        if quantity is None or not reading.actions:
            continue
        name, value = named("", item)
        said = abs(quantity.value)
        if {round(one, 6) for one in (said, abs(value), said / 100, said * 1000, said / 1000)} & present:
            continue
        last = reading.actions[-1]
        name = free_name(name, value, last.params)
        reading.actions[-1] = last.model_copy(update={"params": last.params | {name: value}})
        present.add(round(abs(value), 6))
        if quantity.unit:
            reading.unused.append(item.text)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [round(abs(float(value)), 6)]
    if isinstance(value, dict):
        return [one for inner in value.values() for one in _numbers(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in _numbers(inner)]
    return []


COSTS = {
    "unclear": 0.7, "nothing_asked": 0.45, "which_target": 0.4, "assumed_master": 0.15, "which_effect": 0.4, "mute_or_delete": 0.25,
    "which_part": 0.4,
}  # fmt: skip


def _confidence(reading: Reading, found: Scan) -> float:
    """How sure the rules are: less for every doubt, and for words that nothing is known of."""
    cost = sum(COSTS[doubt] for doubt in dict.fromkeys(reading.doubts))
    cost += min(0.04 * len(set(found.unknown)), 0.25)
    cost += 0.1 if reading.unused else 0.0
    cost += 0.1 if reading.unavailable else 0.0
    return round(max(0.97 - cost, 0.05), 2)
