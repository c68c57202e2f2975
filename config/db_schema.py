"""All tables of the fleet, and who may write each of them.

Every service reads everything. Who inserts, updates and deletes is `OWNERS`; `database.py` refuses the rest at the connection.
Changing a table here needs a migration in `config/migrations/versions`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite keeps no zone, so it is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")
"""A counted id of 64 bits; SQLite counts only what it calls INTEGER, and that has 64 bits there."""


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, datetime: UtcDateTime}


class JobRow(Base):
    """A piece of long work of a service; `config/jobs` keeps them."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(12))
    caller: Mapped[str] = mapped_column(String(200))
    request: Mapped[dict[str, Any]]
    """As it was asked."""
    state: Mapped[dict[str, Any]]
    """What a restart needs to go on: the request with everything in it resolved, and how far it came."""
    progress: Mapped[float] = mapped_column(default=0.0)
    done_bytes: Mapped[int | None] = mapped_column(BigInteger)
    total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


# --- madre ---------------------------------------------------------------------------------------------------------


class IntentLogRow(Base):
    """What was asked of madre; written first, closed once, never deleted."""

    __tablename__ = "intents_log"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(String(128), index=True)
    caller: Mapped[str] = mapped_column(String(200))
    origin: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(10))  # chat or control
    message: Mapped[str] = mapped_column(Text)
    request: Mapped[dict[str, Any]]
    intent: Mapped[dict[str, Any] | None]
    plan_id: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(12))
    response: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(index=True)
    closed_at: Mapped[datetime | None]


class TaskRow(Base):
    """A plan."""

    __tablename__ = "tasks"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    intent_id: Mapped[str] = mapped_column(ForeignKey("intents_log.id"), index=True)
    session_id: Mapped[str] = mapped_column(String(128), index=True)
    caller: Mapped[str] = mapped_column(String(200))
    mode: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(12), index=True)
    risk: Mapped[str] = mapped_column(String(4))
    reason: Mapped[str] = mapped_column(Text)
    intent_name: Mapped[str] = mapped_column(String(32))
    intent: Mapped[dict[str, Any]]
    plan_hash: Mapped[str] = mapped_column(String(64))
    response: Mapped[str] = mapped_column(Text, default="")
    question: Mapped[str | None] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    artifacts: Mapped[list[Any]]
    warnings: Mapped[list[Any]]
    confirm_hash: Mapped[str | None] = mapped_column(String(64))
    confirm_expires_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class PlanStepRow(Base):
    """A step of a plan and what became of it."""

    __tablename__ = "plan_steps"

    plan_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    step_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    position: Mapped[int]
    type: Mapped[str] = mapped_column(String(20))
    operation: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(default=0)
    generation: Mapped[int] = mapped_column(default=0)  # how often a halt took the step back
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class PlanEventRow(Base):
    """What happened to a plan, in order; followed by `GET /madre/plans/{id}/events`."""

    __tablename__ = "plan_events"

    plan_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    event: Mapped[str] = mapped_column(String(32))
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class ContextRow(Base):
    """What madre remembers: by session, and for herself under the scope `madre` (the halt switch)."""

    __tablename__ = "context"

    scope: Mapped[str] = mapped_column(String(400), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class MadreActionRow(Base):
    """Every decision of madre, hash-chained; append-only."""

    __tablename__ = "madre_actions"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    event: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200), index=True)
    caller: Mapped[str] = mapped_column(String(200))
    details: Mapped[str] = mapped_column(Text)
    at: Mapped[str] = mapped_column(String(32))
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


# --- every service, its own rows -----------------------------------------------------------------------------------


class IdempotencyKeyRow(Base):
    """A request that must not happen twice, and the answer it got."""

    __tablename__ = "idempotency_keys"

    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    caller: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[int | None]
    answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)


class AuditRow(Base):
    """What must be provable later: one hash chain per service; append-only."""

    __tablename__ = "audit_log"

    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    event: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200), index=True)
    caller: Mapped[str] = mapped_column(String(200))
    details: Mapped[str] = mapped_column(Text)
    at: Mapped[str] = mapped_column(String(32))
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


# --- gateway -------------------------------------------------------------------------------------------------------


class AccessTokenRow(Base):
    """A client token: its hash, what it may do and until when."""

    __tablename__ = "access_tokens"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]]
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


# --- switch --------------------------------------------------------------------------------------------------------


class RouteDecisionRow(Base):
    """Which model answered a prompt, and why."""

    __tablename__ = "route_decisions"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    caller: Mapped[str] = mapped_column(String(200))
    session_id: Mapped[str | None] = mapped_column(String(128))
    task_type: Mapped[str | None] = mapped_column(String(64))
    model: Mapped[str | None] = mapped_column(String(200))
    provider: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    candidates: Mapped[list[Any]]
    outcome: Mapped[str] = mapped_column(String(32))
    cost_usd: Mapped[float | None] = mapped_column(Float)
    latency_ms: Mapped[float] = mapped_column(Float)
    queue_ms: Mapped[float] = mapped_column(Float)
    feedback: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What somebody said of the answer, and how it was learned (`switch/choosing/feedback.py`)."""
    created_at: Mapped[datetime] = mapped_column(index=True)


class ProviderStatRow(Base):
    """How a model of a provider has done so far."""

    __tablename__ = "provider_stats"

    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    asked: Mapped[int] = mapped_column(BigInteger, default=0)
    answered: Mapped[int] = mapped_column(BigInteger, default=0)
    failed: Mapped[int] = mapped_column(BigInteger, default=0)
    input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    output_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    latency_ms_total: Mapped[float] = mapped_column(default=0.0)
    """Of those that answered."""
    last_answered_at: Mapped[datetime | None]
    last_failed_at: Mapped[datetime | None]
    last_failure: Mapped[str | None] = mapped_column(String(300))


class LearnerStateRow(Base):
    """What was learned of a model at a type of task: the numbers of its arm (`switch/choosing`)."""

    __tablename__ = "learner_state"

    task_type: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(300), primary_key=True)
    """As it is named on the wire: `<provider>/<model>`, or a local name."""
    state: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class SpendRow(Base):
    """Money: `block`s that were set aside before calls, and the `call`s that were paid out of them (`switch/money`).

    What a block that is no longer open held beyond its calls counts as spent when its process was killed.
    """

    __tablename__ = "spend_ledger"
    __table_args__ = (
        Index("ix_spend_ledger_day", "day", "kind"),
        Index("ix_spend_ledger_block", "block_id"),
        Index("ix_spend_ledger_decision", "decision_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(12))
    """A block is `open`, `closed` (nothing left in it counts) or `assumed` (what is left counts as spent); a call is `settled`."""
    block_id: Mapped[str | None] = mapped_column(String(64))
    owner: Mapped[str | None] = mapped_column(String(64))
    """Of a block: the running switch that draws on it."""
    day: Mapped[str] = mapped_column(String(10))
    caller: Mapped[str] = mapped_column(String(200))
    task_type: Mapped[str | None] = mapped_column(String(64))
    decision_id: Mapped[str | None] = mapped_column(String(64))
    provider: Mapped[str | None] = mapped_column(String(64))
    model: Mapped[str | None] = mapped_column(String(200))
    input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    output_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    cached_input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    amount_nanousd: Mapped[int] = mapped_column(BigInteger)
    """Billionths of a US dollar: sums stay exact."""
    is_estimated: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


# --- hermes_db -----------------------------------------------------------------------------------------------------


class ModelRow(Base):
    """A model this box has or knows of."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    model_id: Mapped[str] = mapped_column(String(300))
    source: Mapped[str] = mapped_column(String(50))
    path: Mapped[str | None] = mapped_column(Text)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    tags: Mapped[list[Any]]
    specialty: Mapped[str | None] = mapped_column(String(100), index=True)
    adjacent_fields: Mapped[list[Any]]
    model_type: Mapped[str | None] = mapped_column(String(50))
    version: Mapped[str | None] = mapped_column(String(50))
    license: Mapped[str | None] = mapped_column(String(100))
    revision: Mapped[str | None] = mapped_column(String(64))
    performance_score: Mapped[float] = mapped_column(default=0.5)
    usage_count: Mapped[int] = mapped_column(BigInteger, default=0)
    last_used_at: Mapped[datetime | None]
    added_at: Mapped[datetime]
    is_active: Mapped[bool] = mapped_column(default=True, index=True)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata")


class CliRow(Base):
    """A command-line tool this box has or knows of."""

    __tablename__ = "clis"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    kind: Mapped[str | None] = mapped_column(String(50))
    path: Mapped[str | None] = mapped_column(Text)
    version: Mapped[str | None] = mapped_column(String(50))
    install_command: Mapped[str | None] = mapped_column(Text)
    documentation_url: Mapped[str | None] = mapped_column(Text)
    api_url: Mapped[str | None] = mapped_column(Text)
    token_required: Mapped[bool] = mapped_column(default=False)
    token_service: Mapped[str | None] = mapped_column(String(100))
    rate_limit_per_hour: Mapped[int | None]
    rate_limit_per_day: Mapped[int | None]
    max_concurrent: Mapped[int | None]
    answers_prompts: Mapped[bool] = mapped_column(default=False)
    usage_count: Mapped[int] = mapped_column(BigInteger, default=0)
    last_used_at: Mapped[datetime | None]
    added_at: Mapped[datetime]
    is_active: Mapped[bool] = mapped_column(default=True, index=True)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata")


class SpecialtyRow(Base):
    """A field that models are good at; the task types of switch."""

    __tablename__ = "specialties"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    parent_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("specialties.id"))
    related_fields: Mapped[list[Any]]
    priority: Mapped[int] = mapped_column(default=1)


class UsageStatRow(Base):
    """One use of a model or a tool."""

    __tablename__ = "usage_stats"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    module: Mapped[str] = mapped_column(String(50))
    action_type: Mapped[str] = mapped_column(String(50))
    model_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("models.id"), index=True)
    cli_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("clis.id"), index=True)
    duration_ms: Mapped[float]
    success: Mapped[bool]
    error_message: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(index=True)


class ExternalTokenRow(Base):
    """A key for a service outside of the fleet. Its value is encrypted and never shown but to services."""

    __tablename__ = "external_tokens"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    service: Mapped[str] = mapped_column(String(100), unique=True)
    value: Mapped[str] = mapped_column(Text)  # Fernet
    limit_per_day: Mapped[int | None]
    used_today: Mapped[int] = mapped_column(default=0)
    used_on: Mapped[str | None] = mapped_column(String(10))  # the day, in UTC, that `used_today` counts
    addresses: Mapped[list[Any]]
    """Networks that may use it, such as `10.0.0.0/8`; empty: every caller."""
    expires_at: Mapped[datetime | None]
    renew_at: Mapped[datetime]
    added_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    is_active: Mapped[bool] = mapped_column(default=True)


class CliLeaseRow(Base):
    """A turn with a command-line tool: taken before it is used, given back after; limits per hour, day and at once count these."""

    __tablename__ = "cli_leases"
    __table_args__ = (Index("ix_cli_leases_cli", "cli_id", "taken_at"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    cli_id: Mapped[int] = mapped_column(BigId, ForeignKey("clis.id"))
    caller: Mapped[str] = mapped_column(String(200))
    taken_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    returned_at: Mapped[datetime | None]


# --- hermes --------------------------------------------------------------------------------------------------------


class HermesJobRow(JobRow):
    """Long work of hermes: downloads, upkeep, searches for better models, discoveries of tools."""

    __tablename__ = "hermes_jobs"
    __table_args__ = (Index("ix_hermes_jobs_status", "status"), Index("ix_hermes_jobs_kind", "kind", "id"))


# --- shub ----------------------------------------------------------------------------------------------------------


class AudioAssetRow(Base):
    """An audio file: uploaded, or made by a job. The bytes lie in the store under their SHA-256."""

    __tablename__ = "audio_assets"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    format: Mapped[str] = mapped_column(String(16))
    encoding: Mapped[str] = mapped_column(String(32))
    duration_seconds: Mapped[float]
    sample_rate_hz: Mapped[int]
    channels: Mapped[int]
    provenance: Mapped[dict[str, Any] | None]
    caller: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class AudioJobRow(JobRow):
    """Long audio work. `state` names the files that are read, as `inputs`."""

    __tablename__ = "audio_jobs"
    __table_args__ = (Index("ix_audio_jobs_status", "status"), Index("ix_audio_jobs_kind", "kind", "id"))


# --- spawner --------------------------------------------------------------------------------------------------------


class DaughterTaskRow(Base):
    """A process that a plan needs. Madre inserts it and spawner does all the rest; `fence` counts the claims.

    A worker writes only where the fence is still the one it claimed with: one that was thought lost and is only late changes nothing.
    """

    __tablename__ = "daughter_tasks"
    __table_args__ = (
        Index("uq_daughter_tasks_key", "key", unique=True),
        Index("ix_daughter_tasks_status", "status", "priority"),
        Index("ix_daughter_tasks_plan", "plan_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    plan_id: Mapped[str] = mapped_column(String(64))
    step_id: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(200))
    """The step's idempotency key: asked again, a step finds its daughter instead of making a second one."""
    caller: Mapped[str] = mapped_column(String(200))
    request: Mapped[dict[str, Any]]
    priority: Mapped[int] = mapped_column(default=1)
    most_attempts: Mapped[int] = mapped_column(default=3)
    status: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    lease_by: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[datetime | None]
    spawn_id: Mapped[str | None] = mapped_column(String(64))
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]
    """When madre was told of its end."""


class SpawnRow(Base):
    """A job of spawner's, from the moment it was accepted."""

    __tablename__ = "spawns"
    # With the id behind them they give the newest of a status or a caller without sorting.
    __table_args__ = (Index("ix_spawns_status", "status", "id"), Index("ix_spawns_caller", "caller", "id"))

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(16))
    exit_code: Mapped[int | None]
    signal: Mapped[int | None]
    detail: Mapped[str | None] = mapped_column(Text)
    command: Mapped[str] = mapped_column(Text)
    args: Mapped[list[Any]]
    request: Mapped[dict[str, Any]]
    """All of it while the job waits; without environment and input once it has ended."""
    limits: Mapped[dict[str, Any]]
    network: Mapped[str] = mapped_column(String(8))
    priority: Mapped[int]
    caller: Mapped[str] = mapped_column(String(200))
    daughter_task_id: Mapped[str | None] = mapped_column(String(64), index=True)
    fence: Mapped[int | None]
    attempt: Mapped[int] = mapped_column(default=1)
    protections: Mapped[dict[str, Any] | None]
    stdout: Mapped[str] = mapped_column(Text, default="")
    stderr: Mapped[str] = mapped_column(Text, default="")
    stdout_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    stderr_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    is_truncated: Mapped[bool] = mapped_column(default=False)
    peak_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    cpu_seconds: Mapped[float | None]
    artifacts: Mapped[list[Any]]
    marker: Mapped[dict[str, Any] | None]
    """Where its processes can be found again after a kill of spawner: pid, start time, uid, cgroup."""
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    is_removed: Mapped[bool] = mapped_column(default=False)
    """Whether its folder is gone."""


class HijaRuntimeRow(Base):
    """What a running job used at one moment."""

    __tablename__ = "hijas_runtime"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    spawn_id: Mapped[str] = mapped_column(String(64), ForeignKey("spawns.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    cpu_seconds: Mapped[float]
    processes: Mapped[int]


# --- who may write what --------------------------------------------------------------------------------------------

EVERYONE = frozenset({"gateway", "madre", "switch", "hermes", "hermes_db", "shub", "spawner", "vx11"})


@dataclass(frozen=True)
class Ownership:
    """The services that may insert into, update and delete from one table."""

    insert: frozenset[str]
    update: frozenset[str]
    delete: frozenset[str]


def _owned_by(*services: str, append_only: bool = False, keeps_rows: bool = False) -> Ownership:
    who, nobody = frozenset(services), frozenset[str]()
    return Ownership(
        insert=who, update=nobody if append_only else who, delete=nobody if append_only or keeps_rows else who
    )


OWNERS: dict[str, Ownership] = {
    "intents_log": _owned_by("madre", keeps_rows=True),
    "tasks": _owned_by("madre"),
    "plan_steps": _owned_by("madre"),
    "plan_events": _owned_by("madre"),
    "context": _owned_by("madre"),
    "madre_actions": _owned_by("madre", append_only=True),
    "idempotency_keys": _owned_by(*EVERYONE),
    "audit_log": _owned_by(*EVERYONE, append_only=True),
    "access_tokens": _owned_by("gateway"),
    "route_decisions": _owned_by("switch"),
    "provider_stats": _owned_by("switch"),
    "learner_state": _owned_by("switch"),
    "spend_ledger": _owned_by("switch"),
    "models": _owned_by("hermes_db"),
    "clis": _owned_by("hermes_db"),
    "specialties": _owned_by("hermes_db"),
    "usage_stats": _owned_by("hermes_db"),
    "external_tokens": _owned_by("hermes_db"),
    "cli_leases": _owned_by("hermes_db"),
    "hermes_jobs": _owned_by("hermes"),
    "audio_assets": _owned_by("shub"),
    "audio_jobs": _owned_by("shub"),
    "daughter_tasks": Ownership(
        insert=frozenset({"madre"}), update=frozenset({"spawner"}), delete=frozenset({"spawner"})
    ),
    "spawns": _owned_by("spawner"),
    "hijas_runtime": _owned_by("spawner"),
}

CHAINED = ("audit_log", "madre_actions")
"""Append-only tables; triggers refuse UPDATE, DELETE and INSERT OR REPLACE whoever asks."""
