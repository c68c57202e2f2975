"""All of a tree of processes made to stand still for a moment, so that it can be measured as it is, and then to go on."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from spawner import tree

ROUNDS = 50
LONGEST_WAIT, PAUSE = 0.002, 0.0001  # seconds
STANDING = "TtZXD"
"""States of who does not go on: stopped, traced, ended; or waiting in the kernel, as the parent of a vfork that was stopped."""


class Standstill:
    """Inside the `with` none of the processes runs that `pids` gives, what they start meanwhile included.

    Stopped as by SIGSTOP: parents may see it, and some waiting calls end with EINTR. Who was stopped before stays so afterwards.
    """

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        self._stopped: list[int] = []

    def __enter__(self) -> Self:
        try:
            self._stop()
        except BaseException:
            self._go_on()
            raise
        return self

    def kill(self) -> None:
        """End them all instead: told to go on, they would until the first of their namespace has come to its own end."""
        for pid in self._stopped:
            _send(pid, signal.SIGKILL)
        self._stopped.clear()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._go_on()

    def _stop(self) -> None:
        seen: set[int] = set()
        for _ in range(ROUNDS):  # each finds what was forked before its parent stood still
            news = [pid for pid in self._pids() if pid not in seen]
            if not news:
                break
            seen.update(news)
            for pid in news:
                if (tree.state(pid) or "X") not in "TZX":
                    self._stopped.append(pid)
                    _send(pid, signal.SIGSTOP)
        until = time.monotonic() + LONGEST_WAIT
        while (still := [one for one in self._stopped if not _stands(one)]) and time.monotonic() < until:
            for pid in still:  # it has not come to it yet, or another of the job has told it to go on
                _send(pid, signal.SIGSTOP)
            time.sleep(PAUSE)  # it may wait for the processor that we have

    def _go_on(self) -> None:
        for pid in self._stopped:
            _send(pid, signal.SIGCONT)


def _stands(pid: int) -> bool:
    return (tree.state(pid) or "X") in STANDING


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
