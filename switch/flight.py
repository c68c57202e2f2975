"""One request on its way: the candidates, how long it has taken, and the record that it leaves behind."""

import asyncio
import time
from types import TracebackType
from typing import Protocol, Self

from config.clock import new_id, utc_now
from switch import policy
from switch.calls import Call, Choice, Trail
from switch.policy import Wanted
from switch.relay import Answered, Relay
from switch.repository import Record


class Book(Protocol):
    """Where the records of flights go."""

    def landed(self, flight: "Flight") -> None: ...


class Flight:
    """`with` it, `ask`, then say how it ended by `land`; a flight that is left without a word has been cancelled or has failed."""

    __slots__ = (
        "_book",
        "_relay",
        "_started",
        "answered",
        "call",
        "caller",
        "created_at",
        "decision_id",
        "is_saved",
        "latency_ms",
        "outcome",
        "session_id",
        "trail",
        "wanted",
    )

    def __init__(
        self,
        call: Call,
        wanted: Wanted,
        choices: list[Choice],
        *,
        caller: str,
        session_id: str | None,
        relay: Relay,
        book: Book,
    ) -> None:
        self.decision_id, self.created_at = new_id("dec"), utc_now()
        self.call, self.wanted, self.caller, self.session_id = call, wanted, caller, session_id
        self.trail = Trail.over(policy.in_order(choices) if len(choices) > 1 else choices)
        self.answered: Choice | None = None
        self.outcome = ""
        self.latency_ms = 0.0
        self.is_saved = False
        """Whether the decision is in the database already, in the transaction of its answer."""
        self._relay, self._book = relay, book
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if not self.outcome:
            self.land("cancelled" if kind is not None and issubclass(kind, asyncio.CancelledError) else "failed")
        self._book.landed(self)

    async def ask(self) -> Answered:
        """The first answer. Raises the FleetError that tells why nobody answered."""
        answered = await self._relay.ask(self.call, self.trail)
        if answered is None:
            self.land("failed")
            raise policy.refusal(self.trail.tried, is_auto=self.wanted.is_auto)
        self.answered = answered.choice
        return answered

    def land(self, outcome: str) -> None:
        """The end, once: `answered`, `refused`, `failed`, `cut`, `late` or `cancelled`."""
        if self.outcome:
            return
        self.outcome = outcome
        self.latency_ms = (time.perf_counter() - self._started) * 1000
        for one in self.trail.tried:
            if one.outcome == "asked" or (one.outcome == "answered" and outcome in ("cut", "late", "cancelled")):
                one.outcome, one.duration_ms = outcome, self.latency_ms

    @property
    def reason(self) -> str:
        return policy.reason(self.trail.tried, self.answered, is_auto=self.wanted.is_auto)

    @property
    def cost_usd(self) -> float | None:
        """0 for this machine; None where the price is not known."""
        return 0.0 if self.answered is not None and self.answered.is_local else None

    def record(self) -> Record:
        return {
            "id": self.decision_id,
            "caller": self.caller,
            "session_id": self.session_id,
            "task_type": self.wanted.task_type,
            "model": None if self.answered is None else self.answered.model,
            "provider": None if self.answered is None else self.answered.backend.name,
            "reason": self.reason,
            "candidates": [
                {
                    "model": one.choice.model,
                    "provider": one.choice.backend.name,
                    "score": None,
                    "parts": {},
                    "tried": one.outcome != "not_tried",
                    "outcome": one.outcome,
                    "detail": one.detail,
                }
                for one in self.trail.tried
            ],
            "outcome": self.outcome,
            "cost_usd": self.cost_usd,
            "latency_ms": round(self.latency_ms, 3),
            "queue_ms": round(self.call.queue_ms, 3),
            "created_at": self.created_at,
        }
