"""What shub keeps in the database: files and jobs."""

from typing import Any

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.contracts.common import Job, StatusEnum
from config.contracts.shub import Asset
from config.db_schema import AudioAssetRow, AudioJobRow
from config.pages import PageQuery

UNFINISHED = (StatusEnum.PENDING, StatusEnum.RUNNING)


async def asset(session: AsyncSession, asset_id: str) -> Asset | None:
    row = await session.get(AudioAssetRow, asset_id)
    return _asset(row) if row else None


async def asset_with(session: AsyncSession, sha256: str) -> Asset | None:
    """The file with this content."""
    query = select(AudioAssetRow).where(AudioAssetRow.sha256 == sha256)
    row = (await session.execute(query)).scalar_one_or_none()
    return _asset(row) if row else None


async def assets(session: AsyncSession, page: PageQuery, *, name: str | None, format_: str | None) -> list[Asset]:
    """Newest first, one more than the page may hold. `name` is found anywhere in a name, in any case."""
    query = select(AudioAssetRow).order_by(AudioAssetRow.id.desc()).limit(page.limit + 1)
    if page.cursor:
        query = query.where(AudioAssetRow.id < page.cursor)
    if name:
        query = query.where(AudioAssetRow.name.icontains(name, autoescape=True))
    if format_:
        query = query.where(AudioAssetRow.format == format_)
    return [_asset(row) for row in (await session.execute(query)).scalars()]


async def all_hashes(session: AsyncSession) -> list[str]:
    return list((await session.execute(select(AudioAssetRow.sha256))).scalars())


async def add_asset(session: AsyncSession, asset_: Asset, caller: str) -> None:
    values = asset_.model_dump(exclude={"asset_id"})
    session.add(AudioAssetRow(id=asset_.asset_id, caller=caller, **values))
    await session.flush()


async def remove_asset(session: AsyncSession, asset_id: str) -> None:
    await session.execute(delete(AudioAssetRow).where(AudioAssetRow.id == asset_id))


async def job(session: AsyncSession, job_id: str) -> Job | None:
    row = await session.get(AudioJobRow, job_id)
    return _job(row) if row else None


async def job_request(session: AsyncSession, job_id: str) -> dict[str, Any]:
    """What a job was ordered to do."""
    query = select(AudioJobRow.request).where(AudioJobRow.id == job_id)
    request: dict[str, Any] = (await session.execute(query)).scalar_one()
    return request


async def jobs(session: AsyncSession, page: PageQuery, *, statuses: list[StatusEnum], kind: str | None) -> list[Job]:
    """Newest first, one more than the page may hold."""
    query = select(AudioJobRow).order_by(AudioJobRow.id.desc()).limit(page.limit + 1)
    if page.cursor:
        query = query.where(AudioJobRow.id < page.cursor)
    if statuses:
        query = query.where(AudioJobRow.status.in_(statuses))
    if kind:
        query = query.where(AudioJobRow.kind == kind)
    return [_job(row) for row in (await session.execute(query)).scalars()]


async def add_job(session: AsyncSession, job_: Job, request: dict[str, Any], caller: str) -> None:
    session.add(
        AudioJobRow(
            id=job_.job_id,
            kind=job_.kind,
            status=job_.status,
            caller=caller,
            request=request,
            created_at=job_.created_at,
        )
    )
    await session.flush()


async def restart_unfinished(session: AsyncSession) -> list[str]:
    """Set the jobs that were cut off back to their beginning; their ids, oldest first."""
    unfinished = AudioJobRow.status.in_(UNFINISHED)
    found = (await session.execute(select(AudioJobRow.id).where(unfinished).order_by(AudioJobRow.id))).scalars().all()
    values = {"status": StatusEnum.PENDING, "progress": 0.0, "started_at": None}
    await session.execute(update(AudioJobRow).where(unfinished).values(**values))
    return list(found)


async def jobs_using(session: AsyncSession, asset_id: str) -> list[str]:
    """Unfinished jobs that read this file."""
    query = select(AudioJobRow.id, AudioJobRow.request).where(AudioJobRow.status.in_(UNFINISHED))
    rows = (await session.execute(query)).all()
    return [row.id for row in rows if any(stem["asset_id"] == asset_id for stem in row.request["stems"])]


async def change_job(session: AsyncSession, job_id: str, **values: Any) -> bool:
    """Change a job that has not ended; False when it has, and then nothing changes."""
    if StatusEnum(values.get("status", StatusEnum.RUNNING)).is_final:
        values["finished_at"] = utc_now()
    changed = await session.execute(
        update(AudioJobRow).where(AudioJobRow.id == job_id, AudioJobRow.status.in_(UNFINISHED)).values(**values)
    )
    assert isinstance(changed, CursorResult)
    return changed.rowcount == 1


def _asset(row: AudioAssetRow) -> Asset:
    values = {name: getattr(row, name) for name in Asset.model_fields if name != "asset_id"}
    return Asset(asset_id=row.id, **values)


def _job(row: AudioJobRow) -> Job:
    return Job(
        job_id=row.id,
        kind=row.kind,
        status=StatusEnum(row.status),
        progress=row.progress,
        result=row.result,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
