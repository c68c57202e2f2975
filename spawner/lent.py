"""Files of ours lent to a job that runs as a user of its own: read-only, at a place that it can reach, and as if it were their owner.

Nothing about the files themselves changes, neither rights nor owners. What is lent is seen by the thread that starts the job, and goes
with it.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
"""System calls, by the same numbers on every machine."""
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = 1, 4
RDONLY, NOSUID, NODEV, IDMAP = 0x1, 0x2, 0x4, 0x100000
MS_NOSUID, MS_NODEV = 2, 4

log = structlog.get_logger()
_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("spread", ctypes.c_uint64),
        ("ns", ctypes.c_uint64),
    )


def lend(sources: Sequence[Path], at: Path, uid: int) -> Mapping[Path, Path]:
    """Where each source is seen as the property of `uid`, below the folder `at`.

    Those that do not exist are left out, and those that cannot be shown so: it takes Linux 5.12, and a file system that can (ext4, xfs,
    btrfs; tmpfs from 6.3 on, overlayfs not at all). Called as root, by a thread with mounts of its own. Raises OSError.
    Source: mount_setattr(2), "ID-mapped mounts".
    """
    _checked(_libc.mount(b"tmpfs", os.fsencode(at), b"tmpfs", ctypes.c_ulong(MS_NOSUID | MS_NODEV), b"mode=755"), at)
    found = dict[Path, Path]()
    for number, source in enumerate(sources):
        place = at / str(number)
        try:
            owner = source.stat()
            place.mkdir() if source.is_dir() else place.touch()
            with _namespace((owner.st_uid, uid), (owner.st_gid, uid)) as namespace:
                _mount(source, place, namespace)
        except OSError as refused:  # then what the job's user cannot read of it stays closed to it
            log.info("not_lent", source=str(source), error=str(refused))
        else:
            found[source] = place
    return found


def _mount(source: Path, place: Path, namespace: int) -> None:
    tree = _call(OPEN_TREE, AT_FDCWD, os.fsencode(source), OPEN_TREE_CLONE | os.O_CLOEXEC | AT_RECURSIVE, of=source)
    try:
        attributes = _Attributes(RDONLY | NOSUID | NODEV | IDMAP, 0, 0, namespace)
        size = ctypes.sizeof(attributes)
        _call(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH | AT_RECURSIVE, ctypes.byref(attributes), size, of=source)
        _call(MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(place), MOVE_MOUNT_F_EMPTY_PATH, of=place)
    finally:
        os.close(tree)


@contextmanager
def _namespace(uids: tuple[int, int], gids: tuple[int, int]) -> Iterator[int]:
    """A user namespace in which the first id of each pair is the second one outside. It lives as long as the descriptor, or a mount."""
    with subprocess.Popen(["unshare", "--user", "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(b"\n")
            process.stdin.flush()
        if not process.stdout.read(1):  # what it gives back it has read inside
            raise OSError("no user namespace can be made here")
        own = Path("/proc") / str(process.pid)
        (own / "uid_map").write_text(f"{uids[0]} {uids[1]} 1")
        (own / "gid_map").write_text(f"{gids[0]} {gids[1]} 1")
        descriptor = os.open(own / "ns" / "user", os.O_RDONLY | os.O_CLOEXEC)
        process.stdin.close()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: Any, of: Path) -> int:
    return _checked(_libc.syscall(number, *arguments), of)


def _checked(result: int, of: Path) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(of))
    return result
