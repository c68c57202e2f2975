"""Which types of task are next to which: hermes_db's tree of specialties, as far as it matters for choosing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from switch.calls import GENERAL, Facts

EXACT, ADJACENT, NEUTRAL, ELSEWHERE = 1.0, 0.75, 0.5, 0.25
"""What it is worth that a model is made for the type of task, for one next to it, for nothing in particular, or for something else. The
original documents take the overlap of tags (Jaccard): that gives less to a model with more tags, however well one of them fits."""
EVERYDAY = frozenset({GENERAL, "text_generation"})
"""What models for anything are said to be made for."""


@dataclass(frozen=True, slots=True)
class Specialties:
    """By the name of a specialty, or of a field that one names as related: those it is next to. Empty as long as hermes_db has none."""

    near: Mapping[str, frozenset[str]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    """Of the specialties themselves."""

    def knows(self, task_type: str) -> bool:
        """Whether it is a type of task; every one is while none is known."""
        return task_type in self.near or task_type in EVERYDAY or not self.names

    @classmethod
    def of(cls, rows: Iterable[tuple[int, str, int | None, Iterable[str]]]) -> Self:
        """Out of (id, name, id of the wider one, related fields). Next to a specialty are all wider and all narrower ones, and what it
        names as related, both ways."""
        found = list(rows)
        names = {number: name for number, name, _, _ in found}
        parents = {number: parent for number, _, parent, _ in found}
        near: dict[str, set[str]] = {name: set() for name in names.values()}
        for number, name, _, related in found:
            above, seen = parents[number], {number}
            while above is not None and above in names and above not in seen:
                near[name].add(names[above])
                near[names[above]].add(name)
                seen.add(above)
                above = parents[above]
            for field_name in related:
                near[name].add(field_name)
                near.setdefault(field_name, set()).add(name)
        return cls({name: frozenset(others - {name}) for name, others in near.items()}, tuple(sorted(names.values())))

    def match(self, facts: Facts, task_type: str) -> float:
        """How well a model is made for the type of task: EXACT, ADJACENT, NEUTRAL or ELSEWHERE."""
        made_for = facts.specialties
        if task_type in made_for or (task_type in EVERYDAY and made_for & EVERYDAY):
            return EXACT
        near = self.near.get(task_type, frozenset())
        if task_type in facts.adjacent or made_for & near or facts.adjacent & near:
            return ADJACENT
        return ELSEWHERE if made_for and not made_for & EVERYDAY else NEUTRAL
