"""What switch takes and answers beside OpenAI's API."""

import time
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from config.contracts.common import Wire

LONGEST_PROMPT = 64 * 1024  # characters
LONGEST_LATENCY_MS = 600_000

Priority = Literal["SYSTEM_CRITICAL", "USER_INTERACTIVE", "BATCH_PROCESSING", "BACKGROUND"]
PRIORITIES: tuple[Priority, ...] = ("SYSTEM_CRITICAL", "USER_INTERACTIVE", "BATCH_PROCESSING", "BACKGROUND")
"""The most urgent first."""


def _readable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a prompt may not contain NUL")
    if not text.strip():
        raise ValueError("a prompt needs words")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError("a prompt must be valid Unicode") from exc
    return text


Prompt = Annotated[str, Field(min_length=1, max_length=LONGEST_PROMPT), AfterValidator(_readable)]
TaskType = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", examples=["code"])]
SessionId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\w.:@-]+$")]


class RouteRequest(Wire):
    """A prompt for whichever model answers it best within the limits."""

    prompt: Prompt = Field(examples=["what does a compressor do?"])
    task_type: TaskType | None = None
    max_latency_ms: int | None = Field(None, ge=1, le=LONGEST_LATENCY_MS)
    max_cost_usd: float | None = Field(None, ge=0.0, allow_inf_nan=False)
    """Most that the answer may cost. A model whose price is not known is not asked under such a limit."""
    priority: Priority = "USER_INTERACTIVE"
    session_id: SessionId | None = None
    max_tokens: int | None = Field(None, ge=1, le=32_768)
    json_schema: dict[str, Any] | None = None
    """JSON Schema that the answer must follow; the answer is then JSON text."""


class RouteReply(Wire):
    """The answer, which model gave it, and why that one. `cost_usd` is null where the price is not known."""

    decision_id: str
    answer: str
    model: str
    provider: str
    reason: str
    cost_usd: float | None = None
    latency_ms: float
    queue_ms: float


class Candidate(Wire):
    """A model that could have answered, in the order in which they were to be tried.

    `outcome` is `answered`, `not_tried`, or why it did not answer; `score` and its `parts` are filled where models are scored.
    """

    model: str
    provider: str
    score: float | None = None
    parts: dict[str, float] = {}
    tried: bool = False
    outcome: str = "not_tried"
    detail: str = ""


class Decision(Wire):
    """What was decided for one request, and how it went. It holds neither prompt nor answer."""

    decision_id: str
    caller: str
    session_id: str | None
    task_type: str | None
    model: str | None
    provider: str | None
    reason: str
    candidates: list[Candidate]
    outcome: str
    cost_usd: float | None
    latency_ms: float
    queue_ms: float
    created_at: datetime


class ModulePriority(StrEnum):
    """How urgent the original documents call a query; by name, or by number from 0 for CRITICAL."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


def _priority(value: object) -> object:
    by_number = list(ModulePriority)
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(by_number)
    return by_number[int(value)] if is_number else value  # type: ignore[call-overload]


class QueryRequest(Wire):
    """A query as the original documents ask it."""

    query: Prompt = Field(examples=["what does a compressor do?"])
    module_id: str = Field("", max_length=128)
    module_type: str = Field("", max_length=64)
    model_preference: str | None = Field(None, min_length=1, max_length=256)
    """What `model` is in OpenAI's API: a name, or a part of one, such as a tag."""
    requires_cli: bool = False
    priority: Annotated[ModulePriority, BeforeValidator(_priority)] = ModulePriority.MEDIUM
    timestamp: float = Field(default_factory=time.time, ge=0.0, allow_inf_nan=False, strict=True)
    metadata: dict[str, Any] = {}


class QueryReply(Wire):
    """`status` is `light_llm` when the local light model answered."""

    status: Literal["success", "light_llm"]
    model_used: str
    provider: str
    response: str
    decision_id: str
    processing_time: float
    """Seconds."""
    timestamp: float


class LightState(StrEnum):
    """Where the local model's process stands. It is started by the first question and stopped again when nobody asks."""

    UNUSABLE = "unusable"
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"


class LightStatus(Wire):
    """The local light model. `asleep_after_seconds` and `stopped_after_seconds` tell when an unused one gives its memory back."""

    name: str
    state: LightState
    detail: str
    pid: int | None
    starts: int
    deaths: int
    answering: int
    waiting: int
    asleep_after_seconds: float
    stopped_after_seconds: float


class LoadedModel(Wire):
    """A model of this machine whose file is in use now: held in memory, or being loaded. It must not be removed."""

    name: str
    path: str


class RegistryStatus(Wire):
    """What switch knows of hermes_db's registry: how many active models, and which tools answer prompts. It looks again when told
    (`POST /switch/registry/refresh`) and every minute."""

    models: int
    clis: list[str]
    read_at: datetime


class ProviderStatus(Wire):
    """A configured provider; `state` is `ok`, or `cooling` for a while after a failure that `detail` tells."""

    name: str
    models: list[str]
    state: Literal["ok", "cooling"]
    detail: str


class SwitchStats(Wire):
    """Counted since the start."""

    total_queries: int
    answered: int
    errors: int
    failed_over: int
    avg_response_time_ms: float
    unreported_uses: int
    """Uses that hermes_db has not taken yet."""
    lost_records: int
    """Decisions and uses that were dropped because too many waited."""


class SwitchStatus(Wire):
    """What switch has and does."""

    active: bool
    models: list[str]
    """Everything that `model` may be, beside `auto`; providers take further names as `<provider>/<model>`."""
    light_llm: LightStatus
    loaded: list[LoadedModel]
    registry: RegistryStatus
    providers: list[ProviderStatus]
    stats: SwitchStats
