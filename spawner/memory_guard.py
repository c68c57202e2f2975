"""Holds a job to its memory where no cgroup counts it: looks at it as often as it could grow too much in between.

What is used is known only for a moment that has passed. The most that can have been added since is what the machine's processors fill in
that time, so each look says when the next one is due. Far from the limit that is every few milliseconds and the job does not notice.
Near it, where a look itself takes too long, the job's processes stand still while they are looked at, and then run for as
long as is safe. So a job of many processes that stays close to its limit is slowed down, to a fifth at worst.
"""

import contextlib
import ctypes
import math
import os
import platform
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from spawner.standstill import Standstill
from spawner.tree import Usage

FASTEST_GROWTH = 2 * 1024**3
"""Bytes a second that one processor can fill; 0.4 to 1.3 GiB were measured."""
REACH = 1.15
"""What must not be passed before the next look, to what may be used: less than is promised, for a look may come late."""
NEAR = 0.6
"""Of what may be used: below it no job is made to stand still."""
SHORTEST_PAUSE, SHORTEST_PAUSE_IN_PASSING, LONGEST_PAUSE = 0.001, 0.002, 0.05  # seconds
BUSY_SHARE = 3
"""A look far from the limit takes time from others: the next one waits at least so many times as long."""
LEAST_RUNNING = 0.25
"""How long a job runs at least between two standstills, to how long it stood still."""
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
SLICE_NANOSECONDS = 100_000
RESET_ON_FORK = 1


@dataclass(frozen=True)
class Guarded:
    """A job as its guard needs it."""

    usage: Callable[[float, float], Usage]
    """What it uses: shared memory counted once for each process below the first figure (bytes, too much rather than too little),
    nearly right above it, exact above the second."""
    standstill: Callable[[], Standstill] | None
    """Makes all of it stand still; None where that is not safe."""
    judge: Callable[[Usage], bool]
    """Told what each look found; ends the job when that is too much. Whether there is more to judge."""


def seconds_until(used_bytes: float, most_bytes: float, threads: int) -> float:
    """How long it takes at least until more is used than must ever be. Zero or less: it may have been passed already."""
    processors = min(os.cpu_count() or 1, 2 * max(threads, 1))  # those of now, and as many that are started meanwhile
    return (REACH * most_bytes - used_bytes) / (FASTEST_GROWTH * processors)


class MemoryGuard(threading.Thread):
    """Looks at one job from a thread of its own until it is stopped. `ended` is told of what it failed for, if anything."""

    def __init__(
        self,
        job: Guarded,
        most_bytes: int,
        *,
        poll_seconds: float,
        first_pause: float,
        ended: Callable[[Exception | None], None],
    ) -> None:
        super().__init__(name="guards-memory", daemon=True)
        self._job, self._most, self._poll, self._ended = job, most_bytes, poll_seconds, ended
        self._pause = first_pause
        self._took = self._late = 0.0
        self._counted_twice = 0
        """Bytes of shared memory beyond the truth, when that was last known."""
        self._is_pressed = False
        """Whether it is looked at standing still."""
        self._over, self._acting = threading.Event(), threading.Lock()

    def stop(self) -> None:
        """From now on the job is neither judged nor looked at again."""
        with self._acting:
            self._over.set()

    def run(self) -> None:
        wake_in_time()
        failed: Exception | None = None
        due = time.monotonic() + self._pause
        try:
            while not self._over.wait(self._pause):
                self._late = max(time.monotonic() - due, self._late * 0.9)
                self._pause = self._look()
                due = time.monotonic() + self._pause
        except Exception as error:  # noqa: BLE001 - what is not looked at is not limited: who hears of it ends the job
            failed = error
        self._ended(failed)

    def _look(self) -> float:
        """Look once; seconds until the next time."""
        began = time.monotonic()
        found = None if self._is_pressed else self._look_in_passing()
        if found is None and self._job.standstill:
            with self._job.standstill() as still:
                found = self._job.usage(NEAR * self._most, self._most)
                self._judge(found)
                if self._over.is_set():
                    still.kill()
        elif found is None:
            found = self._job.usage(NEAR * self._most, self._most)
            self._judge(found)
        took = time.monotonic() - began
        left = seconds_until(found.memory_bytes, self._most, found.threads) - self._late
        if self._is_pressed:
            self._is_pressed = self._presses(found.memory_bytes, found)
            return max(left / 2, SHORTEST_PAUSE, took * LEAST_RUNNING)
        usual = max(self._poll, min(took * BUSY_SHARE, LONGEST_PAUSE))
        return min(usual, max((left - took) / 2, SHORTEST_PAUSE_IN_PASSING, took * BUSY_SHARE))

    def _look_in_passing(self) -> Usage | None:
        """What the job uses, looked at while it runs; None when it must stand still for that."""
        began, near = time.monotonic(), NEAR * self._most
        found = self._job.usage(math.inf, math.inf)
        counted = found.memory_bytes
        if counted > near:
            self._is_pressed = self._presses(counted - self._counted_twice, found)
            if not self._is_pressed:
                found = self._job.usage(near, math.inf)
                self._counted_twice = max(counted - found.memory_bytes, 0)
                self._is_pressed = found.memory_bytes > self._most
        else:
            self._counted_twice = 0
        self._took = max(time.monotonic() - began, self._took * 0.9)
        if self._is_pressed:
            return None
        self._judge(found)
        return found

    def _presses(self, used_bytes: float, used: Usage) -> bool:
        """Whether the job is near its limit and could pass it by too much before two more looks in passing are over."""
        if used_bytes < NEAR * self._most:
            return False
        return seconds_until(used_bytes, self._most, used.threads) < 4 * self._took + SHORTEST_PAUSE

    def _judge(self, used: Usage) -> None:
        with self._acting:
            if not self._over.is_set() and not self._job.judge(used):
                self._over.set()


def wake_in_time() -> None:
    """Have the kernel let this thread run soon after it wakes, however busy the machine is; what it starts does not inherit it.

    In real time where we may: it runs for less than a millisecond at a time. Otherwise by a short time slice, which everybody may
    ask for (Linux 6.12): of ten that keep two processors busy it waits for 4 ms at worst instead of 97.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        return
    if number := SCHED_SETATTR.get(platform.machine()):
        # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
        wish = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, RESET_ON_FORK, 0, 0, SLICE_NANOSECONDS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wish, 0)  # refused by an older kernel: then as it is
