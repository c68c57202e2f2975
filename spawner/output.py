"""Keeping what a job writes: up to its limit in a file, and past it nowhere, while the pipe goes on being emptied."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

CHUNK = 64 * 1024
FLOOD_FACTOR = 16
LEAST_FLOOD = 1024 * 1024
"""Bytes that a job may always write before it counts as a flood, however little of it is kept."""


class Capture:
    """One stream of a job. `written` counts all of it; `done` is set when nobody can write any more."""

    def __init__(
        self, pipe: int, file: Path, keep: int, wrote: Callable[[], None], flooded: Callable[[], None]
    ) -> None:
        """Takes over the reading end `pipe`. Raises OSError when the file cannot be made."""
        self.written = 0
        self.done = asyncio.Event()
        self._pipe, self._keep, self._wrote, self._flooded = pipe, keep, wrote, flooded
        self._flood = max(keep * FLOOD_FACTOR, LEAST_FLOOD)
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.set_blocking(pipe, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pipe, self._read)

    @property
    def is_truncated(self) -> bool:
        return self.written > self._keep

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._pipe)
            self.done.set()
            return
        kept = data[: max(self._keep - self.written, 0)]
        self.written += len(data)
        if kept:
            _write_all(self._file, kept)
            self._wrote()
        if self.written > self._flood:
            self._flooded()

    def close(self) -> None:
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        os.close(self._file)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
