"""SQL of turns with command-line tools: takes a session, answers with contract objects, never commits."""

from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Table, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.hermes_db import Lease
from config.db_schema import CliLeaseRow

LEASES = cast(Table, CliLeaseRow.__table__)


async def nth_newest(session: AsyncSession, cli_id: int, since: datetime, number: int) -> datetime | None:
    """When the turn was taken that is number `number` of those since then, counted from the newest; None when there are fewer."""
    return await _nth(session, LEASES.c.taken_at, number, LEASES.c.cli_id == cli_id, LEASES.c.taken_at > since)


async def nth_longest(session: AsyncSession, cli_id: int, now: datetime, number: int) -> datetime | None:
    """When the turn ends that is number `number` of those held now, counted from the one that ends last; None when there are fewer."""
    held = (LEASES.c.returned_at.is_(None), LEASES.c.expires_at > now)
    return await _nth(session, LEASES.c.expires_at, number, LEASES.c.cli_id == cli_id, *held)


async def add(session: AsyncSession, lease: Lease, cli_id: int, caller: str) -> None:
    values = lease.model_dump(exclude={"lease_id", "cli"}) | {"id": lease.lease_id, "cli_id": cli_id, "caller": caller}
    await session.execute(insert(LEASES).values(values))


async def lease(session: AsyncSession, cli_id: int, cli: str, lease_id: str) -> Lease | None:
    query = select(LEASES).where(LEASES.c.id == lease_id, LEASES.c.cli_id == cli_id)
    row = (await session.execute(query)).mappings().one_or_none()
    return None if row is None else Lease.model_validate({**row, "lease_id": lease_id, "cli": cli})


async def give_back(session: AsyncSession, lease_id: str, now: datetime) -> None:
    await session.execute(update(LEASES).where(LEASES.c.id == lease_id).values(returned_at=now))


async def forget(session: AsyncSession, cli_id: int, before: datetime, now: datetime) -> None:
    """Drop the turns with a tool that were taken before then and are over."""
    over = or_(LEASES.c.returned_at.is_not(None), LEASES.c.expires_at <= now)
    await session.execute(delete(LEASES).where(LEASES.c.cli_id == cli_id, LEASES.c.taken_at <= before, over))


async def _nth(
    session: AsyncSession, column: ColumnElement[datetime], number: int, *where: ColumnElement[bool]
) -> datetime | None:
    return await session.scalar(select(column).where(*where).order_by(column.desc()).offset(number - 1).limit(1))
