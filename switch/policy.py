"""Verdicts of switch: which models may answer, what an answer's status means, how long to wait. No I/O."""

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache

from config.clients.switch import (
    BudgetExceeded,
    ModelRefused,
    NoModelReachable,
    ProviderFailed,
    ProviderLimited,
    ProviderRefused,
    SwitchBusy,
    UnknownModel,
    UnsupportedByModel,
)
from config.errors import FleetError
from switch.calls import Choice, Tried
from switch.failures import Failure, FailureKind

LONGEST_RETRY_AFTER_SECONDS = 3600.0
MOST_TOLD = 12  # candidates in the words of a refusal; the decision has them all
TASK_TYPE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")


@dataclass(frozen=True)
class Wanted:
    """What `model` asks for: any model (perhaps for a type of task), or one by name."""

    name: str | None = None
    task_type: str | None = None

    @property
    def is_auto(self) -> bool:
        return self.name is None


@lru_cache(maxsize=4096)  # the same few, with every request
def wanted(name: str) -> Wanted:
    """Read a `model`. Raises UnknownModel for an `auto:` that names no type of task, and for what is no name at all."""
    if not name.isprintable():
        raise UnknownModel(f"{name[:200]!r} does not name a model: it holds what cannot be printed", param="model")
    if name == "auto":
        return Wanted()
    if name.startswith("auto:"):
        task_type = name.removeprefix("auto:")
        if not TASK_TYPE.fullmatch(task_type):
            raise UnknownModel(f"auto:{task_type[:64]!r} does not name a type of task", param="model")
        return Wanted(task_type=task_type)
    return Wanted(name)


def is_preferred(choice: Choice, text: str) -> bool:
    """Whether the name holds the text, in any case."""
    return text.casefold() in choice.name.casefold()


def failure_of(shown: str, status: int, retry_after: str) -> Failure | None:
    """What a status of 400 and more says of the model; None when it says that the request is at fault."""
    if status == 403:
        return Failure(FailureKind.FORBIDDEN, f"{shown} may not be asked with our key (403)")
    if status in (401, 402):
        return Failure(
            FailureKind.KEY_REFUSED, f"{shown} does not accept our key, or its account may not do this ({status})"
        )
    if status == 404:
        return Failure(FailureKind.NO_SUCH_MODEL, f"{shown} does not have this model or route (404)")
    if status == 429:
        seconds = retry_after_seconds(retry_after)
        return Failure(FailureKind.LIMITED, f"{shown} wants fewer requests (429)", retry_after_seconds=seconds)
    if status >= 500 or status == 408:
        return Failure(FailureKind.SERVER_ERROR, f"{shown} failed with status {status}")
    return None


def retry_after_seconds(value: str, *, now: Callable[[], float] = time.time) -> float | None:
    """Seconds out of a Retry-After header (RFC 9110, 10.2.3), which may be a date; None where it is missing or makes no sense."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def whole_seconds(seconds: float) -> str:
    """A pause as Retry-After has it, and never a shorter one."""
    return str(max(1, math.ceil(seconds)))


RETRIED = frozenset({FailureKind.UNREACHABLE, FailureKind.CUT, FailureKind.SERVER_ERROR, FailureKind.GARBAGE})
"""Failures that may be gone a moment later."""


BESIDE_THE_POINT = frozenset({FailureKind.UNUSABLE, FailureKind.UNSUPPORTED})
"""Failures that do not pass with time."""


def is_worth_another_try(failure: Failure, *, pause: float) -> bool:
    """Whether whoever failed so may be asked the same again after `pause` seconds."""
    if failure.kind in (FailureKind.LIMITED, FailureKind.TRIPPED):
        return failure.retry_after_seconds is not None and failure.retry_after_seconds <= pause
    return failure.kind in RETRIED


def pause_seconds(round_number: int, *, base: float = 0.25, cap: float = 4.0) -> float:
    """Wait before everybody is asked again for the nth time (1-based), in seconds, doubling up to `cap`; the caller adds jitter."""
    return min(cap, float(base * 2.0 ** min(round_number - 1, 16)))


def restart_delay(deaths_in_a_row: int, *, base: float = 0.2, cap: float = 30.0) -> float:
    """Wait before the local model is started again, in seconds, doubling with every death in a row up to `cap`; 0 for the first start."""
    if deaths_in_a_row == 0:
        return 0.0
    return float(min(cap, base * 2.0 ** min(deaths_in_a_row - 1, 16)))


def refusal(tried: Sequence[Tried], *, is_auto: bool) -> FleetError:
    """The error for a request that nobody answered: what went wrong, by name."""
    failures = [one for one in tried if one.failure is not None]
    told = [one for one in tried if one.failure is not None or one.detail][:MOST_TOLD]
    detail = "; ".join(f"{one.choice.name}: {one.detail}" for one in told)
    if tried and all(one.outcome == "unfit" for one in tried):
        return ModelRefused(detail)
    if not failures:
        return NoModelReachable(
            detail or "no model is configured that may answer this: no provider, and no local model"
        )
    if is_auto and any(one.failure.kind is FailureKind.OVER_BUDGET for one in failures if one.failure):
        # that this machine has no model, or an API no words, is not what is in the way: money is
        failures = [one for one in failures if one.failure and one.failure.kind not in BESIDE_THE_POINT]
    if is_auto and all(one.failure.kind in BESIDE_THE_POINT for one in failures if one.failure):
        # no other time would be better: what those said who could have answered is the answer
        failures = [one for one in failures if one.failure and one.failure.kind is FailureKind.UNSUPPORTED] or failures
    if is_auto and len({one.failure.kind for one in failures if one.failure}) > 1:
        soonest = [
            one.failure.retry_after_seconds for one in failures if one.failure and one.failure.retry_after_seconds
        ]
        return NoModelReachable(detail, headers={"Retry-After": whole_seconds(min(soonest))} if soonest else {})
    failure = failures[-1].failure
    assert failure is not None
    retry = {} if failure.retry_after_seconds is None else {"Retry-After": whole_seconds(failure.retry_after_seconds)}
    kinds: dict[FailureKind, type[FleetError]] = {
        FailureKind.KEY_REFUSED: ProviderRefused,
        FailureKind.FORBIDDEN: ProviderRefused,
        FailureKind.LIMITED: ProviderLimited,
        FailureKind.SERVER_ERROR: ProviderFailed,
        FailureKind.GARBAGE: ProviderFailed,
        FailureKind.CUT: ProviderFailed,
        FailureKind.NO_SUCH_MODEL: UnknownModel,
        FailureKind.BUSY: SwitchBusy,
        FailureKind.OVER_BUDGET: BudgetExceeded,
        FailureKind.UNSUPPORTED: UnsupportedByModel,
    }
    param = {} if failure.param is None else {"param": failure.param}
    return kinds.get(failure.kind, NoModelReachable)(detail, headers=retry, **param)


def reason(tried: Sequence[Tried], answered: Choice | None, *, is_auto: bool) -> str:
    """Why this model answered, in a sentence."""
    if answered is not None and not is_auto:
        return f"{answered.name} was asked for"
    failures = [one for one in tried if one.failure is not None]
    if answered is None:
        return "nobody could answer" if failures else "no model fits"
    if failures:
        failed = ", ".join(dict.fromkeys(f"{one.choice.name} ({one.outcome})" for one in failures))
        return f"{answered.name} answered after {failed}"
    fitting = [one for one in tried if one.outcome != "unfit"]
    if len(fitting) == 1:
        return (
            f"{answered.name} is the only model that fits" if len(tried) > 1 else f"{answered.name} is the only model"
        )
    best = fitting[0]
    if best.score is None:
        return f"{answered.name} comes first"
    parts = ", ".join(f"{name} {points:.1f}" for name, points in sorted(best.parts.items(), key=lambda part: -part[1]))
    return f"{answered.name} scores best of {len(fitting)}: {best.score:.1f} ({parts})"
