"""What a spawner that was killed has left: processes to be ended, and jobs whose end nobody saw."""

import structlog

from config.clock import utc_now
from config.contracts.common import StatusEnum
from config.contracts.spawner import Protections, Reason
from config.db_schema import SpawnRow
from spawner.ended import Ended
from spawner.folders import Folders
from spawner.job import Marker
from spawner.spool import head, kept_bytes
from spawner.tree import kill_marked, kill_uid

log = structlog.get_logger()


def kill_leftovers(row: SpawnRow, job_uids: range | None) -> None:
    """End what still runs of a job of an earlier spawner. Of other users only those that are ours alone: they may be another's by now."""
    if row.marker is None:
        return
    marker = Marker(**row.marker)
    killed = kill_marked(marker)
    if marker.uid is not None and job_uids is not None and marker.uid in job_uids:
        killed += kill_uid(marker.uid)
    if killed:
        log.warning("leftovers_killed", spawn_id=row.id, processes=killed)


def lost(row: SpawnRow, folders: Folders) -> Ended:
    """How a job ended that was running when spawner did: what it had written by then is all that is known."""
    spool = folders.spool(row.id)
    return Ended(
        status=StatusEnum.ERROR,
        reason=Reason.LOST,
        detail="spawner ended while it ran, and the job with it",
        protections=Protections.model_validate(row.protections) if row.protections else None,
        stdout=head(spool, "stdout"),
        stderr=head(spool, "stderr"),
        stdout_bytes=kept_bytes(spool, "stdout"),
        stderr_bytes=kept_bytes(spool, "stderr"),
        started_at=row.started_at,
        finished_at=utc_now(),
        may_run_again=True,
    )
