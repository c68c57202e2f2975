"""A job without a sandbox: limits, a session and a uid of its own, and the best that can be done to end all of it.

Not a sandbox: the job sees the machine as any of its users does. Only where settings allow it.
"""

import asyncio
import contextlib
import os
import resource
import time
from datetime import UTC, datetime
from pathlib import Path

from config.contracts.spawner import Reason
from spawner import tree
from spawner.job import Outcome
from spawner.running import Run, rlimits
from spawner.sandbox import ENVIRONMENT
from spawner.starting import Start, setpriv

MARK = "VX11_SPAWN_ID"
SWEEP_TIMEOUT = 5.0  # seconds
NAMES = {
    resource.RLIMIT_CORE: "core",
    resource.RLIMIT_NOFILE: "nofile",
    resource.RLIMIT_FSIZE: "fsize",
    resource.RLIMIT_CPU: "cpu",
    resource.RLIMIT_MEMLOCK: "memlock",
    resource.RLIMIT_SIGPENDING: "sigpending",
    resource.RLIMIT_MSGQUEUE: "msgqueue",
    resource.RLIMIT_RTPRIO: "rtprio",
    resource.RLIMIT_NICE: "nice",
    resource.RLIMIT_DATA: "data",
    resource.RLIMIT_NPROC: "nproc",
}


class BareRun(Run):
    """The command as our child, through `prlimit` and `setpriv`."""

    async def run(self) -> Outcome:
        watching: asyncio.Task[None] | None = None
        deadline: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()
        try:
            self._start()
            assert self.outer is not None
            if (refusal := await self.refusal()) is not None:
                return refusal
            self.started_at = datetime.now(UTC)
            self.told_started()
            timeout = self.job.limits.timeout_seconds
            late = f"it ran longer than {timeout:g} s"
            deadline = loop.call_later(timeout, self.end, Reason.TIMEOUT, late)
            watching = asyncio.create_task(self.watch())
            await self.outer.ended()
            self._reap()
            finished_at = datetime.now(UTC)
            await loop.run_in_executor(self.machine.looking, self._sweep)
            await self.drain()
            await loop.run_in_executor(self.machine.looking, self.tidy)
            return self._outcome(finished_at)
        finally:
            if deadline:
                deadline.cancel()
            if watching:
                watching.cancel()
            self.kill_now()
            self.leave_nothing()
            self.close()

    async def refusal(self) -> Outcome | None:
        """What there is to say where what was started did not become the job's command."""
        return None

    def _start(self) -> None:
        uid = self.job.uid
        kept = [f"--{NAMES[which]}={soft}:{hard}" for which, (soft, hard) in self.kernel_limits().items()]
        # The kernel forgets about the parent's death when the uid changes, so setpriv sets it after that.
        fate = ("--pdeathsig", "KILL")
        drop = setpriv(uid, *fate) if uid is not None else ["setpriv", "--no-new-privs", *fate, "--"]
        env = ENVIRONMENT | {"HOME": str(self.job.folder)} | dict(self.job.env) | {MARK: self.job.spawn_id}
        self.start(["prlimit", *kept, *drop, str(self.job.command), *self.job.args], env=env, cwd=self.job.folder)

    def kernel_limits(self) -> dict[int, tuple[int, int]]:
        """Limits of each of its processes, soft and hard, none above what we have ourselves."""
        # Of a uid of the pool all processes are the job's; of our own they are not, and the limit would be everybody's.
        processes = self.job.limits.max_processes if self.job.uid is not None else None
        found = {}
        for which, (soft, hard) in rlimits(self.job.limits, processes=processes, is_counted=False).items():
            hard_now = resource.getrlimit(which)[1]
            most = hard if hard_now == resource.RLIM_INFINITY else min(hard, hard_now)
            found[which] = (min(soft, most), most)
        return found

    def start(self, argv: list[str], *, env: dict[str, str], cwd: Path, fds: tuple[int, ...] = ()) -> None:
        """Start this as the job, with its input and output. Raises OSError."""
        stdin, (stdout, stderr) = self.stdin(), self.capture()
        self.listen()
        start = Start(argv, stdin, stdout, stderr, fds, env=env, cwd=str(cwd), is_session=True)
        self.process = start.now()
        self.machine.awaited.add(self.process.pid)
        self.outer = tree.Pidfd(self.process.pid)
        self.fds.close(stdin, stdout, stderr)

    def pids(self) -> list[int]:
        """The tree below the command, and what has left it."""
        assert self.outer is not None
        found = {self.outer.pid, *tree.descendants(self.outer.pid), *self._strays()}
        if self.job.uid is not None:
            found |= set(tree.of_uid(self.job.uid))
        return sorted(found)

    def _strays(self) -> list[int]:
        """Orphans of the job: they come to us (we are a subreaper), and still carry its mark unless they took it off."""
        mark = f"{MARK}={self.job.spawn_id}".encode()
        found: list[int] = []
        for pid in tree.children(os.getpid()):
            with contextlib.suppress(OSError):
                if mark in (Path("/proc") / str(pid) / "environ").read_bytes().split(b"\0"):
                    found += (pid, *tree.descendants(pid))
        return found

    def kill_now(self) -> None:
        """The command and its tree at once; strays are swept when it has ended."""
        if self.outer and self.process and self.process.returncode is None:
            tree.kill_tree(self.outer.pid)

    def _sweep(self) -> None:
        """End what is left of the job, and learn of the end of those that came to us."""
        assert self.outer is not None
        deadline = time.monotonic() + SWEEP_TIMEOUT
        while time.monotonic() < deadline:
            left = [pid for pid in self.pids() if pid != self.outer.pid and tree.is_alive(pid)]
            if not left:
                break
            if self.job.uid is not None:
                tree.kill_uid(self.job.uid)
            for pid in left:
                tree.kill_tree(pid)
            time.sleep(0.002)
        for pid in tree.orphaned_zombies():
            if pid not in self.machine.awaited:
                with contextlib.suppress(ChildProcessError):  # another job's sweep was quicker
                    os.waitpid(pid, os.WNOHANG)

    def tidy(self) -> None:
        """Take away what was put into the job's folder for the time of its run, from a thread."""

    def _reap(self) -> None:
        assert self.process is not None
        _pid, status, used = os.wait4(self.process.pid, 0)
        self.machine.awaited.discard(self.process.pid)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = max(self.cpu_seconds, used.ru_utime + used.ru_stime)

    def _outcome(self, finished_at: datetime) -> Outcome:
        assert self.process is not None
        code = self.process.returncode
        stdout, stderr = self.captures
        return Outcome(
            reason=self.reason or Reason.EXITED,
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            detail=self.detail,
            stdout_bytes=stdout.written,
            stderr_bytes=stderr.written,
            is_truncated=stdout.is_truncated or stderr.is_truncated,
            peak_memory_bytes=self.peak_bytes or None,
            cpu_seconds=round(self.cpu_seconds, 6),
            started_at=self.started_at,
            finished_at=finished_at,
        )
