"""Starting a process as the uid of a job, without a moment as root and without stopping the event loop for long.

Where spawner is root, every uid of the pool has a thread that has taken that uid for good: credentials belong to threads for the
kernel, and what a thread starts has its credentials (and, in version 1, its cgroups). This saves the `setpriv` on the way, which
costs as much as two bare processes. Where the system call numbers of the machine are not known here, `setpriv` it is.

The threads live as long as the launcher: the kernel takes the end of the thread that started bwrap for the end of its parent.
For the same reason a pool of short-lived threads would not do.
"""

import asyncio
import contextlib
import ctypes
import os
import platform
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from spawner.cgroup import Cgroup

SYSTEM_CALLS = {"x86_64": (116, 117, 119), "aarch64": (159, 147, 149)}
"""setgroups, setresuid, setresgid: the C library's own functions of these names change all threads."""
Result = TypeVar("Result")
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_SET_KEEPCAPS = 38, 24, 8
LAST_CAPABILITY = 63


@dataclass(frozen=True)
class Start:
    """A process to start: `fds` keep their numbers in it, everything else of ours is closed there."""

    argv: Sequence[str]
    stdin: int
    stdout: int
    stderr: int
    fds: Sequence[int] = ()
    env: dict[str, str] | None = None
    cwd: str = "/"
    is_session: bool = False

    def now(self) -> "subprocess.Popen[bytes]":
        """Start it from this thread. No preexec_fn, user or group: with them Python forks instead of vfork."""
        return subprocess.Popen(
            list(self.argv),
            stdin=self.stdin,
            stdout=self.stdout,
            stderr=self.stderr,
            pass_fds=tuple(self.fds),
            close_fds=True,
            env=self.env or {},
            cwd=self.cwd,
            start_new_session=self.is_session,
        )


def setpriv(uid: int, *more: str) -> list[str]:
    """The command line that takes on a uid for good and loses every privilege."""
    ids = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    return ["setpriv", *ids, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", *more, "--"]


class UidThread(threading.Thread):
    """Starts processes as one uid, inside one cgroup, and does for them what only their own uid may."""

    def __init__(self, uid: int, joins: Sequence[Path]) -> None:
        super().__init__(name=f"starts-as-{uid}", daemon=True)
        self._uid, self._joins = uid, joins
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._refused: OSError | None = None

    def run(self) -> None:
        try:
            for file in self._joins:
                file.write_text(str(threading.get_native_id()))
            become(self._uid)
        except OSError as refused:
            self._refused = refused
        while (work := self._asked.get()) is not None:
            work()

    async def call(self, function: Callable[[], Result]) -> Result:
        """What `function` gives when this thread calls it. Raises its OSError, or that of taking on the uid."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()

        def work() -> None:
            try:
                if self._refused:
                    raise self._refused
                settle = partial(answer.set_result, function())
            except OSError as error:
                settle = partial(answer.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop has ended: what was started dies with its parent
                loop.call_soon_threadsafe(settle)

        self._asked.put(work)
        return await answer

    def stop(self) -> None:
        self._asked.put(None)
        self.join(5.0)


def become(uid: int) -> None:
    """Take a uid and gid of that number for this thread alone and for good. Raises OSError, and checks that it is true."""
    libc = ctypes.CDLL(None, use_errno=True)
    setgroups, setresuid, setresgid = SYSTEM_CALLS[platform.machine()]
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # those that the kernel does not have are refused
    steps = (
        (libc.prctl, (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
        (libc.prctl, (PR_SET_KEEPCAPS, 0, 0, 0, 0)),
        (libc.syscall, (setgroups, 0, None)),
        (libc.syscall, (setresgid, uid, uid, uid)),
        (libc.syscall, (setresuid, uid, uid, uid)),
    )
    for call, arguments in steps:
        if call(*arguments) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if not _is_only(uid):
        raise OSError(f"the thread did not become uid {uid}")


def _is_only(uid: int) -> bool:
    lines = Path("/proc/thread-self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    ids = {int(one) for name in ("Uid", "Gid") for one in status[name].split()}
    capabilities = {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    return ids == {uid} and capabilities == {0} and not status["Groups"].split() and status["NoNewPrivs"] == "1"


class Starters:
    """Who starts the processes of which uid."""

    def __init__(self) -> None:
        self._threads: dict[int, UidThread] = {}
        self.has_threads = platform.machine() in SYSTEM_CALLS

    async def start(self, start: Start, uid: int | None, cgroup: Cgroup | None) -> "subprocess.Popen[bytes]":
        """Start it as the job's uid, or as ourselves where there is no pool. Raises OSError when it cannot be started."""
        if uid is None:
            return start.now()
        if not self.has_threads:
            return replace(start, argv=[*setpriv(uid), *start.argv]).now()
        if uid not in self._threads:
            self._threads[uid] = UidThread(uid, cgroup.threads_join if cgroup else ())
            self._threads[uid].start()
        return await self._threads[uid].call(start.now)

    async def as_uid(self, uid: int | None, function: Callable[[], None]) -> None:
        """Call a quick function with the rights of the uid: even root may not set another's limits without CAP_SYS_RESOURCE."""
        if uid in self._threads:
            await self._threads[uid].call(function)
        else:
            function()

    def close(self) -> None:
        for thread in self._threads.values():
            thread.stop()
        self._threads.clear()
