"""Circuit breakers: a model, or all of a provider, that fails again and again is left alone for a while, then tried by one request."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from switch.calls import Choice
from switch.failures import Failure, FailureKind

LONGEST_OPEN_SECONDS = 300.0
LONGEST_COOL_DOWN_SECONDS = 3600.0
MOST_KNOWN = 4096  # circuits; when there are more, those that are not open are forgotten
PROBE_SECONDS = 30.0  # after which a probe that nobody heard of again does not keep others from trying
SAYS_NOTHING = frozenset(
    {
        *(FailureKind.NO_SUCH_MODEL, FailureKind.OVER_BUDGET, FailureKind.TRIPPED, FailureKind.BUSY),
        *(FailureKind.UNUSABLE, FailureKind.UNSUPPORTED),
    }
)
"""Kinds of failure that say nothing about whether the next request would fail."""

OF_ALL_MODELS = frozenset({FailureKind.UNREACHABLE, FailureKind.KEY_REFUSED})
"""Kinds that open the circuit of the whole provider."""

REFUSED = frozenset({FailureKind.KEY_REFUSED, FailureKind.FORBIDDEN})
"""Kinds that the next request would meet again: they open a circuit at once."""


@dataclass(slots=True)
class Breaker:
    """One circuit. Closed: requests pass. Open: none passes until `open_until`. Half open: after that one passes, and its end decides.

    Source: M. Nygard, Release It!, 2nd ed., "Circuit Breaker"; the time it stays open doubles with every failed probe, as retries back off.
    """

    failures: int = 0
    """In a row."""
    trips: int = 0
    """Times it opened since it was last closed."""
    open_until: float = 0.0
    probing_since: float | None = None
    is_asked_for: bool = False
    """Whether the other side asked for the pause (429), so that nobody may cut it short."""
    detail: str = ""

    def allows(self, now: float) -> bool:
        """Whether a request may pass now."""
        if not self.open_until:
            return True
        if now < self.open_until:
            return False
        return self.probing_since is None or now - self.probing_since > PROBE_SECONDS

    def begin(self, now: float) -> None:
        """A request passes."""
        if self.open_until:
            self.probing_since = now

    def leave(self) -> None:
        """The request ended without telling anything, as one that was cancelled."""
        self.probing_since = None

    def succeeded(self) -> None:
        self.failures = self.trips = 0
        self.open_until, self.probing_since, self.is_asked_for, self.detail = 0.0, None, False, ""

    def failed(self, failure: Failure, now: float, *, most_failures: int, usual_seconds: float) -> bool:
        """Count a failure; true when this one opens the circuit.

        One that asks for a pause (429, Retry-After) or does not let us in opens it at once, others after `most_failures` in a row.
        """
        was_open = bool(self.open_until)
        self.failures += 1
        self.probing_since = None
        seconds = 0.0
        if failure.kind is FailureKind.LIMITED:
            seconds = min(LONGEST_COOL_DOWN_SECONDS, failure.retry_after_seconds or usual_seconds)
        elif failure.kind in REFUSED or was_open or self.failures >= most_failures:
            seconds = min(LONGEST_OPEN_SECONDS, usual_seconds * 2.0 ** min(self.trips, 16))
            seconds = max(seconds, min(failure.retry_after_seconds or 0.0, LONGEST_COOL_DOWN_SECONDS))
        if not seconds:
            return False
        if now < self.open_until and failure.kind is not FailureKind.LIMITED:
            return False  # it was under way when the circuit opened, and says nothing new
        if now >= self.open_until:
            self.trips += 1
        self.is_asked_for = failure.kind is FailureKind.LIMITED
        self.open_until, self.detail = max(self.open_until, now + seconds), failure.detail
        return not was_open


class Breakers:
    """The circuits of every provider and model. Models of this machine have none: whoever runs them knows better."""

    def __init__(self, *, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_failures, self._seconds, self._clock = failures, seconds, clock
        self._known: dict[tuple[str, str | None], Breaker] = {}

    def refuses(self, choice: Choice, *, is_only: bool = False) -> Failure | None:
        """Why a model is not to be asked now; None when it may be.

        One that was asked for by name (`is_only`) is asked all the same, as nobody else can answer: unless it asked for a pause itself.
        """
        if not self._known or choice.is_local:
            return None
        now = self._clock()
        for key in ((choice.backend.name, None), (choice.backend.name, choice.model)):
            breaker = self._known.get(key)
            if breaker is not None and not breaker.allows(now) and (breaker.is_asked_for or not is_only):
                left = max(breaker.open_until - now, 1.0)
                detail = f"left alone for {left:.0f} more seconds after: {breaker.detail}"
                kind = FailureKind.LIMITED if breaker.is_asked_for else FailureKind.TRIPPED
                return Failure(kind, detail, retry_after_seconds=left)
        return None

    def availability(self, provider: str, model: str) -> float:
        """0 while a model is left alone, 1 otherwise."""
        now = self._clock()
        circuits = (self._known.get((provider, None)), self._known.get((provider, model))) if self._known else ()
        return 0.0 if any(one is not None and not one.allows(now) for one in circuits) else 1.0

    def begin(self, choice: Choice) -> None:
        if self._known and not choice.is_local:
            for breaker in self._of(choice):
                breaker.begin(self._clock())

    def leave(self, choice: Choice) -> None:
        for breaker in self._of(choice):
            breaker.leave()

    def succeeded(self, choice: Choice) -> None:
        if self._known:
            for breaker in self._of(choice):
                breaker.succeeded()

    def failed(self, choice: Choice, failure: Failure) -> bool:
        """Count a failure; true when it opens a circuit."""
        if choice.is_local or failure.kind in SAYS_NOTHING or not self._seconds:
            self.leave(choice)
            return False
        now, key = self._clock(), (choice.backend.name, None if failure.kind in OF_ALL_MODELS else choice.model)
        if len(self._known) >= MOST_KNOWN and key not in self._known:  # anybody may ask for models that nobody has
            self._known = {known: one for known, one in self._known.items() if now < one.open_until}
        breaker = self._known.setdefault(key, Breaker())
        self.leave(choice)
        return breaker.failed(failure, now, most_failures=self._most_failures, usual_seconds=self._seconds)

    def forget(self, provider: str) -> None:
        """Its key or address changed: what went wrong before says nothing."""
        for key in [key for key in self._known if key[0] == provider]:
            del self._known[key]

    def open_detail(self, provider: str) -> str | None:
        """What went wrong with a provider, or with one of its models, that is left alone now; None when none is."""
        now = self._clock()
        for (name, model), breaker in self._known.items():
            if name == provider and breaker.open_until > now:
                return breaker.detail if model is None else f"{model}: {breaker.detail}"
        return None

    def _of(self, choice: Choice) -> list[Breaker]:
        keys = ((choice.backend.name, None), (choice.backend.name, choice.model))
        return [found for key in keys if (found := self._known.get(key)) is not None]
