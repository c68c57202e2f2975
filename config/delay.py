"""Things that are to be done after a while and hardly ever have to be."""

import asyncio
from collections.abc import Callable


class Delay:
    """`call` something after always the same delay, unless `cancel` takes it back.

    All share one timer of the loop, which is set only while something waits: a timer of one's own, set and taken back by every request,
    costs 3 us, this half of one. Used from one loop at a time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[int, tuple[float, Callable[[], None]]] = {}
        """In the order in which they are due."""
        self._is_set = False
        self._last = 0

    def call(self, what: Callable[[], None]) -> int:
        """The number by which it can be cancelled."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # another one's have gone with it
            self._loop, self._waiting, self._is_set = loop, {}, False
        self._last += 1
        self._waiting[self._last] = loop.time() + self._seconds, what
        if not self._is_set:
            self._is_set = True
            loop.call_later(self._seconds, self._ring)
        return self._last

    def cancel(self, number: int) -> None:
        """Nothing, where it was called already."""
        self._waiting.pop(number, None)

    def _ring(self) -> None:
        loop = self._loop
        assert loop is not None
        self._is_set = False
        now = loop.time()
        while self._waiting:
            number = next(iter(self._waiting))
            at, what = self._waiting[number]
            if at > now:
                self._is_set = True
                loop.call_at(at, self._ring)
                return
            del self._waiting[number]
            what()
