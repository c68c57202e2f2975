"""How often one caller may ask, and how often one address may show a wrong token."""

import math
import time
from collections.abc import Callable

from config.auth import Caller
from config.errors import TooManyRequests

MOST_BUCKETS = 10_000  # callers or addresses remembered; past that the fullest, which are owed nothing, are forgotten


class Buckets:
    """A token bucket per name: `per_minute` fit in, and they flow back evenly over a minute."""

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._size, self._per_second, self._now = float(per_minute), per_minute / 60, now
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take one from the bucket of `name`: 0.0 if there was one, else how many seconds until there will be."""
        now = self._now()
        left = self._level(name, now)
        if left < 1.0:
            return (1.0 - left) / self._per_second
        if len(self._left) >= MOST_BUCKETS and name not in self._left:
            self._forget_full(now)
        self._left[name] = (left - 1.0, now)
        return 0.0

    def wait_seconds(self, name: str) -> float:
        """How long until the bucket of `name` has one; 0.0 if it has."""
        return max(0.0, (1.0 - self._level(name, self._now())) / self._per_second)

    def _level(self, name: str, now: float) -> float:
        left, then = self._left.get(name, (self._size, now))
        return min(self._size, left + (now - then) * self._per_second)

    def _forget_full(self, now: float) -> None:
        ranked = sorted(self._left, key=lambda name: self._level(name, now))
        self._left = {name: self._left[name] for name in ranked[: MOST_BUCKETS // 2]}


class DoorLimits:
    """Keeps count for the door (`Admission` of `module_template`). A limit of 0 is none."""

    def __init__(self, requests_per_minute: int, failures_per_minute: int) -> None:
        self._requests = Buckets(requests_per_minute) if requests_per_minute else None
        self._failures = Buckets(failures_per_minute) if failures_per_minute else None
        self._welcome: set[tuple[str, int]] = (
            set()
        )  # which token (its hash in this process) was good from which address

    def arriving(self, address: str, token: str) -> None:
        """Raises TooManyRequests when too many wrong tokens came from `address`, unless this one was good from there before.

        So a guess is not even looked at, and a broken script does not lock its neighbours out.
        """
        if self._failures is None or (address, hash(token)) in self._welcome:
            return
        if wait := self._failures.wait_seconds(address):
            raise _too_many("wrong tokens from this address", wait)

    def refused(self, address: str) -> None:
        """A wrong token came from `address`; it counts."""
        if self._failures is not None:
            self._failures.take(address)

    def admitted(self, address: str, token: str, caller: Caller) -> None:
        """Raises TooManyRequests when `caller` asks too often; services of the fleet may ask as often as they like."""
        if len(self._welcome) >= MOST_BUCKETS:
            self._welcome.clear()
        self._welcome.add((address, hash(token)))
        if self._requests is not None and not caller.is_service and (wait := self._requests.take(caller.id)):
            raise _too_many(f"requests by {caller.id}", wait)


def _too_many(what: str, wait_seconds: float) -> TooManyRequests:
    seconds = math.ceil(wait_seconds)
    return TooManyRequests(f"too many {what}; again in {seconds} s", headers={"Retry-After": str(seconds)})
