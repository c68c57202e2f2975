"""One job from its start to its end: its process, its limits, its deadline, and the truth about how it ended."""

import asyncio
import contextlib
import fcntl
import math
import os
import resource
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from config.contracts.spawner import Limits, Reason, RuntimeSample
from spawner import tree
from spawner.cgroup import Cgroup, Cgroups
from spawner.folder_size import folder_size
from spawner.job import Job, Marker, Outcome, Watcher
from spawner.memory_guard import Guarded, MemoryGuard
from spawner.output import Capture
from spawner.standstill import Standstill
from spawner.starting import Starters
from spawner.tree import Pidfd, Usage

MIB = 1024 * 1024
F_ADD_SEALS, ALL_SEALS = 1033, 0x000F
OPEN_FILES, PENDING_SIGNALS = 256, 512
CPU_SLACK = 5
"""Seconds of CPU time past what the job may have, after which the kernel itself ends a process, should we not."""
MEMORY_SLACK = 1.2
"""What a process may reserve for itself, to what it may use, where memory is only looked at."""
DRAIN_TIMEOUT = 2.0  # seconds
READS_AT_END = 4
"""Of a pipe that nobody writes to any more, which holds a chunk or two: should somebody do so, it is read in turn with everything else."""
CGROUP_POLL, DISK_POLL, DISK_POLL_NEAR_FULL = 0.1, 0.25, 0.02  # seconds
DISK_BYTES_PER_SECOND = 1024 * MIB
LOOKS_IN_VAIN = 3
BUSY_SHARE = 3
"""A look at a job's files takes time from others: the next one waits at least so many times as long."""


@dataclass(frozen=True)
class Machine:
    """What all jobs of a launcher share."""

    starters: Starters
    looking: Executor
    """Threads for reading /proc, cgroups and folders, which may take longer than the event loop may stand still."""
    cgroups: Cgroups | None
    poll_seconds: float
    sample_seconds: float
    awaited: set[int] = field(default_factory=set)
    """Processes of jobs without a sandbox whose run waits for them itself."""


class Descriptors:
    """Descriptors of ours, each closed once: when it has done its work, or at the end."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def pipe(self) -> tuple[int, int]:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._open |= {reading, writing}
        return reading, writing

    def holding(self, name: str, data: bytes) -> int:
        """A descriptor to read `data` from, which is in memory and no longer changes."""
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._open.add(fd)
        while data:
            data = data[os.write(fd, data) :]
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, F_ADD_SEALS, ALL_SEALS)
        return fd

    def nothing(self) -> int:
        fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._open.add(fd)
        return fd

    def given_away(self, fd: int) -> int:
        """The descriptor, which another closes from now on."""
        self._open.discard(fd)
        return fd

    def close(self, *fds: int) -> None:
        for fd in fds or tuple(self._open):
            if fd in self._open:
                self._open.discard(fd)
                os.close(fd)


@dataclass(frozen=True)
class DiskUse:
    """What one look at a job's files found."""

    disk_bytes: int
    is_whole: bool
    """As in `FolderSize`."""
    is_hidden: bool
    """Whether there may be more in open files without a name, which we were not let see."""


@dataclass(frozen=True)
class Look:
    """What one look at a running job found."""

    usage: Usage
    oom_kills: int


class Run(ABC):
    """A running job: what running it in bubblewrap and running it bare have in common."""

    def __init__(self, job: Job, watcher: Watcher, machine: Machine) -> None:
        self.job, self.watcher, self.machine = job, watcher, machine
        self.fds = Descriptors()
        self.cgroup: Cgroup | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.outer: Pidfd | None = None
        """The process that we started; the job itself may be deeper inside."""
        self.reason: Reason | None = None
        self.detail: str | None = None
        self._deciding = threading.Lock()
        self.started_at = datetime.now(UTC)
        self.peak_bytes = 0
        self.cpu_seconds = 0.0
        self.captures: tuple[Capture, ...] = ()
        self.unwatched_seconds = 0.0
        """For how long it has run when the watching begins."""
        self._guard: MemoryGuard | None = None
        self._next_sample = math.inf

    @abstractmethod
    async def run(self) -> Outcome:
        """All of it. Never cancelled from outside: who wants it to end calls `end`."""

    @abstractmethod
    def kill_now(self) -> None:
        """End all of the job's processes, without waiting."""

    @abstractmethod
    def pids(self) -> list[int]:
        """The job's own processes."""

    def end(self, reason: Reason, detail: str | None = None) -> None:
        """End the job for a reason; the first one stays. May be called from any thread."""
        with self._deciding:
            if self.reason is None:
                self.reason, self.detail = reason, detail
        self.kill_now()

    def leave_nothing(self) -> None:
        """After a fault on the way: the process that was started has been killed, and is waited for, which is a matter of moments."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            self.process.wait()

    def let_be(self) -> None:
        """Look at its memory no more: what it is ended by may be closed now."""
        if self._guard:
            self._guard.stop()

    def close(self) -> None:
        self.let_be()
        if self.outer:
            self.outer.close()
        for capture in self.captures:
            capture.close()
        self.fds.close()

    # --- its output

    def capture(self) -> tuple[int, int]:
        """Get ready to keep stdout and stderr; the writing ends for the job."""
        ends = []
        for name in ("stdout", "stderr"):
            reading, writing = self.fds.pipe()
            keep = self.job.limits.max_output_bytes
            file = self.job.spool / name
            capture = Capture(self.fds.given_away(reading), file, keep, self.watcher.wrote, self._flooded)
            self.captures = (*self.captures, capture)
            ends.append(writing)
        return ends[0], ends[1]

    def stdin(self) -> int:
        data = self.job.stdin
        return self.fds.nothing() if data is None else self.fds.holding("stdin", data)

    def _flooded(self) -> None:
        if self.reason is None:
            self.end(Reason.OUTPUT_LIMIT, "it wrote sixteen times as much as is kept of its output")

    def listen(self) -> None:
        """Read the job's output whenever there is some, from now on."""
        for capture in self.captures:
            capture.listen()

    async def drain(self) -> None:
        """Take what is still in the pipes. Bounded: a descriptor that somebody else holds must not hold us."""
        for capture in self.captures:
            for _ in range(READS_AT_END):
                if not capture.read():
                    break
        if all(capture.done.is_set() for capture in self.captures):
            return
        self.listen()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                for capture in self.captures:
                    await capture.done.wait()

    # --- its limits

    def told_started(self) -> None:
        assert self.outer is not None
        ticks = tree.started_ticks(self.outer.pid) or 0
        marker = Marker(self.outer.pid, ticks, self.job.uid, self.cgroup.marker if self.cgroup else None)
        self.watcher.started(marker)

    async def watch(self) -> None:
        """Look at the job again and again, end it when it uses more than it may, and tell what it uses. Until cancelled."""
        try:
            async with (
                asyncio.TaskGroup() as group
            ):  # apart: counting a folder may take a while, and memory fills meanwhile
                group.create_task(self._watch_cgroup(self.cgroup) if self.cgroup else self._guard_memory())
                group.create_task(self._watch_disk())
        except* OSError as group_of_errors:  # what is not looked at is not limited
            errors = "; ".join(str(error) for error in group_of_errors.exceptions)
            self.end(Reason.KILLED, f"it could not be looked at any more: {errors}")

    async def _watch_cgroup(self, cgroup: Cgroup) -> None:
        loop = asyncio.get_running_loop()
        self._next_sample = time.monotonic() + self.machine.sample_seconds
        unwatched = self.unwatched_seconds
        while self.reason is None:
            await asyncio.sleep(CGROUP_POLL - unwatched)
            unwatched = 0.0
            look = await loop.run_in_executor(self.machine.looking, _look, cgroup)
            self._judge(look)
            self._tell(look.usage)

    async def _guard_memory(self) -> None:
        """From a thread, since the event loop has other things to do when it matters."""
        loop = asyncio.get_running_loop()
        self._next_sample = time.monotonic() + self.machine.sample_seconds
        ended: asyncio.Future[Exception | None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if not ended.done():
                ended.set_result(error)

        def on_loop(call: Callable[[Any], None], argument: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the job ends with us
                loop.call_soon_threadsafe(call, argument)

        def judge(used: Usage) -> bool:
            self._judge(Look(used, 0))
            if time.monotonic() >= self._next_sample:
                on_loop(tell, used)
            return self.reason is None

        def tell(used: Usage) -> None:
            if not ended.done():
                self._tell(used)

        guard = self._guard = MemoryGuard(
            Guarded(self.usage, self.standstill, judge),
            self.job.limits.max_memory_mb * MIB,
            poll_seconds=self.machine.poll_seconds,
            first_pause=max(self.machine.poll_seconds - self.unwatched_seconds, 0),
            ended=partial(on_loop, settle),
        )
        guard.start()
        try:
            failed = await ended
        finally:
            ended.cancel()
            guard.stop()
        if failed:
            raise failed if isinstance(failed, OSError) else OSError(repr(failed)) from failed

    def _tell(self, used: Usage) -> None:
        now = time.monotonic()
        if now < self._next_sample:
            return
        self._next_sample = now + self.machine.sample_seconds
        sample = RuntimeSample(
            at=datetime.now(UTC),
            memory_bytes=used.memory_bytes,
            cpu_seconds=used.cpu_seconds,
            processes=used.processes,
        )
        self.watcher.sampled(sample)

    async def _watch_disk(self) -> None:
        """The less there is left of the folder's limit, the sooner the next look: a job writes at the disk's speed."""
        loop, most = asyncio.get_running_loop(), self.job.limits.max_disk_mb * MIB
        used, took, hidden, unwatched = 0, 0.0, 0, self.unwatched_seconds
        while self.reason is None:
            await asyncio.sleep(max(self.disk_pause(used), took * BUSY_SHARE) - unwatched)
            unwatched = 0.0
            began = time.monotonic()
            size = await loop.run_in_executor(self.machine.looking, self._disk)
            took, used = time.monotonic() - began, size.disk_bytes
            hidden = hidden + 1 if size.is_hidden else 0
            if not size.is_whole:
                self.end(Reason.OUTPUT_LIMIT, "disk: more files or deeper folders than can be counted")
            elif used > most:
                self.end(Reason.OUTPUT_LIMIT, f"disk: it filled more than {self.job.limits.max_disk_mb} MiB")
            elif hidden >= LOOKS_IN_VAIN:
                self.end(Reason.OUTPUT_LIMIT, "disk: it does not let its open files be seen, which may be of any size")
            elif hidden:
                used = most  # a process that is just being started may hide for a moment: look again soon

    def disk_pause(self, used_bytes: int) -> float:
        """Seconds until the job's files are looked at again, of which so much is used."""
        left = self.job.limits.max_disk_mb * MIB - used_bytes
        return min(max(left / DISK_BYTES_PER_SECOND, DISK_POLL_NEAR_FULL), DISK_POLL)

    def usage(self, precise_above: float, exact_above: float) -> Usage:
        """As `tree.usage`, of all of the job."""
        return tree.usage(self.pids(), precise_above=precise_above, exact_above=exact_above)

    standstill: Callable[[], Standstill] | None = None
    """Makes all of it stand still for as long as the `with` lasts; None where a job so stopped could outlive us."""

    def _disk(self) -> DiskUse:
        size = folder_size(self.job.folder)
        unlinked = tree.unlinked(self.pids(), self.job.folder.stat().st_dev)
        is_hidden = not unlinked.is_whole and self.outer is not None and tree.can_see_open_files(self.outer.pid)
        return DiskUse(size.disk_bytes + unlinked.disk_bytes, size.is_whole, is_hidden)

    def _judge(self, look: Look) -> None:
        limits = self.job.limits
        self.peak_bytes = max(self.peak_bytes, look.usage.memory_bytes)
        self.cpu_seconds = max(self.cpu_seconds, look.usage.cpu_seconds)
        if self.reason is not None:
            return
        if look.oom_kills:
            self.end(Reason.OOM, f"it asked for more than {limits.max_memory_mb} MiB of memory")
        elif not self.cgroup and look.usage.memory_bytes > limits.max_memory_mb * MIB:
            self.end(Reason.OOM, f"it used more than {limits.max_memory_mb} MiB of memory")
        elif limits.max_cpu_seconds is not None and look.usage.cpu_seconds > limits.max_cpu_seconds:
            self.end(Reason.TIMEOUT, f"CPU time: it used more than {limits.max_cpu_seconds:g} s")


def _look(cgroup: Cgroup) -> Look:
    return Look(cgroup.usage(), cgroup.oom_kills())


def rlimits(limits: Limits, *, processes: int | None, is_counted: bool = True) -> dict[int, tuple[int, int]]:
    """The kernel's limits of each process, soft and hard. `processes`: of its user, None where that would count others' too.

    `is_counted`: whether a cgroup counts memory. Without one the kernel keeps a single process from the worst between two looks.

    CPU time is that of all threads of a process: without a limit of its own it is what all processors give until the deadline.
    """
    until_deadline = limits.timeout_seconds * (os.cpu_count() or 1)
    cpu = math.ceil(min(until_deadline, limits.max_cpu_seconds or until_deadline)) + CPU_SLACK
    file_size = limits.max_disk_mb * MIB
    found = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NOFILE: (OPEN_FILES, OPEN_FILES),
        resource.RLIMIT_FSIZE: (file_size, file_size),
        resource.RLIMIT_CPU: (cpu, cpu + 1),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_SIGPENDING: (PENDING_SIGNALS, PENDING_SIGNALS),
        resource.RLIMIT_MSGQUEUE: (0, 0),
        resource.RLIMIT_RTPRIO: (0, 0),
        resource.RLIMIT_NICE: (0, 0),
    }
    if not is_counted:
        data = int(limits.max_memory_mb * MIB * MEMORY_SLACK)
        found[resource.RLIMIT_DATA] = (data, data)
    if processes is not None:
        found[resource.RLIMIT_NPROC] = (processes, processes)
    return found


def limit(pid: int, limits: dict[int, tuple[int, int]]) -> None:
    """Raises OSError, or ProcessLookupError when it has ended."""
    for which, (soft, hard) in limits.items():
        try:
            resource.prlimit(pid, which, (soft, hard))
        except (PermissionError, ValueError):
            # A limit that we have ourselves cannot be raised without privileges: the lower one holds.
            most = min(hard, resource.prlimit(pid, which)[1])
            resource.prlimit(pid, which, (min(soft, most), most))


def read_text(path: Path, most: int) -> str:
    """The beginning of a file, for a message; empty when there is none."""
    try:
        with path.open("rb") as file:
            return file.read(most).decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
