"""What hermes keeps in the database: its jobs."""

from typing import Any

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.contracts.common import Job, StatusEnum
from config.db_schema import HermesJobRow
from config.pages import PageQuery

UNFINISHED = (StatusEnum.PENDING, StatusEnum.RUNNING)


async def job(session: AsyncSession, job_id: str) -> Job | None:
    row = await session.get(HermesJobRow, job_id)
    return _job(row) if row else None


async def order(session: AsyncSession, job_id: str) -> tuple[str, dict[str, Any], dict[str, Any], str]:
    """Kind, request, state and caller of a job: all that somebody needs who works on it."""
    row = (await session.execute(select(HermesJobRow).where(HermesJobRow.id == job_id))).scalar_one()
    return row.kind, row.request, row.state, row.caller


async def jobs(session: AsyncSession, page: PageQuery, *, statuses: list[StatusEnum], kind: str | None) -> list[Job]:
    """Newest first, one more than the page may hold."""
    query = select(HermesJobRow).order_by(HermesJobRow.id.desc()).limit(page.limit + 1)
    if page.cursor:
        query = query.where(HermesJobRow.id < page.cursor)
    if statuses:
        query = query.where(HermesJobRow.status.in_(statuses))
    if kind:
        query = query.where(HermesJobRow.kind == kind)
    return [_job(row) for row in (await session.execute(query)).scalars()]


async def unfinished_states(session: AsyncSession, kind: str) -> dict[str, dict[str, Any]]:
    """The state of each unfinished job of a kind, by its id."""
    query = select(HermesJobRow.id, HermesJobRow.state).where(
        HermesJobRow.kind == kind, HermesJobRow.status.in_(UNFINISHED)
    )
    return {row.id: row.state for row in (await session.execute(query)).all()}


async def add_job(
    session: AsyncSession, job_: Job, request: dict[str, Any], state: dict[str, Any], caller: str
) -> None:
    session.add(
        HermesJobRow(
            id=job_.job_id,
            caller=caller,
            request=request,
            state=state,
            **job_.model_dump(exclude={"job_id", "detail"}),
        )
    )
    await session.flush()


async def restart_unfinished(session: AsyncSession) -> list[str]:
    """Set the jobs that were cut off back to their beginning, with their state as it is; their ids, oldest first."""
    unfinished = HermesJobRow.status.in_(UNFINISHED)
    found = (await session.execute(select(HermesJobRow.id).where(unfinished).order_by(HermesJobRow.id))).scalars().all()
    values = {"status": StatusEnum.PENDING, "progress": 0.0, "started_at": None}
    await session.execute(update(HermesJobRow).where(unfinished).values(**values))
    return list(found)


async def change_job(session: AsyncSession, job_id: str, **values: Any) -> bool:
    """Change a job that has not ended; False when it has, and then nothing changes."""
    if StatusEnum(values.get("status", StatusEnum.RUNNING)).is_final:
        values["finished_at"] = utc_now()
    changed = await session.execute(
        update(HermesJobRow).where(HermesJobRow.id == job_id, HermesJobRow.status.in_(UNFINISHED)).values(**values)
    )
    assert isinstance(changed, CursorResult)
    return changed.rowcount == 1


async def last_done(session: AsyncSession, kind: str) -> Job | None:
    """The newest job of a kind that came to a good end."""
    query = select(HermesJobRow).where(HermesJobRow.kind == kind, HermesJobRow.status == StatusEnum.DONE)
    row = (await session.execute(query.order_by(HermesJobRow.id.desc()).limit(1))).scalar_one_or_none()
    return _job(row) if row else None


async def forget_older(session: AsyncSession, kind: str, *, keep: int) -> None:
    """Remove the ended jobs of a kind but for the newest `keep`, and the last one that came to a good end."""
    ended = select(HermesJobRow.id).where(HermesJobRow.kind == kind, HermesJobRow.status.not_in(UNFINISHED))
    newest = ended.order_by(HermesJobRow.id.desc())
    good = newest.where(HermesJobRow.status == StatusEnum.DONE).limit(1)
    kept = {*(await session.execute(newest.limit(keep))).scalars(), *(await session.execute(good)).scalars()}
    gone = [job_id for job_id in (await session.execute(ended)).scalars() if job_id not in kept]
    await session.execute(delete(HermesJobRow).where(HermesJobRow.id.in_(gone)))


def _job(row: HermesJobRow) -> Job:
    return Job(
        job_id=row.id,
        kind=row.kind,
        status=StatusEnum(row.status),
        progress=row.progress,
        result=row.result,
        error=row.error,
        done_bytes=row.done_bytes,
        total_bytes=row.total_bytes,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
