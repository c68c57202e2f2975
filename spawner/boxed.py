"""A job in bubblewrap: set up, held back until every limit is in place, released, and gone to the last process."""

import asyncio
import contextlib
import errno
import json
import os
import resource
import signal
from datetime import UTC, datetime
from functools import partial

from config.contracts.spawner import Reason
from spawner import tree
from spawner.folder_size import folder_size
from spawner.job import Job, Outcome, Watcher
from spawner.running import MIB, Machine, Run, limit, read_text, rlimits
from spawner.sandbox import IN_MEMORY, System, command_line, options, packed
from spawner.starting import Start
from spawner.tree import Pidfd, Usage

SETUP_TIMEOUT, GONE_TIMEOUT = 20.0, 10.0  # seconds
BEGINNINGS = 5
LOOKS_FOR_MAIN = (0.0002, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.02, 0.05)  # seconds between them
SIGNALLED = 128
"""bwrap gives the end of its command by signal n as exit code 128 + n, as shells do."""
BWRAP_FAILED = 1
KIB = 1024
INIT = 1


class BoxedRun(Run):
    """bwrap itself (`outer`) waits outside; its child (`init`) is the first process of the sandbox: with it all of it ends."""

    def __init__(
        self, job: Job, watcher: Watcher, machine: Machine, system: System, *, has_proc: bool, seccomp: bytes | None
    ) -> None:
        super().__init__(job, watcher, machine)
        self._system, self._has_proc, self._seccomp = system, has_proc, seccomp
        self._init: Pidfd | None = None
        self._main: Pidfd | None = None
        self._status = b""
        self._is_released = self._is_disk_full = False
        self._orphans: set[int] = set()
        if machine.cgroups:
            self.cgroup = machine.cgroups.for_job(job.spawn_id, job.uid)

    async def run(self) -> Outcome:
        tasks: list[asyncio.Task[None]] = []
        deadline: asyncio.TimerHandle | None = None
        try:
            if self.cgroup and self.cgroup.finishing:
                await asyncio.wait([asyncio.wrap_future(self.cgroup.finishing)])
            status, release = await self._start()
            await self._begin_counting()  # while bwrap starts: the job itself is held back
            await self._find_init(status)
            if self._init and self.reason is None and await self._limit() and self._let_go(release):
                self.told_started()
                timeout = self.job.limits.timeout_seconds
                late = f"it ran longer than {timeout:g} s"
                deadline = asyncio.get_running_loop().call_later(timeout, self.end, Reason.TIMEOUT, late)
                tasks = [asyncio.create_task(self.watch()), asyncio.create_task(self._find_main())]
            else:
                self.kill_now()
            await self._gone()
            finished_at = datetime.now(UTC)
            if deadline:
                deadline.cancel()
            await self.drain()
            self._read_status(status)
            await self._look_at_disk()
            return self._outcome(finished_at)
        finally:
            if deadline:
                deadline.cancel()
            for task in tasks:
                task.cancel()
            self.kill_now()
            self.leave_nothing()
            self.close()
            if self.cgroup:
                self.cgroup.finishing = self.machine.looking.submit(self.cgroup.finish)

    def close(self) -> None:
        for one in (self._init, self._main):
            if one:
                one.close()
        super().close()

    # --- start

    async def _start(self) -> tuple[int, int]:
        """Start bwrap; the descriptors to read its status from and to release the job with."""
        status, status_end = self.fds.pipe()
        block_end, release = self.fds.pipe()
        stdin, (stdout, stderr) = self.stdin(), self.capture()
        words = options(self.job, self._system, has_proc=self._has_proc)
        args = self.fds.holding("args", packed(words))
        seccomp = self.fds.holding("filter", self._seccomp) if self._seccomp else None
        argv = command_line(
            self._system, self.job, args_fd=args, status_fd=status_end, block_fd=block_end, seccomp_fd=seccomp
        )
        given = [fd for fd in (status_end, block_end, args, seccomp) if fd is not None]
        start = Start(argv, stdin, stdout, stderr, fds=given)
        self.process = await self.machine.starters.start(start, self.job.uid, self.cgroup)
        self.outer = Pidfd(self.process.pid)
        self.fds.close(*given, stdin, stdout, stderr)
        os.set_blocking(status, False)
        return status, release

    async def _find_init(self, status: int) -> None:
        """Wait until bwrap says who its child is; it says nothing when it cannot set up the sandbox."""
        loop, said = asyncio.get_running_loop(), asyncio.Event()

        def read() -> None:
            if not self._read_status(status) or b"\n" in self._status:
                said.set()

        loop.add_reader(status, read)
        try:
            async with asyncio.timeout(SETUP_TIMEOUT):
                await said.wait()
        except TimeoutError:
            self.end(Reason.REFUSED, f"the sandbox was not set up within {SETUP_TIMEOUT:g} s")
        finally:
            loop.remove_reader(status)
        pid = self._said("child-pid")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                self._init = Pidfd(pid)

    def _read_status(self, status: int) -> bool:
        """Take what bwrap has said so far; False when it will say no more."""
        while True:
            try:
                data = os.read(status, 4096)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._status += data

    def _said(self, name: str) -> int | None:
        for line in self._status.splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # cut off by its end
                value = json.loads(line).get(name)
                if value is not None:
                    return int(value)
        return None

    async def _begin_counting(self) -> None:
        """Set the cgroup's limits. Pages of files that an earlier job left may stand in the way of a lower one: they are given back."""
        if not self.cgroup:
            return
        for tries_left in reversed(range(BEGINNINGS)):
            try:
                self.cgroup.begin(self.job.limits)
            except OSError as error:
                if error.errno != errno.EBUSY or not tries_left:
                    self.end(Reason.REFUSED, f"its cgroup could not be set up: {error}")
                    return
                await asyncio.get_running_loop().run_in_executor(self.machine.looking, self.cgroup.finish)
            else:
                return

    async def _limit(self) -> bool:
        """Put the limits on the sandbox's first process, which all others have them from; False when it has ended meanwhile."""
        assert self._init is not None
        try:
            processes = self.job.limits.max_processes + INIT
            kept = rlimits(self.job.limits, processes=processes, is_counted=self.cgroup is not None)
            await self.machine.starters.as_uid(self.job.uid, partial(limit, self._init.pid, kept))
            if self.cgroup and not self.cgroup.threads_join:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self.machine.looking, self.cgroup.join, self._init.pid)
        except ProcessLookupError:
            return False
        except OSError as error:
            self.end(Reason.REFUSED, f"its limits could not be set: {error}")
        return self.reason is None

    def _let_go(self, release: int) -> bool:
        """Let the job begin; False when its sandbox has failed meanwhile, and nobody waits for the word."""
        with contextlib.suppress(BrokenPipeError):
            os.write(release, b"x")
            self._is_released = True
        return self._is_released

    # --- while it runs

    async def _find_main(self) -> None:
        """Hold on to the command's own process: the kernel says of it whether it was ended by a signal, which bwrap does not."""
        assert self._init is not None
        for pause in LOOKS_FOR_MAIN:
            for pid in tree.children(self._init.pid)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    self._main = Pidfd(pid)
                    return
            await asyncio.sleep(pause)

    def pids(self) -> list[int]:
        return tree.descendants(self._init.pid) if self._init else []

    def usage(self) -> Usage:
        """Of the tree, and what lies in its folders in memory."""
        assert self._init is not None
        in_folders = tree.tmpfs_bytes(self._init.pid, IN_MEMORY)
        used = tree.usage(self.pids(), precise_above=self.job.limits.max_memory_mb * MIB - in_folders)
        return Usage(used.memory_bytes + in_folders, used.cpu_seconds, used.processes)

    def kill_now(self) -> None:
        if self._init:
            self._init.kill()
            if self.cgroup:
                self.cgroup.kill()
        elif self.outer and self.process and self.process.returncode is None:
            # Stopped before it is killed: a child that we have not been told of yet must not be missed.
            self._orphans |= tree.kill_tree(self.outer.pid) - {self.outer.pid}

    def leave_nothing(self) -> None:
        """Also a child of bwrap that we were never told of: with bwrap's end it has come to us."""
        super().leave_nothing()
        for pid in self._orphans:
            with contextlib.suppress(ChildProcessError):  # deeper inside: it went with its init
                os.waitpid(pid, 0)
        self._orphans.clear()

    # --- its end

    async def _gone(self) -> None:
        """Wait until bwrap and the sandbox's first process have ended: the kernel ends an init only after all the others."""
        assert self.outer is not None
        await self.outer.ended()
        if self._init:
            self._init.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GONE_TIMEOUT):
                    await self._init.ended()
        self._reap()

    def _reap(self) -> None:
        assert self.process is not None
        _pid, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        cpu = used.ru_utime + used.ru_stime
        if self._init:
            # It has come to us if bwrap ended first; otherwise bwrap has waited for it and its times are in bwrap's.
            with contextlib.suppress(ChildProcessError):
                pid, _status, inner = os.wait4(self._init.pid, os.WNOHANG)
                if pid:
                    cpu += inner.ru_utime + inner.ru_stime
                    if (
                        not self.cgroup
                    ):  # counts pages of files too, but is all there is for what was too quick to be looked at
                        self.peak_bytes = max(self.peak_bytes, inner.ru_maxrss * KIB)
        self.cpu_seconds = max(self.cpu_seconds, cpu)

    def _outcome(self, finished_at: datetime) -> Outcome:
        code, number = self._end_of_command()
        reason, detail = self.reason, self.detail
        if self.cgroup:
            self.peak_bytes = max(self.peak_bytes, self.cgroup.peak_bytes() or 0)
            self.cpu_seconds = max(self.cpu_seconds, self.cgroup.cpu_seconds())
            if self.cgroup.oom_kills() and reason is None:
                reason, detail = Reason.OOM, f"it asked for more than {self.job.limits.max_memory_mb} MiB of memory"
        if reason is None:
            reason, detail = self._reason_of(code, number)
        elif number is None and code is None and self._is_released:
            number = signal.SIGKILL
        stdout, stderr = self.captures
        return Outcome(
            reason=reason,
            exit_code=code,
            signal=number,
            detail=detail,
            stdout_bytes=stdout.written,
            stderr_bytes=stderr.written,
            is_truncated=stdout.is_truncated or stderr.is_truncated,
            peak_memory_bytes=self.peak_bytes or None,
            cpu_seconds=round(self.cpu_seconds, 6),
            started_at=self.started_at,
            finished_at=finished_at,
        )

    def _end_of_command(self) -> tuple[int | None, int | None]:
        """Exit code or signal of the command itself; neither where it never ran or was ended with its sandbox.

        The kernel's word where we have it. Without (before Linux 6.15, and for commands of less than a millisecond or so that we
        did not see) 128 + n may be the command's own exit code or its end by signal n: it is told as the code that was given.
        """
        code_said = self._said("exit-code")
        if code_said is None or not self._is_released:
            return None, None  # bwrap does not say it of a command that could not be started
        wait_status = self._main.wait_status() if self._main else None
        if wait_status is not None and self.reason is None:
            code = os.waitstatus_to_exitcode(wait_status)
            return (code, None) if code >= 0 else (None, -code)
        if self.reason is not None:
            # Ours was the kill, unless the command was quicker.
            return (None, None) if code_said == SIGNALLED + signal.SIGKILL else (code_said, None)
        if SIGNALLED < code_said <= SIGNALLED + signal.SIGRTMAX:
            self.detail = (
                f"exit code {code_said} may also be signal {code_said - SIGNALLED}: they cannot be told apart here"
            )
        return code_said, None

    def _used_all_cpu_time(self) -> bool:
        return self.cpu_seconds >= rlimits(self.job.limits, processes=None)[resource.RLIMIT_CPU][0]

    async def _look_at_disk(self) -> None:
        """Whether its files fill its limit: what an exit code that may be SIGXFSZ is then taken for."""
        if self._said("exit-code") == SIGNALLED + signal.SIGXFSZ:
            size = await asyncio.get_running_loop().run_in_executor(self.machine.looking, folder_size, self.job.folder)
            self._is_disk_full = size.disk_bytes >= self.job.limits.max_disk_mb * MIB

    def _reason_of(self, code: int | None, number: int | None) -> tuple[Reason, str | None]:
        if number == signal.SIGXCPU or (
            code == SIGNALLED + signal.SIGXCPU and self.detail and self._used_all_cpu_time()
        ):
            return Reason.TIMEOUT, "CPU time: one of its processes used all it may"
        if number == signal.SIGXFSZ or (code == SIGNALLED + signal.SIGXFSZ and self.detail and self._is_disk_full):
            return Reason.OUTPUT_LIMIT, f"disk: a file of more than {self.job.limits.max_disk_mb} MiB"
        if code is not None or number is not None:
            return Reason.EXITED, self.detail
        if self._is_released and self.process and self.process.returncode != BWRAP_FAILED:
            return Reason.KILLED, "its sandbox was ended from outside"
        said = read_text(self.job.spool / "stderr", 1000)
        return Reason.REFUSED, f"it could not be started: {said or 'the sandbox gave no reason'}"
