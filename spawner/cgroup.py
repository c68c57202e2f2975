"""Limits of memory and processes for a whole tree, by the kernel's control groups: version 2, or 1 where that is what there is.

Version 2 has a folder per job, which its first process joins. In version 1 joining is slow (a wait in the kernel for every
hierarchy, 10 ms together), so each uid of the pool has its folders for good and a thread that starts its jobs sits in them:
what it starts is inside from the first moment.
"""

import asyncio
import contextlib
import errno
import os
import time
from abc import ABC, abstractmethod
from concurrent.futures import Future
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from config.contracts.spawner import Limits
from spawner import tree
from spawner.tree import Usage

MIB = 1024 * 1024
CONTROLLERS = ("memory", "pids")
LEFT_IN_SLOT = 2 * MIB
"""Bytes of a finished job's file pages that may stay charged to its slot; more is given back before the next job."""
CLEANINGS = 5
"""How often the kernel is asked for a slot's file pages, some of which it may have to write to disk first."""
CLEANING_PAUSE = 0.02  # seconds
INIT, BWRAP, STARTER = 1, 1, 1
"""What is in a job's cgroup besides its own processes."""
SETUP = 1
"""One more process than that, which bwrap has for a moment while it sets up. Of the job's own RLIMIT_NPROC allows none more."""


class Cgroup(ABC):
    """The limits of one running job, and what the kernel counted for it."""

    marker: str
    """The folder by which what is left of the job is found again."""
    threads_join: tuple[Path, ...] = ()
    """Files that a thread writes its id to, for all that it starts to be inside; empty when each process joins."""
    finishing: "Future[None] | None" = None
    """The `finish` of the job before this one, which may not be done yet: nothing may begin here until it is."""

    @abstractmethod
    def begin(self, limits: Limits) -> None:
        """Set the limits, and count from zero. Quick. Raises OSError; EBUSY where there is something to `finish` first."""

    @abstractmethod
    def join(self, pid: int) -> None:
        """Take a process in, with what it will start. May take 10 ms: not for the event loop."""

    @abstractmethod
    def usage(self) -> Usage:
        """Memory without pages of files, which the kernel takes back where it needs them."""

    @abstractmethod
    def cpu_seconds(self) -> float:
        """Of all processes since `begin`, those included that nobody waited for."""

    @abstractmethod
    def peak_bytes(self) -> int | None:
        """The most since `begin` that the kernel counted, less the pages of files that are still there; None where it does not count.

        To be asked at the job's end. Pages of files that the job has removed before, or that the kernel has taken back, are in it if
        they were there at the highest moment: the kernel keeps one figure for all. It is never above the limit.
        """

    @abstractmethod
    def oom_kills(self) -> int:
        """How many processes the kernel ended for want of memory since `begin`."""

    @abstractmethod
    def kill(self) -> None:
        """End everything inside at once, where the kernel can."""

    def needs_finish(self) -> bool:
        """Whether there is anything to `finish`. Quick."""
        return True

    @abstractmethod
    def finish(self) -> None:
        """Give back what the job left here. May take a while: not for the event loop."""


class Cgroups(ABC):
    """Where jobs get their cgroups from."""

    name: str

    @abstractmethod
    def for_job(self, spawn_id: str, uid: int | None) -> Cgroup: ...

    @abstractmethod
    def close(self) -> None:
        """Remove the folders; the threads that sat in them have ended."""


def _number(path: Path) -> int:
    return int(path.read_text())


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


# --- version 1 ------------------------------------------------------------------------------------------------------


class _File:
    """A file of a cgroup, kept open: each job reads and writes several of them."""

    def __init__(self, path: Path, flags: int = os.O_RDONLY) -> None:
        self._fd = os.open(path, flags | os.O_CLOEXEC)

    def number(self) -> int:
        return int(os.pread(self._fd, 64, 0))

    def fields(self) -> dict[str, int]:
        pairs = (line.split() for line in os.pread(self._fd, 16_384, 0).decode().splitlines())
        return {name: int(value) for name, value in pairs}

    def write(self, text: str) -> None:
        os.pwrite(self._fd, text.encode(), 0)

    def close(self) -> None:
        os.close(self._fd)


class SlotV1(Cgroup):
    """Folders of one uid of the pool, used by one job at a time."""

    def __init__(self, memory: Path, pids: Path, cpu: Path | None) -> None:
        self.folders = tuple(folder for folder in (memory, pids, cpu) if folder)
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        self.marker = str(pids)
        self.threads_join = tuple(folder / "tasks" for folder in self.folders)
        self._set_to: tuple[int, int] | None = None
        self._cpu_before = self._oom_before = 0
        self._memory_limit = _File(memory / "memory.limit_in_bytes", os.O_WRONLY)
        self._memory_peak = _File(memory / "memory.max_usage_in_bytes", os.O_RDWR)
        self._memory_now = _File(memory / "memory.usage_in_bytes")
        self._memory_stat = _File(memory / "memory.stat")
        self._memory_events = _File(memory / "memory.oom_control")
        self._memory_empty = _File(memory / "memory.force_empty", os.O_WRONLY)
        self._pids_limit = _File(pids / "pids.max", os.O_WRONLY)
        self._pids_now = _File(pids / "pids.current")
        self._cpu = _File(cpu / "cpuacct.usage") if cpu else None

    def begin(self, limits: Limits) -> None:
        wanted = limits.max_memory_mb * MIB, limits.max_processes + INIT + BWRAP + STARTER + SETUP
        if wanted != self._set_to:
            self._set_to = None
            self._memory_limit.write(str(wanted[0]))
            self._pids_limit.write(str(wanted[1]))
            self._set_to = wanted
        self._memory_peak.write("0")
        self._cpu_before = self._cpu_nanoseconds()
        self._oom_before = self._all_oom_kills()

    def join(self, pid: int) -> None:
        """Nothing to do: it was started inside."""

    def usage(self) -> Usage:
        processes = self._pids_now.number() - INIT - BWRAP - STARTER
        memory = max(self._memory_now.number() - self._file_bytes(), 0)
        return Usage(memory, self.cpu_seconds(), max(processes, 0))

    def cpu_seconds(self) -> float:
        return (self._cpu_nanoseconds() - self._cpu_before) / 1e9

    def _cpu_nanoseconds(self) -> int:
        return self._cpu.number() if self._cpu else 0

    def peak_bytes(self) -> int | None:
        return max(self._memory_peak.number() - self._file_bytes(), 0)

    def _file_bytes(self) -> int:
        """Pages of files on disk; those of folders in memory count as the job's."""
        stat = self._memory_stat.fields()
        return max(stat["cache"] - stat.get("shmem", 0), 0)

    def oom_kills(self) -> int:
        return self._all_oom_kills() - self._oom_before

    def _all_oom_kills(self) -> int:
        return self._memory_events.fields().get("oom_kill", 0)

    def kill(self) -> None:
        """Version 1 cannot; the job's own init is killed, and the namespace with it."""

    def needs_finish(self) -> bool:
        return self._memory_now.number() > LEFT_IN_SLOT

    def finish(self) -> None:
        for _ in range(CLEANINGS):
            if not self.needs_finish():
                return
            with contextlib.suppress(OSError):  # busy: some of it is only now being written
                self._memory_empty.write("0")
            if self.needs_finish():
                time.sleep(CLEANING_PAUSE)

    def close(self) -> None:
        files = (self._memory_limit, self._memory_peak, self._memory_now, self._memory_stat, self._memory_events)
        for file in (*files, self._memory_empty, self._pids_limit, self._pids_now, self._cpu):
            if file:
                file.close()


class CgroupsV1(Cgroups):
    name = "cgroup v1"

    def __init__(self, memory: Path, pids: Path, cpu: Path | None) -> None:
        self._roots = memory, pids, cpu
        self._slots: dict[int, SlotV1] = {}

    def for_job(self, spawn_id: str, uid: int | None) -> Cgroup:
        key = uid or 0
        if key not in self._slots:
            memory, pids, cpu = self._roots
            self._slots[key] = SlotV1(memory / str(key), pids / str(key), cpu / str(key) if cpu else None)
        return self._slots[key]

    def close(self) -> None:
        slots, self._slots = self._slots, {}
        for slot in slots.values():
            slot.close()
            for folder in slot.folders:
                _remove(folder)
        for root in self._roots:
            if root:
                _remove(root)


# --- version 2 ------------------------------------------------------------------------------------------------------


class FolderV2(Cgroup):
    """A folder for one job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.marker = str(folder)

    def begin(self, limits: Limits) -> None:
        self._folder.mkdir()
        (self._folder / "memory.max").write_text(str(limits.max_memory_mb * MIB))
        (self._folder / "pids.max").write_text(str(limits.max_processes + INIT))
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            with contextlib.suppress(FileNotFoundError):  # without swap, or before Linux 4.19
                (self._folder / name).write_text(value)

    def join(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid))

    def usage(self) -> Usage:
        processes = _number(self._folder / "pids.current") - INIT
        memory = max(_number(self._folder / "memory.current") - self._file_bytes(), 0)
        return Usage(memory, self.cpu_seconds(), max(processes, 0))

    def cpu_seconds(self) -> float:
        return _field(self._folder / "cpu.stat", "usage_usec") / 1e6

    def peak_bytes(self) -> int | None:
        try:
            peak = _number(self._folder / "memory.peak")  # Linux 5.19
        except FileNotFoundError:
            return None
        return max(peak - self._file_bytes(), 0)

    def _file_bytes(self) -> int:
        """Pages of files on disk; those of folders in memory count as the job's."""
        stat = self._folder / "memory.stat"
        return max(_field(stat, "file") - _field(stat, "shmem"), 0)

    def oom_kills(self) -> int:
        return _field(self._folder / "memory.events", "oom_kill")

    def kill(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # before Linux 5.14: the namespace's init is killed all the same
            (self._folder / "cgroup.kill").write_text("1")

    def finish(self) -> None:
        _remove(self._folder)


class CgroupsV2(Cgroups):
    name = "cgroup v2"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def for_job(self, spawn_id: str, uid: int | None) -> Cgroup:
        self._count += 1  # a job that is run again comes with the same id, while its old folder is being removed
        return FolderV2(self._folder / f"{spawn_id}-{self._count}")

    def close(self) -> None:
        for left in self._folder.iterdir():
            if left.is_dir():
                _remove(left)
        _remove(self._folder)


# --- which one ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Cgroups to use, or why there are none."""

    cgroups: Cgroups | None
    detail: str


async def find(work_root: Path, folder: Path | None) -> Found:
    """Cgroups that this process may use: in the folder it was given, else below its own. Ends what dead spawners left in theirs."""
    return await asyncio.to_thread(_find, work_root, folder)


def _find(work_root: Path, folder: Path | None) -> Found:
    key = f"vx11-{sha256(str(work_root).encode()).hexdigest()[:8]}-"
    mounts, own = _mounts(), _own_paths()
    details = []
    if folder is None and "unified" in mounts:
        folder = mounts["unified"] / own.get("", "/").lstrip("/")
    if folder is not None:
        try:
            return Found(_version_2(folder, key), f"cgroup v2 in {folder}")
        except OSError as refused:
            details.append(f"v2: {refused.strerror or refused}")
    if set(CONTROLLERS) <= set(mounts):
        try:
            return Found(_version_1(mounts, own, key), "cgroup v1")
        except OSError as refused:
            details.append(f"v1: {refused.strerror or refused}")
    return Found(None, "no writable cgroup (" + "; ".join(details or ["none mounted"]) + ")")


def _mounts() -> dict[str, Path]:
    """Where the hierarchies are mounted: `unified` for version 2, names of controllers for version 1."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _device, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found["unified"] = Path(where)
        elif kind == "cgroup":
            found |= {name: Path(where) for name in options.split(",") if name in (*CONTROLLERS, "cpuacct")}
    return found


def _own_paths() -> dict[str, str]:
    """This process's place in each hierarchy, by controller; `""` is version 2."""
    found: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, controllers, place = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), place)
    return found


def _version_2(folder: Path, key: str) -> Cgroups:
    available = (folder / "cgroup.controllers").read_text().split()
    missing = [name for name in CONTROLLERS if name not in available]
    if missing:
        raise OSError(errno.ENOTSUP, f"no {' and '.join(missing)} controller in {folder}")
    wanted = " ".join(f"+{name}" for name in CONTROLLERS)
    try:
        (folder / "cgroup.subtree_control").write_text(wanted)
    except OSError as refused:
        if refused.errno == errno.EBUSY:
            detail = f"processes live in {folder} itself: give a delegated folder without any"
            raise OSError(errno.EBUSY, detail) from refused
        raise
    _reap(folder, key)
    jobs = folder / f"{key}{os.getpid()}"
    jobs.mkdir(exist_ok=True)
    (jobs / "cgroup.subtree_control").write_text(wanted)
    return CgroupsV2(jobs)


def _version_1(mounts: dict[str, Path], own: dict[str, str], key: str) -> Cgroups:
    roots = {}
    for name in (*CONTROLLERS, "cpuacct"):
        if name not in mounts:
            continue
        parent = mounts[name] / own.get(name, "/").lstrip("/")
        if not parent.is_dir():  # a container sees its own place as the root
            parent = mounts[name]
        _reap(parent, key)
        roots[name] = parent / f"{key}{os.getpid()}"
        roots[name].mkdir(exist_ok=True)
    return CgroupsV1(roots["memory"], roots["pids"], roots.get("cpuacct"))


def _reap(parent: Path, key: str) -> None:
    """End what is left in the folders of spawners that are no more, and remove the folders."""
    for folder in parent.glob(f"{key}*"):
        owner = folder.name.removeprefix(key)
        if owner.isdigit() and not tree.is_alive(int(owner)):
            for inner in (*folder.iterdir(), folder):
                if inner.is_dir():
                    kill_all(inner)
                    _remove(inner)


def kill_all(folder: Path) -> int:
    """End every process of a cgroup of either version, if it is there; how many were told to end."""
    killed: set[int] = set()
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        try:
            inside = [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
        except FileNotFoundError:
            break
        if not inside:
            break
        for pid in inside:
            killed.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        time.sleep(0.002)
    return len(killed)


def _remove(folder: Path) -> None:
    """Remove a cgroup; what was killed in it may need a moment to be gone."""
    deadline = time.monotonic() + 2.0
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                return  # the next start removes it
            time.sleep(0.005)
        else:
            return
