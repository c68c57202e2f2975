"""The rows of `learner_state` and `provider_stats`, what is read of specialties, and feedback in `route_decisions`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.contracts.switch import ModelPerformance
from config.database import connection_of
from config.db_schema import LearnerStateRow, ProviderStatRow, RouteDecisionRow, SpecialtyRow
from switch.choosing.memory import MOST_NAMES, Tally, name_of

AT_ONCE = 100  # rows in one go; more would keep the loop from its requests
ADDED = ("asked", "answered", "failed", "input_tokens", "output_tokens", "latency_ms_total")
LATEST = ("last_answered_at", "last_failed_at", "last_failure")

State = dict[str, Any]


def _insert(dialect: str, row: type[Any]) -> Any:
    """An INSERT that knows ON CONFLICT; both databases take the same words, each from its own dialect."""
    if dialect == "sqlite":
        return sqlite.insert(row.__table__)
    from sqlalchemy.dialects import postgresql  # who has no use for it does not wait for it at the start

    return postgresql.insert(row.__table__)


@cache  # made once: making it costs more than running it
def _keep_arms(dialect: str) -> Any:
    insert = _insert(dialect, LearnerStateRow)
    return insert.on_conflict_do_update(
        index_elements=["task_type", "model"],
        set_={"state": insert.excluded.state, "updated_at": insert.excluded.updated_at},
    )


@cache
def _add_tallies(dialect: str) -> Any:
    insert = _insert(dialect, ProviderStatRow)
    table, new = ProviderStatRow.__table__.c, insert.excluded
    changes = {name: table[name] + new[name] for name in ADDED}
    changes |= {name: func.coalesce(new[name], table[name]) for name in LATEST}
    return insert.on_conflict_do_update(index_elements=["provider", "model"], set_=changes)


async def arms(session: AsyncSession) -> list[tuple[str, str, State]]:
    """(type of task, model, state), those that changed last at the end."""
    row = LearnerStateRow
    found = await session.execute(select(row.task_type, row.model, row.state).order_by(row.updated_at, row.model))
    return [(one.task_type, one.model, one.state) for one in found]


async def keep_arms(session: AsyncSession, arms: Sequence[tuple[str, str, State]]) -> None:
    connection, statement = await connection_of(session), _keep_arms(session.get_bind().dialect.name)
    now = utc_now()
    rows = [
        {"task_type": task_type, "model": model, "state": state, "updated_at": now}
        for task_type, model, state in sorted(arms, key=lambda arm: arm[:2])
    ]
    for start in range(0, len(rows), AT_ONCE):
        await connection.execute(statement, rows[start : start + AT_ONCE])


async def forget(session: AsyncSession, gone: Iterable[tuple[str, str]]) -> None:
    """Drop what is not kept any more, by type of task and model."""
    rows, row = sorted(gone), LearnerStateRow
    for start in range(0, len(rows), AT_ONCE):
        is_gone = tuple_(row.task_type, row.model).in_(rows[start : start + AT_ONCE])
        await session.execute(delete(row).where(is_gone).execution_options(synchronize_session=False))


async def paces(session: AsyncSession) -> list[tuple[str, tuple[int, float, float]]]:
    """Of the models that answered last, as many as are remembered, the latest at the end: answers, their time in milliseconds, and when
    the last one was. There may be more: some servers answer to any name."""
    row = ProviderStatRow
    query = select(row.provider, row.model, row.answered, row.latency_ms_total, row.last_answered_at)
    latest = query.where(row.answered > 0).order_by(row.last_answered_at.desc(), row.model).limit(MOST_NAMES)
    found = reversed((await session.execute(latest)).all())
    return [
        (
            name_of(one.provider, one.model),
            (one.answered, one.latency_ms_total, one.last_answered_at.timestamp() if one.last_answered_at else 0.0),
        )
        for one in found
    ]


async def add_tallies(session: AsyncSession, tallies: Mapping[tuple[str, str], Tally]) -> None:
    connection, statement = await connection_of(session), _add_tallies(session.get_bind().dialect.name)
    rows = [
        {"provider": provider, "model": model, **asdict(tally)} for (provider, model), tally in sorted(tallies.items())
    ]
    for start in range(0, len(rows), AT_ONCE):
        await connection.execute(statement, rows[start : start + AT_ONCE])


async def performance(
    session: AsyncSession, *, provider: str | None, after: tuple[str, str] | None, most: int
) -> list[ModelPerformance]:
    """How models have done, by provider and model; `learned` is left to fill."""
    row = ProviderStatRow
    query = select(row).order_by(row.provider, row.model).limit(most)
    if provider is not None:
        query = query.where(row.provider == provider)
    if after is not None:
        query = query.where(tuple_(row.provider, row.model) > tuple_(*after))
    return [_performance(one) for one in await session.scalars(query)]


def _performance(row: ProviderStatRow) -> ModelPerformance:
    return ModelPerformance(
        id=f"{row.provider}/{row.model}",
        provider=row.provider,
        model=row.model,
        asked=row.asked,
        answered=row.answered,
        failed=row.failed,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        mean_latency_ms=row.latency_ms_total / row.answered if row.answered else None,
        last_answered_at=row.last_answered_at,
        last_failed_at=row.last_failed_at,
        last_failure=row.last_failure,
        learned=[],
    )


async def specialties(session: AsyncSession) -> list[tuple[int, str, int | None, list[str]]]:
    """(id, name, id of the wider one, related fields)."""
    row = SpecialtyRow
    found = await session.execute(select(row.id, row.name, row.parent_id, row.related_fields).order_by(row.id))
    return [(one.id, one.name, one.parent_id, [str(name) for name in one.related_fields or []]) for one in found]


async def decided(session: AsyncSession, decision_id: str) -> RouteDecisionRow | None:
    return await session.get(RouteDecisionRow, decision_id)


async def keep_feedback(session: AsyncSession, decision_id: str, feedback: dict[str, Any]) -> None:
    row = RouteDecisionRow
    await session.execute(update(row).where(row.id == decision_id).values(feedback=feedback))
