"""Whole answers kept for whoever asked for that: the same caller with exactly the same request gets the same answer again."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

OVERHEAD_BYTES = 512  # of an entry, beside its answer


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, who gave it, and when it was given."""

    answer: bytes
    model: str
    provider: str
    decision_id: str
    at: float


class AnswerCache:
    """The least recently used goes first when the bytes are used up."""

    def __init__(self, most_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes, self._clock = most_bytes, clock
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0

    @staticmethod
    def key(caller: str, body: dict[str, Any], task_type: str = "") -> bytes:
        """What makes two requests the same: who asks, and everything asked for, in any order of members; and for what type of task, as
        others are best at it."""
        content = to_json({name: body[name] for name in sorted(body)})
        return hashlib.sha256(f"{caller}\0{task_type}\0".encode() + content).digest()

    def get(self, key: bytes, *, max_age_seconds: float) -> Kept | None:
        """An answer that is not older than that."""
        kept = self._kept.get(key)
        if kept is None or self._clock() - kept.at > max_age_seconds:
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: bytes, answer: bytes, *, model: str, provider: str, decision_id: str) -> None:
        size_bytes = len(answer) + OVERHEAD_BYTES
        if size_bytes > self._most_bytes // 4:
            return
        self._drop(key)
        self._kept[key] = Kept(answer, model, provider, decision_id, self._clock())
        self._bytes += size_bytes
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.answer) + OVERHEAD_BYTES
