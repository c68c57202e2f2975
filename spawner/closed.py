"""A job in a box without namespaces: as a bare one, but started through a process that first closes the machine to itself.

For containers that allow no namespaces: files, the network and other processes are kept from the job by Landlock and filters of system
calls. What it cannot do is show things elsewhere than they lie, or hide which other processes there are.
"""

import asyncio
import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from config.contracts.spawner import Reason
from spawner import landlock, seccomp
from spawner.bare import MARK, BareRun
from spawner.folders import opened, remove_tree
from spawner.job import Job, Mount, Outcome, Watcher
from spawner.running import Machine
from spawner.sandbox import ENVIRONMENT

PROGRAM = Path(__file__).with_name("restricted.py")
MOST_TOLD = 4096  # bytes


class ClosedRun(BareRun):
    """The command as our child, which has closed the machine to itself."""

    def __init__(
        self, job: Job, watcher: Watcher, machine: Machine, system_mounts: tuple[Mount, ...], abi: int
    ) -> None:
        super().__init__(job, watcher, machine)
        self._system_mounts, self._abi = system_mounts, abi
        self._says: int | None = None

    async def run(self) -> Outcome:
        if (target := landlock.misplaced(self.job)) is not None:
            return self._refused(f"it takes a sandbox with mounts to show a job something at {target}")
        return await super().run()

    def _start(self) -> None:
        says, tells = self.fds.pipe()
        told = self.fds.holding("restrictions", json.dumps(self._restrictions()).encode())
        # Neither the variables nor the words of the job are in the command line or the environment of what still has our rights.
        argv = [sys.executable, "-I", "-S", str(PROGRAM), str(told), str(tells)]
        self.start(argv, env={}, cwd=Path("/"), fds=(told, tells))
        self.fds.close(told, tells)
        self._says = says

    def _restrictions(self) -> dict[str, object]:
        job = self.job
        tmp = str(job.folder / landlock.TMP)
        own = {"HOME": str(job.folder), "TMPDIR": tmp}
        ours = seccomp.compiled(is_counted=False)
        more = landlock.compiled(has_network=job.has_network, has_own_user=job.uid is not None)
        return {
            "parent": os.getpid(),
            "uid": job.uid,
            "folder": str(job.folder),
            "tmp": tmp,
            "argv": [str(job.command), *job.args],
            "env": ENVIRONMENT | own | dict(job.env) | {MARK: job.spawn_id},
            "limits": list(self.kernel_limits().items()),
            "abi": self._abi,
            "files": list(landlock.files(job, self._system_mounts)),
            "has_network": job.has_network,
            "filters": [one.hex() for one in (ours, more) if one],
        }

    async def refusal(self) -> Outcome | None:
        """Waits until the command itself runs, which is when the pipe's other end is closed with nothing said."""
        assert self._says is not None
        error = await asyncio.get_running_loop().run_in_executor(self.machine.looking, os.read, self._says, MOST_TOLD)
        if not error:
            return None
        assert self.outer is not None
        await self.outer.ended()
        self._reap()
        return self._refused(f"it could not be closed in: {error.decode(errors='replace')}")

    def _refused(self, detail: str) -> Outcome:
        now = datetime.now(UTC)
        return Outcome(Reason.REFUSED, None, None, detail, 0, 0, False, None, None, now, now)

    def tidy(self) -> None:
        with contextlib.suppress(OSError), opened(self.job.folder) as folder:
            remove_tree(folder, landlock.TMP)
