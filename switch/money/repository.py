"""The rows of `spend_ledger`.

The amount of a block is what counts of it: all that was set aside while it is open or assumed, what its calls cost once it is closed. So
what is committed on a day is the sum over its blocks, however many calls there were.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, case, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.switch import SpendEntry
from config.database import connection_of
from config.db_schema import SpendRow
from switch.money.budgets import Committed, usd

Record = dict[str, Any]
"""A row of `spend_ledger`."""
AT_ONCE = 200  # rows bound in one go; more would keep the loop from its requests
ROWS = cast(Table, SpendRow.__table__)


def _sum(condition: Any = None) -> Any:
    amount = ROWS.c.amount_nanousd
    return func.coalesce(func.sum(amount if condition is None else case((condition, amount), else_=literal(0))), 0)


COMMITTED = select(
    _sum().label("everybody"),
    _sum(ROWS.c.caller == bindparam("of_caller")).label("caller"),
    _sum(ROWS.c.task_type == bindparam("of_task")).label("task"),
).where(ROWS.c.kind == "block", ROWS.c.day == bindparam("of_day"))
INSERT = insert(ROWS)
CHANGE = (
    update(ROWS)
    .where(ROWS.c.id == bindparam("of_id"))
    .values(amount_nanousd=bindparam("amount"), state=bindparam("new_state"), changed_at=bindparam("now"))
)


async def committed(session: AsyncSession, day: str, caller: str, task_type: str) -> Committed:
    connection = await connection_of(session)
    found = (await connection.execute(COMMITTED, {"of_day": day, "of_caller": caller, "of_task": task_type})).one()
    return Committed(int(found.everybody), int(found.caller), int(found.task))


async def add(session: AsyncSession, records: list[Record]) -> None:
    connection = await connection_of(session)
    for start in range(0, len(records), AT_ONCE):
        await connection.execute(INSERT, records[start : start + AT_ONCE])
        await asyncio.sleep(0)


async def change_block(session: AsyncSession, block_id: str, amount: int, state: str, now: datetime) -> None:
    connection = await connection_of(session)
    await connection.execute(CHANGE, {"of_id": block_id, "amount": amount, "new_state": state, "now": now})


async def open_owners(session: AsyncSession) -> list[str]:
    """Whoever has open blocks."""
    query = select(ROWS.c.owner).where(ROWS.c.kind == "block", ROWS.c.state == "open").distinct()
    return [owner for owner in await session.scalars(query) if owner is not None]


async def assume(session: AsyncSession, owners: list[str], now: datetime) -> int:
    """What is left in the blocks of these owners counts as spent from now on; returns how many blocks those are."""
    statement = (
        update(ROWS)
        .where(ROWS.c.kind == "block", ROWS.c.state == "open", ROWS.c.owner.in_(owners))
        .values(state="assumed", changed_at=now)
    )
    return cast(Any, await session.execute(statement)).rowcount or 0


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one day, caller and type of task, in nano-dollars. `reserved` is what blocks hold beyond their calls."""

    caller: str
    task_type: str | None
    spent: int
    reserved: int


async def spent_on(session: AsyncSession, day: str) -> list[Spent]:
    by = (ROWS.c.caller, ROWS.c.task_type)
    query = (
        select(*by, ROWS.c.kind, func.sum(ROWS.c.amount_nanousd)).where(ROWS.c.day == day).group_by(*by, ROWS.c.kind)
    )
    found = dict[tuple[str, str | None], dict[str, int]]()
    for caller, task_type, kind, amount in await session.execute(query):
        found.setdefault((caller, task_type), {})[kind] = int(amount)
    return [
        Spent(caller, task_type, sums.get("call", 0), max(0, sums.get("block", 0) - sums.get("call", 0)))
        for (caller, task_type), sums in found.items()
    ]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls are asked for; None for any."""

    day: str | None = None
    caller: str | None = None
    provider: str | None = None
    model: str | None = None
    task_type: str | None = None


async def entries(session: AsyncSession, wanted: Filter, *, after: str | None, limit: int) -> list[SpendEntry]:
    """Calls, the newest first, from the one `after` on; one more than `limit`, if there is one."""
    query = select(SpendRow).where(SpendRow.kind == "call").order_by(SpendRow.id.desc()).limit(limit + 1)
    for name in ("day", "caller", "provider", "model", "task_type"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(getattr(SpendRow, name) == value)
    if after is not None:
        query = query.where(SpendRow.id < after)
    return [_entry(row) for row in await session.scalars(query)]


def _entry(row: SpendRow) -> SpendEntry:
    return SpendEntry(
        id=row.id,
        decision_id=row.decision_id or "",
        caller=row.caller,
        task_type=row.task_type,
        provider=row.provider or "",
        model=row.model or "",
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_input_tokens=row.cached_input_tokens,
        cost_usd=usd(row.amount_nanousd),
        is_estimated=row.is_estimated,
        at=row.created_at,
    )
