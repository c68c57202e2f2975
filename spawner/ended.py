"""How a job went, as it is written down."""

from dataclasses import dataclass, field
from datetime import datetime

from config.clock import utc_now
from config.contracts.common import StatusEnum
from config.contracts.spawner import Artifact, Protections, Reason
from spawner.job import Outcome


@dataclass(frozen=True)
class Ended:
    """The whole truth about one attempt."""

    status: StatusEnum
    reason: Reason
    detail: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    protections: Protections | None = None
    """None when it was never started."""
    stdout: str = ""
    stderr: str = ""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    is_truncated: bool = False
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    artifacts: list[Artifact] = field(default_factory=list)
    started_at: datetime | None = None
    finished_at: datetime = field(default_factory=utc_now)
    may_run_again: bool = False
    """Whether it is the machine's fault that it did not run to its own end, and not the job's."""


def status_of(outcome: Outcome) -> StatusEnum:
    """DONE for a job that ended by itself with exit code 0, CANCELLED for one that was killed on request, else ERROR."""
    if outcome.reason is Reason.EXITED and outcome.exit_code == 0:
        return StatusEnum.DONE
    return StatusEnum.CANCELLED if outcome.reason is Reason.KILLED else StatusEnum.ERROR


def never_started(detail: str, *, may_run_again: bool = False) -> Ended:
    """It was refused, by policy or by the machine."""
    return Ended(StatusEnum.ERROR, Reason.REFUSED, detail, may_run_again=may_run_again)


def killed_in_the_queue(detail: str) -> Ended:
    """It was ended before its turn came."""
    return Ended(StatusEnum.CANCELLED, Reason.KILLED, detail)


def broken() -> Ended:
    """Something unexpected happened on our side."""
    return Ended(
        StatusEnum.ERROR,
        Reason.LOST,
        "an unexpected error of spawner's; its log has it under this job's id",
        may_run_again=True,
    )
