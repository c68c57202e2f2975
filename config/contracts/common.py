"""Shapes that every service uses."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Wire(BaseModel):
    """Base of everything on the wire: frozen, and deaf to fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Item = TypeVar("Item")


class Page(Wire, Generic[Item]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None = None


class StatusEnum(StrEnum):
    """Where a plan, a step or a job stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    DONE = "DONE"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        return self in (StatusEnum.DONE, StatusEnum.ERROR, StatusEnum.CANCELLED)


class HealthState(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


class Check(Wire):
    """One thing a service looked at to tell its health."""

    status: HealthState
    detail: str = ""


class Health(Wire):
    """Answer of `/health`. Without a token only `status` and `service` are filled: enough for a liveness probe."""

    status: HealthState
    service: str
    version: str = ""
    uptime_seconds: float = 0.0
    checks: dict[str, Check] = {}


class FieldProblem(Wire):
    """One field of a request that is wrong."""

    field: str
    message: str


class Problem(Wire):
    """An error, as RFC 9457 writes it; `type` is `/errors/<code>`."""

    type: str
    title: str
    status: int
    detail: str
    service: str
    request_id: str
    errors: list[FieldProblem] | None = None


class Job(Wire):
    """Long work that was accepted: poll it, follow its events, or cancel it.

    `progress` runs from 0 to 1; `done_bytes` and `total_bytes` are filled where the work moves bytes.
    """

    job_id: str
    kind: str
    status: StatusEnum
    progress: float = Field(0.0, ge=0.0, le=1.0)
    result: dict[str, Any] | None = None
    error: str | None = None
    detail: str = ""
    """What running work waits for now, where that is worth telling."""
    done_bytes: int | None = None
    total_bytes: int | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
