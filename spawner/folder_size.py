"""How much disk a job's folder takes, however the job has built it."""

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

MOST_ENTRIES = 200_000
DEEPEST = 200
BLOCK = 512  # bytes of st_blocks


@dataclass(frozen=True)
class FolderSize:
    disk_bytes: int
    is_whole: bool
    """False when there was too much to look at all of it: more entries or levels than anything honest has."""


def folder_size(folder: Path) -> FolderSize:
    """Bytes on disk of all that lies below `folder`; links are not followed, other file systems not entered.

    By descriptors, level by level: a path that a job has made too long for the kernel hides nothing.
    """
    total = entries = 0
    is_whole = True
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return FolderSize(0, True)
    device = os.fstat(top).st_dev
    levels = [(top, os.scandir(top))]
    try:
        while levels:
            fd, entries_here = levels[-1]
            entry = next(entries_here, None)
            if entry is None:
                entries_here.close()
                os.close(fd)
                levels.pop()
                continue
            entries += 1
            if entries > MOST_ENTRIES:
                return FolderSize(total, False)
            with contextlib.suppress(
                OSError
            ):  # gone since, or not to be read by us: its blocks count where they can be seen
                status = os.stat(entry.name, dir_fd=fd, follow_symlinks=False)
                total += status.st_blocks * BLOCK
                if stat.S_ISDIR(status.st_mode) and status.st_dev == device:
                    if len(levels) >= DEEPEST:
                        is_whole = False
                        continue
                    inner = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                    levels.append((inner, os.scandir(inner)))
    finally:
        for fd, entries_here in levels:
            entries_here.close()
            os.close(fd)
    return FolderSize(total, is_whole)
