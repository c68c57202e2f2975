"""What is left out of our processes, where it is installed."""

import sys


def without_httpx_command_line() -> None:
    """Before the first import of httpx: its own command line, a quarter of a second of every `vx11` command. httpx does without it."""
    _without("httpx._main")


def without_rich() -> None:
    """Before the first import of structlog and httpx, in the process that becomes the fleet: 5 MiB of it. Both do without it."""
    without_httpx_command_line()
    _without("rich")


def _without(name: str) -> None:
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]
