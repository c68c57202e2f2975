"""What shub keeps in the database: files, and which jobs read them."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.shub import Asset
from config.db_schema import AudioAssetRow, AudioJobRow
from config.jobs.table import JobTable
from config.pages import PageQuery
from shub.roles import role_named


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
    values = asset_.model_dump(exclude={"asset_id", "role"})
    session.add(AudioAssetRow(id=asset_.asset_id, caller=caller, **values))
    await session.flush()


async def remove_asset(session: AsyncSession, asset_id: str) -> None:
    await session.execute(delete(AudioAssetRow).where(AudioAssetRow.id == asset_id))


async def jobs_using(session: AsyncSession, asset_id: str) -> list[str]:
    """Unfinished jobs that read this file."""
    states = await JobTable(AudioJobRow).unfinished_states(session)
    return [job_id for job_id, state in states.items() if any(one["asset_id"] == asset_id for one in state["inputs"])]


def _asset(row: AudioAssetRow) -> Asset:
    values = {name: getattr(row, name) for name in Asset.model_fields if name not in ("asset_id", "role")}
    return Asset(asset_id=row.id, role=role_named(row.name), **values)
