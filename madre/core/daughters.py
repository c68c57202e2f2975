"""Madre's daughters: processes that spawner runs for a plan. Their rows are the truth; spawner's call only says when to look."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from config.contracts.spawner import DaughterRequest, DaughterResult, SpawnRequest
from config.errors import FleetError, UpstreamContractError
from madre.core.models import PlanV2, StepV2

LOOK_SECONDS = 2.0
"""How often a daughter's row is looked at: spawner may have died before it could call, or may never come back."""
MOST_KEPT = 16 * 1024
"""Characters of each stream that a plan keeps; spawner keeps the rest for as long as the job's folder."""
MOST_ATTEMPTS = 3
KEPT_OF_A_SPAWN = (
    "spawn_id", "name", "reason", "exit_code", "signal", "detail", "command", "args", "stdout_bytes", "stderr_bytes",
    "truncated", "peak_memory_bytes", "cpu_seconds", "started_at", "finished_at", "expires_at", "protections", "limits",
    "network", "artifacts",
)  # fmt: skip


class DaughterFailed(FleetError):
    """A process that a plan needs did not do its work."""

    code, status, title = "daughter_failed", 502, "A process did not do its work"


class Calls:
    """Who waits for which daughter in this process."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}

    @contextmanager
    def about(self, daughter_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when spawner calls about this daughter."""
        event = self._waiting[daughter_id] = asyncio.Event()
        try:
            yield event
        finally:
            self._waiting.pop(daughter_id, None)

    def all_came(self) -> None:
        """Have every row looked at: what stands still has changed."""
        for event in self._waiting.values():
            event.set()

    def came(self, daughter_id: str) -> None:
        if event := self._waiting.get(daughter_id):
            event.set()


def key_of(plan: PlanV2, step: StepV2) -> str:
    """The step's Idempotency-Key. A halt does not change it: spawner itself takes her up again after the resume."""
    return f"{plan.plan_id}:{step.step_id}"


def request_of(step: StepV2, *, is_confirmed: bool) -> DaughterRequest:
    return DaughterRequest(spawn=SpawnRequest.model_validate(step.params), is_confirmed=is_confirmed)


def most_attempts(spawn: SpawnRequest) -> int:
    """How often a daughter may be begun that was lost on the way. One with network may have done its work outside: once, unless said."""
    if "retries" in spawn.model_fields_set:
        return spawn.retries + 1
    return 1 if spawn.network == "full" else MOST_ATTEMPTS


def outcome_of(row: Any) -> dict[str, Any]:
    """What a plan keeps of a daughter that has ended. Raises UpstreamContractError for a row that spawner did not close as agreed."""
    try:
        told = DaughterResult.model_validate(row.result) if row.result is not None else None
    except ValidationError as exc:
        raise UpstreamContractError(f"the result of daughter {row.id} is not as agreed") from exc
    kept = {"daughter_task_id": row.id, "status": row.status, "attempts": row.attempts, "error": row.error}
    if told is None or told.spawn is None:
        return kept | {"spawn_id": row.spawn_id}
    record = told.spawn.model_dump(mode="json")
    streams = {name: record[name][:MOST_KEPT].replace("\x00", "\ufffd") for name in ("stdout", "stderr")}  # Postgres
    return kept | {name: record[name] for name in KEPT_OF_A_SPAWN} | streams
