"""The universal queue: everybody who waits for a local model, bounded, with nobody dropped without a word."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from config.contracts.switch import PRIORITIES, Priority, QueueStatus
from switch.failures import Failure, FailureKind
from switch.local.scheduling import Rules, Waiter

RETRY_AFTER_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Ticket(Waiter):
    """A place in the queue. `turn` is done when it is this one's turn, or holds the Failure for which it never will be."""

    turn: "asyncio.Future[None] | None" = None
    is_request: bool = True
    """False for somebody who only wants the model to be loaded: no request, so neither counted nor refused."""


class Queue:
    """`join` it, wait for the ticket's turn, and `leave` it when you go before that. Times in seconds of the given clock."""

    def __init__(self, rules: Rules, *, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules, self.limit = rules, limit
        self._clock = clock
        self._tickets: dict[int, Ticket] = {}
        self._of_model: dict[str, dict[int, Ticket]] = {}
        self._numbers = count()
        self._requests = 0
        self.served = self.rejected = 0

    @property
    def tickets(self) -> list[Ticket]:
        """Those who wait, as they came."""
        return list(self._tickets.values())

    @property
    def is_empty(self) -> bool:
        return not self._tickets

    def join(self, model: str, priority: Priority, turn: "asyncio.Future[None] | None" = None) -> Ticket:
        """A place for a request. When the queue is full the newest request of the lowest priority is refused: this one (raises Failure,
        busy), or one that waits, which then finds that failure in its `turn`. Waiting has raised its priority by then as ageing says."""
        ticket = Ticket(model, PRIORITIES.index(priority), next(self._numbers), self._clock(), turn=turn)
        if self._requests >= self.limit:
            last = self._last(ticket)
            self.rejected += 1
            failure = Failure(
                FailureKind.BUSY,
                f"{self._requests} requests wait for local models already, and this one is the newest of the least urgent",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
            if last is ticket:
                raise failure
            self.refuse(last, failure)
        self._keep(ticket)
        return ticket

    def order(self, model: str) -> Ticket:
        """A place for somebody who wants the model loaded and asks it nothing."""
        ticket = Ticket(
            model, PRIORITIES.index("USER_INTERACTIVE"), next(self._numbers), self._clock(), is_request=False
        )
        self._keep(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give the place up; nothing happens if it is gone already."""
        if self._tickets.pop(ticket.number, None) is None:
            return
        self._requests -= ticket.is_request
        of_model = self._of_model[ticket.model]
        del of_model[ticket.number]
        if not of_model:
            del self._of_model[ticket.model]

    def serve(self, ticket: Ticket) -> None:
        """It is this one's turn."""
        self.leave(ticket)
        self.served += ticket.is_request
        if ticket.turn is not None and not ticket.turn.done():
            ticket.turn.set_result(None)

    def refuse(self, ticket: Ticket, failure: Failure) -> None:
        """It will never be this one's turn."""
        self.leave(ticket)
        if ticket.turn is not None and not ticket.turn.done():
            ticket.turn.set_exception(failure)

    def waiting_for(self, model: str) -> list[Ticket]:
        """Those who wait for this model, as they came."""
        found = self._of_model.get(model)
        return [] if found is None else list(found.values())

    def count_for(self, model: str) -> int:
        found = self._of_model.get(model)
        return 0 if found is None else len(found)

    def status(self, *, loads: int) -> QueueStatus:
        requests = [ticket for ticket in self._tickets.values() if ticket.is_request]
        oldest = min((ticket.since for ticket in requests), default=None)
        by_priority: dict[Priority, int] = dict.fromkeys(PRIORITIES, 0)
        for ticket in requests:
            by_priority[PRIORITIES[ticket.priority]] += 1
        return QueueStatus(
            waiting=len(requests),
            limit=self.limit,
            by_priority=by_priority,
            by_model=dict(Counter(ticket.model for ticket in requests)),
            oldest_waiting_ms=0.0 if oldest is None else round((self._clock() - oldest) * 1000, 3),
            served=self.served,
            rejected=self.rejected,
            loads=loads,
        )

    def _keep(self, ticket: Ticket) -> None:
        self._tickets[ticket.number] = ticket
        self._of_model.setdefault(ticket.model, {})[ticket.number] = ticket
        self._requests += ticket.is_request

    def _last(self, comer: Ticket) -> Ticket:
        now = self._clock()
        requests = [ticket for ticket in self._tickets.values() if ticket.is_request]
        return max((*requests, comer), key=lambda one: (self.rules.urgency(one, now), one.number))
