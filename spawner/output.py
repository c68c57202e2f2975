"""Keeping what a job writes: up to its limit in a file, and past it nowhere, while the pipe goes on being emptied."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

CHUNK = 64 * 1024
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
FLOOD_FACTOR = 16
LEAST_FLOOD = 1024 * 1024
"""Bytes that a job may always write before it counts as a flood, however little of it is kept."""


class Capture:
    """One stream of a job, read when it is asked to. `written` counts all of it; `done` is set when nobody can write any more."""

    def __init__(
        self, pipe: int, file: Path, keep: int, wrote: Callable[[], None], flooded: Callable[[], None]
    ) -> None:
        """Takes over the reading end `pipe`. The file is made when there is something to keep."""
        self.written = 0
        self.done = asyncio.Event()
        self.pipe, self._keep, self._wrote, self._flooded = pipe, keep, wrote, flooded
        self._flood = max(keep * FLOOD_FACTOR, LEAST_FLOOD)
        self._path, self._file = file, -1
        self._loop: asyncio.AbstractEventLoop | None = None
        os.set_blocking(pipe, False)

    @property
    def is_truncated(self) -> bool:
        return self.written > self._keep

    def listen(self) -> None:
        """Read on the event loop from now on, whenever there is something. May be called again."""
        if self._loop is None and not self.done.is_set():
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self.pipe, self.read)

    def read(self) -> bool:
        """Take what is there, at most a chunk; whether there may be more at once."""
        try:
            data = os.read(self.pipe, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._stop_listening()
            self.done.set()
            return False
        kept = data[: max(self._keep - self.written, 0)]
        self.written += len(data)
        if kept:
            if self._file < 0:
                self._file = os.open(self._path, NEW_FILE, 0o600)
            _write_all(self._file, kept)
            self._wrote()
        if self.written > self._flood:
            self._flooded()
        return True

    def close(self) -> None:
        self._stop_listening()
        os.close(self.pipe)
        if self._file >= 0:
            os.close(self._file)

    def _stop_listening(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self.pipe)
            self._loop = None


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
