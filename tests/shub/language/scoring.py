"""How right a reading is, against what a person wrote down for the command without having seen the rules."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SETS = ("commands_a.jsonl", "commands_b.jsonl", "commands_c.jsonl", "commands_d.jsonl", "commands_e.jsonl")
"""Each written by another author, who had not seen the rules."""


def commands(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines() if line.strip()]


def is_right(expected: dict[str, Any], actions: list[dict[str, Any]]) -> bool:
    """Whether exactly the expected actions were read, each on its target, in any order; where several readings are fair, one of them."""
    readings = expected.get("actions_any") or [expected["actions"]]
    asked = [action for action in actions if action["action"] != "unknown"]
    return any(_fits(reading, actions if reading else asked) for reading in readings)


def _fits(wanted: list[dict[str, Any]], actions: list[dict[str, Any]]) -> bool:
    left = list(actions)
    for want in wanted:
        match = next((one for one in left if one["action"] == want["action"] and _is_target(want, one)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _is_target(want: dict[str, Any], action: dict[str, Any]) -> bool:
    return any(set(targets) == set(action["targets"]) for targets in [want["targets"], *want.get("targets_any", [])])


def has_effects(expected: dict[str, Any], actions: list[dict[str, Any]]) -> bool:
    """Whether the kinds of effects and the values that were expected of them are there as well."""
    readings = expected.get("actions_any") or [expected["actions"]]
    found = [effect for action in actions for effect in action["effects"]]
    return any(
        all(_has_effect(want, found) for action in reading for want in action["effects"]) for reading in readings
    )


def _has_effect(want: dict[str, Any], found: list[dict[str, Any]]) -> bool:
    kinds = want.get("type_any") or [want["type"]]
    said = {key: value for key, value in want.items() if key not in ("type", "type_any")}
    inner = found + [one for effect in found for side in ("mid", "side") for one in effect.get(side, [])]
    return any(one["type"] in kinds and all(_same(one.get(key), value) for key, value in said.items()) for one in inner)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return bool(one == other)


def lost_numbers(expected: dict[str, Any], actions: list[dict[str, Any]]) -> list[str]:
    """Numbers that were said and stand nowhere under their name; one without a name may stand under any."""
    kept = [pair for action in actions for pair in _pairs(action["effects"], "")] + [
        pair for action in actions for pair in _pairs(action["params"], "")
    ]
    lost = []
    for number in expected["numbers"]:
        keys = number.get("key_any") or [number["key"]]
        if not any((key in keys or keys == [None]) and _same(value, number["value"]) for key, value in kept):
            lost.append(f"{number['key']} {number['value']}")
    return lost


def _pairs(value: Any, key: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _pairs(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _pairs(inner, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def is_destructive(actions: list[dict[str, Any]]) -> bool:
    return any(action["action"] == "delete" for action in actions)
