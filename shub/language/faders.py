"""Levels, places, and who is heard at all: the faders of a mix."""

from collections.abc import Sequence
from typing import Any

from config.contracts.shub_language import CommandAction, KnownStem
from shub.language.clause import INDEX, Clause
from shub.language.outcome import Reading
from shub.language.scanning import Item
from shub.language.signs import is_pan
from shub.language.sound.directions import amount_of
from shub.language.sound.draft import Sound
from shub.language.sound.numbers import keep
from shub.language.stems import is_common, roles_of
from shub.language.words import folded

MASKING_DB = -2.0
"""By how much who covers another is turned down when no number was said."""


def mix_targets(clause: Clause, stems: Sequence[KnownStem]) -> tuple[list[str], dict[str, Any]]:
    """Everybody but those who were excepted, by name where the stems are known."""
    targets = ["master" if one == "song" else one for one in clause.targets]
    if not clause.excepted:
        return targets, {}
    roles = roles_of(stems)
    if targets == ["*"] and roles:
        out = set(clause.excepted)
        kept = [(name, role) for name, role in roles if name not in out and role not in out]
        return [name if not is_common(folded(name)) else (role if role != "other" else name) for name, role in kept], {}
    return targets, {"except": clause.excepted}


def set_mix(clause: Clause, reading: Reading, stems: Sequence[KnownStem]) -> CommandAction:
    """The faders that a clause moves: a gain, a place, mute, solo, or a balance."""
    targets, params = mix_targets(clause, stems)
    sound = Sound()
    for item in clause.items:
        if _is_index(item, clause):
            item.label = INDEX
    clause.items = [item for item in clause.items if item.label != INDEX]
    first = next((verb for verb in clause.verbs if verb not in ("sound", "want", "clip")), "")
    if _covers_another(clause, first, targets):
        targets, params = targets[:1], {"gain_db": MASKING_DB}
    else:
        params |= _fader(clause, first, sound)
    if first == "remove" and params.get("is_muted"):
        reading.doubts.append("mute_or_delete")
    for item in clause.numbers:
        if item.text in sound.unused or item.quantity is None:
            continue
        keep(sound, item.label, item)
        if item.quantity.unit == "count" and sound.unused[-1:] == [item.text]:
            sound.unused.pop()
    params |= {key: value for key, value in sound.params.items() if key not in params}
    reading.unused += [one for one in sound.unused if one not in _taken(clause, params)]
    if clause.is_guess:
        reading.doubts.append("which_target")
    said = {key: value for key, value in params.items() if value is not None}
    return CommandAction(action="set_mix", targets=targets, params=said)


def _covers_another(clause: Clause, first: str, targets: list[str]) -> bool:
    is_said = clause.said("mask") or any(item.text.startswith("se come") for item in clause.items)
    return not _is_placed(clause, first) and (first == "mask" or (first == "" and len(targets) > 1 and is_said))


def _is_placed(clause: Clause, first: str) -> bool:
    return is_pan(clause, False) or first == "center"


def _fader(clause: Clause, first: str, sound: Sound) -> dict[str, Any]:
    has_level = any(item.quantity is not None and item.quantity.unit in ("db", "") for item in clause.numbers)
    if _is_placed(clause, first):
        sides = [item["place"] for item in clause.items if item.is_a("place", "left", "right")]
        return {"pan": _pan(clause, ["left", "right"] if clause.has("place", "both_sides") else sides, sound)}
    if clause.has("special", "no_solo"):
        return {"solo": False}
    if first == "mute" or (first == "remove" and not has_level):
        return {"is_muted": True}
    if first == "unmute" or clause.has("special", "back_in"):
        return {"is_muted": False}
    is_alone = clause.is_only and first in ("put", "", "give") and not clause.numbers
    if clause.has("special", "in_solo") or first == "solo" or is_alone:
        return {"solo": True}
    if first in ("balance", "match"):
        return {"balance": True}
    return {"gain_db": _level(clause, first, sound)}


def _is_index(item: Item, clause: Clause) -> bool:
    """A number that counts instruments: "guitarra 2 a la derecha"."""
    quantity = item.quantity
    if quantity is None or quantity.unit or quantity.signed or quantity.value not in (1, 2, 3, 4, 5, 6, 7, 8, 9):
        return False
    follows = any("target" in one.tags and one.until == item.at for one in clause.items)
    return follows and (
        clause.has("place", "left", "right", "center") or any(one is not item for one in clause.numbers)
    )


def _taken(clause: Clause, params: dict[str, Any]) -> set[str]:
    """Texts of the numbers that stand in the params already."""
    values = {
        abs(one)
        for value in params.values()
        for one in (value if isinstance(value, list) else [value])
        if isinstance(one, int | float)
    }
    return {
        item.text
        for item in clause.numbers
        if item.quantity is not None and {abs(item.quantity.value), abs(item.quantity.value) / 100} & values
    }


def _level(clause: Clause, first: str, sound: Sound) -> float:
    sign = 1
    if clause.has("special", "softer", "loud_complaint") or clause.has("place", "down", "behind"):
        sign = -1
    if clause.has("special", "louder", "quiet_complaint") or clause.has("place", "front"):
        sign = 1
    if first in ("lower", "cut", "remove", "tame"):
        sign = -1
    elif first in ("raise", "boost") and not clause.has("place", "down"):
        sign = 1
    elif (
        first in ("move", "put", "give", "make", "add", "want", "")
        and clause.has("place", "down")
        and not clause.has("special", "louder")
    ):
        sign = -1
    if clause.has("place", "less") and first not in ("lower", "cut", "raise") and not clause.has("special", "louder"):
        sign = -1
    if clause.has("place", "too") and first in ("", "move"):
        sign = -1
    for item in clause.numbers:
        quantity = item.quantity
        if quantity is None or quantity.unit not in ("db", ""):
            continue
        sound.unused.append(item.text)
        value = quantity.value
        if quantity.signed:
            return -abs(value) if sign < 0 and first in ("lower", "cut", "remove") else value
        return sign * abs(value)
    amount = amount_of(clause)
    return sign * (1.0 if amount < 1 else 4.0 if amount > 1 else 2.0)


def _pan(clause: Clause, sides: list[str], sound: Sound) -> float | list[float]:
    values: list[float] = []
    unit_sides: list[str] = []
    signed = False
    for item in clause.numbers:
        quantity = item.quantity
        if quantity is None or quantity.unit not in ("", "%", "pan_l", "pan_r", "pan_c", "deg"):
            continue
        sound.unused.append(item.text)
        signed = signed or (quantity.signed and quantity.value < 0)
        scale = 90.0 if quantity.unit == "deg" else 100.0
        values.append(quantity.value if abs(quantity.value) <= 1 and quantity.unit == "" else quantity.value / scale)
        if quantity.unit == "pan_l":
            unit_sides.append("left")
        elif quantity.unit == "pan_r":
            unit_sides.append("right")
    sides = unit_sides + sides
    if not values:
        if clause.has("place", "center") and not sides:
            return 0.0
        if clause.said("center"):
            return 0.0
        is_hard = any(item.text.startswith(("hard", "a los extremos")) for item in clause.items)
        default = 1.0 if is_hard or clause.has("place", "hard") else 0.5
        if clause.has("place", "slightly"):
            default = 0.2
        elif clause.has("place", "strongly"):
            default = 0.8
        values = [default]
    if "left" in sides and "right" in sides:
        pair = (values * 2)[:2] if len(values) == 1 else values[:2]
        ordered = sorted(dict.fromkeys(sides), key=sides.index)
        return [
            round((-1 if side == "left" else 1) * abs(value), 4) for side, value in zip(ordered, pair, strict=False)
        ]
    if not sides:
        return round(max(-1.0, min(values[0], 1.0)), 4)
    sign = -1 if sides[0] == "left" else 1
    return round(sign * min(abs(values[0]), 1.0), 4)
