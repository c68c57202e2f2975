"""The places of something that serves few at a time: who waits is served by urgency, then in order, and not too many may wait."""

import asyncio
import heapq
from itertools import count

from config.contracts.switch import PRIORITIES, Priority
from switch.failures import Failure, FailureKind


class Slots:
    """`take` a place and `give` it back. A waiter that is cancelled leaves the queue."""

    def __init__(self, places: int, *, most_waiting: int) -> None:
        self._free, self._most_waiting = places, most_waiting
        self._places = places
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    @property
    def taken(self) -> int:
        return self._places - self._free

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def take(self, priority: Priority) -> None:
        """Wait for a place. Raises Failure (busy) at once when too many wait."""
        if self._free:
            self._free -= 1
            return
        if self.waiting >= self._most_waiting:
            raise Failure(
                FailureKind.BUSY,
                f"{self._most_waiting} requests wait for the local model already",
                retry_after_seconds=5.0,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (PRIORITIES.index(priority), next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give()  # our turn came in the very moment we left
            self._queue = [waiter for waiter in self._queue if not waiter[2].done()]
            heapq.heapify(self._queue)
            raise

    def give(self) -> None:
        """Hand a place to the next who waits, or leave it free."""
        while self._queue:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
