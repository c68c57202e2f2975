"""Madre's daughters in the database: claimed, kept, given back and closed, each time only by whoever holds the fence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.contracts.common import StatusEnum
from config.contracts.spawner import DaughterResult, SpawnRecord
from config.db_schema import DaughterTaskRow as Row
from config.db_schema import TaskRow
from config.halt import is_halted

FINAL = tuple(one for one in StatusEnum if one.is_final)
MOST_OFFERED = 64


@dataclass(frozen=True)
class Claim:
    """The right to run a daughter, for as long as the fence is this one."""

    id: str
    fence: int
    attempt: int


async def get(session: AsyncSession, daughter_id: str) -> Row | None:
    return await session.get(Row, daughter_id)


async def waiting(session: AsyncSession, now: datetime) -> Sequence[Any]:
    """Daughters that may be taken, those first that are to be served first: `id`, `priority`, `created_at`."""
    query = (
        select(Row.id, Row.priority, Row.created_at)
        .where(_is_free(now), _plan_goes_on())
        .order_by(Row.priority, Row.created_at)
        .limit(MOST_OFFERED)
    )
    return (await session.execute(query)).all()


async def abandoned(session: AsyncSession, now: datetime) -> list[str]:
    """Daughters that nobody runs and whose plans have ended."""
    query = select(Row.id).where(_is_free(now), ~_plan_goes_on()).limit(MOST_OFFERED)
    return list((await session.execute(query)).scalars())


async def claim(session: AsyncSession, daughter_id: str, worker: str, until: datetime) -> Claim | None:
    """Take a daughter: None when she is not to be had any more."""
    now = utc_now()
    if await is_halted(session):
        return None
    query = select(Row.fence, Row.attempts).where(Row.id == daughter_id, _is_free(now), _plan_goes_on())
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    mine = Claim(daughter_id, found.fence + 1, found.attempts + 1)
    values = {
        "status": StatusEnum.RUNNING,
        "lease_by": worker,
        "lease_until": until,
        "fence": mine.fence,
        "attempts": mine.attempt,
        "started_at": now,
    }
    taken = await _change(session, Row.id == daughter_id, Row.fence == found.fence, **values)
    return mine if taken else None


async def name_spawn(session: AsyncSession, mine: Claim, spawn_id: str) -> None:
    """Say which job it is that runs for her."""
    await _change(session, *_held(mine), spawn_id=spawn_id)


async def renew(session: AsyncSession, mine: Claim, until: datetime) -> bool:
    """Keep her; False when she is somebody else's by now, or was closed."""
    return await _change(session, *_held(mine), lease_until=until)


async def ended_plans(session: AsyncSession, ids: Sequence[str]) -> set[str]:
    """Which of these daughters belong to plans that have ended."""
    query = select(Row.id).where(Row.id.in_(ids), ~_plan_goes_on())
    return set((await session.execute(query)).scalars())


async def give_back(session: AsyncSession, mine: Claim, *, is_counted: bool) -> bool:
    """Let her wait again; False when she is not ours any more. `is_counted`: whether this was one of her attempts."""
    values = {
        "status": StatusEnum.PENDING,
        "lease_by": None,
        "lease_until": None,
        "started_at": None,
        "attempts": mine.attempt if is_counted else mine.attempt - 1,
    }
    return await _change(session, *_held(mine), **values)


async def close(
    session: AsyncSession, mine: Claim, status: StatusEnum, spawn: SpawnRecord | None, error: str | None
) -> bool:
    """Her end; False, and nothing changed, when she is not ours any more."""
    return await _close(session, mine, _held(mine), status, spawn, error)


async def close_waiting(session: AsyncSession, row: Row, status: StatusEnum, error: str) -> bool:
    """The end of one that nobody runs; False when somebody does by now. The fence goes on, so that a late worker cannot write."""
    mine = Claim(row.id, row.fence + 1, row.attempts)
    where = (Row.id == row.id, Row.fence == row.fence, Row.status.not_in(FINAL))
    return await _close(session, mine, where, status, None, error)


async def held_by(session: AsyncSession, worker: str) -> list[Row]:
    """Daughters that a worker of this name took and never gave back."""
    query = select(Row).where(Row.status == StatusEnum.RUNNING, Row.lease_by == worker)
    return list((await session.execute(query)).scalars())


async def untold(session: AsyncSession) -> list[str]:
    """Daughters that have ended and madre was not told of."""
    query = select(Row.id).where(Row.status.in_(FINAL), Row.reported_at.is_(None)).order_by(Row.finished_at)
    return list((await session.execute(query)).scalars())


async def told(session: AsyncSession, daughter_id: str) -> None:
    await _change(session, Row.id == daughter_id, Row.reported_at.is_(None), reported_at=utc_now())


def _is_free(now: datetime) -> Any:
    return or_(
        Row.status == StatusEnum.PENDING,
        and_(Row.status == StatusEnum.RUNNING, or_(Row.lease_until.is_(None), Row.lease_until < now)),
    )


def _plan_goes_on() -> Any:
    return select(TaskRow.id).where(TaskRow.id == Row.plan_id, TaskRow.status.not_in(FINAL)).exists()


def _held(mine: Claim) -> tuple[Any, ...]:
    return Row.id == mine.id, Row.fence == mine.fence, Row.status == StatusEnum.RUNNING


async def _close(
    session: AsyncSession, mine: Claim, where: Any, status: StatusEnum, spawn: SpawnRecord | None, error: str | None
) -> bool:
    result = DaughterResult(
        daughter_task_id=mine.id, status=status, spawn=spawn, error=error, attempts=mine.attempt, fence=mine.fence
    )
    values = {
        "status": status,
        "result": result.model_dump(mode="json"),
        "error": error,
        "fence": mine.fence,
        "lease_by": None,
        "lease_until": None,
        "finished_at": utc_now(),
    }
    return await _change(session, *where, **values)


async def _change(session: AsyncSession, *where: Any, **values: Any) -> bool:
    changed = await session.execute(update(Row).where(*where).values(**values))
    assert isinstance(changed, CursorResult)
    return changed.rowcount == 1
