"""Who among those who wait for local models is served next, and which model has to go for another. No I/O, no clock of its own.

Requests for a model that is in memory are served before another is loaded in its place, so that models are not loaded more often than
need be. Two things end that: a more urgent request for the other model, and one that has been overtaken for as long as it may be.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Generic, TypeVar

MOST_RESIDENTS = 2
"""Models in memory at the same time, the light one apart: one that answers and one loaded ahead."""
NEVER = float("inf")


@dataclass(slots=True, eq=False)
class Waiter:
    """A request for a local model. `number` tells the order of arrival; times are those of one monotonic clock, in seconds."""

    model: str
    priority: int
    """Index in `PRIORITIES`; 0 is the most urgent."""
    number: int
    since: float
    overtaken_at: float | None = None
    """When a later request for another model was first served while this one's model was not in memory."""


W = TypeVar("W", bound=Waiter)


@dataclass(frozen=True, slots=True)
class Rules:
    """`ageing_seconds`: after each such time a waiter counts as one class more urgent; 0 for never. `patience_seconds`: how long later
    requests may be served before one whose model is not in memory. `budget_bytes`: memory of all models together."""

    ageing_seconds: float
    patience_seconds: float
    budget_bytes: int

    def urgency(self, waiter: Waiter, now: float) -> int:
        """The class in which a waiter counts by now; 0 is the most urgent."""
        if self.ageing_seconds <= 0:
            return waiter.priority
        return max(0, waiter.priority - int((now - waiter.since) / self.ageing_seconds))

    def is_overdue(self, waiter: Waiter, now: float) -> bool:
        return waiter.overtaken_at is not None and now - waiter.overtaken_at >= self.patience_seconds


@dataclass(frozen=True, slots=True)
class Resident:
    """A model that takes memory now."""

    model: str
    memory_bytes: int
    used_at: float
    is_ready: bool = True
    """False while it is being loaded or stopped."""
    is_stopping: bool = False
    is_fresh: bool = False
    """Loaded, and nobody was served yet."""
    answering: int = 0
    places: int = 1


@dataclass(slots=True)
class Turn(Generic[W]):
    """What is to be done now. Nothing is loaded in the turn that stops something: its memory is not free yet."""

    begin: list[W] = field(default_factory=list)
    stop: list[str] = field(default_factory=list)
    load: str | None = None


def next_turn(
    waiters: Sequence[W], residents: Sequence[Resident], sizes: Mapping[str, int], rules: Rules, now: float
) -> Turn[W]:
    """What those who wait and what is in memory call for. `sizes`: memory in bytes of models that are not resident.

    Notes in the waiters who was overtaken. A busy model is never stopped, nor one that is being loaded for somebody.
    """
    here = {resident.model for resident in residents}
    homeless = [waiter for waiter in waiters if waiter.model not in here]
    if not homeless:
        turn = Turn[W]()
        for resident in residents:
            turn.begin += in_order((one for one in waiters if one.model == resident.model), rules, now)[
                : _free(resident)
            ]
        return turn
    line = _Line(homeless, rules, now)
    target = line.first.model
    waited_for = {waiter.model for waiter in waiters}
    gone = who_goes(sizes[target], residents, waited_for, rules.budget_bytes)
    turn = Turn[W]()
    busy = set[str]()
    for resident in residents:
        own = in_order((one for one in waiters if one.model == resident.model), rules, now)
        must_yield = gone is None or resident.model in gone
        if gone is not None and must_yield:
            own = [one for at, one in enumerate(own) if (at == 0 and resident.is_fresh) or not line.goes_before(one)]
        begun = own[: _free(resident)]
        turn.begin += begun
        if must_yield:
            line.note_overtaking(begun)
        if begun or resident.answering:
            busy.add(resident.model)
    if gone is not None and not busy & gone:
        turn.stop = sorted(gone)
        can_load = not gone and all(resident.is_ready for resident in residents)
        turn.load = target if can_load else None
    return turn


def _free(resident: Resident) -> int:
    return max(0, resident.places - resident.answering) if resident.is_ready else 0


def in_order(waiters: Iterable[W], rules: Rules, now: float) -> list[W]:
    """Those who wait for one model: the urgent first, equals as they came."""
    return sorted(waiters, key=lambda one: (rules.urgency(one, now), one.number))


class _Line:
    """Those whose model is not in memory."""

    def __init__(self, homeless: Sequence[Waiter], rules: Rules, now: float) -> None:
        self._homeless, self._rules, self._now = homeless, rules, now
        overdue = [one for one in homeless if rules.is_overdue(one, now)]
        self._first_overdue = min((one.number for one in overdue), default=NEVER)
        self._most_urgent = min(rules.urgency(one, now) for one in homeless)
        self.first = min(overdue, key=lambda one: one.number) if overdue else in_order(homeless, rules, now)[0]
        """Whose model is to be loaded next."""

    def goes_before(self, waiter: Waiter) -> bool:
        """Whether somebody in this line must be served before this waiter, whose model is in memory."""
        if self._first_overdue < waiter.number:
            return True
        if self._rules.is_overdue(waiter, self._now):
            return False
        return self._most_urgent < self._rules.urgency(waiter, self._now)

    def note_overtaking(self, begun: Sequence[Waiter]) -> None:
        if not begun:
            return
        latest = max(one.number for one in begun)
        for one in self._homeless:
            if one.overtaken_at is None and one.number < latest:
                one.overtaken_at = self._now


def who_goes(
    memory_bytes: int, residents: Sequence[Resident], waited_for: set[str], budget_bytes: int
) -> frozenset[str] | None:
    """Which models must leave memory for one of this size: none if there is room; None if it cannot be had for now.

    As few as possible that are busy or waited for, then as few as possible, then those that were used longest ago. Some of them may be
    busy still; then they take no new requests until they are not.
    """
    best: tuple[tuple[int, int, float], frozenset[str]] | None = None
    for count in range(len(residents) + 1):
        for gone in combinations(residents, count):
            left = [one for one in residents if one not in gone]
            has_room = memory_bytes + sum(one.memory_bytes for one in left) <= budget_bytes
            is_stuck = any(one.is_stopping or (not one.is_ready and one.model in waited_for) for one in gone)
            if not has_room or len(left) >= MOST_RESIDENTS or is_stuck:
                continue
            wanted = sum(one.answering > 0 or one.model in waited_for for one in gone)
            cost = (wanted, len(gone), max((one.used_at for one in gone), default=0.0))
            if best is None or cost < best[0]:
                best = cost, frozenset(one.model for one in gone)
    return None if best is None else best[1]
