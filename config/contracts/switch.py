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


class AudioReading(Wire):
    """What switch's audio mode found in a request. `source` is `terms` for its own lists and patterns, `shub` for shub's interpretation."""

    command_type: str
    """`mix_command`, `master_command`, `effect_command`, `export_command`, `analysis_command`, or `question`."""
    categories: list[str] = []
    """Fields of audio that were named: `mixing`, `mastering`, `synthesis`, `audio_formats`."""
    technical_terms: list[str] = []
    parameters: dict[str, Any] = {}
    """What was asked for, in the units of the names: `target_lufs`, `ceiling_dbtp`, `sample_rate_hz`, `bit_depth`, …"""
    suggested_actions: list[str] = []
    recommendations: list[str] = []
    warnings: list[str] = []
    source: Literal["terms", "shub"] = "terms"


class RouteReply(Wire):
    """The answer, which model gave it, and why that one. `cost_usd` is null where the price is not known.

    `audio` is filled when the request was read as one about audio.
    """

    decision_id: str
    answer: str
    model: str
    provider: str
    reason: str
    cost_usd: float | None = None
    latency_ms: float
    queue_ms: float
    audio: AudioReading | None = None


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
    """`status` is `light_llm` when the local light model answered, `shub_mode` when the request was one about audio, `cli` for a tool."""

    status: Literal["success", "light_llm", "shub_mode", "cli"]
    model_used: str
    provider: str
    response: str
    decision_id: str
    processing_time: float
    """Seconds."""
    timestamp: float
    audio: AudioReading | None = None


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


class CliStatus(Wire):
    """A command-line tool of the registry that answers prompts. `model` is its name in a request."""

    name: str
    model: str
    is_askable: bool
    detail: str
    """Why it is not asked, where it is not."""
    is_offline: bool
    """Whether it is run without network where spawner has no profile for it."""
    needs_model: bool
    """Whether a request has to name one of its own models: `<model>/<its model>`."""
    documentation_url: str


class ProviderStatus(Wire):
    """A provider that can be asked; `state` is `ok`, or `cooling` for a while after a failure that `detail` tells."""

    name: str
    models: list[str]
    state: Literal["ok", "cooling"]
    detail: str


class KnownProvider(Wire):
    """A provider of the catalogue or of the settings, usable or not. Never its key."""

    name: str
    title: str
    api: Literal["openai", "anthropic", "gemini"]
    base_url: str
    is_usable: bool
    """Whether its models can be asked now: its key is there, or it needs none."""
    key_source: Literal["settings", "environment", "hermes_db", "none", "missing"]
    """Where the key comes from; `none` where none is needed."""
    key_variables: list[str]
    """Environment variables any of which may hold the key; in hermes_db it goes by the provider's name."""
    models: int
    auto_models: list[str]
    """Those that `auto` may choose."""
    state: Literal["ok", "cooling"]
    detail: str
    documentation_url: str = ""


class FeedbackRequest(Wire):
    """How good an answer was, from 0 (useless) to 1 (right)."""

    decision_id: str = Field(min_length=1, max_length=64, pattern=r"^[\w-]+$")
    score: float = Field(ge=0.0, le=1.0, allow_inf_nan=False)
    comment: str | None = Field(None, max_length=2000)


class FeedbackReply(Wire):
    """What was learned from: the model and type of task of the decision. Feedback for the same decision again replaces the earlier one."""

    decision_id: str
    model: str
    provider: str
    task_type: str
    score: float


class Learned(Wire):
    """What outcomes have shown of a model at a type of task: the mean reward, 0 to 1, and how many outcomes still count (they fade)."""

    task_type: str
    reward: float
    outcomes: float


class ModelPerformance(Wire):
    """How a model has done so far: counted since it was first asked, and what choosing has learned of it."""

    id: str
    """`<provider>/<model>`, as `model` names it in a request."""
    provider: str
    model: str
    asked: int
    answered: int
    failed: int
    input_tokens: int
    output_tokens: int
    mean_latency_ms: float | None
    """Of its answers."""
    last_answered_at: datetime | None
    last_failed_at: datetime | None
    last_failure: str | None
    learned: list[Learned]


class BudgetStatus(Wire):
    """One limit and how much of it is gone. Money in US dollars; a day is a UTC day."""

    scope: str
    """`day` for everybody, `token:<caller>`, or `task:<task type>`."""
    limit_usd: float | None
    """None: no limit is set."""
    spent_usd: float
    """Of calls that are settled, today."""
    reserved_usd: float
    """Set aside for calls that are under way, or were when switch was killed."""
    left_usd: float | None
    resets_at: datetime


class SpendEntry(Wire):
    """What one call cost. `is_estimated` when the answer broke off before its provider said how much it used."""

    id: str
    decision_id: str
    caller: str
    task_type: str | None
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cost_usd: float
    is_estimated: bool
    at: datetime


class QueueStatus(Wire):
    """Who waits for a local model. Times in milliseconds."""

    waiting: int
    limit: int
    by_priority: dict[Priority, int]
    by_model: dict[str, int]
    oldest_waiting_ms: float
    served: int
    rejected: int
    loads: int
    """Local models loaded since the start."""


class LocalModelState(StrEnum):
    STOPPED = "stopped"
    LOADING = "loading"
    READY = "ready"
    ASLEEP = "asleep"
    STOPPING = "stopping"
    UNUSABLE = "unusable"


class LocalModelStatus(Wire):
    """A model of this machine. `role`: `active` for the one that answers now, `warm` for one loaded ahead, `light` for the light one."""

    name: str
    path: str
    state: LocalModelState
    role: Literal["active", "warm", "light", "none"]
    detail: str
    memory_bytes: int
    """What it takes when loaded: measured where it was, estimated from its file otherwise."""
    pid: int | None
    answering: int
    waiting: int
    uses: int
    loads: int
    last_used_at: datetime | None


class RotationStatus(Wire):
    """Which local models are in memory, and the memory that they may take together (the light model apart)."""

    budget_bytes: int
    used_bytes: int
    active: str | None
    warm: str | None
    models: list[LocalModelStatus]


class RotateRequest(Wire):
    """Make a local model the active one now, or let the policy choose when none is named."""

    model: str | None = Field(None, min_length=1, max_length=256)


class ShubModeStatus(Wire):
    """Audio mode. While it is active every prompt is read as one about audio; otherwise only those that look like it."""

    active: bool
    model: str | None
    """The audio model that would be asked, when there is one."""
    audio_processing: bool
    sample_rate: int = 44_100
    bit_depth: int = 24
    channels: int = 2
    shub: Literal["interprets", "answers without interpretation", "not reachable"]


class ShubActivateRequest(Wire):
    active: bool = True


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
    rotation: RotationStatus
    queue: QueueStatus
    shub_mode_active: bool
    loaded: list[LoadedModel]
    registry: RegistryStatus
    providers: list[ProviderStatus]
    stats: SwitchStats
