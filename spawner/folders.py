"""Where a job's files lie: `job/`, which is /job to it, and `spool/`, its output, which it does not see.

What is in a job's folder was made by the job, and we may be root: so nothing here follows a symlink or recurses, however deep the job has
nested its folders.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DOOMED = ".doomed"


class Unreachable(OSError):
    """The jobs' own users cannot reach the work folder."""


class Folders:
    """The folders of all jobs, by the jobs' ids."""

    def __init__(self, work_root: Path, *, is_for_others: bool) -> None:
        """`is_for_others`: whether jobs run as other users than we do."""
        self.work_root, self._jobs, self._is_for_others = work_root, work_root / "jobs", is_for_others

    def open(self) -> None:
        """Make what is missing. Raises Unreachable, with what to do, when jobs could not get to their files."""
        if not self._is_for_others:
            self._jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        for folder in [*reversed(self._jobs.parents), self._jobs]:
            if not folder.exists():
                folder.mkdir()
                folder.chmod(0o711)
            if not folder.stat().st_mode & stat.S_IXOTH:
                raise Unreachable(
                    f"jobs run as users of their own, who cannot get through {folder}: set VX11_SPAWNER_WORK_DIR to another folder"
                )

    def make(self, spawn_id: str, uid: int | None) -> tuple[Path, Path]:
        """New, empty folders for a job: its own and its spool. What an earlier attempt left is removed."""
        base = os.path.join(self._jobs, spawn_id)  # every job comes by: Path would take longer than the kernel
        job, spool = f"{base}/job", f"{base}/spool"
        try:
            os.mkdir(base, 0o700)
        except FileExistsError:
            self.remove(spawn_id)
            os.mkdir(base, 0o700)
        for folder in (job, spool):
            os.mkdir(folder, 0o700)
        if uid is not None:
            os.chown(job, uid, uid)
            os.chmod(base, 0o711)
        return Path(job), Path(spool)

    def seal(self, spawn_id: str) -> None:
        """The job has ended: the next job that runs as the same user must not find its files."""
        with contextlib.suppress(FileNotFoundError):
            (self._jobs / spawn_id).chmod(0o700)

    def job(self, spawn_id: str) -> Path:
        return self._jobs / spawn_id / "job"

    def spool(self, spawn_id: str) -> Path:
        return self._jobs / spawn_id / "spool"

    def has_begun(self, spawn_id: str) -> bool:
        """Whether anything of the job may have run: its folders are made before it is started."""
        return (self._jobs / spawn_id).exists()

    def ids(self) -> list[str]:
        """Every job that has a folder."""
        return [one.name for one in self._jobs.iterdir()]

    def remove(self, spawn_id: str) -> None:
        """Remove all of a job's files. Done nothing if there are none."""
        with contextlib.suppress(FileNotFoundError), opened(self._jobs) as jobs:
            remove_tree(jobs, spawn_id)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._jobs).free


@contextlib.contextmanager
def opened(path: Path | str, *, within: int | None = None) -> Iterator[int]:
    """A descriptor of a folder that is no symlink."""
    descriptor = os.open(path, DIRECTORY, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove_tree(within: int, name: str) -> None:
    """Remove a folder with all that is in it. Folders in it are first moved up beside each other, so that no depth is too deep.

    Nothing may still be writing there. Raises OSError; FileNotFoundError when there is nothing of that name.
    """
    with _entered(within, name) as top:
        moved = 0
        todo = [entry.name for entry in _entries(top) if not _unlinked(top, entry)]
        while todo:
            folder = todo.pop()
            with _entered(top, folder) as inner:
                for entry in _entries(inner):
                    if not _unlinked(inner, entry):
                        moved += 1
                        target = f"{DOOMED}.{moved}"
                        while os.path.lexists(f"/proc/self/fd/{top}/{target}"):  # the job may have called a folder so
                            moved += 1
                            target = f"{DOOMED}.{moved}"
                        _opened_up(inner, entry.name)
                        os.rename(entry.name, target, src_dir_fd=inner, dst_dir_fd=top)
                        todo.append(target)
            os.rmdir(folder, dir_fd=top)
    os.rmdir(name, dir_fd=within)


@contextlib.contextmanager
def _entered(within: int, name: str) -> Iterator[int]:
    _opened_up(within, name)
    with opened(name, within=within) as descriptor:
        yield descriptor


def _opened_up(within: int, name: str) -> None:
    """The job may have taken the rights to its own folder away from us."""
    mode = os.stat(name, dir_fd=within, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=within)


def _entries(folder: int) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        return list(entries)


def _unlinked(folder: int, entry: "os.DirEntry[str]") -> bool:
    """Whether the entry was no folder, and is gone now."""
    if entry.is_dir(follow_symlinks=False):
        return False
    os.unlink(entry.name, dir_fd=folder)
    return True
