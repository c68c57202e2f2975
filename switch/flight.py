"""One request on its way: the candidates, how long it has taken, what it cost, and the record that it leaves behind."""

import asyncio
import time
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from config.clients.switch import NoModelReachable
from config.clock import utc_now
from config.errors import FleetError
from switch import policy
from switch.calls import Call, Choice, Trail, Tried
from switch.money.usage import StreamUsage, Usage, of_whole, unheard
from switch.policy import Wanted
from switch.relay import Answered, Relay
from switch.repository import Record

LONGEST_NAME = 200  # characters of a model's name, as the database keeps it
MOST_RECORDED = 20  # candidates that a decision keeps


class Book(Protocol):
    """Where the records of flights go."""

    def landed(self, flight: "Flight") -> None: ...


class Flight:
    """`with` it, `ask`, then say how it ended by `land`; a flight that is left without a word has been cancelled or has failed."""

    __slots__ = (
        "_begun_at",
        "_book",
        "_is_estimated",
        "_relay",
        "_started",
        "answered",
        "call",
        "cost_usd",
        "created_at",
        "is_saved",
        "latency_ms",
        "outcome",
        "streamed",
        "trail",
        "usage",
        "wanted",
    )

    def __init__(self, call: Call, wanted: Wanted, trail: Trail, *, relay: Relay, book: Book) -> None:
        self.created_at: datetime = utc_now()
        self.call, self.wanted, self.trail = call, wanted, trail
        self.answered: Tried | None = None
        self.streamed: StreamUsage | None = None
        """Of a stream: whoever passes it on shows it every event."""
        self.outcome = ""
        self.latency_ms = 0.0
        self.cost_usd: float | None = None
        """Of the answer, once the flight has landed; 0 for this machine, None where no price is known."""
        self.usage: Usage | None = None
        self._is_estimated = False
        self.is_saved = False
        """Whether the decision is in the database already, in the transaction of its answer."""
        self._relay, self._book = relay, book
        self._started = time.perf_counter()
        self._begun_at: float | None = None

    @property
    def decision_id(self) -> str:
        return self.call.decision_id

    @property
    def choice(self) -> Choice | None:
        """Who answered."""
        return None if self.answered is None else self.answered.choice

    @property
    def overhead_ms(self) -> float:
        """Time that went by here rather than with those who were asked, or in a queue, so far."""
        left = self.latency_ms or (time.perf_counter() - self._started) * 1000
        for one in self.trail.tried:
            left -= one.duration_ms
        return max(0.0, left)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(exc, FleetError):  # whoever is refused wants to know why, too
            exc.headers.setdefault("x-vx11-decision", self.decision_id)
        if not self.outcome:
            self.land("cancelled" if kind is not None and issubclass(kind, asyncio.CancelledError) else "failed")
        self._book.landed(self)

    async def ask(self) -> Answered:
        """The first answer. Raises the FleetError that tells why nobody answered, NoModelReachable also when it is too late."""
        if self.call.deadline is None:
            answered = await self._relay.ask(self.call, self.trail)
        else:
            try:
                async with asyncio.timeout_at(
                    self.call.deadline - time.monotonic() + asyncio.get_running_loop().time()
                ):
                    answered = await self._relay.ask(self.call, self.trail)
            except TimeoutError as exc:
                self.land("late")
                asked = [one.choice.name for one in self.trail.tried if one.outcome not in ("not_tried", "unfit")]
                limit = self.latency_ms / 1000
                detail = f"no answer within {limit:.3g} seconds (asked: {', '.join(asked) or 'nobody yet'})"
                raise NoModelReachable(detail) from exc
        if answered is None:
            self.land("failed")
            raise policy.refusal(self.trail.tried, is_auto=self.wanted.is_auto)
        for one in self.trail.tried:
            if one.choice is answered.choice:
                self.answered = one
                break
        if answered.exchange is not None:
            self.streamed, self._begun_at = StreamUsage(), time.perf_counter()
        elif answered.content is not None:
            self.usage, self._is_estimated = of_whole(answered.content, self.call.needs)
        return answered

    def land(self, outcome: str) -> None:
        """The end, once: `answered`, `refused`, `failed`, `cut`, `late` or `cancelled`. What was spent is settled."""
        if self.outcome:
            return
        self.outcome = outcome
        now = time.perf_counter()
        self.latency_ms = (now - self._started) * 1000
        if self._begun_at is not None and self.answered is not None:  # it went on writing since
            self.answered.duration_ms += (now - self._begun_at) * 1000
            self._relay.ended(self.answered.choice, outcome)
        for one in self.trail.tried:
            if one.outcome == "asked" or (one.outcome == "answered" and outcome not in ("answered", "refused")):
                one.outcome = outcome
            if one.hold is not None:
                self._settle(one)

    def _settle(self, tried: Tried) -> None:
        hold, tried.hold = tried.hold, None
        assert hold is not None
        if self.outcome == "refused":
            hold.release()
            return
        if self.streamed is not None:
            self.usage, self._is_estimated = self.streamed.usage(self.call.needs)
        elif self.usage is None:  # it was asked, and nobody knows how far it came
            self.usage = unheard(self.call.needs, hold.most_output, tried.duration_ms / 1000)
            self._is_estimated = True
        self.cost_usd = hold.settle(self.usage, is_estimated=self._is_estimated)

    @property
    def reason(self) -> str:
        return policy.reason(self.trail.tried, self.choice, is_auto=self.wanted.is_auto)

    def record(self) -> Record:
        call, choice = self.call, self.choice
        return {
            "id": call.decision_id,
            "caller": call.caller,
            "session_id": call.session_id,
            "task_type": call.task_type,
            "model": None if choice is None else choice.model[:LONGEST_NAME],
            "provider": None if choice is None else choice.backend.name,
            "reason": self.reason,
            "candidates": [_candidate(one) for one in self.trail.tried[:MOST_RECORDED]],
            "outcome": self.outcome,
            "cost_usd": self.cost_usd,
            "latency_ms": round(self.latency_ms, 3),
            "queue_ms": round(call.queue_ms, 3),
            "created_at": self.created_at,
        }


def _candidate(tried: Tried) -> dict[str, Any]:
    choice = tried.choice
    return {
        "model": choice.model,
        "provider": choice.backend.name,
        "score": tried.score,
        "parts": dict(tried.parts),
        "tried": tried.asked > 0,
        "outcome": tried.outcome,
        "detail": tried.detail,
    }
