"""The rows of `route_decisions`, and what is read of hermes_db's."""

import asyncio
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.switch import Candidate, Decision
from config.database import connection_of
from config.db_schema import CliRow, ModelRow, RouteDecisionRow

Record = dict[str, Any]
"""A row of `route_decisions`."""
AT_ONCE = 200  # rows bound in one go; more would keep the loop from its requests


@cache  # made once: making it costs more than running it
def _insert(dialect: str) -> Any:
    """Nothing for a decision that is there already: whoever saved it may not have lived to learn that it was."""
    if dialect == "sqlite":
        return sqlite.insert(RouteDecisionRow).on_conflict_do_nothing(index_elements=["id"])
    from sqlalchemy.dialects import postgresql  # who has no use for it does not wait for it at the start

    return postgresql.insert(RouteDecisionRow).on_conflict_do_nothing(index_elements=["id"])


async def save(session: AsyncSession, records: list[Record]) -> None:
    connection, statement = await connection_of(session), _insert(session.get_bind().dialect.name)
    for start in range(0, len(records), AT_ONCE):
        await connection.execute(statement, records[start : start + AT_ONCE])
        await asyncio.sleep(0)


async def decision(session: AsyncSession, decision_id: str) -> Decision | None:
    row = await session.get(RouteDecisionRow, decision_id)
    if row is None:
        return None
    return Decision(
        decision_id=row.id,
        caller=row.caller,
        session_id=row.session_id,
        task_type=row.task_type,
        model=row.model,
        provider=row.provider,
        reason=row.reason,
        candidates=[Candidate.model_validate(one) for one in row.candidates],
        outcome=row.outcome,
        cost_usd=row.cost_usd,
        latency_ms=row.latency_ms,
        queue_ms=row.queue_ms,
        created_at=row.created_at,
    )


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A row of hermes_db's `models`, as far as it matters here."""

    id: int
    name: str
    is_active: bool
    path: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    model_type: str | None = None
    license: str | None = None
    specialty: str | None = None
    adjacent_fields: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    performance_score: float | None = None


async def models(session: AsyncSession) -> list[KeptModel]:
    """Every model that hermes_db knows, active or not: uses of one that was put away are still its uses."""
    columns = [getattr(ModelRow, field.name) for field in fields(KeptModel)]
    rows = await session.execute(select(*columns))
    found: list[Any] = [[tuple(value) if isinstance(value, list) else value for value in row] for row in rows]
    return [KeptModel(*row) for row in found]


@dataclass(frozen=True, slots=True)
class KeptCli:
    """A row of hermes_db's `clis`, as far as it matters here."""

    name: str
    path: str | None
    metadata: dict[str, Any]


async def prompt_clis(session: AsyncSession) -> list[KeptCli]:
    """The active tools that answer prompts, by name."""
    is_asked = CliRow.answers_prompts.is_(True) & CliRow.is_active.is_(True)
    columns = select(CliRow.name, CliRow.path, CliRow.metadata_)
    rows = await session.execute(columns.where(is_asked).order_by(CliRow.name))
    return [KeptCli(row.name, row.path, row.metadata_) for row in rows]
