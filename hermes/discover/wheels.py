"""Which commands a Python package brings, read from the end of its wheel: a zip's table of contents stands there, and wheels are built
with their own records last."""

import configparser
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
    configparser.Error,
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
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(entry_points)
    return set(parser["console_scripts"]) if parser.has_section("console_scripts") else set()
