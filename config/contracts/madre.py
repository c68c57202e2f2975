"""What madre takes and answers. Names are those of the original documents: IntentV2, PlanV2, StepV2."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from config.contracts.common import StatusEnum, Wire
from config.contracts.shub import AssetId

LONGEST_MESSAGE_BYTES = 64 * 1024
MOST_FILES = 256


def _readable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a message may not contain NUL")
    if not text.strip():
        raise ValueError("a message needs words")
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as exc:
        raise ValueError("a message must be valid Unicode") from exc
    if size_bytes > LONGEST_MESSAGE_BYTES:
        raise ValueError(f"a message may have {LONGEST_MESSAGE_BYTES} bytes, this one has {size_bytes}")
    return text


Message = Annotated[
    str,
    Field(min_length=1, examples=["mezcla estos 3 stems a -14 LUFS", "what does a compressor do?"]),
    AfterValidator(_readable),
]


class ModeEnum(StrEnum):
    MADRE = "MADRE"
    AUDIO_ENGINEER = "AUDIO_ENGINEER"


class RiskLevel(StrEnum):
    LOW = "LOW"
    MED = "MED"
    HIGH = "HIGH"


class StepType(StrEnum):
    """What a step calls. SPAWN_DAUGHTER alone does not call: it leaves a task for spawner."""

    CALL_SWITCH = "CALL_SWITCH"
    CALL_HERMES = "CALL_HERMES"
    CALL_HERMES_DB = "CALL_HERMES_DB"
    CALL_SHUB = "CALL_SHUB"
    CALL_SPAWNER = "CALL_SPAWNER"
    CALL_HORMIGUERO = "CALL_HORMIGUERO"
    CALL_MANIFESTATOR = "CALL_MANIFESTATOR"
    SPAWN_DAUGHTER = "SPAWN_DAUGHTER"
    NOOP = "NOOP"


class IntentName(StrEnum):
    """Everything madre can read out of a message."""

    AUDIO_MIX = "audio_mix"
    AUDIO_EFFECTS = "audio_effects"
    AUDIO_MASTER = "audio_master"
    AUDIO_ANALYZE = "audio_analyze"
    AUDIO_EXPORT = "audio_export"
    AUDIO_UNDO = "audio_undo"
    RUN_PROCESS = "run_process"
    PROCESS_STATUS = "process_status"
    KILL_PROCESS = "kill_process"
    LIST_MODELS = "list_models"
    SEARCH_MODELS = "search_models"
    DOWNLOAD_MODEL = "download_model"
    LIST_CLIS = "list_clis"
    SCAN_SYSTEM = "scan_system"
    FLEET_STATUS = "fleet_status"
    AUDIT_DRIFT = "audit_drift"
    REPAIR_MODULE = "repair_module"
    DELETE_RESOURCE = "delete_resource"
    CODE_QUESTION = "code_question"
    GENERAL_QUESTION = "general_question"
    HELP = "help"
    UNCLEAR = "unclear"


Domain = Literal["audio", "models", "process", "system", "repair", "code", "general"]
Language = Literal["es", "en"]
Origin = Literal["operator", "hormiguero", "webhook", "cli", "mcp"]


class Alternative(Wire):
    """Another way to read the message."""

    name: IntentName
    confidence: float = Field(ge=0.0, le=1.0)


class IntentV2(Wire):
    """One reading of a message. `source` tells who read it; `target` is the module or thing it is about."""

    name: IntentName
    domain: Domain
    action: str
    target: str | None = None
    params: dict[str, Any] = {}
    language: Language = "en"
    confidence: float = Field(1.0, ge=0.0, le=1.0)
    source: Literal["rules", "classifier", "switch", "structured"] = "rules"
    alternatives: list[Alternative] = []


class StepV2(Wire):
    """One step of a plan and what became of it."""

    step_id: str
    type: StepType
    operation: str
    """What is asked of the service, as `<module>:<operation>`."""
    params: dict[str, Any] = {}
    status: StatusEnum = StatusEnum.PENDING
    attempts: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Artifact(Wire):
    """A file that a plan made."""

    asset_id: str
    name: str
    size_bytes: int


class PlanV2(Wire):
    """A plan: the intent it came from, its risk and why, its steps, and where it stands."""

    plan_id: str
    intent_id: str
    session_id: str
    mode: ModeEnum
    status: StatusEnum
    risk: RiskLevel
    reason: str
    intent: IntentV2
    steps: list[StepV2]
    response: str = ""
    question: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    artifacts: list[Artifact] = []
    warnings: list[str] = []
    caller: str = ""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class PlanSummary(Wire):
    """A plan in a list."""

    plan_id: str
    intent_id: str
    session_id: str
    intent: IntentName
    status: StatusEnum
    risk: RiskLevel
    response: str
    created_at: datetime
    finished_at: datetime | None = None


class ChatRequest(Wire):
    """A message to madre, with what it is about."""

    message: Message
    session_id: str | None = Field(None, min_length=1, max_length=128, pattern=r"^[\w.:@-]+$")
    files: list[AssetId] = Field([], max_length=MOST_FILES)
    """Asset ids that the message speaks of."""
    params: dict[str, Any] = {}
    """What the message would say if it were structured; wins over what is read from the text."""
    mode: ModeEnum | None = None
    origin: Origin = "operator"
    dry_run: bool = False
    """Show the plan and do nothing."""
    wait_seconds: float = Field(2.0, ge=0.0, le=60.0)


class ControlRequest(Wire):
    """A structured request: do `action` to `target` with `params`."""

    target: str = Field(min_length=1, max_length=64, examples=["shub"])
    action: str = Field(min_length=1, max_length=64, examples=["delete"])
    params: dict[str, Any] = {}
    session_id: str | None = Field(None, min_length=1, max_length=128, pattern=r"^[\w.:@-]+$")
    dry_run: bool = False
    wait_seconds: float = Field(2.0, ge=0.0, le=60.0)


class Confirmation(Wire):
    """The one-use token that starts a HIGH plan, and when it stops being good."""

    confirm_token: str
    expires_at: datetime


class ChatResponse(Wire):
    """What madre did with a message, or what she needs to know first. `response` is for people, in their language."""

    intent_id: str
    session_id: str
    plan_id: str | None
    status: StatusEnum
    mode: ModeEnum
    risk: RiskLevel
    reason: str
    response: str
    plan: PlanV2 | None
    artifacts: list[Artifact] = []
    question: str | None = None
    confirmation: Confirmation | None = None
    warnings: list[str] = []


class ControlResponse(Wire):
    """A dangerous request that waits for its confirmation."""

    status: Literal["pending_confirmation"]
    plan_id: str
    confirm_token: str
    expires_at: datetime
    risk: RiskLevel
    reason: str


class ConfirmRequest(Wire):
    """The one-use token of a HIGH plan; a MED plan that waits for a yes takes none."""

    confirm_token: str | None = Field(None, max_length=200)


class ConfirmResponse(Wire):
    status: Literal["confirmed"]
    plan_id: str


class PlanEvent(Wire):
    """Something that happened to a plan; `seq` counts from 1 within the plan."""

    seq: int
    plan_id: str
    event: str
    data: dict[str, Any]
    at: datetime


class Turn(Wire):
    """One exchange of a session."""

    intent_id: str
    message: str
    intent: IntentName | None
    plan_id: str | None
    status: StatusEnum
    response: str
    created_at: datetime


class Session(Wire):
    """A conversation: its turns, oldest first, and what madre remembers from it."""

    session_id: str
    turns: list[Turn]
    context: dict[str, Any]


class HaltRequest(Wire):
    reason: str = Field("", max_length=1000)


class HaltState(Wire):
    """Whether everything stands still, since when, by whom and why."""

    halted: bool
    since: datetime | None = None
    by: str | None = None
    reason: str | None = None


class ParseRequest(Wire):
    message: Message
