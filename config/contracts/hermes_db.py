"""What hermes_db takes and answers: models, command-line tools, specialties and how they were used.

Everything that ends up in a log, a page or a shell is bounded here: no control characters in names, links only to http(s), whole
numbers of 64 bits at most.
"""

import json
import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from config.contracts.common import Page, Wire

LARGEST_INTEGER = 2**63 - 1
MOST_USES = 1000
"""Uses in one batch of `POST /hermes_db/usage`."""
LARGEST_METADATA_BYTES = 64 * 1024

PLAIN = r"^[^\x00-\x1f\x7f]+$"
"""No control characters: these strings are shown, logged and compared."""


def _bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    size_bytes = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size_bytes > LARGEST_METADATA_BYTES:
        raise ValueError(f"metadata may have {LARGEST_METADATA_BYTES} bytes, this has {size_bytes}")
    return metadata


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Id = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
ModelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=PLAIN)]
CliName = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
SpecialtyName = Annotated[str, StringConstraints(max_length=100, pattern=r"^[a-z0-9][a-z0-9_]*$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=PLAIN)]
Short = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=PLAIN)]
Kind = Annotated[str, StringConstraints(max_length=50, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Text = Annotated[str, StringConstraints(max_length=4000)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=PLAIN)]
Link = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\x00-\x20\x7f]+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Rate = Annotated[int, Field(ge=0, le=1_000_000_000)]
Labels = Annotated[list[Label], Field(max_length=64)]
Metadata = Annotated[dict[str, Any], AfterValidator(_bounded)]
Score = Annotated[float, Field(ge=0.0, le=1.0)]
Milliseconds = Annotated[float, Field(ge=0.0, le=1e12), AfterValidator(_finite)]
Instant = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
"""A time with its zone, 2000 to 2199: what every database holds in every zone."""


Change = TypeVar("Change", bound=Wire)


class Active(StrEnum):
    """Which entries a list shows."""

    ACTIVE = "true"
    INACTIVE = "false"
    ALL = "all"


# --- models --------------------------------------------------------------------------------------------------------


class ModelNew(Wire):
    """A model to be registered. Its name is unique; `specialty` is the name of one that exists."""

    name: ModelName = Field(examples=["qwen-coder-q4"])
    model_id: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=PLAIN)] | None = None
    """What its source calls it, such as `owner/name`; the name when it is not sent."""
    source: Kind = Field("local", examples=["huggingface"])
    path: Path | None = None
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] | None = None
    sha256: Sha256 | None = None
    tags: Labels = []
    specialty: SpecialtyName | None = Field(None, examples=["code"])
    adjacent_fields: Labels = []
    model_type: Kind | None = Field(None, examples=["gguf"])
    version: Short | None = None
    license: Label | None = Field(None, examples=["Apache-2.0"])
    revision: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PLAIN)] | None = None
    performance_score: Score = 0.5
    metadata: Metadata = {}


class ModelChange(Wire):
    """What changes of a model; what is not sent stays. `is_active: true` brings a deactivated model back."""

    name: ModelName | None = None
    model_id: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=PLAIN)] | None = None
    source: Kind | None = None
    path: Path | None = None
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] | None = None
    sha256: Sha256 | None = None
    tags: Labels | None = None
    specialty: SpecialtyName | None = None
    adjacent_fields: Labels | None = None
    model_type: Kind | None = None
    version: Short | None = None
    license: Label | None = None
    revision: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PLAIN)] | None = None
    performance_score: Score | None = None
    metadata: Metadata | None = None
    is_active: bool | None = None

    @model_validator(mode="after")
    def _null_only_where_nothing_is_an_answer(self) -> Self:
        always = ("name", "model_id", "source", "tags", "adjacent_fields", "performance_score", "metadata", "is_active")
        return _refuse_null(self, always)


class Model(Wire):
    """A model this box has or knows of."""

    id: int
    name: str
    model_id: str
    source: str
    path: str | None
    size_bytes: int | None
    sha256: str | None
    tags: list[str]
    specialty: str | None
    adjacent_fields: list[str]
    model_type: str | None
    version: str | None
    license: str | None
    revision: str | None
    performance_score: float
    usage_count: int
    last_used_at: datetime | None
    added_at: datetime
    is_active: bool
    metadata: dict[str, Any]


class ModelPage(Page[Model]):
    """`count` is how many models fit the filters, on all pages; `models` is `items` by the name of the original documents."""

    count: int
    models: list[Model]


# --- command-line tools --------------------------------------------------------------------------------------------


class CliFacts(Wire):
    """What is known of a command-line tool. Commands are data: nothing here is ever run by hermes_db."""

    description: Text = ""
    kind: Kind | None = Field(None, examples=["vcs"])
    path: Path | None = None
    version: Short | None = None
    install_command: Text | None = None
    documentation_url: Link | None = None
    api_url: Link | None = None
    token_required: bool = False
    token_service: Label | None = None
    rate_limit_per_hour: Rate | None = None
    rate_limit_per_day: Rate | None = None
    max_concurrent: Rate | None = None
    answers_prompts: bool = False
    """Whether switch may ask it as it would ask a model."""
    is_active: bool = True
    metadata: Metadata = {}


class CliNew(CliFacts):
    """A tool to be registered, under a name of its own."""

    name: CliName = Field(examples=["git"])


class CliChange(Wire):
    """What changes of a tool; what is not sent stays."""

    description: Text | None = None
    kind: Kind | None = None
    path: Path | None = None
    version: Short | None = None
    install_command: Text | None = None
    documentation_url: Link | None = None
    api_url: Link | None = None
    token_required: bool | None = None
    token_service: Label | None = None
    rate_limit_per_hour: Rate | None = None
    rate_limit_per_day: Rate | None = None
    max_concurrent: Rate | None = None
    answers_prompts: bool | None = None
    is_active: bool | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _null_only_where_nothing_is_an_answer(self) -> Self:
        return _refuse_null(self, ("description", "token_required", "answers_prompts", "is_active", "metadata"))


class Cli(Wire):
    """A command-line tool this box has or knows of."""

    id: int
    name: str
    description: str
    kind: str | None
    path: str | None
    version: str | None
    install_command: str | None
    documentation_url: str | None
    api_url: str | None
    token_required: bool
    token_service: str | None
    rate_limit_per_hour: int | None
    rate_limit_per_day: int | None
    max_concurrent: int | None
    answers_prompts: bool
    usage_count: int
    last_used_at: datetime | None
    added_at: datetime
    is_active: bool
    metadata: dict[str, Any]


class CliPage(Page[Cli]):
    """`count` is how many tools fit the filters, on all pages; `clis` is `items` by the name of the original documents."""

    count: int
    clis: list[Cli]


# --- specialties ---------------------------------------------------------------------------------------------------


class SpecialtyNew(Wire):
    """A field that models can be good at; `parent` is the name of a wider one that exists."""

    name: SpecialtyName = Field(examples=["music_mixing"])
    description: Text = ""
    parent: SpecialtyName | None = Field(None, examples=["audio"])
    related_fields: Labels = []
    priority: int = Field(1, ge=0, le=1000)


class Specialty(Wire):
    """A field that models are good at; switch's task types. `model_count` counts the active models of exactly this field."""

    id: int
    name: str
    description: str
    parent: str | None
    related_fields: list[str]
    priority: int
    model_count: int


class SpecialtyPage(Page[Specialty]):
    """`count` is how many there are on all pages; `specialties` is `items` by the name of the original documents."""

    count: int
    specialties: list[Specialty]


# --- usage ---------------------------------------------------------------------------------------------------------


class ModelUse(Wire):
    """One use of the model that the path names."""

    module: Short | None = None
    """Who used it; the caller when it is not sent."""
    action_type: Short = "query"
    duration_ms: Milliseconds = 0.0
    success: bool = True
    error_message: Text | None = None
    at: Instant | None = None
    """When; now when it is not sent."""


class Use(Wire):
    """One use of a model, a tool, or both."""

    module: Short = Field(examples=["switch"])
    action_type: Short = Field(examples=["query"])
    model_id: Id | None = None
    cli_id: Id | None = None
    duration_ms: Milliseconds
    success: bool
    error_message: Text | None = None
    at: Instant | None = None
    """When; now when it is not sent."""


UseBatch = Annotated[list[Use], Field(min_length=1, max_length=MOST_USES)]


class UsesRecorded(Wire):
    recorded: int


class ModelUseRecorded(Wire):
    """The model's counters after the use."""

    status: str = "usage recorded"
    model_id: int
    usage_count: int
    last_used_at: datetime


class Uses(Wire):
    """How often something was used and how that went. Rate and durations are null where there was no use."""

    uses: int
    successes: int
    failures: int
    success_rate: float | None
    mean_duration_ms: float | None
    max_duration_ms: float | None
    total_duration_ms: float


class ModuleUses(Uses):
    module: str


class ModelUses(Uses):
    model_id: int
    name: str


class CliUses(Uses):
    cli_id: int
    name: str


class ActionUses(Uses):
    action_type: str


class DayUses(Uses):
    day: str
    """`YYYY-MM-DD`, in UTC."""


class Stats(Wire):
    """What is registered now, and what was used from `since` to `until`. Lists are ordered by number of uses, days by date."""

    active_models: int
    inactive_models: int
    active_clis: int
    inactive_clis: int
    total_size_bytes: int
    total_size_gb: float
    """The same in GiB (1024³), as the original documents had it."""
    daily_usage: int
    """Uses in the last 24 hours."""
    since: datetime
    until: datetime
    total: Uses
    by_module: list[ModuleUses]
    by_model: list[ModelUses]
    by_cli: list[CliUses]
    by_action: list[ActionUses]
    by_day: list[DayUses]


def _refuse_null(change: Change, always: tuple[str, ...]) -> Change:
    for name in always:
        if name in change.model_fields_set and getattr(change, name) is None:
            raise ValueError(f"{name} may not be null: leave it out to keep it as it is")
    return change
