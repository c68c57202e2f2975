"""What hermes_db takes and answers: models, command-line tools and turns with them, specialties, keys of outside services, and uses.

Everything that ends up in a log, a page or a shell is bounded here: no control characters in names, links only to http(s), whole
numbers of 64 bits at most.
"""

import ipaddress
import json
import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    SecretStr,
    StringConstraints,
    field_serializer,
    model_validator,
)

from config.contracts.common import Page, StatusEnum, Wire

LARGEST_INTEGER = 2**63 - 1
MOST_USES = 1000
"""Uses in one batch of `POST /hermes_db/usage`."""
LARGEST_METADATA_BYTES = 64 * 1024
LONGEST_TOKEN = 8192  # characters
RESERVED = frozenset({"renewals", "rotate"})
"""What no outside service can be called: `/hermes_db/tokens/renewals` is something else."""

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


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError as exc:
        raise ValueError("must be an address, or a network such as 10.0.0.0/8") from exc


def _sendable(token: SecretStr) -> SecretStr:
    """A key as it goes into a header: without the blanks around it that copying leaves."""
    value = token.get_secret_value().strip()
    if not value or len(value) > LONGEST_TOKEN or not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError(f"must be 1 to {LONGEST_TOKEN} visible ASCII characters")
    return SecretStr(value)


def _not_a_route(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} is a route of its own")
    return name


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
ServiceName = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[a-z0-9][a-z0-9._-]*$"), AfterValidator(_not_a_route)
]
Token = Annotated[SecretStr, AfterValidator(_sendable)]
Addresses = Annotated[
    list[Annotated[str, StringConstraints(max_length=50), AfterValidator(_network)]], Field(max_length=64)
]
PerDay = Annotated[int, Field(ge=1, le=1_000_000_000)]

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


class ModelKept(ModelNew):
    """A model that lies on this box, by what its file says."""

    is_active: bool | None = None
    """True brings back one that was deactivated, as a download does; unset leaves it as it is."""


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


class LeaseNew(Wire):
    """A turn with a tool."""

    lease_seconds: int = Field(600, ge=1, le=86_400)
    """After this it counts as given back, whatever became of whoever took it."""


class Lease(Wire):
    """A turn with a tool: hold it while the tool runs, give it back after."""

    lease_id: str
    cli: str
    taken_at: datetime
    expires_at: datetime
    returned_at: datetime | None


class LeaseReturn(Wire):
    """How the tool did; kept as a use of it."""

    success: bool = True
    duration_ms: Milliseconds | None = None
    """The time since the turn was taken when it is not sent."""
    error_message: Text | None = None
    module: Short | None = None
    """Who used it; the caller when it is not sent."""
    action_type: Short = "run"


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


class SpecialtyChange(Wire):
    """What changes of a specialty; what is not sent stays. `parent: null` puts it at the top."""

    description: Text | None = None
    parent: SpecialtyName | None = None
    related_fields: Labels | None = None
    priority: Annotated[int, Field(ge=0, le=1000)] | None = None

    @model_validator(mode="after")
    def _null_only_where_nothing_is_an_answer(self) -> Self:
        return _refuse_null(self, ("description", "related_fields", "priority"))


class SpecialtyInTree(Specialty):
    """A specialty and what is around it."""

    children: list[str]
    """The next narrower ones."""
    ancestors: list[str]
    """All wider ones, the next first."""


class SpecialtyPage(Page[Specialty]):
    """`count` is how many there are on all pages; `specialties` is `items` by the name of the original documents."""

    count: int
    specialties: list[Specialty]


# --- keys of outside services ----------------------------------------------------------------------------------------


class TokenNew(Wire):
    """A key for a service outside of the fleet; it takes the place of an earlier one."""

    service: ServiceName = Field(examples=["huggingface"])
    token: Token
    limit_per_day: PerDay | None = None
    """How often it may be read on one day, in UTC."""
    expires_at: Instant | None = None
    renew_at: Instant | None = None
    """When somebody should see to a new one; `VX11_HERMES_DB_RENEW_AFTER` from now when it is not sent, or when it expires."""
    addresses: Addresses = Field([], examples=[["10.0.0.0/8"]])
    """Addresses and networks of the services that may read it; empty: all of them."""


class TokenChange(Wire):
    """What changes of a key; what is not sent stays."""

    token: Token | None = None
    limit_per_day: PerDay | None = None
    expires_at: Instant | None = None
    renew_at: Instant | None = None
    addresses: Addresses | None = None
    is_active: bool | None = None

    @model_validator(mode="after")
    def _null_only_where_nothing_is_an_answer(self) -> Self:
        return _refuse_null(self, ("token", "renew_at", "addresses", "is_active"))


class TokenFacts(Wire):
    """What is told of a key: everything but the key."""

    id: int
    service: str
    limit_per_day: int | None
    used_today: int
    expires_at: datetime | None
    renew_at: datetime
    addresses: list[str]
    added_at: datetime
    changed_at: datetime
    """When its value was set."""
    last_used_at: datetime | None
    is_active: bool


class TokenRenewal(Wire):
    """A key that should be renewed."""

    service: str
    renew_at: datetime
    expires_at: datetime | None
    days_left: float
    """Until it should be renewed; below zero when that time is past."""
    is_expired: bool


class TokenDeleted(Wire):
    service: str
    status: str = "deleted"


class TokenValue(Wire):
    """A key with its value, for the service that asked. `repr` shows no value; JSON has to."""

    service: str
    token: SecretStr
    expires_at: datetime | None

    @field_serializer("token", when_used="json")
    def _plain(self, token: SecretStr) -> str:
        return token.get_secret_value()


class TokensRotated(Wire):
    """How many keys of outside services were encrypted anew, and with how many keys the file can now read."""

    rotated: int
    keys: int


class DeviceSignIn(Wire):
    """How a key for GitHub is asked for; whoever approves needs the code that the answer shows."""

    scope: Annotated[str, StringConstraints(max_length=500, pattern=r"^[\x21-\x7e ]*$")] = Field(
        "", examples=["read:user"]
    )
    """What the key shall be good for, in GitHub's words; nothing: what everybody may read."""


class DeviceState(Wire):
    """Where a sign-in at GitHub stands. WAITING: open `verification_uri` and enter `user_code` before `expires_at`.

    It lives in the memory of the service: after a restart it is gone and has to be begun again.
    """

    status: StatusEnum
    user_code: str
    verification_uri: str
    expires_at: datetime
    interval_seconds: float
    """How often GitHub is asked now."""
    error: str | None = None
    """Why it ended without a key: `access_denied`, `expired_token`, or what GitHub said."""


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
