"""Which commands a Python package brings, read from the end of its wheel: a zip's table of contents stands there, and wheels are built
with their own records last."""

import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

TAIL_BYTES = 256 * 1024
MOST_RECORD_BYTES = 64 * 1024
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,  # an entry that begins before these bytes
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def best_wheel(files: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The wheel that tells most about this machine: one for every machine, else for 64-bit Linux, else any."""

    def rank(file: dict[str, Any]) -> int:
        name = str(file.get("filename", ""))
        return 0 if name.endswith("-none-any.whl") else 1 if "linux" in name and "x86_64" in name else 2

    wheels = [one for one in files if str(one.get("filename", "")).endswith(".whl") and not one.get("yanked")]
    return min(wheels, key=rank, default=None)


def commands_in(tail: bytes) -> set[str] | None:
    """The commands that a wheel installs, by its last bytes. None where these do not reach back far enough to tell."""
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            names = archive.namelist()
            found = {name.rpartition("/")[2] for name in names if re.fullmatch(r"[^/]+\.data/scripts/[^/]+", name)}
            record = next((one for one in names if re.fullmatch(r"[^/]+\.dist-info/entry_points\.txt", one)), None)
            if record is not None:
                with archive.open(record) as file:
                    found |= _console_scripts(file.read(MOST_RECORD_BYTES).decode(errors="replace"))
    except _UNREADABLE:
        return None
    return found


def _console_scripts(entry_points: str) -> set[str]:
    """By hand: configparser looks at a long line for as long as its length squared, and anybody can publish a wheel."""
    found, is_here = set(), False
    for line in entry_points.splitlines():
        text = line.strip()
        if text.startswith("["):
            is_here = text == "[console_scripts]"
        elif is_here and not text.startswith(("#", ";")):
            name, equals, _ = text.partition("=")
            if equals and name.strip():
                found.add(name.strip())
    return found
