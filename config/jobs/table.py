"""A service's table of jobs."""

from typing import Any

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.contracts.common import Job, StatusEnum
from config.db_schema import JobRow
from config.pages import PageQuery

UNFINISHED = (StatusEnum.PENDING, StatusEnum.RUNNING)


class JobTable:
    """Questions to one table of jobs, and changes of it."""

    def __init__(self, row: type[JobRow]) -> None:
        self._row = row

    async def job(self, session: AsyncSession, job_id: str) -> Job | None:
        row = await session.get(self._row, job_id)
        return _job(row) if row else None

    async def order(self, session: AsyncSession, job_id: str) -> tuple[str, dict[str, Any], dict[str, Any], str]:
        """Kind, request, state and caller of a job: all that somebody needs who works on it."""
        row = (await session.execute(select(self._row).where(self._row.id == job_id))).scalar_one()
        return row.kind, row.request, row.state, row.caller

    async def page(
        self, session: AsyncSession, page: PageQuery, *, statuses: list[StatusEnum], kind: str | None
    ) -> list[Job]:
        """Newest first, one more than the page may hold."""
        query = select(self._row).order_by(self._row.id.desc()).limit(page.limit + 1)
        if page.cursor:
            query = query.where(self._row.id < page.cursor)
        if statuses:
            query = query.where(self._row.status.in_(statuses))
        if kind:
            query = query.where(self._row.kind == kind)
        return [_job(row) for row in (await session.execute(query)).scalars()]

    async def unfinished_states(self, session: AsyncSession, kind: str | None = None) -> dict[str, dict[str, Any]]:
        """The state of each unfinished job, of one kind or of all, by its id."""
        query = select(self._row.id, self._row.state).where(self._row.status.in_(UNFINISHED))
        if kind:
            query = query.where(self._row.kind == kind)
        return {row.id: row.state for row in (await session.execute(query)).all()}

    async def add(
        self, session: AsyncSession, job: Job, request: dict[str, Any], state: dict[str, Any], caller: str
    ) -> None:
        values = job.model_dump(exclude={"job_id", "detail"})
        session.add(self._row(id=job.job_id, caller=caller, request=request, state=state, **values))
        await session.flush()

    async def restart_unfinished(self, session: AsyncSession) -> list[str]:
        """Set the jobs that were cut off back to their beginning, with their state as it is; their ids, oldest first."""
        unfinished = self._row.status.in_(UNFINISHED)
        found = (await session.execute(select(self._row.id).where(unfinished).order_by(self._row.id))).scalars().all()
        values = {"status": StatusEnum.PENDING, "progress": 0.0, "started_at": None}
        await session.execute(update(self._row).where(unfinished).values(**values))
        return list(found)

    async def change(self, session: AsyncSession, job_id: str, **values: Any) -> bool:
        """Change a job that has not ended; False when it has, and then nothing changes."""
        if StatusEnum(values.get("status", StatusEnum.RUNNING)).is_final:
            values["finished_at"] = utc_now()
        changed = await session.execute(
            update(self._row).where(self._row.id == job_id, self._row.status.in_(UNFINISHED)).values(**values)
        )
        assert isinstance(changed, CursorResult)
        return changed.rowcount == 1

    async def last_done(self, session: AsyncSession, kind: str) -> Job | None:
        """The newest job of a kind that came to a good end."""
        query = select(self._row).where(self._row.kind == kind, self._row.status == StatusEnum.DONE)
        row = (await session.execute(query.order_by(self._row.id.desc()).limit(1))).scalar_one_or_none()
        return _job(row) if row else None

    async def forget_older(self, session: AsyncSession, kind: str, *, keep: int) -> None:
        """Remove the ended jobs of a kind but for the newest `keep`, and the last one that came to a good end."""
        ended = select(self._row.id).where(self._row.kind == kind, self._row.status.not_in(UNFINISHED))
        newest = ended.order_by(self._row.id.desc())
        good = newest.where(self._row.status == StatusEnum.DONE).limit(1)
        kept = {*(await session.execute(newest.limit(keep))).scalars(), *(await session.execute(good)).scalars()}
        gone = [job_id for job_id in (await session.execute(ended)).scalars() if job_id not in kept]
        await session.execute(delete(self._row).where(self._row.id.in_(gone)))


def _job(row: JobRow) -> Job:
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
