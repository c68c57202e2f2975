"""Settings of spawner."""

import os
import sysconfig
from datetime import timedelta
from pathlib import Path

from pydantic import Field

from config.contracts.common import Wire
from config.contracts.spawner import TRY_OUT_PROFILE
from config.settings import MIB, FleetSettings, StatePath
from spawner.rungs import RUNGS


class ProfileMount(Wire):
    """A file or folder of this machine that jobs of a profile see."""

    source: Path
    target: str = Field(pattern=r"^/[^\x00]+$")
    writable: bool = False
    lent: bool = False
    """Where spawner is root: whether jobs read it whatever its rights say, as its owner does. Not for what is writable."""


class Profile(Wire):
    """What jobs get beyond the ordinary, and whose jobs: callers by their ids (`owner`, `switch`, `token:12`)."""

    callers: list[str]
    mounts: list[ProfileMount] = []
    network: bool = False
    env: dict[str, str] = {}


class SpawnerSettings(FleetSettings):
    """How many processes run, where, within which limits, and who may have more."""

    spawner_work_dir: StatePath | None = None
    """Folder of the jobs' files. When unset `<state_dir>/spawner`; where spawner is root a folder below `/var/lib/vx11-spawner`, because
    the jobs' own users must be able to reach it."""
    spawner_command_dirs: str = "/usr/local/bin:/usr/bin:/bin"
    """Folders whose programs may be run, separated by colons, in the order in which a bare name is looked up."""
    spawner_system_dirs: list[Path] = []
    """Folders that every job sees, read-only, besides the system's own: JSON, `["/opt/tools"]`. Their programs can be run when they are
    in `spawner_command_dirs` too."""
    spawner_concurrency: int | None = Field(None, ge=1, le=128)
    """How many jobs run at the same time; twice the number of processors, at most 8, when unset."""
    spawner_queue_limit: int = Field(256, ge=1, le=100_000)
    """How many jobs may wait; more are refused with 429."""
    spawner_most_timeout_seconds: float = Field(3600.0, gt=0, le=86_400)
    """Longest time a job may be given."""
    spawner_most_memory_mb: int = Field(4096, ge=16)
    """Most memory a job may be given, in MiB."""
    spawner_most_cpu_seconds: float = Field(14_400.0, gt=0, le=86_400)
    """Most CPU time a job may be given."""
    spawner_most_processes: int = Field(512, ge=1, le=4096)
    """Most processes a job may be given."""
    spawner_most_output_bytes: int = Field(64 * MIB, ge=0, le=256 * MIB)
    """Most that may be kept of a job's stdout and of its stderr, in bytes."""
    spawner_most_disk_mb: int = Field(4096, ge=1)
    """Most disk a job may be given, in MiB."""
    spawner_most_ttl_seconds: float = Field(7 * 86_400.0, ge=1)
    """Longest time for which a job's output and artifacts may be kept."""
    spawner_most_artifacts: int = Field(256, ge=1, le=10_000)
    """Most files that are kept as a job's artifacts."""
    spawner_most_artifact_bytes: int = Field(1024 * MIB, ge=1)
    """Most bytes that a job's artifacts may have together."""
    spawner_profiles: dict[str, Profile] = {}
    """Named sets of mounts, network and variables for the callers they are for: JSON, `{"claude": {"callers": ["switch"], "network": true,
    "mounts": [{"source": "/srv/claude", "target": "/credentials"}]}}`. `switch-try-out`, in which model files are loaded first, is there
    without being set."""
    spawner_bwrap: Path | None = None
    """The bubblewrap to use; the one that comes with the dependencies when unset."""
    spawner_first_uid: int | None = Field(None, ge=1000, le=2_000_000_000)
    """First of the user ids that jobs run as where spawner is root; when unset the first free range from 61000 on."""
    spawner_cgroup: Path | None = None
    """A cgroup v2 folder that was delegated to spawner; looked for when unset."""
    spawner_uses_cgroups: bool = True
    """Whether jobs are put into cgroups where that is possible."""
    spawner_rung: str | None = Field(None, pattern=f"^({'|'.join(rung.name for rung in RUNGS)})$")
    """The one way to run jobs (docs/sandbox.md) instead of the best that works here."""
    spawner_allow_unsandboxed: bool = False
    """Whether jobs may run without a sandbox where none works. They can then read whatever their user can."""
    spawner_lease: timedelta = Field(timedelta(seconds=15), gt=timedelta(0))
    """For how long a daughter of madre's is spawner's before another may take her; renewed while she runs. ISO 8601 duration."""
    spawner_cycle: timedelta = Field(timedelta(seconds=1), gt=timedelta(0))
    """How often spawner looks for daughters of madre's, when nobody told it of one; ISO 8601 duration."""

    @property
    def profiles(self) -> dict[str, Profile]:
        """Those of the settings, and the one in which switch tries out model files: they and our Python packages can be read there, at
        the places where they are here, so that rungs without mounts of their own can show them too."""
        packages = Path(sysconfig.get_path("platlib"))
        shown = [ProfileMount(source=one, target=str(one), lent=True) for one in (self.models_dir, packages)]
        try_out = Profile(callers=["switch"], mounts=shown, env={"PYTHONPATH": str(packages)})
        return {TRY_OUT_PROFILE: try_out} | self.spawner_profiles

    @property
    def concurrency(self) -> int:
        return self.spawner_concurrency or min(8, 2 * (os.cpu_count() or 1))

    @property
    def command_dirs(self) -> tuple[Path, ...]:
        return tuple(Path(one) for one in self.spawner_command_dirs.split(":") if one)
