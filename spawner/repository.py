"""What spawner keeps in the database: its jobs, and what they used while they ran."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Table, Update, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.common import StatusEnum
from config.contracts.spawner import (
    Artifact,
    Limits,
    Protections,
    Reason,
    RuntimeSample,
    SpawnPriority,
    SpawnRecord,
    SpawnRequest,
    SpawnSummary,
    shown,
)
from config.database import connection_of
from config.db_schema import HijaRuntimeRow, SpawnRow
from config.pages import PageQuery
from spawner.ended import Ended

OPEN = (StatusEnum.PENDING, StatusEnum.RUNNING)
FINAL = tuple(one for one in StatusEnum if one.is_final)
SPAWNS = cast(Table, SpawnRow.__table__)
# Each job goes through these: built once, and run on the connection, they cost half of what they do through the session.
ADD = SPAWNS.insert()
RECORD = select(*(column for column in SPAWNS.c if column.name not in ("request", "marker"))).where(
    SPAWNS.c.id == bindparam("spawn_id")
)
STATE = select(SPAWNS.c.status, SPAWNS.c.attempt, SPAWNS.c.caller, SPAWNS.c.is_removed).where(
    SPAWNS.c.id == bindparam("spawn_id")
)
TO_RUN = select(SPAWNS.c.request, SPAWNS.c.caller, SPAWNS.c.attempt, SPAWNS.c.network).where(
    SPAWNS.c.id == bindparam("spawn_id"), SPAWNS.c.status == StatusEnum.PENDING
)
REQUEST = select(SPAWNS.c.request).where(SPAWNS.c.id == bindparam("spawn_id"), SPAWNS.c.status.in_(OPEN))
SUMMARY = (
    SpawnRow.id,
    SpawnRow.name,
    SpawnRow.status,
    SpawnRow.reason,
    SpawnRow.exit_code,
    SpawnRow.command,
    SpawnRow.caller,
    SpawnRow.daughter_task_id,
    SpawnRow.queued_at,
    SpawnRow.started_at,
    SpawnRow.finished_at,
)


NEW: dict[str, Any] = {
    "stdout": "",
    "stderr": "",
    "stdout_bytes": 0,
    "stderr_bytes": 0,
    "is_truncated": False,
    "is_removed": False,
    "artifacts": [],
}


async def add(session: AsyncSession, record: SpawnRecord, request: SpawnRequest, fence: int | None = None) -> None:
    """Keep a new job, with all that it takes to run it."""
    values = {
        "id": record.spawn_id,
        "name": record.name,
        "status": record.status,
        "command": record.command,
        "args": record.args,
        "request": request.model_dump(mode="json"),
        "limits": record.limits.model_dump(mode="json"),
        "network": record.network,
        "priority": record.priority.rank,
        "caller": record.caller,
        "daughter_task_id": record.daughter_task_id,
        "fence": fence,
        "attempt": record.attempt,
        "protections": record.protections.model_dump(mode="json") if record.protections else None,
        "queued_at": record.queued_at,
        "started_at": record.started_at,
    }
    await (await connection_of(session)).execute(ADD, NEW | values)


async def record(session: AsyncSession, spawn_id: str) -> SpawnRecord | None:
    row = (await (await connection_of(session)).execute(RECORD, {"spawn_id": spawn_id})).one_or_none()
    return _record(row) if row else None


async def request(session: AsyncSession, spawn_id: str) -> SpawnRequest | None:
    """What a job was asked to do; None unless it waits or runs."""
    found = (await (await connection_of(session)).execute(REQUEST, {"spawn_id": spawn_id})).scalar_one_or_none()
    return SpawnRequest.model_validate(found) if found is not None else None


async def state(session: AsyncSession, spawn_id: str) -> Any:
    """The few columns that say where a job stands: `status`, `attempt`, `caller`, `is_removed`; None when there is no such job."""
    return (await (await connection_of(session)).execute(STATE, {"spawn_id": spawn_id})).one_or_none()


async def page(
    session: AsyncSession,
    query: PageQuery,
    *,
    statuses: list[StatusEnum],
    name: str | None,
    caller: str | None,
    daughter_task_id: str | None,
) -> list[SpawnSummary]:
    """Newest first, one more than the page may hold."""
    found = select(*SUMMARY).order_by(SpawnRow.id.desc()).limit(query.limit + 1)
    if query.cursor:
        found = found.where(SpawnRow.id < query.cursor)
    if statuses:
        found = found.where(SpawnRow.status.in_(statuses))
    if name is not None:
        found = found.where(SpawnRow.name == name)
    if caller is not None:
        found = found.where(SpawnRow.caller == caller)
    if daughter_task_id is not None:
        found = found.where(SpawnRow.daughter_task_id == daughter_task_id)
    rows = (await session.execute(found)).all()
    return [SpawnSummary.model_validate({**row._mapping, "spawn_id": row.id}) for row in rows]


@dataclass(frozen=True)
class Turn:
    """A job whose turn it is."""

    request: SpawnRequest
    caller: str
    attempt: int


def ended_record(record: SpawnRecord, ended: Ended, expires_at: datetime) -> SpawnRecord:
    """The job as `record` would find it once `end` has been committed, for who has just done that."""
    return record.model_copy(
        update={
            "status": ended.status,
            "reason": ended.reason,
            "exit_code": ended.exit_code,
            "signal": ended.signal,
            "detail": ended.detail,
            "protections": ended.protections,
            "stdout": ended.stdout,
            "stderr": ended.stderr,
            "stdout_bytes": ended.stdout_bytes,
            "stderr_bytes": ended.stderr_bytes,
            "truncated": ended.is_truncated,
            "peak_memory_bytes": ended.peak_memory_bytes,
            "cpu_seconds": ended.cpu_seconds,
            "artifacts": ended.artifacts,
            "started_at": ended.started_at,
            "finished_at": ended.finished_at,
            "expires_at": expires_at,
        }
    )


async def begin(
    session: AsyncSession, spawn_id: str, at: datetime, protections: Mapping[str, Protections]
) -> Turn | None:
    """A waiting job runs from now on, so protected for its `network`; None when it does not wait any more."""
    row = (await (await connection_of(session)).execute(TO_RUN, {"spawn_id": spawn_id})).one_or_none()
    if row is None:
        return None
    kept = protections[row.network]
    values = {"status": StatusEnum.RUNNING, "started_at": at, "protections": kept.model_dump(mode="json")}
    await _change(session, spawn_id, [StatusEnum.PENDING], **values)
    return Turn(SpawnRequest.model_validate(row.request), row.caller, row.attempt)


async def mark(session: AsyncSession, spawn_id: str, marker: dict[str, Any]) -> None:
    """Where the processes of a running job can be found again."""
    await _change(session, spawn_id, [StatusEnum.RUNNING], marker=marker)


async def again(session: AsyncSession, spawn_id: str, attempt: int, detail: str) -> bool:
    """An open job waits for its next attempt; False when it was ended meanwhile."""
    values = {
        "status": StatusEnum.PENDING,
        "attempt": attempt,
        "detail": detail,
        "marker": None,
        "started_at": None,
        "protections": None,
    }
    return await _change(session, spawn_id, OPEN, **values)


async def end(
    session: AsyncSession,
    spawn_id: str,
    ended: Ended,
    *,
    asked: SpawnRequest | None = None,
    only_waiting: bool = False,
) -> datetime | None:
    """Write how a job went, and say when its folder goes; None, and nothing changed, when it has ended before (or, where asked for, when it
    does not wait).

    What may be private or large of its request (`asked`, where it is at hand) is forgotten.
    """
    asked = asked or await request(session, spawn_id)
    if asked is None:
        return None
    expires_at = ended.finished_at + timedelta(seconds=asked.ttl_seconds)
    values = {
        "status": ended.status,
        "reason": ended.reason,
        "exit_code": ended.exit_code,
        "signal": ended.signal,
        "detail": ended.detail,
        "protections": ended.protections.model_dump(mode="json") if ended.protections else None,
        "stdout": ended.stdout,
        "stderr": ended.stderr,
        "stdout_bytes": ended.stdout_bytes,
        "stderr_bytes": ended.stderr_bytes,
        "is_truncated": ended.is_truncated,
        "peak_memory_bytes": ended.peak_memory_bytes,
        "cpu_seconds": ended.cpu_seconds,
        "artifacts": [one.model_dump(mode="json") for one in ended.artifacts],
        "started_at": ended.started_at,
        "finished_at": ended.finished_at,
        "expires_at": expires_at,
        "request": shown(asked),
        "marker": None,
    }
    is_ended = await _change(session, spawn_id, [StatusEnum.PENDING] if only_waiting else OPEN, **values)
    return expires_at if is_ended else None


async def open_jobs(session: AsyncSession) -> list[SpawnRow]:
    """Every job that has not ended, oldest first."""
    query = select(SpawnRow).where(SpawnRow.status.in_(OPEN)).order_by(SpawnRow.id)
    return list((await session.execute(query)).scalars())


async def expiring(session: AsyncSession) -> list[tuple[datetime, str]]:
    """Every job that has ended and still has its folder, with the time at which that goes."""
    query = select(SpawnRow.expires_at, SpawnRow.id).where(
        SpawnRow.expires_at.is_not(None), SpawnRow.is_removed.is_(False)
    )
    return [(row.expires_at, row.id) for row in (await session.execute(query)).all()]


async def removed(session: AsyncSession, spawn_ids: list[str]) -> None:
    """Their folders are gone, and what they used moment by moment is forgotten with them."""
    await session.execute(update(SpawnRow).where(SpawnRow.id.in_(spawn_ids)).values(is_removed=True))
    await session.execute(delete(HijaRuntimeRow).where(HijaRuntimeRow.spawn_id.in_(spawn_ids)))


async def add_samples(session: AsyncSession, samples: list[tuple[str, RuntimeSample]]) -> None:
    values = [{"spawn_id": spawn_id, **one.model_dump()} for spawn_id, one in samples]
    await session.execute(insert(HijaRuntimeRow), values)


async def samples(session: AsyncSession, spawn_id: str, query: PageQuery) -> list[tuple[int, RuntimeSample]]:
    """What a job used, oldest first, with the numbers that a cursor goes by; one more than the page may hold."""
    found = select(HijaRuntimeRow).where(HijaRuntimeRow.spawn_id == spawn_id).order_by(HijaRuntimeRow.id)
    if query.cursor:
        found = found.where(HijaRuntimeRow.id > int(query.cursor))
    rows = (await session.execute(found.limit(query.limit + 1))).scalars()
    return [
        (
            row.id,
            RuntimeSample(
                at=row.at, memory_bytes=row.memory_bytes, cpu_seconds=row.cpu_seconds, processes=row.processes
            ),
        )
        for row in rows
    ]


async def _change(session: AsyncSession, spawn_id: str, statuses: Sequence[StatusEnum], **values: Any) -> bool:
    named = {f"new_{name}": value for name, value in values.items()} | {"spawn_id": spawn_id}
    changed = await (await connection_of(session)).execute(_update_of(tuple(statuses), tuple(values)), named)
    return changed.rowcount == 1


@lru_cache
def _update_of(statuses: tuple[StatusEnum, ...], columns: tuple[str, ...]) -> Update:
    where = (SPAWNS.c.id == bindparam("spawn_id"), SPAWNS.c.status.in_(statuses))
    return SPAWNS.update().where(*where).values({name: bindparam(f"new_{name}") for name in columns})


def _record(row: Any) -> SpawnRecord:
    return SpawnRecord(
        spawn_id=row.id,
        name=row.name,
        status=StatusEnum(row.status),
        reason=Reason(row.reason) if row.reason else None,
        exit_code=row.exit_code,
        signal=row.signal,
        detail=row.detail,
        command=row.command,
        args=row.args,
        stdout=row.stdout,
        stderr=row.stderr,
        stdout_bytes=row.stdout_bytes,
        stderr_bytes=row.stderr_bytes,
        truncated=row.is_truncated,
        peak_memory_bytes=row.peak_memory_bytes,
        cpu_seconds=row.cpu_seconds,
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        expires_at=row.expires_at,
        protections=Protections.model_validate(row.protections) if row.protections else None,
        limits=Limits.model_validate(row.limits),
        network="full" if row.network == "full" else "none",
        priority=list(SpawnPriority)[row.priority],
        attempt=row.attempt,
        artifacts=[Artifact.model_validate(one) for one in row.artifacts],
        caller=row.caller,
        daughter_task_id=row.daughter_task_id,
    )
