"""Time and identifiers, in the one form the fleet writes them."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""What tells the time where it has to be told otherwise in a test."""


def utc_now() -> datetime:
    """Now, as an aware UTC datetime; Pydantic writes it as ISO 8601 ending in `Z`."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """A new opaque id, `{kind}_` and 28 hex digits: 12 of milliseconds since 1970, then 16 random.

    The time in front makes ids of one kind sort by age, so that lists can use the id as their cursor.
    """
    try:
        chance = _ahead.pop()
    except IndexError:
        drawn = os.urandom(8 * DRAWN_AHEAD).hex()
        _ahead.extend(drawn[at : at + 16] for at in range(0, len(drawn), 16))
        chance = _ahead.pop()
    return f"{kind}_{time.time_ns() // 1_000_000:012x}{chance}"


DRAWN_AHEAD = 256
_ahead: list[str] = []
"""The random digits of the next ids: a request of the router takes three, and asking the system for each was half of what they cost."""
os.register_at_fork(after_in_child=_ahead.clear)  # parent and child must not take the same
