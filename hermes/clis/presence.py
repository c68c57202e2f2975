"""Which tools are here: one listing of each folder of the PATH, however many names are looked for.

What is found is run later, to ask its version, and its path is handed to others. So a folder counts only if its address is absolute
and nobody but its owner and group may write in it, and a file only if the same is true of it: in `/tmp`, or in a folder of mode 777,
anybody on the machine could put a `git` of their own. (Group-writable is taken: Debian's `/usr/local/bin` is.)
"""

import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hermes.clis.catalogue import Tool


@dataclass(frozen=True, slots=True)
class Installed:
    """A tool's file: where the PATH leads to, and which file that is in the end."""

    path: str
    real_path: str
    mtime_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the PATH showed: files by the tools' names, folders that count and folders that were passed over."""

    installed: dict[str, Installed]
    folders: tuple[str, ...]
    ignored: tuple[str, ...]
    took_ms: float


def find(tools: Sequence[Tool], search_path: str) -> Look:
    """Which of the tools the PATH has. What cannot be read is as good as not there."""
    started = time.perf_counter()
    folders, ignored = _folders(search_path)
    wanted = {binary for tool in tools for binary in tool.binaries}
    found: dict[str, Installed] = {}
    for folder in folders:
        for name in wanted.intersection(_names(folder)).difference(found):
            if (file := _installed(os.path.join(folder, name))) is not None:
                found[name] = file
    installed = {
        tool.name: found[binary]
        for tool in tools
        if (binary := next((one for one in tool.binaries if one in found), None)) is not None
    }
    return Look(installed, tuple(folders), tuple(ignored), (time.perf_counter() - started) * 1000)


def _folders(search_path: str) -> tuple[list[str], list[str]]:
    """The folders that count, each once whatever links lead to it, and those that do not."""
    taken: list[str] = []
    ignored: list[str] = []
    seen: set[tuple[int, int]] = set()
    for folder in search_path.split(os.pathsep):
        try:
            found = os.stat(folder)
        except (OSError, ValueError):
            continue
        if not (os.path.isabs(folder) and folder.isprintable()) or found.st_mode & stat.S_IWOTH:
            ignored.append(folder)
        elif stat.S_ISDIR(found.st_mode) and (found.st_dev, found.st_ino) not in seen:
            seen.add((found.st_dev, found.st_ino))
            taken.append(folder)
    return taken, ignored


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _installed(path: str) -> Installed | None:
    try:
        found = os.stat(path)
        is_usable = stat.S_ISREG(found.st_mode) and not found.st_mode & stat.S_IWOTH and os.access(path, os.X_OK)
        real_path = os.path.realpath(path)
    except OSError:
        return None
    if not is_usable or not real_path.isprintable():
        return None
    return Installed(path, real_path, found.st_mtime_ns, found.st_size)
