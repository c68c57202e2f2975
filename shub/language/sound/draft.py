"""What a clause about sound becomes: effects in the making, and in the end effects with what was left over."""

from dataclasses import dataclass, field
from typing import Any

EQ = frozenset({"eq_peak", "eq_low_shelf", "eq_high_shelf"})


@dataclass(slots=True)
class Draft:
    """An effect in the making. `said` are the keys that the speaker gave; `sign` is that of a gain without one."""

    type: str
    at: int
    values: dict[str, Any] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    sign: int = 1
    is_quick: bool = False
    """An equalizer that stands for a frequency alone; it may still become a filter or a shelf."""


@dataclass(slots=True)
class Sound:
    """Effects, and the numbers that none of them took, by the name of what they are."""

    effects: list[dict[str, Any]] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
