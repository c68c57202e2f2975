"""Verdicts about money: which budgets a call has to keep, how much is set aside at a time, and what is said when it may not be. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from switch.failures import Failure, FailureKind

NANO: Final = 10**9
DAY: Final = "day"
TOKEN: Final = "token:"
TASK: Final = "task:"
EXTRA_CALLS: Final = 7
"""How many more calls like the one at hand a block is made for."""
MOST_EXTRA_NANOUSD: Final = 10 * NANO
SHARE: Final = 32
"""A block takes at most this part of what the tightest budget has left, beyond the calls at hand: so much a kill can cost at most."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit for one UTC day."""

    scope: str
    """`day` for everybody, `token:<caller>`, or `task:<type of task>`."""
    limit_nanousd: int


@dataclass(frozen=True, slots=True)
class Committed:
    """What is spent or set aside on a day, in nano-dollars: by everybody, by one caller, for one type of task."""

    everybody: int
    caller: int
    task: int

    def of(self, budget: Budget) -> int:
        if budget.scope == DAY:
            return self.everybody
        return self.caller if budget.scope.startswith(TOKEN) else self.task


class Budgets:
    """The limits of the settings."""

    def __init__(self, per_day: float | None, others: Mapping[str, float]) -> None:
        self._day = None if per_day is None else Budget(DAY, nanousd(per_day))
        self._others = {scope: Budget(scope, nanousd(limit)) for scope, limit in others.items()}

    def applying(self, caller: str, task_type: str) -> list[Budget]:
        """Those that a call of this caller for this type of task has to keep."""
        found = [] if self._day is None else [self._day]
        if self._others:
            found += [
                self._others[scope] for scope in (scope_of(caller), f"{TASK}{task_type}") if scope in self._others
            ]
        return found

    @property
    def limits(self) -> dict[str, int]:
        """Every limit in nano-dollars, by its scope, the day's first."""
        day = {} if self._day is None else {DAY: self._day.limit_nanousd}
        return day | {scope: budget.limit_nanousd for scope, budget in self._others.items()}


def scope_of(caller: str) -> str:
    """The scope of a caller's own budget: clients' ids begin with `token:` already."""
    return caller if caller.startswith(TOKEN) else f"{TOKEN}{caller}"


def nanousd(usd: float) -> int:
    return round(usd * NANO)


def usd(nanousd: int) -> float:
    return nanousd / NANO


def tightest(budgets: Sequence[Budget], committed: Committed) -> tuple[Budget, int] | None:
    """The budget that has the least left, and how much; None where there is no budget."""
    return min(((one, one.limit_nanousd - committed.of(one)) for one in budgets), key=lambda one: one[1], default=None)


def growth(short: int, waiting: int, spent: int, left: int | None) -> int:
    """By how much a block grows, in nano-dollars, when `short` is missing for the call at hand and `waiting` for all that wait.

    What was `spent` out of it already is a measure of how much it is used: so it grows ever more seldom. `left` is what the tightest budget
    has left, None without one; the caller has made sure that it is at least `short`.
    """
    wanted = max(short, waiting)
    extra = min(max(EXTRA_CALLS * max(short, 0), spent), MOST_EXTRA_NANOUSD)
    if left is None:
        return wanted + extra
    return max(short, min(wanted, left) + min(extra, max(0, left - wanted) // SHARE))


def resets_at(now: datetime) -> datetime:
    """When the day ends, in UTC."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1)


def over_budget(budget: Budget, left: int, needed: int, now: datetime, most_output: int | None = None) -> Failure:
    """What whoever asked is told. `most_output` is how many tokens of answer are reckoned with where the request does not say."""
    until = resets_at(now)
    whose = {DAY: "the budget of the day", TASK: f"the budget for {budget.scope.removeprefix(TASK)}"}.get(
        budget.scope if budget.scope == DAY else TASK if budget.scope.startswith(TASK) else "", "this caller's budget"
    )
    detail = (
        f"this call may cost up to ${usd(needed):.6f}, and {whose} ({budget.scope}: ${usd(budget.limit_nanousd):g} a day) has "
        f"${usd(max(0, left)):.6f} left until {until:%Y-%m-%dT%H:%MZ}; "
    )
    if most_output is None:
        detail += "a smaller max_tokens lowers what it may cost"
    else:
        detail += f"with no max_tokens, {most_output} tokens of answer are reckoned with: set it lower"
    return Failure(FailureKind.OVER_BUDGET, detail, retry_after_seconds=_until(until, now))


def beyond_the_request(model: str, limit_usd: float, needed: int | None) -> Failure:
    """What is told where a call may cost more than the request itself allows, or nobody knows what it costs."""
    costs = "costs nobody knows what" if needed is None else f"may cost up to ${usd(needed):.6f}"
    return Failure(FailureKind.OVER_BUDGET, f"{model} {costs}, and the request allows ${limit_usd:.6f} (max_cost_usd)")


def price_unknown(model: str, budgets: Sequence[Budget], now: datetime) -> Failure:
    """What is told where a budget could not be kept because nobody knows what the model costs."""
    detail = (
        f"the price of {model} is not known, so the budget {budgets[0].scope} could not be kept: give it in VX11_SWITCH_PRICES, "
        f'{{"{model}": {{"input": …, "output": …}}}} in dollars for a million tokens, 0 for one that is free'
    )
    return Failure(FailureKind.OVER_BUDGET, detail)


def _until(moment: datetime, now: datetime) -> float:
    return max(1.0, (moment - now).total_seconds())
