"""What hermes takes and answers: models on the hub and on this box, and command-line tools."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from config.contracts.common import Page, Wire
from config.contracts.hermes_db import LARGEST_INTEGER, CliName, Label, Model, ModelName, SpecialtyName

HUB_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$"
"""`owner/name`, or the bare name that the hub's oldest models have."""
MOST_FILES = 1000
"""Files of one download."""

HubId = Annotated[str, StringConstraints(max_length=193, pattern=HUB_ID)]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Bytes = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


# --- searching -----------------------------------------------------------------------------------------------------


class SearchSource(StrEnum):
    HUGGINGFACE = "huggingface"
    OPENROUTER = "openrouter"
    ALL = "all"


class SortBy(StrEnum):
    SCORE = "score"
    DOWNLOADS = "downloads"
    LIKES = "likes"
    RECENCY = "recency"
    SIZE = "size"


class SearchFilters(Wire):
    """What a found model must be; None asks nothing."""

    size_max: Bytes | None = None
    """Most bytes that one usable version of it may have on disk; a model that only runs elsewhere has no size and stays."""
    specialty: SpecialtyName | None = None
    license: Label | None = Field(None, examples=["apache-2.0"])
    model_type: Annotated[str, StringConstraints(max_length=50)] | None = Field(None, examples=["gguf"])
    """`gguf`, `safetensors`, `onnx`, or `api` for one that only runs elsewhere."""
    sort_by: SortBy = SortBy.SCORE


class SearchRequest(Wire):
    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    source: SearchSource = SearchSource.ALL
    filters: SearchFilters = SearchFilters()
    limit: int = Field(20, ge=1, le=100)


class HubFile(Wire):
    """One file of a model on the hub. `sha256` is null where the hub keeps none (small text files)."""

    path: str
    size_bytes: int | None
    sha256: str | None = None
    format: str | None = None
    """`gguf`, `safetensors`, `onnx`, `text` (json, tokenizer, licence), or null for what is never downloaded."""
    quantization: str | None = None


class ScoreParts(Wire):
    """Each from 0 to 1; the score is their weighted sum, with the weights of `hermes.ranking`."""

    popularity: float
    like_ratio: float
    quality_tags: float
    recency: float


class Fit(Wire):
    """Whether the smallest usable version of a model fits this machine now. Null: it has no size to compare."""

    is_fitting: bool | None
    needs_disk_bytes: int | None
    free_disk_bytes: int
    needs_memory_bytes: int | None
    free_memory_bytes: int
    detail: str


class FoundModel(Wire):
    """A model that a search found."""

    model_id: str
    source: str
    score: float
    parts: ScoreParts
    size_bytes: int | None
    """Of the smallest usable version: one quantisation of a GGUF, or all weights of another format."""
    files: list[HubFile]
    quantizations: list[str]
    license: str | None
    is_gated: bool
    access_url: str | None
    """Where its licence is accepted, for a gated model."""
    specialty: str | None
    model_type: str | None
    tags: list[str]
    downloads: int | None
    likes: int | None
    revision: str | None
    last_modified: datetime | None
    created_at: datetime | None
    context_length: int | None
    price_prompt_usd_per_token: float | None = None
    price_completion_usd_per_token: float | None = None
    fit: Fit
    is_kept: bool
    """Whether this box has it already."""


class SearchWarning(Wire):
    """A source that could not be asked, and what can be done about it."""

    source: str
    code: str
    detail: str


class SearchResult(Wire):
    items: list[FoundModel]
    warnings: list[SearchWarning]


# --- downloading ---------------------------------------------------------------------------------------------------


class DownloadRequest(Wire):
    """Which files of which model: named ones, one quantisation, or neither where the model offers a single choice."""

    model_id: HubId = Field(examples=["Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"])
    files: Annotated[list[FilePath], Field(min_length=1, max_length=MOST_FILES)] | None = None
    quantization: Annotated[str, StringConstraints(min_length=1, max_length=32)] | None = Field(
        None, examples=["Q4_K_M"]
    )
    revision: Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] | None = None
    """A commit, branch or tag; the newest of `main` when it is not sent. What is registered is the commit."""
    name: ModelName | None = None
    """What it is called here; made from its id when it is not sent."""
    specialty: SpecialtyName | None = None

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> Self:
        if self.files is not None and self.quantization is not None:
            raise ValueError("send files or quantization, not both")
        return self


class VerifiedFile(Wire):
    """A file of a kept model as it was read from disk. `expected_sha256` is what the hub said when it was fetched."""

    path: str
    size_bytes: int
    sha256: str | None
    expected_sha256: str | None
    is_right: bool
    detail: str = ""


class Verification(Wire):
    """Every file of a model, read to its end. `model.is_active` is false after a verification that found a wrong file."""

    model: Model
    is_right: bool
    files: list[VerifiedFile]
    verified_at: datetime


class ModelRemoved(Wire):
    model_id: int
    name: str
    freed_bytes: int


class KeptModels(Page[Model]):
    """The models of the registry, as hermes_db lists them; `total_size_bytes` is what those on this page take on disk."""

    count: int
    total_size_bytes: int


# --- keeping house -------------------------------------------------------------------------------------------------


class Removal(Wire):
    """A model that goes, or why one stays."""

    id: int
    name: str
    size_bytes: int
    reason: str


class NewerRevision(Wire):
    id: int
    name: str
    model_id: str
    kept_revision: str
    newest_revision: str


class Upkeep(Wire):
    """What keeping house did, or, with `is_dry_run`, what it would do."""

    is_dry_run: bool
    models_before: int
    bytes_before: int
    most_models: int
    budget_bytes: int
    removed: list[Removal]
    kept: list[Removal]
    """Those that would have gone and are protected, with the reason."""
    is_within_limits: bool
    warnings: list[SearchWarning]


class Improvement(Wire):
    """A model on the hub that is better than one kept, or as good and smaller, or missing where a specialty has too few."""

    found: FoundModel
    instead_of: str | None
    """The kept model's name; null where a specialty has fewer models than the setting asks for."""
    specialty: str | None
    reason: str
    job_id: str | None = None
    """The download that the setting let start."""


class Improvements(Wire):
    """What the last periodic search found. `searched_at` is null before the first one."""

    searched_at: datetime | None
    is_periodic: bool
    """Whether the search runs by itself; off without network or by setting."""
    next_search_at: datetime | None
    items: list[Improvement]
    newer_revisions: list[NewerRevision]
    warnings: list[SearchWarning]


# --- command-line tools --------------------------------------------------------------------------------------------


class VersionState(StrEnum):
    KNOWN = "known"
    PENDING = "pending"
    UNKNOWN = "unknown"
    """It was asked and told none; `detail` says how it ended."""


class FoundCli(Wire):
    """A tool of the catalogue and whether this box has it."""

    name: str
    kind: str
    answers_prompts: bool
    is_present: bool
    path: str | None
    version: str | None
    version_state: VersionState | None
    """Null for a tool that is not here."""
    detail: str = ""


class CliScan(Wire):
    """All tools of the catalogue; versions that are not known yet come in the background."""

    items: list[FoundCli]
    present: int
    pending: int
    scanned_at: datetime
    took_ms: float


class DiscoverMethod(StrEnum):
    BROWSER = "browser"
    REGISTRY = "registry"


class DiscoverRequest(Wire):
    cli_name: CliName
    method: DiscoverMethod = DiscoverMethod.REGISTRY
    wait_seconds: float = Field(10.0, ge=0.0, le=60.0)


class InstallHint(Wire):
    """A way to install a tool that a source tells. Text to be read by a person: nothing here is ever run."""

    command: str
    manager: str
    source_url: str
    confidence: float = Field(ge=0.0, le=1.0)


class DiscoveredCli(Wire):
    """What the sources say of a tool; the `result` of a discovery's job."""

    cli_name: str
    method: DiscoverMethod
    description: str | None
    version: str | None
    license: str | None
    installs: list[InstallHint]
    documentation_urls: list[str]
    api_urls: list[str]
    sources: list[str]
    """The pages and documents that were read."""
    warnings: list[SearchWarning]
