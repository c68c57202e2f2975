"""Jobs that wait for their turn, and the places in which they run."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from config.clock import utc_now
from spawner.errors import QueueFull

SLOWEST_RETRY_SECONDS = 60

log = structlog.get_logger()

Start = Callable[[int], Awaitable[bool]]
"""Does the work in the place of that number; False when it could not be done yet: then it waits on where it was."""


@dataclass(order=True)
class _Waiting:
    priority: int
    since: datetime
    number: int
    key: str = field(compare=False)
    start: Start = field(compare=False)
    is_counted: bool = field(compare=False)


class JobQueue:
    """Whoever has the smaller priority goes first, among equals who came first. `limit` bounds those that were let in by `reserve`."""

    def __init__(self, places: int, limit: int) -> None:
        self._limit = limit
        self._free = list(range(places))
        self._waiting: list[_Waiting] = []
        self._by_key: dict[str, _Waiting] = {}
        self._numbers = itertools.count()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._taken: dict[str, int] = {}
        self._counted, self._places = 0, places
        self._seconds_each = 1.0
        self._is_closed, self._is_paused = False, False

    @property
    def waiting(self) -> int:
        return len(self._by_key)

    @property
    def running(self) -> int:
        return len(self._tasks) + len(self._taken)

    @property
    def places(self) -> int:
        return self._places

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    def pause(self) -> None:
        """Start nothing until `go_on`; what waits keeps its turn, and what runs is left alone."""
        self._is_paused = True

    def go_on(self) -> None:
        self._is_paused = False
        self._dispatch()

    def holds(self, key: str) -> bool:
        """Whether it waits or runs."""
        return key in self._by_key or key in self._tasks or key in self._taken

    def take(self, key: str) -> bool:
        """Take a place that is free while nobody waits, for a job that will soon `go` there or `leave` it; False if there is none."""
        if not self._free or self._counted or self._by_key or self._is_closed or self._is_paused:
            return False
        self._taken[key] = heapq.heappop(self._free)
        return True

    def go(self, key: str, start: Start) -> bool:
        """Let `start` run in the place that was taken; False when nothing starts any more."""
        if self._is_closed:
            self.leave(key)
            return False
        place = self._taken.pop(key)
        one = _Waiting(0, utc_now(), next(self._numbers), key, start, is_counted=False)
        self._tasks[key] = asyncio.create_task(self._run(one, place), name=key)
        return True

    def leave(self, key: str) -> None:
        """The place that was taken is not needed after all."""
        heapq.heappush(self._free, self._taken.pop(key))
        self._dispatch()

    def reserve(self) -> None:
        """Take a seat for a job that is about to be put in. Raises QueueFull with the time after which to try again."""
        if self._counted >= self._limit:
            seconds = min(SLOWEST_RETRY_SECONDS, max(1, round(self._counted * self._seconds_each / self._places)))
            raise QueueFull(
                f"{self._counted} jobs wait, and {self._limit} may; try again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )
        self._counted += 1

    def give_back(self) -> None:
        """The seat is not needed after all."""
        self._counted -= 1

    def put(self, key: str, start: Start, *, priority: int, since: datetime, is_reserved: bool = False) -> None:
        """Let `start` run when its turn comes. A key that is in already stays where it is."""
        if self.holds(key) or self._is_closed:
            if is_reserved:
                self.give_back()
            return
        one = _Waiting(priority, since, next(self._numbers), key, start, is_reserved)
        self._by_key[key] = one
        heapq.heappush(self._waiting, one)
        self._dispatch()

    def remove(self, key: str) -> bool:
        """Take it out of those that wait; False when it does not wait."""
        one = self._by_key.pop(key, None)
        if one is None:
            return False
        if one.is_counted:
            self._counted -= 1
        return True  # what is left of it in the heap is passed over

    def took(self, seconds: float) -> None:
        """A job has run for so long: what the next who is refused is told goes by that."""
        self._seconds_each += 0.2 * (seconds - self._seconds_each)

    async def close(self) -> None:
        """Start nothing more, and cancel what runs; returns when it has ended."""
        self._is_closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _dispatch(self) -> None:
        while self._free and self._waiting and not (self._is_closed or self._is_paused):
            one = heapq.heappop(self._waiting)
            if self._by_key.get(one.key) is not one:
                continue
            self.remove(one.key)
            place = heapq.heappop(self._free)
            self._tasks[one.key] = asyncio.create_task(self._run(one, place), name=one.key)

    async def _run(self, one: _Waiting, place: int) -> None:
        is_done = True
        try:
            is_done = await one.start(place)
        except Exception:
            log.exception("job_broke", job=one.key)
        finally:
            heapq.heappush(self._free, place)
            del self._tasks[one.key]
            if not is_done:
                self._by_key[one.key] = one
                self._counted += one.is_counted
                heapq.heappush(self._waiting, one)
            self._dispatch()
