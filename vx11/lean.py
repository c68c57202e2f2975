"""What is left out of our processes."""

import sys


def without_httpx_command_line() -> None:
    """Before the first import of httpx: keep it from loading its own command line, where rich is installed.

    That would be a quarter of a second of every `vx11` command, and 5 MiB of the fleet's memory. httpx does without it by design.
    """
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
