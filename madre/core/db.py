"""Madre's SQL: what was asked, the plans with their steps and events, and what she remembers.

Functions take a session, flush, and never commit; each is one question or one change.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Row, Table, Update, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import new_id, utc_now
from config.contracts.spawner import DaughterRequest
from config.database import connection_of
from config.db_schema import ContextRow, DaughterTaskRow, IntentLogRow, PlanEventRow, PlanStepRow, TaskRow
from config.pages import PageQuery
from madre.core.models import (
    ChatRequest,
    ControlRequest,
    IntentV2,
    PlanEvent,
    PlanSummary,
    PlanV2,
    StatusEnum,
    StepV2,
    Turn,
)
from madre.core.studio import CONTEXT_KEY, Studio

# Statements of the hot path are built once: building costs more than running them.
INTENTS, TASKS = cast(Table, IntentLogRow.__table__), cast(Table, TaskRow.__table__)
STEPS, EVENTS = cast(Table, PlanStepRow.__table__), cast(Table, PlanEventRow.__table__)
INSERT_INTENT, INSERT_TASK, INSERT_STEP = (
    INTENTS.insert(),
    TASKS.insert(),
    STEPS.insert(),
)
ADD_EVENT = EVENTS.insert().from_select(
    ["plan_id", "seq", "event", "data", "at"],
    select(
        bindparam("plan", type_=EVENTS.c.plan_id.type),
        func.coalesce(func.max(EVENTS.c.seq), 0) + 1,
        bindparam("event", type_=EVENTS.c.event.type),
        bindparam("data", type_=EVENTS.c.data.type),
        bindparam("at", type_=EVENTS.c.at.type),
    ).where(EVENTS.c.plan_id == bindparam("plan", type_=EVENTS.c.plan_id.type)),
)
PLAN, STEPS_OF = (
    select(TASKS).where(TASKS.c.id == bindparam("plan_id")),
    select(STEPS).where(STEPS.c.plan_id == bindparam("plan_id")).order_by(STEPS.c.position),
)
TASK_STATE = select(TASKS.c.status, TASKS.c.started_at, TASKS.c.confirmed_at).where(TASKS.c.id == bindparam("plan_id"))
STEP_STATE = select(STEPS.c.status, STEPS.c.attempts, STEPS.c.generation, STEPS.c.started_at, STEPS.c.result).where(
    STEPS.c.plan_id == bindparam("plan_id"), STEPS.c.step_id == bindparam("step_id")
)
CONTEXT = cast(Table, ContextRow.__table__)
RECALL = select(CONTEXT.c.value).where(CONTEXT.c.scope == bindparam("scope"), CONTEXT.c.key == bindparam("key"))
REMEMBER = CONTEXT.insert()
FORGET = CONTEXT.delete().where(CONTEXT.c.scope == bindparam("of"), CONTEXT.c.key == bindparam("named"))
DAUGHTERS = cast(Table, DaughterTaskRow.__table__)
ADD_DAUGHTER = DAUGHTERS.insert()
DAUGHTER_OF = select(DAUGHTERS.c.id, DAUGHTERS.c.status).where(DAUGHTERS.c.key == bindparam("key"))
DAUGHTER_STATE = (
    select(
        DAUGHTERS.c.id,
        DAUGHTERS.c.status,
        DAUGHTERS.c.attempts,
        DAUGHTERS.c.spawn_id,
        DAUGHTERS.c.result,
        DAUGHTERS.c.error,
        TASKS.c.status.label("plan_status"),
    )
    .join(TASKS, TASKS.c.id == DAUGHTERS.c.plan_id)
    .where(DAUGHTERS.c.id == bindparam("id"))
)
PLAN_STATUS = select(TASKS.c.status).where(TASKS.c.id == bindparam("plan_id"))


async def log_intent(
    session: AsyncSession, intent_id: str, session_id: str, caller: str, request: ChatRequest | ControlRequest
) -> None:
    """Write down what was asked, before anything is made of it."""
    chat = isinstance(request, ChatRequest)
    row = {
        "id": intent_id,
        "session_id": session_id,
        "caller": caller,
        "origin": request.origin if isinstance(request, ChatRequest) else "operator",
        "kind": "chat" if chat else "control",
        "message": request.message if isinstance(request, ChatRequest) else f"{request.target}.{request.action}",
        "request": request.model_dump(mode="json"),
        "status": StatusEnum.PENDING,
        "response": "",
        "created_at": utc_now(),
    }
    await (await connection_of(session)).execute(INSERT_INTENT, row)


async def close_intent(
    session: AsyncSession,
    intent_id: str,
    *,
    status: StatusEnum,
    response: str,
    intent: IntentV2 | None = None,
    plan_id: str | None = None,
) -> None:
    """Keep what an intent led to; called again when its plan ends."""
    values: dict[str, Any] = {"status": status, "response": response}
    if intent is not None:
        values["intent"] = intent.model_dump(mode="json")
    if plan_id is not None:
        values["plan_id"] = plan_id
    if status.is_final:
        values["closed_at"] = utc_now()
    await _change(session, INTENTS, {"id": intent_id}, values)


async def intent_row(session: AsyncSession, intent_id: str) -> IntentLogRow | None:
    return await session.get(IntentLogRow, intent_id)


async def unplanned_intents(session: AsyncSession) -> Sequence[IntentLogRow]:
    """Intents that a kill interrupted before they had a plan or an answer."""
    query = select(IntentLogRow).where(IntentLogRow.status == StatusEnum.PENDING, IntentLogRow.plan_id.is_(None))
    return (await session.scalars(query)).all()


async def save_plan(
    session: AsyncSession,
    plan: PlanV2,
    *,
    plan_hash: str,
    confirm_hash: str | None = None,
    confirm_expires_at: datetime | None = None,
) -> None:
    """Insert a plan with its steps."""
    task = {
        "id": plan.plan_id,
        "intent_id": plan.intent_id,
        "session_id": plan.session_id,
        "caller": plan.caller,
        "mode": plan.mode,
        "status": plan.status,
        "risk": plan.risk,
        "reason": plan.reason,
        "intent_name": plan.intent.name,
        "intent": plan.intent.model_dump(mode="json"),
        "plan_hash": plan_hash,
        "response": plan.response,
        "question": plan.question,
        "result": plan.result,
        "error": plan.error,
        "artifacts": [],
        "warnings": plan.warnings,
        "confirm_hash": confirm_hash,
        "confirm_expires_at": confirm_expires_at,
        "created_at": plan.created_at,
        "started_at": plan.started_at,
        "finished_at": plan.finished_at,
    }
    await (await connection_of(session)).execute(INSERT_TASK, task)
    if plan.steps:
        await (await connection_of(session)).execute(
            INSERT_STEP,
            [
                {
                    "plan_id": plan.plan_id,
                    "step_id": step.step_id,
                    "position": position,
                    "type": step.type,
                    "operation": step.operation,
                    "params": step.params,
                    "status": step.status,
                    "attempts": step.attempts,
                    "generation": 0,
                    "started_at": step.started_at,
                }
                for position, step in enumerate(plan.steps)
            ],
        )


async def task_state(session: AsyncSession, plan_id: str) -> Any:
    """How far a plan is (status, started_at, confirmed_at), without reading the rest of it."""
    return (await (await connection_of(session)).execute(TASK_STATE, {"plan_id": plan_id})).first()


async def step_state(session: AsyncSession, plan_id: str, step_id: str) -> Any:
    """How far a step is: status, attempts, generation, started_at, result."""
    return (await (await connection_of(session)).execute(STEP_STATE, {"plan_id": plan_id, "step_id": step_id})).one()


async def task_row(session: AsyncSession, plan_id: str) -> TaskRow | None:
    return await session.get(TaskRow, plan_id)


async def step_rows(session: AsyncSession, plan_id: str) -> Sequence[PlanStepRow]:
    query = select(PlanStepRow).where(PlanStepRow.plan_id == plan_id).order_by(PlanStepRow.position)
    return (await session.scalars(query)).all()


async def plan_of(session: AsyncSession, plan_id: str) -> PlanV2 | None:
    """A plan with its steps, or None."""
    row = (await (await connection_of(session)).execute(PLAN, {"plan_id": plan_id})).first()
    if row is None:
        return None
    steps = await (await connection_of(session)).execute(STEPS_OF, {"plan_id": plan_id})
    return PlanV2(
        plan_id=row.id,
        intent_id=row.intent_id,
        session_id=row.session_id,
        mode=row.mode,
        status=row.status,
        risk=row.risk,
        reason=row.reason,
        intent=row.intent,
        steps=[step_of(step) for step in steps],
        response=row.response,
        question=row.question,
        result=row.result,
        error=row.error,
        artifacts=row.artifacts,
        warnings=row.warnings,
        caller=row.caller,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def step_of(row: Row[Any]) -> StepV2:
    return StepV2(
        step_id=row.step_id,
        type=row.type,
        operation=row.operation,
        params=row.params,
        status=row.status,
        attempts=row.attempts,
        result=row.result,
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


async def list_plans(
    session: AsyncSession,
    page: PageQuery,
    *,
    caller: str | None,
    status: StatusEnum | None,
    session_id: str | None,
    intent: str | None,
) -> list[PlanSummary]:
    """Plans, newest first, one more than the page holds. `caller` None means everybody's."""
    query = select(TaskRow).order_by(TaskRow.id.desc()).limit(page.limit + 1)
    for column, wanted in (
        (TaskRow.caller, caller),
        (TaskRow.status, status),
        (TaskRow.session_id, session_id),
        (TaskRow.intent_name, intent),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if page.cursor is not None:
        query = query.where(TaskRow.id < page.cursor)
    return [
        PlanSummary(
            plan_id=row.id,
            intent_id=row.intent_id,
            session_id=row.session_id,
            intent=row.intent_name,
            status=row.status,
            risk=row.risk,
            response=row.response,
            created_at=row.created_at,
            finished_at=row.finished_at,
        )
        for row in await session.scalars(query)
    ]


async def unfinished_plans(session: AsyncSession) -> list[str]:
    """Plans that should be running: neither ended nor waiting for a person. Oldest first."""
    is_going = TaskRow.status.in_([StatusEnum.PENDING, StatusEnum.RUNNING])
    waits_for_a_daughter = and_(TaskRow.status == StatusEnum.WAITING, TaskRow.confirm_expires_at.is_(None))
    query = select(TaskRow.id).where(or_(is_going, waits_for_a_daughter)).order_by(TaskRow.id)
    return list(await session.scalars(query))


async def expired_plans(session: AsyncSession, now: datetime) -> list[str]:
    """Plans whose confirmation did not come in time."""
    query = select(TaskRow.id).where(TaskRow.status == StatusEnum.WAITING, TaskRow.confirm_expires_at < now)
    return list(await session.scalars(query))


async def update_task(session: AsyncSession, plan_id: str, **values: Any) -> None:
    await _change(session, TASKS, {"id": plan_id}, values)


async def update_step(session: AsyncSession, plan_id: str, step_id: str, **values: Any) -> None:
    await _change(session, STEPS, {"plan_id": plan_id, "step_id": step_id}, values)


async def _change(session: AsyncSession, table: Table, key: dict[str, str], values: dict[str, Any]) -> None:
    """Update the row with this key, by a statement that is built once for these columns."""
    named = {f"key_{name}": value for name, value in key.items()} | {
        f"new_{name}": value for name, value in values.items()
    }
    await (await connection_of(session)).execute(_update_of(table, tuple(key), tuple(values)), named)


@lru_cache(maxsize=128)
def _update_of(table: Table, key: tuple[str, ...], columns: tuple[str, ...]) -> Update:
    where = [table.c[name] == bindparam(f"key_{name}") for name in key]
    return table.update().where(*where).values({name: bindparam(f"new_{name}") for name in columns})


async def take_back_running(session: AsyncSession, operations: Iterable[str]) -> None:
    """Steps that run these operations are to be asked again, under a new key."""
    running = PlanStepRow.status == StatusEnum.RUNNING, PlanStepRow.operation.in_(list(operations))
    values = {"status": StatusEnum.PENDING, "generation": PlanStepRow.generation + 1}
    await session.execute(update(PlanStepRow).where(*running).values(values))


async def add_events(session: AsyncSession, plan_id: str, *events: tuple[str, dict[str, Any]]) -> None:
    """Add to what happened to a plan, each as (event, data); events count from 1 within it."""
    now = utc_now()
    rows = [{"plan": plan_id, "event": event, "data": data, "at": now} for event, data in events]
    await (await connection_of(session)).execute(ADD_EVENT, rows)


async def status_of(session: AsyncSession, plan_id: str) -> StatusEnum | None:
    """Where a plan stands, without reading the rest of it."""
    found = (await (await connection_of(session)).execute(PLAN_STATUS, {"plan_id": plan_id})).scalar_one_or_none()
    return None if found is None else StatusEnum(found)


async def events_after(session: AsyncSession, plan_id: str, seq: int) -> list[PlanEvent]:
    query = (
        select(PlanEventRow).where(PlanEventRow.plan_id == plan_id, PlanEventRow.seq > seq).order_by(PlanEventRow.seq)
    )
    return [
        PlanEvent(seq=row.seq, plan_id=row.plan_id, event=row.event, data=row.data, at=row.at)
        for row in await session.scalars(query)
    ]


async def daughter_of(session: AsyncSession, key: str) -> Any:
    """The daughter that the step with this key has, or None."""
    return (await (await connection_of(session)).execute(DAUGHTER_OF, {"key": key})).first()


async def daughter_state(session: AsyncSession, daughter_id: str) -> Any:
    """A daughter's row with the status of her plan (`plan_status`), or None."""
    return (await (await connection_of(session)).execute(DAUGHTER_STATE, {"id": daughter_id})).first()


async def add_daughter(
    session: AsyncSession, plan: PlanV2, step_id: str, *, key: str, request: DaughterRequest, most_attempts: int
) -> str:
    """Leave a process for spawner to run; returns the daughter's id."""
    row = {
        "id": new_id("daughter"),
        "plan_id": plan.plan_id,
        "step_id": step_id,
        "key": key,
        "caller": plan.caller,
        "request": request.model_dump(mode="json"),
        "priority": request.spawn.priority.rank,
        "most_attempts": most_attempts,
        "status": StatusEnum.PENDING,
        "attempts": 0,
        "fence": 0,
        "created_at": utc_now(),
    }
    await (await connection_of(session)).execute(ADD_DAUGHTER, row)
    return str(row["id"])


async def set_context(session: AsyncSession, scope: str, key: str, value: dict[str, Any]) -> None:
    """Remember `value`, in place of what was there."""
    await forget(session, scope, key)
    row = {"scope": scope, "key": key, "value": value, "updated_at": utc_now()}
    await (await connection_of(session)).execute(REMEMBER, row)


async def get_context(session: AsyncSession, scope: str, key: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (
        await (await connection_of(session)).execute(RECALL, {"scope": scope, "key": key})
    ).scalar_one_or_none()
    return found


async def studio_of(session: AsyncSession, scope: str) -> Studio:
    """What lies on a session's table, without what plans that failed or were cancelled would have made of it."""
    kept = Studio.model_validate(await get_context(session, scope, CONTEXT_KEY) or {})
    unmade = [take.plan_id for take in kept.takes if take.plan_id is not None and take.current is None]
    if not unmade:
        return kept
    lost = (StatusEnum.ERROR, StatusEnum.CANCELLED)
    rows = await session.execute(select(TaskRow.id).where(TaskRow.id.in_(unmade), TaskRow.status.in_(lost)))
    return kept.without(rows.scalars())


async def all_context(session: AsyncSession, scope: str) -> dict[str, Any]:
    rows = await session.scalars(select(ContextRow).where(ContextRow.scope == scope))
    return {row.key: row.value for row in rows}


async def forget(session: AsyncSession, scope: str, key: str) -> None:
    await (await connection_of(session)).execute(FORGET, {"of": scope, "named": key})


async def forget_older(session: AsyncSession, key: str, before: datetime) -> None:
    """Forget what sessions remember under `key` since before that time."""
    await session.execute(delete(ContextRow).where(ContextRow.key == key, ContextRow.updated_at < before))


async def turns_of(session: AsyncSession, session_id: str, caller: str | None, limit: int) -> list[Turn]:
    """The last turns of a conversation, oldest first."""
    query = select(IntentLogRow).where(IntentLogRow.session_id == session_id)
    if caller is not None:
        query = query.where(IntentLogRow.caller == caller)
    rows = (await session.scalars(query.order_by(IntentLogRow.id.desc()).limit(limit))).all()
    return [
        Turn(
            intent_id=row.id,
            message=row.message,
            intent=row.intent["name"] if row.intent else None,
            plan_id=row.plan_id,
            status=row.status,
            response=row.response,
            created_at=row.created_at,
        )
        for row in reversed(rows)
    ]
