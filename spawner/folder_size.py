"""How much disk a job's folder takes, however the job has built it, while the job may still be building."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_ENTRIES = 200_000
DEEPEST = 200
BLOCK = 512  # bytes of st_blocks
TO_LOOK = stat.S_IRUSR | stat.S_IXUSR
FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
TRIES = 3


@dataclass(frozen=True)
class FolderSize:
    disk_bytes: int
    is_whole: bool
    """False when not all of it could be looked at: more entries or levels than anything honest has, or rights that it keeps taking
    away."""


@dataclass
class Level:
    """A folder that is being looked at."""

    fd: int
    entries: "Iterator[os.DirEntry[str]]"
    taken: tuple[int, int] | None
    """Where the job had taken the right to look from us: the rights as they were, and as they are meanwhile."""

    def close(self) -> None:
        self.entries.close()  # type: ignore[attr-defined]  # of os.scandir
        if self.taken:
            was, now = self.taken
            if stat.S_IMODE(os.fstat(self.fd).st_mode) == now:  # else the job has set them again itself
                os.fchmod(self.fd, was)
        os.close(self.fd)


def folder_size(folder: Path) -> FolderSize:
    """Bytes on disk of all that lies below `folder`; links are not followed, other file systems not entered.

    By descriptors, level by level: a path that a job has made too long for the kernel hides nothing. Rights that the job has taken
    from its folders hide nothing either: where we are the same user, we take them back for the moment of the look.
    """
    for _ in range(TRIES):  # an honest job may change rights just while we look
        with contextlib.suppress(PermissionError):
            return _folder_size(folder)
    return FolderSize(0, False)


def _folder_size(folder: Path) -> FolderSize:
    """Raises PermissionError when there is something that cannot be looked at."""
    total = entries = 0
    is_whole = True
    levels: list[Level] = []
    try:
        with _gone_is_nothing():
            levels.append(_entered(os.fspath(folder)))
        device = os.fstat(levels[0].fd).st_dev if levels else None
        while levels:
            here = levels[-1]
            entry = next(here.entries, None)
            if entry is None:
                levels.pop().close()
                continue
            entries += 1
            if entries > MOST_ENTRIES:
                return FolderSize(total, False)
            with _gone_is_nothing():
                status = os.stat(entry.name, dir_fd=here.fd, follow_symlinks=False)
                total += status.st_blocks * BLOCK
                if stat.S_ISDIR(status.st_mode) and status.st_dev == device:
                    if len(levels) >= DEEPEST:
                        is_whole = False
                    else:
                        levels.append(_entered(entry.name, within=here.fd))
    finally:
        while levels:
            levels.pop().close()
    return FolderSize(total, is_whole)


def _gone_is_nothing() -> contextlib.AbstractContextManager[None]:
    """A job may remove what we are about to look at, or put something else in its place."""
    return contextlib.suppress(FileNotFoundError, NotADirectoryError)


def _entered(name: str, *, within: int | None = None) -> Level:
    """Open a folder that may be closed to us. Never by its name twice: it may be another's folder by then."""
    handle = os.open(name, os.O_PATH | FOLDER, dir_fd=within)
    try:
        path = f"/proc/self/fd/{handle}"
        was = stat.S_IMODE(os.fstat(handle).st_mode)
        taken = None
        if os.geteuid() != 0 and was & TO_LOOK != TO_LOOK:
            taken = was, was | TO_LOOK
            os.chmod(path, was | TO_LOOK)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(handle)
    try:
        return Level(fd, os.scandir(fd), taken)
    except OSError:
        os.close(fd)
        raise
