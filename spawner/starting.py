"""Starting a process as the uid of a job, without a moment as root and without stopping the event loop for long.

Each job has a thread of ours to itself, which starts its sandbox and waits for its end: with the event loop in between, each of the
steps on the way would wait for its turn there. Where spawner is root the thread has taken the job's uid for good: credentials belong to
threads for the kernel, and what a thread starts has its credentials (and, in version 1, its cgroups). This saves the `setpriv` on the
way, which costs as much as two bare processes. Where the system call numbers of the machine are not known here, `setpriv` it is.

A thread outlives its job, and waits for the next of the same uid: the kernel takes the end of the thread that started bwrap for the
end of its parent.
"""

import asyncio
import contextlib
import ctypes
import os
import platform
import queue
import select
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from spawner import mounts
from spawner.cgroup import Cgroup

SYSTEM_CALLS = {"x86_64": (116, 117, 119), "aarch64": (159, 147, 149)}
"""setgroups, setresuid, setresgid: the C library's own functions of these names change all threads."""
Result = TypeVar("Result")
MakeRoot = Callable[[], Path]
Lend = Callable[[Sequence[Path], int], Mapping[Path, Path]]
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_SET_KEEPCAPS = 38, 24, 8
LAST_CAPABILITY = 63

log = structlog.get_logger()


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


class Hand(threading.Thread):
    """Does what is asked of it, one thing after the other, as one uid and inside one cgroup; as ourselves where `uid` is None."""

    def __init__(
        self,
        uid: int | None,
        joins: Sequence[Path] = (),
        make_root: MakeRoot | None = None,
        lend: Callable[[], Mapping[Path, Path]] | None = None,
    ) -> None:
        super().__init__(name=f"starts-as-{uid or 'ourselves'}", daemon=True)
        self._uid, self._joins, self._make_root, self._lend = uid, joins, make_root, lend
        self.root: Path | None = None
        """Where this thread, and what it starts, has the system's part of a sandbox put together; None where it has not (yet)."""
        self.lent: Mapping[Path, Path] = {}
        """Where it sees files of ours that a job may read, as `lent.lend` says."""
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._refused: OSError | None = None

    def run(self) -> None:
        try:
            for file in self._joins:
                file.write_text(str(threading.get_native_id()))
            if self._uid is not None:
                root = self._mounts()
                become(self._uid)
                self.root = root
        except OSError as refused:
            self._refused = refused
        while (work := self._asked.get()) is not None:
            work()

    def _mounts(self) -> Path | None:
        if not mounts.of_this_thread():
            return None
        if self._lend is not None:
            try:
                self.lent = self._lend()
            except OSError as refused:  # then what the job's user cannot read stays closed to it
                log.info("nothing_lent", error=str(refused))
        if self._make_root is None:
            return None
        try:
            return self._make_root()
        except OSError as refused:  # then each job has it put together by bwrap
            log.info("no_prepared_root", error=str(refused))
            return None

    @property
    def is_refused(self) -> bool:
        """Whether it could not become what it should be; it never will."""
        return self._refused is not None

    async def call(self, function: Callable[[], Result]) -> Result:
        """What `function` gives when this thread calls it. Raises what it raises, or the OSError of taking on the uid."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()

        def work() -> None:
            try:
                if self._refused:
                    raise self._refused
                settle = partial(answer.set_result, function())
            except Exception as error:  # noqa: BLE001 - it is raised where it was asked for, and the thread goes on
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
    """The threads that jobs are started from."""

    def __init__(self, make_root: MakeRoot | None = None, lend: Lend | None = None) -> None:
        """Called as root, in mounts of the thread's own. `make_root`: puts together what all sandboxes have in common; says where. `lend`:
        shows files to a uid, as `lent.lend` does."""
        self._make_root, self._lend = make_root, lend
        self._idle: dict[int | None, list[Hand]] = {}
        self._busy: set[Hand] = set()
        self._takes_uids = platform.machine() in SYSTEM_CALLS
        self._mounts: Mounts | None = None

    def argv(self, argv: list[str], uid: int | None) -> list[str]:
        """What a hand for the uid has to start for `argv` to run as it."""
        return argv if uid is None or self._takes_uids else [*setpriv(uid), *argv]

    @contextlib.contextmanager
    def hand(self, uid: int | None, cgroup: Cgroup | None, lent: Sequence[Path] = ()) -> Iterator[Hand]:
        """A thread for one job that runs as `uid`, or as ourselves where there is no pool. One that files are lent to is for this job
        alone."""
        if self._mounts is None:
            self._mounts = Mounts()
        if self._mounts.have_changed():
            self._stop_idle()  # they may not see what is new
        idle = self._idle.setdefault(uid, [])
        hand = idle.pop() if idle and not lent else self._new(uid, cgroup, lent)
        self._busy.add(hand)
        seen = self._mounts.changes
        try:
            yield hand
        finally:
            self._busy.discard(hand)
            if self._mounts is not None and seen == self._mounts.changes and not hand.is_refused and not lent:
                idle.append(hand)
            else:
                hand.stop()

    def _new(self, uid: int | None, cgroup: Cgroup | None, lent: Sequence[Path]) -> Hand:
        if uid is None or not self._takes_uids:
            hand = Hand(None)
        else:
            lend = partial(self._lend, lent, uid) if self._lend is not None and lent else None
            hand = Hand(uid, cgroup.threads_join if cgroup else (), self._make_root, lend)
        hand.start()
        return hand

    def _stop_idle(self) -> None:
        for hands in self._idle.values():
            while hands:
                hands.pop().stop()

    def close(self) -> None:
        """End the threads, none of which may have a job; new ones are made where they are asked for again."""
        self._stop_idle()
        if self._mounts is not None:
            self._mounts.close()
            self._mounts = None


class Mounts:
    """Tells when something was mounted or unmounted on this machine."""

    def __init__(self) -> None:
        self.changes = 0
        self._file = os.open("/proc/self/mounts", os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLPRI)

    def have_changed(self) -> bool:
        """Whether there was a change since the last time this was asked."""
        has_changed = bool(self._poll.poll(0))
        self.changes += has_changed
        return has_changed

    def close(self) -> None:
        os.close(self._file)
