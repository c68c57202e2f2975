"""The rows of `route_decisions`."""

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.switch import Candidate, Decision
from config.db_schema import ModelRow, RouteDecisionRow

Record = dict[str, Any]
"""A row of `route_decisions`."""
AT_ONCE = 200  # rows bound in one go; more would keep the loop from its requests


async def save(session: AsyncSession, records: list[Record]) -> None:
    for start in range(0, len(records), AT_ONCE):
        await session.execute(insert(RouteDecisionRow), records[start : start + AT_ONCE])


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


async def model_ids(session: AsyncSession) -> dict[str, int]:
    """The numbers under which hermes_db knows models, by name."""
    rows = await session.execute(select(ModelRow.name, ModelRow.id))
    return {row.name: row.id for row in rows}
