"""A job in bubblewrap: set up, held back until every limit is in place, released, and gone to the last process.

All of that happens in a thread that the job has to itself. What others share, its output, its cgroup and what it uses, is looked after on
the event loop.
"""

import asyncio
import contextlib
import errno
import json
import math
import os
import resource
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from config.contracts.spawner import Reason
from spawner import tree
from spawner.folder_size import folder_size
from spawner.job import Job, Outcome, Watcher
from spawner.running import CGROUP_POLL, MIB, Machine, Run, limit, read_text, rlimits
from spawner.sandbox import IN_MEMORY, System, command_line, options, packed
from spawner.standstill import Standstill
from spawner.starting import Start
from spawner.tree import Pidfd, Usage

SETUP_TIMEOUT, GONE_TIMEOUT = 20.0, 10.0  # seconds
BEGINNINGS = 5
LONGEST_WAIT_FOR_MAIN = 5.0  # seconds
LOOKS_FOR_MAIN = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02)  # seconds between them
OUTPUT_WAITS = 0.003
"""Seconds that output may wait for the job's end, which has it read in one go, before it is read as it comes."""
SETTING_UP = 0.002  # seconds
NICE = 5
"""Of a job whose memory is only looked at: who looks, and whoever holds Python's lock meanwhile, comes first."""
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._init: Pidfd | None = None
        self._main: Pidfd | None = None
        self._status = b""
        self._has_failed = self._is_set_up = self._is_released = self._is_disk_full = self._is_over = False
        self._watching_soon: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None
        self._orphans: set[int] = set()
        if machine.cgroups:
            self.cgroup = machine.cgroups.for_job(job.spawn_id, job.uid)

    async def run(self) -> Outcome:
        self._loop = asyncio.get_running_loop()
        try:
            if self.cgroup and self.cgroup.finishing and not self.cgroup.finishing.done():
                await asyncio.wait([asyncio.wrap_future(self.cgroup.finishing)])
            await self._begin_counting()
            if self.reason is not None:
                return self._not_started()
            lends = [one.source for one in self.job.mounts if one.is_lent]
            with self.machine.starters.hand(self.job.uid, self.cgroup, lends) as hand:
                lent = await hand.call(lambda: hand.lent) if lends else {}  # it has to get ready first
                start, status, release = self._prepared(hand.root, lent)
                if self.cgroup and not self.cgroup.threads_join:
                    await hand.call(partial(self._set_up, start, status))
                    await self._join()
                    await hand.call(partial(self._see_out, release))
                else:
                    await hand.call(partial(self._live, start, status, release))
            finished_at = datetime.now(UTC)
            await self.drain()
            self._read_status(status)
            await self._look_at_disk()
            return self._outcome(finished_at)
        finally:
            self._is_over = True
            if self._watching_soon:
                self._watching_soon.cancel()
            if self._watching:
                self._watching.cancel()
            self.kill_now()
            self.leave_nothing()
            self.close()
            if self.cgroup and self.cgroup.needs_finish():
                self.cgroup.finishing = self.machine.looking.submit(self.cgroup.finish)

    def close(self) -> None:
        self.let_be()
        for one in (self._init, self._main):
            if one:
                one.close()
        super().close()

    # --- before it starts

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

    def _prepared(self, root: Path | None, lent: Mapping[Path, Path]) -> tuple[Start, int, int]:
        """What is to be started; the descriptors to read bwrap's status from and to release the job with."""
        status, status_end = self.fds.pipe()
        block_end, release = self.fds.pipe()
        os.set_blocking(status, False)
        stdin, (stdout, stderr) = self.stdin(), self.capture()
        mounts = tuple(replace(one, source=lent.get(one.source, one.source)) for one in self.job.mounts)
        job = replace(self.job, mounts=mounts)
        words = options(job, replace(self._system, prepared=root), has_proc=self._has_proc)
        args = self.fds.holding("args", packed(words))
        seccomp = self.fds.holding("filter", self._seccomp) if self._seccomp else None
        argv = command_line(
            self._system, self.job, args_fd=args, status_fd=status_end, block_fd=block_end, seccomp_fd=seccomp
        )
        given = [fd for fd in (status_end, block_end, args, seccomp) if fd is not None]
        argv = self.machine.starters.argv(argv, self.job.uid)
        return Start(argv, stdin, stdout, stderr, fds=given), status, release

    def _not_started(self) -> Outcome:
        now = datetime.now(UTC)
        assert self.reason is not None
        return Outcome(self.reason, None, None, self.detail, 0, 0, False, None, None, now, now)

    # --- its life, in a thread of its own: nothing here waits for the event loop

    def _live(self, start: Start, status: int, release: int) -> None:
        self._set_up(start, status)
        self._see_out(release)

    def _set_up(self, start: Start, status: int) -> None:
        """Start bwrap, find the sandbox's first process and put the limits on it. Where that fails, `reason` says so, or bwrap itself."""
        if self.reason is not None:
            return  # killed before anything was there
        self.process = start.now()
        self.outer = Pidfd(self.process.pid)
        self.fds.close(*start.fds, start.stdin, start.stdout, start.stderr)
        self._find_init(status)
        if self._init and self.reason is None:
            self._limit()

    def _find_init(self, status: int) -> None:
        """Wait until bwrap says who its child is; it says nothing when it cannot set up the sandbox."""
        until = time.monotonic() + SETUP_TIMEOUT
        said = select.poll()
        said.register(status, select.POLLIN)
        while self._read_status(status) and b"\n" not in self._status:
            left = until - time.monotonic()
            if left <= 0 or self.reason is not None:
                self.end(Reason.REFUSED, f"the sandbox was not set up within {SETUP_TIMEOUT:g} s")
                break
            said.poll(left * 1000)
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
        wanted = f'"{name}"'.encode()
        for line in self._status.splitlines():
            if wanted in line:
                with contextlib.suppress(json.JSONDecodeError):  # cut off by its end
                    return int(json.loads(line)[name])
        return None

    def limits(self) -> dict[int, tuple[int, int]]:
        """The kernel's limits of each of its processes."""
        return rlimits(
            self.job.limits, processes=self.job.limits.max_processes + INIT, is_counted=self.cgroup is not None
        )

    def _limit(self) -> None:
        """Put the limits on the sandbox's first process, which all others have them from."""
        assert self._init is not None
        try:
            limit(self._init.pid, self.limits())
            if self.cgroup is None:
                os.setpriority(os.PRIO_PROCESS, self._init.pid, NICE)
        except ProcessLookupError:
            self._has_failed = True
        except OSError as error:
            self.end(Reason.REFUSED, f"its limits could not be set: {error}")

    async def _join(self) -> None:
        """Take the sandbox into its cgroup."""
        if not self._init or not self.cgroup or self.reason is not None:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self.machine.looking, self.cgroup.join, self._init.pid)
        except ProcessLookupError:
            self._has_failed = True
        except OSError as error:
            self.end(Reason.REFUSED, f"its limits could not be set: {error}")

    def _see_out(self, release: int) -> None:
        """Let the job begin, end it at its deadline, and come back when it has gone to the last process."""
        if self.process is None:
            return
        if self._init and not self._has_failed and self.reason is None and self._let_go(release):
            deadline = time.monotonic() + self.job.limits.timeout_seconds
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the job ends with us
                self._loop.call_soon_threadsafe(self._began)
            self._find_main(release)
            self._wait(deadline)
        else:
            self.kill_now()
            self._wait(math.inf)
        self._gone()

    def _let_go(self, release: int) -> bool:
        """Let the job begin; False when its sandbox has failed meanwhile, and nobody waits for the word."""
        self.started_at = datetime.now(UTC)
        with contextlib.suppress(BrokenPipeError):
            os.write(release, b"x")
            self._is_released = True
        return self._is_released

    def _find_main(self, release: int) -> None:
        """Hold on to the command's own process: the kernel says of it whether it was ended by a signal, which bwrap does not."""
        assert self._init is not None
        assert self.outer is not None
        heard = select.poll()
        heard.register(release, 0)  # the other end is closed when bwrap has heard the word: the command starts then
        heard.register(self.outer.fileno(), select.POLLIN)
        heard.poll(LONGEST_WAIT_FOR_MAIN * 1000)
        self._is_set_up = True
        for pause in LOOKS_FOR_MAIN:
            for pid in tree.children(self._init.pid)[:1]:
                with contextlib.suppress(OSError):
                    self._main = Pidfd(pid)
                return
            time.sleep(pause)

    def _wait(self, deadline: float) -> None:
        """Wait until bwrap has ended. Output of a job that goes on after writing some is read on the event loop."""
        assert self.outer is not None
        assert self._loop is not None
        events = select.poll()
        events.register(self.outer.fileno(), select.POLLIN)
        for capture in self.captures:
            events.register(capture.pipe, select.POLLIN)
        listen_at = math.inf
        while True:
            until = min(deadline, listen_at) - time.monotonic()
            ready = dict(events.poll(max(until, 0) * 1000 if until < math.inf else None))
            if self.outer.fileno() in ready:
                return
            for pipe, event in ready.items():
                events.unregister(pipe)
                if event & select.POLLIN:
                    listen_at = min(listen_at, time.monotonic() + OUTPUT_WAITS)
            now = time.monotonic()
            if now >= deadline:
                deadline = math.inf
                self.end(Reason.TIMEOUT, f"it ran longer than {self.job.limits.timeout_seconds:g} s")
            if now >= listen_at:
                listen_at = math.inf
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._listen)

    def _gone(self) -> None:
        """Wait until the sandbox's first process has ended too: the kernel ends an init only after all the others."""
        if self._init:
            self._init.kill()
            gone = select.poll()
            gone.register(self._init.fileno(), select.POLLIN)
            gone.poll(GONE_TIMEOUT * 1000)
        self._reap()

    # --- while it runs, on the event loop

    def _began(self) -> None:
        if self._is_over:
            return
        self.told_started()
        self._watch_soon()

    def _watch_soon(self) -> None:
        """Where a cgroup holds the limits, who is quick need not be looked at; and nobody while bwrap, which hides, still sets up."""
        self.unwatched_seconds = min(self.disk_pause(0), CGROUP_POLL) if self.cgroup else SETTING_UP
        self._watching_soon = asyncio.get_running_loop().call_later(self.unwatched_seconds, self._watch)

    def _watch(self) -> None:
        if not self._is_set_up:
            self._watch_soon()
            return
        self._watching = asyncio.create_task(self.watch())

    def _listen(self) -> None:
        if not self._is_over:
            self.listen()

    def pids(self) -> list[int]:
        return tree.descendants(self._init.pid) if self._init else []

    def usage(self, precise_above: float, exact_above: float) -> Usage:
        """Of the tree, and what lies in its folders in memory."""
        assert self._init is not None
        in_folders = tree.tmpfs_bytes(self._init.pid, IN_MEMORY)
        used = tree.usage(self.pids(), precise_above=precise_above - in_folders, exact_above=exact_above - in_folders)
        return replace(used, memory_bytes=used.memory_bytes + in_folders)

    def standstill(self) -> Standstill:
        """Bubblewrap's own processes go on; with its first one the others end, stopped or not."""
        return Standstill(self.pids)

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
