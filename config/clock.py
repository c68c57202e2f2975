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
    return f"{kind}_{time.time_ns() // 1_000_000:012x}{os.urandom(8).hex()}"
