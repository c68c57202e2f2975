"""The mounts of a thread that starts sandboxes as a job's uid, made while it is still root: as little as possible for bwrap to copy,
to read through and to set up, because each job pays for that.

None of it is seen outside the thread, and all of it goes with the thread. Of what is mounted here a sandbox cannot take the read-only
flag off: the kernel locks the flags of mounts that come from a user namespace above.
"""

import ctypes
import errno
import os
import stat
from pathlib import Path

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 0x20, 0x1000, 0x4000, 0x80000
MNT_DETACH = 2
LEFT_BEHIND = frozenset(
    (
        *("cgroup", "cgroup2", "nsfs", "mqueue", "securityfs", "debugfs", "tracefs", "bpf", "pstore", "configfs"),
        *("efivarfs", "fusectl", "binfmt_misc", "rpc_pipefs", "nfsd", "resctrl"),
    )
)
"""Kinds of file systems by which the kernel is looked at or told what to do."""
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {
    "dev/fd": "/proc/self/fd",
    "dev/stdin": "/proc/self/fd/0",
    "dev/stdout": "/proc/self/fd/1",
    "dev/stderr": "/proc/self/fd/2",
    "dev/core": "/proc/kcore",
    "dev/ptmx": "pts/ptmx",
    "var/tmp": "../tmp",
}
MOUNT_POINTS = ("proc", "dev", "dev/shm", "dev/pts", "tmp", "run", "job", "var")

_libc = ctypes.CDLL(None, use_errno=True)


def of_this_thread() -> bool:
    """Give this thread mounts of its own, without those that no sandbox shows; False where that is not allowed, and they stay."""
    if _libc.unshare(CLONE_NEWNS) != 0 or _libc.mount(None, b"/", None, MS_REC | MS_SLAVE, None) != 0:
        return False  # without the second nothing may be mounted or unmounted: it would be so for all
    for where, kind, _options in reversed(_mounted()):
        if kind in LEFT_BEHIND:
            _libc.umount2(os.fsencode(where), MNT_DETACH)
    return True


def make_root(at: Path, arguments: tuple[str, ...], etc: Path) -> None:
    """Put together at the folder `at` what sandboxes without mounts of their own have in common, all of it read-only.

    `arguments`: /usr and what belongs to it, as bwrap would be told. Raises OSError; then nothing stays there.
    """
    at = at.resolve(strict=True)  # as the kernel names it: by that name what is mounted below it is found again
    try:
        _make_root(at, arguments, etc)
    except OSError:
        _libc.umount2(os.fsencode(at), MNT_DETACH)
        raise


def _make_root(at: Path, arguments: tuple[str, ...], etc: Path) -> None:
    _mount("tmpfs", at, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for name in MOUNT_POINTS:
        (at / name).mkdir()
    words, bound = iter((*arguments, "--ro-bind", str(etc), "/etc")), set[str]()
    for option, source, target in zip(words, words, words, strict=True):
        here = at / target.lstrip("/")
        if option == "--symlink":
            here.symlink_to(source)
        else:
            here.mkdir()
            _mount(source, here, None, MS_BIND | MS_REC)
            bound.add(str(here))
    for where, _kind, options in _mounted():
        if where.startswith(f"{at}/"):
            noexec = MS_NOEXEC if "noexec" in options else 0
            _mount(None, Path(where), None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | noexec)
            bound.discard(where)
    if bound:  # never a sandbox in which they can be written to
        raise OSError(errno.ENOENT, "not among the mounts", ", ".join(sorted(bound)))
    dev = at / "dev"
    _mount("tmpfs", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755")
    for name in ("shm", "pts"):
        (dev / name).mkdir()
    for name, (major, minor) in DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    _mount("devpts", dev / "pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    for name, target in LINKS.items():
        (at / name).symlink_to(target)
    _mount(None, dev, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC)
    _mount(None, at, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _mount(source: str | None, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    words = (None if one is None else os.fsencode(one) for one in (source, target, kind))
    if _libc.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def _mounted() -> list[tuple[str, str, list[str]]]:
    """Where something is mounted for this thread, of what kind and how; in the order in which it was done."""
    found = []
    for line in Path("/proc/thread-self/mountinfo").read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        _id, _parent, _device, _root, where, options, *_ = before.split(b" ")
        path = where.decode("unicode_escape").encode("latin-1")
        found.append((os.fsdecode(path), after.split(b" ", 1)[0].decode(), options.decode().split(",")))
    return found
