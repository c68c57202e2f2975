"""How far a job is: one line that is written over in a terminal, a line for every tenth elsewhere."""

import time
from collections.abc import Callable
from typing import Any, TextIO

BAR_CELLS = 24
TENTHS = 10
ERASE_LINE = "\r\x1b[K"


def size(size_bytes: int | None) -> str:
    """Bytes as people say them, in powers of ten; `-` for an unknown number."""
    if size_bytes is None:
        return "-"
    for least, unit in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")):
        if size_bytes >= least:
            many = size_bytes / least
            return f"{many:.1f} {unit}" if unit == "GB" or many < 10 else f"{many:.0f} {unit}"
    return f"{size_bytes} B"


class Progress:
    """Tells the states of one job as they come. `close` leaves a terminal on a line of its own."""

    def __init__(self, out: TextIO, *, is_terminal: bool, now: Callable[[], float] = time.monotonic) -> None:
        self._out, self._is_terminal, self._now = out, is_terminal, now
        self._since: tuple[float, int] | None = None
        self._told = ""
        self._is_open = False

    def tell(self, job: dict[str, Any]) -> None:
        """Show where the job is, if that says more than was said before."""
        line = self._line(job)
        # Elsewhere than in a terminal a line stays: one for each tenth, and for each new reason to wait.
        mark = line if self._is_terminal else f"{int(job['progress'] * TENTHS)} {job['detail']}"
        if mark == self._told:
            return
        self._told = mark
        self._out.write(f"{ERASE_LINE}{line}" if self._is_terminal else f"{line}\n")
        self._out.flush()
        self._is_open = self._is_terminal

    def close(self) -> None:
        if self._is_open:
            self._out.write("\n")
            self._out.flush()
            self._is_open = False

    def _line(self, job: dict[str, Any]) -> str:
        share, done, total = job["progress"], job["done_bytes"], job["total_bytes"]
        parts = [f"{100 * share:3.0f} %"]
        if self._is_terminal:
            full = int(BAR_CELLS * share)
            parts.insert(0, f"[{'#' * full}{'-' * (BAR_CELLS - full)}]")
        if done is not None and total:
            parts.append(f"{size(done)} of {size(total)}")
            parts += self._speed(done)
        if job["detail"] or job["status"] == "PENDING":
            parts.append(job["detail"] or "waits for its turn")
        return "  ".join(parts)

    def _speed(self, done_bytes: int) -> list[str]:
        now = self._now()
        if self._since is None or done_bytes < self._since[1]:
            self._since = now, done_bytes
        began, before = self._since
        return [f"{size(int((done_bytes - before) / (now - began)))}/s"] if now > began and done_bytes > before else []
