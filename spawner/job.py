"""What passes between the service, which decides, and the launcher, which runs: a job that may be run, and how it went."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from config.contracts.spawner import Limits, Protections, Reason, RuntimeSample


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine that the job sees at `target`."""

    source: Path
    target: str
    is_writable: bool = False
    is_lent: bool = False
    """Whether the job reads it as its owner does, where the job has a user of its own and the kernel can show it so."""


@dataclass(frozen=True)
class Job:
    """A process that policy has let through. Its folder exists, holds the inputs, belongs to `uid` and is /job to it."""

    spawn_id: str
    command: Path
    """Absolute and resolved, inside an allowed folder."""
    args: tuple[str, ...]
    env: Mapping[str, str]
    """What the job asked for; PATH, HOME and the like are added by the launcher."""
    folder: Path
    spool: Path
    """Folder, not visible to the job, where the launcher writes the files `stdout` and `stderr`, each up to its limit."""
    stdin: bytes | None
    limits: Limits
    has_network: bool = False
    mounts: tuple[Mount, ...] = ()
    uid: int | None = None
    """The uid of the pool to run as, where spawner is root; None where it is not."""


@dataclass(frozen=True)
class Marker:
    """How a job's processes are found again by the next spawner, after a kill of this one."""

    pid: int
    started_ticks: int
    """The process's start time in clock ticks since boot (field 22 of /proc/PID/stat): a pid alone may be somebody else's by then."""
    uid: int | None
    cgroup: str | None

    def as_json(self) -> dict[str, Any]:
        return {"pid": self.pid, "started_ticks": self.started_ticks, "uid": self.uid, "cgroup": self.cgroup}


@dataclass(frozen=True)
class Outcome:
    """How a job went; times of the kernel where it keeps them."""

    reason: Reason
    exit_code: int | None
    signal: int | None
    detail: str | None
    stdout_bytes: int
    """All that was written, kept or not."""
    stderr_bytes: int
    is_truncated: bool
    peak_memory_bytes: int | None
    cpu_seconds: float | None
    started_at: datetime
    finished_at: datetime


@dataclass
class Watcher:
    """What the launcher tells while a job runs; every call is quick and never waits."""

    started: Callable[[Marker], None] = field(default=lambda _marker: None)
    wrote: Callable[[], None] = field(default=lambda: None)
    """Something was added to a file in the spool."""
    sampled: Callable[[RuntimeSample], None] = field(default=lambda _sample: None)


class Launcher(Protocol):
    """Runs jobs in the best sandbox that works here."""

    protections: Protections

    async def run(self, job: Job, watcher: Watcher) -> Outcome:
        """Run the job to its end, whatever that is. Cancelling this call kills the job, waits for that, and raises CancelledError.

        Raises nothing for what the job does; an OSError when the machine cannot start a process at all.
        """

    def kill(self, spawn_id: str) -> bool:
        """End a running job and all its processes; its `run` then returns with reason `killed`. False when it does not run here."""

    async def close(self) -> None:
        """Kill what still runs and give back what was set up for jobs (cgroups); the service's last call."""
