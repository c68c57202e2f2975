"""What the kernel says about processes and their children, and the ending of whole trees of them."""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import struct
from dataclasses import dataclass
from pathlib import Path

from spawner.job import Marker

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
KIB, BLOCK = 1024, 512
WITHOUT_FILE = ("/dev/zero (deleted)", "/memfd:", "/SYSV")
"""How the kernel names shared memory that lies in no folder."""
PR_SET_CHILD_SUBREAPER = 36
PIDFD_GET_INFO = 0xC0_40_FF_0B  # _IOWR(0xFF, 11, 64 bytes), Linux 6.13
PIDFD_INFO_EXIT = 1 << 3  # Linux 6.15


def started_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is none. With the pid it names a process for ever."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[str] | None:
    """Fields 3 and on of /proc/PID/stat: what comes after the name, which may hold anything."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    fields = _stat(pid)
    return fields is not None and fields[0] not in "ZX"


def state(pid: int) -> str | None:
    """The letter that /proc gives for what it does; None when there is none."""
    fields = _stat(pid)
    return fields[0] if fields else None


def children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
    found = []
    for task in tasks:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += _read(f"/proc/{pid}/task/{task}/children").split()
    return [int(child) for child in found]


def _read(path: str) -> str:
    """All of a file of the kernel's: `Path` would take longer than it does."""
    with open(path, "rb", buffering=0) as file:
        return (file.readall() or b"").decode(errors="replace")


def descendants(pid: int) -> list[int]:
    """Children and theirs. In a pid namespace's init that is everyone: orphans come to it."""
    found, seen, waiting = [], {pid}, [pid]
    while waiting:
        for child in children(waiting.pop()):
            if child not in seen:
                seen.add(child)
                found.append(child)
                waiting.append(child)
    return found


def of_uid(uid: int) -> list[int]:
    """Processes whose real uid is `uid`."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in (entry / "status").read_text(errors="replace").splitlines():
                if line.startswith("Uid:"):
                    if int(line.split()[1]) == uid:
                        found.append(int(entry.name))
                    break
    return found


@dataclass(frozen=True)
class Usage:
    """What some processes use together."""

    memory_bytes: int
    cpu_seconds: float
    processes: int
    threads: int = 0


def usage(pids: list[int], *, precise_above: float, exact_above: float | None = None) -> Usage:
    """Anonymous and shared memory, and CPU time, of these processes and of those of their children that have ended.

    Shared pages count once for every process that has them: too much. Where the sum passes `precise_above` bytes, the kernel's
    proportional figures are read instead (each page divided among those that map it), which takes longer: first their sums, in which
    files of folders in memory are counted that `tmpfs_bytes` counts too; where these pass `exact_above`, mapping by mapping. There the
    pages of a file that were written to privately are counted once for each process, so that both are too much if anything.
    """
    memory, cpu, count, threads = 0, 0, 0, 0
    for pid in pids:
        fields = _stat(pid)
        if fields is None:
            continue
        cpu += sum(int(ticks) for ticks in fields[11:15])
        if fields[0] not in "ZX":
            count += 1
            threads += int(fields[17])
            memory += _resident(pid)
    exact_above = precise_above if exact_above is None else exact_above
    if memory > (precise_above if count > 1 else exact_above):
        memory = sum(_summed(pid) for pid in pids)
        if memory > exact_above:
            memory = min(memory, sum(_proportional(pid) for pid in pids))
    return Usage(memory, cpu / TICKS, count, threads)


def _resident(pid: int) -> int:
    """RssAnon and RssShmem; pages of files can be had again and do not count."""
    return _fields(f"/proc/{pid}/status", "\nRssAnon:", "\nRssShmem:") or 0


def _summed(pid: int) -> int:
    """This process's part of anonymous and shared memory, mapped files of folders in memory included."""
    found = _fields(f"/proc/{pid}/smaps_rollup", "\nPss_Anon:", "\nPss_Shmem:")
    return _proportional(pid) if found is None else found  # it is not dumpable, or the kernel is older than 5.4


def _fields(path: str, *names: str) -> int | None:
    """The sum of such lines of a file of the kernel's, in bytes; None where none of them is there."""
    try:
        text = _read(path)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # it has ended, or is just taking other rights in its sandbox's set-up
    places = [(at, name) for name in names if (at := text.find(name)) >= 0]
    if not places:
        return None
    return sum(int(text[at + len(name) : text.index("kB", at)]) * KIB for at, name in places)


def _proportional(pid: int) -> int:
    """This process's part of all that it has in memory, without pages of files and without the folders in memory, which are
    counted as a whole (`tmpfs_bytes`)."""
    try:
        lines = (PROC / str(pid) / "smaps").read_text(errors="replace").splitlines()
    except PermissionError:
        return _resident(pid)  # it is not dumpable: to hide must not make it smaller
    except (FileNotFoundError, ProcessLookupError):
        return 0
    total, counted = 0, "Pss:"
    for line in lines:
        words = line.split(None, 5)
        if "-" in words[0]:  # a new mapping: addresses, rights, offset, device, inode, path
            is_file = len(words) == 6 and words[5].startswith("/") and not words[5].startswith(WITHOUT_FILE)
            counted = "Anonymous:" if is_file else "Pss:"
        elif words[0] == counted:
            total += int(words[1]) * KIB
    return total


def tmpfs_bytes(pid: int, folders: tuple[str, ...]) -> int:
    """What lies in folders in memory that the process `pid` has for itself.

    While its sandbox is being set up it still sees this machine's own folders, which are not counted.
    """
    total = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            inside = f"/proc/{pid}/root{folder}"
            if not Path(folder).exists() or os.stat(inside).st_dev != os.stat(folder).st_dev:
                space = os.statvfs(inside)
                total += (space.f_blocks - space.f_bfree) * space.f_frsize
    return total


@dataclass(frozen=True)
class Unlinked:
    """Files that have no name any more and are still open."""

    disk_bytes: int
    is_whole: bool
    """False when some process did not let its open files be seen, or there were too many."""


def unlinked(pids: list[int], device: int, *, at_most: int = 20_000) -> Unlinked:
    """Such files of these processes on disk `device`."""
    sizes: dict[int, int] = {}
    number = 0
    is_whole = True
    for pid in pids:
        folder = PROC / str(pid) / "fd"
        try:
            names = os.listdir(folder)
        except PermissionError:  # it is not dumpable
            is_whole = is_whole and not is_alive(pid)
            continue
        except (FileNotFoundError, ProcessLookupError):
            continue
        for name in names:
            number += 1
            if number > at_most:
                return Unlinked(sum(sizes.values()), False)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                status = (folder / name).stat()
                if status.st_nlink == 0 and status.st_dev == device:
                    sizes[status.st_ino] = status.st_blocks * BLOCK
    return Unlinked(sum(sizes.values()), is_whole)


def can_see_open_files(pid: int) -> bool:
    """Whether the machine lets us see what that process has open; some lets not even root (a container without CAP_SYS_PTRACE)."""
    try:
        os.listdir(PROC / str(pid) / "fd")
    except OSError:
        return False
    return True


def orphaned_zombies() -> list[int]:
    """Ended processes that came to us from other sessions: jobs have sessions of their own, what we start for ourselves has ours."""
    ours, found = os.getsid(0), []
    for pid in children(os.getpid()):
        fields = _stat(pid)
        if fields and fields[0] == "Z" and int(fields[3]) != ours:
            found.append(pid)
    return found


def become_subreaper() -> None:
    """Orphans below this process come to it from now on, and it can learn what they used."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


class Pidfd:
    """A process that cannot be taken for another that came to have its pid."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError when there is no such process."""
        self.pid = pid
        self._fd: int | None = os.pidfd_open(pid)

    def fileno(self) -> int:
        """To be waited for: readable when the process has ended."""
        assert self._fd is not None
        return self._fd

    def kill(self) -> None:
        """SIGKILL; nothing when it has ended."""
        if self._fd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    async def ended(self) -> None:
        """Come back when the process has ended (or is a zombie)."""
        if self._fd is None:
            return
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        fd = self._fd
        loop.add_reader(fd, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_reader(fd)

    def wait_status(self) -> int | None:
        """How it ended, as wait(2) says it, of a process that is not our child; None before its end and before Linux 6.15."""
        if self._fd is None:
            return None
        # struct pidfd_info: mask, cgroupid, then pid to fsgid as 32 bits, then exit_code
        asked = bytearray(struct.pack("=QQ", PIDFD_INFO_EXIT, 0) + bytes(48))
        try:
            fcntl.ioctl(self._fd, PIDFD_GET_INFO, asked)
        except OSError:
            return None
        mask = struct.unpack_from("=Q", asked)[0]
        return int(struct.unpack_from("=i", asked, 60)[0]) if mask & PIDFD_INFO_EXIT else None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def kill_marked(marker: Marker) -> int:
    """End what is left of a job whose spawner has gone, with its whole tree; how many processes were told to end.

    Only if the marked process is still the same one: a pid is given again. A job in a sandbox is gone with its first process.
    """
    if started_ticks(marker.pid) != marker.started_ticks:
        return 0
    return len(kill_tree(marker.pid))


def kill_tree(pid: int) -> set[int]:
    """Stop all of a tree, so that none of it can fork away from us, then kill it; which processes that were."""
    stopped: set[int] = set()
    for _ in range(100):  # each round finds what was forked before its parent was stopped
        news = [one for one in (pid, *descendants(pid)) if one not in stopped]
        if not news:
            break
        for one in news:
            stopped.add(one)
            _send(one, signal.SIGSTOP)
    for one in stopped:
        _send(one, signal.SIGKILL)
    return stopped


def kill_uid(uid: int) -> int:
    """End all processes of a uid that belongs to one job alone; how many were told to end."""
    killed: set[int] = set()
    for _ in range(100):
        news = [one for one in of_uid(uid) if is_alive(one)]
        if not news:
            break
        for one in news:
            killed.add(one)
            _send(one, signal.SIGKILL)
    return len(killed)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
