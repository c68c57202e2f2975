"""Verdicts of switch: which models may answer, what an answer's status means, how long to wait. No I/O."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from config.clients.switch import (
    NoModelReachable,
    ProviderFailed,
    ProviderLimited,
    ProviderRefused,
    SwitchBusy,
    UnknownModel,
)
from config.errors import FleetError, NotInFleet
from switch.calls import LOCAL, Choice, Tried
from switch.failures import Failure, FailureKind

LONGEST_RETRY_AFTER_SECONDS = 3600.0
TASK_TYPE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")


@dataclass(frozen=True)
class Wanted:
    """What `model` asks for: any model (perhaps for a type of task), or one by provider and name."""

    provider: str | None = None
    model: str | None = None
    task_type: str | None = None

    @property
    def is_auto(self) -> bool:
        return self.provider is None


def wanted(name: str, *, local_model: str, providers: Collection[str]) -> Wanted:
    """Read a `model`. Raises UnknownModel for a name that nobody here answers to, NotInFleet for a command-line tool."""
    if name == "auto":
        return Wanted()
    if name.startswith("auto:"):
        task_type = name.removeprefix("auto:")
        if not TASK_TYPE.match(task_type):
            raise UnknownModel(f"auto:{task_type[:64]!r} does not name a type of task", param="model")
        return Wanted(task_type=task_type)
    provider, slash, model = name.partition("/")
    if slash and model and provider in providers:
        return Wanted(provider=provider, model=model)
    if name in (local_model, f"{LOCAL}/{local_model}"):
        return Wanted(provider=LOCAL, model=local_model)
    if slash and provider == "cli":
        raise NotInFleet("command-line tools do not answer prompts in this fleet yet", param="model")
    known = [f"{one}/…" for one in providers]
    raise UnknownModel(f"{name[:200]!r} is none of auto, {', '.join([local_model, *known])}", param="model")


def in_order(choices: Sequence[Choice]) -> list[Choice]:
    """The choices as they are to be tried: as given, those that failed a moment ago last."""
    return sorted(choices, key=lambda choice: choice.backend.is_cooling)


def preferring(choices: list[Choice], text: str | None) -> list[Choice]:
    """The choices, those first whose name holds the text, in any case."""
    if text is None:
        return choices
    return sorted(choices, key=lambda choice: text.casefold() not in choice.name.casefold())


def failure_of(shown: str, status: int, retry_after: str) -> Failure | None:
    """What a status of 400 and more says of the model; None when it says that the request is at fault."""
    if status in (401, 402, 403):
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


def retry_after_seconds(value: str) -> float | None:
    """Seconds out of a Retry-After header (RFC 9110, 10.2.3); None where it is missing or a date."""
    try:
        return min(max(float(value), 0.0), LONGEST_RETRY_AFTER_SECONDS)
    except ValueError:
        return None


def cooling_seconds(failure: Failure, *, usual: float, longest: float = 60.0) -> float:
    """How long a provider is asked last after a failure; 0 when it says nothing about the provider."""
    if failure.kind is FailureKind.NO_SUCH_MODEL:
        return 0.0
    return min(longest, max(usual, failure.retry_after_seconds or 0.0))


def restart_delay(deaths_in_a_row: int, *, base: float = 0.2, cap: float = 30.0) -> float:
    """Wait before the local model is started again, in seconds, doubling with every death in a row up to `cap`; 0 for the first start."""
    if deaths_in_a_row == 0:
        return 0.0
    return float(min(cap, base * 2.0 ** min(deaths_in_a_row - 1, 16)))


def refusal(tried: Sequence[Tried], *, is_auto: bool) -> FleetError:
    """The error for a request that nobody answered: what went wrong, by name."""
    failures = [one for one in tried if one.failure is not None]
    if not failures:
        return NoModelReachable("no model is configured that may answer this: no provider, and no local model")
    detail = "; ".join(f"{one.choice.name}: {one.detail}" for one in failures)
    if is_auto and len({one.failure.kind for one in failures if one.failure}) > 1:
        return NoModelReachable(detail)
    failure = failures[-1].failure
    assert failure is not None
    retry = {} if failure.retry_after_seconds is None else {"Retry-After": f"{failure.retry_after_seconds:.0f}"}
    kinds: dict[FailureKind, type[FleetError]] = {
        FailureKind.KEY_REFUSED: ProviderRefused,
        FailureKind.LIMITED: ProviderLimited,
        FailureKind.SERVER_ERROR: ProviderFailed,
        FailureKind.GARBAGE: ProviderFailed,
        FailureKind.CUT: ProviderFailed,
        FailureKind.NO_SUCH_MODEL: UnknownModel,
        FailureKind.BUSY: SwitchBusy,
    }
    return kinds.get(failure.kind, NoModelReachable)(detail, headers=retry)


def reason(tried: Sequence[Tried], answered: Choice | None, *, is_auto: bool) -> str:
    """Why this model answered, in a sentence."""
    failures = [one for one in tried if one.failure is not None]
    if answered is None:
        return "nobody could answer" if failures else "no model fits"
    failed = ", ".join(dict.fromkeys(f"{one.choice.name} ({one.outcome})" for one in failures))
    if not is_auto:
        return f"{answered.name} was asked for"
    if failures:
        return f"{answered.name} answered after {failed}"
    if answered.is_local:
        return "the local model answers where no provider is configured or allowed"
    return f"{answered.name} comes first in the settings"
