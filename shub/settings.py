"""Settings of shub."""

from datetime import timedelta

from pydantic import Field

from config.settings import MIB, FleetSettings, StatePath


class ShubSettings(FleetSettings):
    """How much audio is taken in, and how many processes may work on it."""

    max_duration_seconds: float = Field(14_400.0, gt=0.0, le=86_400.0)
    """Longest audio that is taken, in seconds."""
    shub_upload_limit_bytes: int = Field(2048 * MIB, ge=1024)
    """Largest audio file that is taken, in bytes."""
    shub_job_workers: int = Field(1, ge=1, le=64)
    """How many jobs (mixes) run at the same time, each in a process of its own."""
    shub_quick_workers: int = Field(1, ge=1, le=64)
    """How many uploads and measurements are looked at at the same time, beside the jobs."""
    shub_worker_idle: timedelta = Field(timedelta(seconds=45), gt=timedelta(0))
    """How long a process without work is kept; ISO 8601 duration."""
    shub_cache_dir: StatePath | None = None
    """Folder of the compiled sample loops; `<state_dir>/cache/numba` when unset. It must be writable, and nobody else's."""
    shub_pictures_limit_bytes: int = Field(256 * MIB, ge=0)
    """How many bytes of drawn pictures are kept; the ones longest not looked at go first."""
    shub_analyze_timeout: timedelta = Field(timedelta(minutes=10), gt=timedelta(0))
    """Longest time for one measurement; ISO 8601 duration."""
