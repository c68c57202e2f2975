"""What spawner takes and answers: processes to run in a sandbox, and the truth about how each of them went."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from config.contracts.common import StatusEnum, Wire

MOST_ARGS, MOST_FILES, MOST_ARTIFACT_GLOBS, MOST_VARIABLES = 256, 64, 32, 64
LONGEST_ARG = 32_768
LONGEST_INPUT = 512 * 1024
"""Characters of `stdin`, and of the content of all `files` together: larger inputs come as assets."""
LARGEST_REQUEST_BYTES = 4 * 1024 * 1024
"""Of a SpawnRequest with the longest input, as JSON may escape it."""
NO_NUL = r"^[^\x00]*$"
TRY_OUT_PROFILE = "switch-try-out"
"""The profile, there without any setting, in which switch has model files loaded for the first time."""

Text = Annotated[str, Field(max_length=LONGEST_ARG, pattern=NO_NUL)]
RelativePath = Annotated[str, Field(min_length=1, max_length=1024, pattern=NO_NUL, examples=["input/check.py"])]
VariableName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Level(StrEnum):
    """How well something is kept from a job: by the kernel, as well as we can, or not at all."""

    ENFORCED = "enforced"
    BEST_EFFORT = "best_effort"
    NONE = "none"

    @property
    def rank(self) -> int:
        return (Level.NONE, Level.BEST_EFFORT, Level.ENFORCED).index(self)


class Protections(Wire):
    """What is kept from a job: files, network, other processes, users, system calls; limits of memory and of processes; that a kill
    reaches the whole tree; and that nothing outlives spawner."""

    fs: Level
    net: Level
    pid: Level
    user: Level
    seccomp: Level
    mem: Level
    pids: Level
    kill: Level
    orphan: Level


class MinProtection(Wire):
    """The least that a job may be run with; what is not named is not asked for.

    A name it does not know is refused: a misspelt demand for safety must not be passed over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fs: Level | None = None
    net: Level | None = None
    pid: Level | None = None
    user: Level | None = None
    seccomp: Level | None = None
    mem: Level | None = None
    pids: Level | None = None
    kill: Level | None = None
    orphan: Level | None = None


class SpawnPriority(StrEnum):
    """Who is served first when jobs wait."""

    SYSTEM_CRITICAL = "SYSTEM_CRITICAL"
    USER_INTERACTIVE = "USER_INTERACTIVE"
    BATCH_PROCESSING = "BATCH_PROCESSING"
    BACKGROUND = "BACKGROUND"

    @property
    def rank(self) -> int:
        """0 is served first."""
        return list(SpawnPriority).index(self)


class Reason(StrEnum):
    """Why a job ended. `refused`: it was never started; `lost`: spawner ended while it ran, and the job with it."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    OOM = "oom"
    OUTPUT_LIMIT = "output_limit"
    KILLED = "killed"
    REFUSED = "refused"
    LOST = "lost"


class InputFile(Wire):
    """A file that lies in the job's folder when it starts: its content as text or base64, or the bytes of one of shub's assets."""

    path: RelativePath
    content: str | None = None
    content_base64: str | None = None
    asset_id: str | None = Field(None, min_length=1, max_length=64)
    executable: bool = False

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if sum(one is not None for one in (self.content, self.content_base64, self.asset_id)) != 1:
            raise ValueError("give exactly one of content, content_base64 and asset_id")
        return self


class Limits(Wire):
    """What a job may use. Sizes of memory and disk in MiB, as asked for; CPU time is that of all its processes."""

    timeout_seconds: float = Field(60.0, gt=0, le=86_400)
    max_memory_mb: int = Field(512, ge=16, le=1_048_576)
    max_cpu_seconds: float | None = Field(None, gt=0, le=86_400)
    max_processes: int = Field(64, ge=1, le=4096)
    max_output_bytes: int = Field(1024 * 1024, ge=0, le=256 * 1024 * 1024)
    """Of stdout and stderr each: what is kept. What a job writes beyond that is thrown away (`truncated`) and the job goes on; one
    that writes more than sixteen times as much to either, and more than 1 MiB, is ended (`output_limit`)."""
    max_disk_mb: int = Field(256, ge=1, le=1_048_576)


class SpawnRequest(Limits):
    """A process to run. `command` is a bare name found in the allowed folders, or an absolute path inside them."""

    name: str = Field("job", min_length=1, max_length=100, pattern=NO_NUL, examples=["healthcheck"])
    command: str = Field(min_length=1, max_length=4096, pattern=NO_NUL, examples=["python3"])
    args: list[Text] = Field([], max_length=MOST_ARGS, examples=[["check.py"]])
    env: dict[VariableName, Text] = Field({}, max_length=MOST_VARIABLES)
    stdin: str | None = Field(None, max_length=LONGEST_INPUT)
    files: list[InputFile] = Field([], max_length=MOST_FILES)
    artifacts: list[RelativePath] = Field([], max_length=MOST_ARTIFACT_GLOBS, examples=[["out/*.json"]])
    """Globs, relative to the job's folder, of the files that are kept for as long as the folder is."""
    network: Literal["none", "full"] = "none"
    profile: str | None = Field(None, min_length=1, max_length=64)
    """A named set of extra mounts, from settings."""
    project: str | None = Field(None, min_length=1, max_length=64)
    """A project folder from settings, at /project: read-only, or a copy to write in (`project_copy`)."""
    project_copy: bool = False
    priority: SpawnPriority = SpawnPriority.USER_INTERACTIVE
    ttl_seconds: float = Field(3600.0, ge=1, le=30 * 86_400)
    """How long the job's folder (all of its output, artifacts, samples) is kept after its end: an hour unless asked otherwise.
    The record stays."""
    min_protection: MinProtection = MinProtection()
    retries: int = Field(0, ge=0, le=10)
    """Times a job is run again that was lost or refused by the machine; one that ran to its own end is not."""
    wait_seconds: float = Field(0.0, ge=0, le=60)


class Artifact(Wire):
    """A file that a job left under one of its globs."""

    path: str
    size_bytes: int
    sha256: str


class SpawnRecord(Wire):
    """A job and how it went. The record stays; what is longer, and artifacts, are kept until `expires_at`."""

    spawn_id: str
    name: str
    status: StatusEnum
    """DONE: it ended by itself with exit code 0. CANCELLED: it was killed on request. ERROR: anything else."""
    reason: Reason | None = None
    exit_code: int | None = None
    signal: int | None = None
    detail: str | None = None
    """What there is to say beyond `reason`, for people."""
    command: str
    args: list[str]
    stdout: str = ""
    """The first 64 KiB of what was written, when the job has ended; all that was kept is under `/logs` until `expires_at`.
    `truncated` does not tell of this cut: compare `stdout_bytes`, which counts all that was written."""
    stderr: str = ""
    """The first 64 KiB, as of stdout."""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    truncated: bool = False
    """Whether more was written than `/logs` kept, which is `max_output_bytes` of each stream."""
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    """When the job's folder goes: `ttl_seconds` after its end."""
    protections: Protections | None = None
    limits: Limits
    network: Literal["none", "full"] = "none"
    priority: SpawnPriority = SpawnPriority.USER_INTERACTIVE
    attempt: int = 1
    artifacts: list[Artifact] = []
    caller: str
    daughter_task_id: str | None = None


class SpawnSummary(Wire):
    """A job in a list."""

    spawn_id: str
    name: str
    status: StatusEnum
    reason: Reason | None = None
    exit_code: int | None = None
    command: str
    caller: str
    daughter_task_id: str | None = None
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class LogChunk(Wire):
    """A piece of what a job wrote. `next_offset` is where the next piece starts; `is_complete` says that no more will come."""

    spawn_id: str
    stream: Literal["stdout", "stderr"]
    offset: int
    text: str
    next_offset: int
    total_bytes: int
    is_complete: bool


class Logs(Wire):
    """Both streams from their given offsets."""

    spawn_id: str
    stdout: LogChunk
    stderr: LogChunk


class RungReport(Wire):
    """One way to run jobs, whether it works on this machine, and what it gives."""

    name: str
    works: bool
    detail: str = ""
    protections: Protections


class ProtectionsReport(Wire):
    """What jobs are kept from here: the rung in use, found by running it, and those above it that do not work and why."""

    rung: str
    protections: Protections
    rungs: list[RungReport]
    runs_as: str
    """The user that jobs have for the kernel: `uid 1000`, or `a pool of 16 uids from 61000` where the fleet was started by root."""
    advice: str = ""


class RuntimeSample(Wire):
    """What a running job used at one moment."""

    at: datetime
    memory_bytes: int
    cpu_seconds: float
    processes: int


# --- madre's daughters ----------------------------------------------------------------------------------------------


class DaughterResult(Wire):
    """How a daughter went: what spawner posts to madre (`POST /madre/daughters/{id}/result`), and what its row holds."""

    daughter_task_id: str
    status: StatusEnum
    spawn: SpawnRecord | None = None
    error: str | None = None
    attempts: int = 0
    fence: int = 0


class DaughterRequest(Wire):
    """What `daughter_tasks.request` holds: the job, and where a person confirmed its network."""

    spawn: SpawnRequest
    is_confirmed: bool = False
    """Whether the plan was confirmed by a person: without it a daughter has no network."""


def shown(request: SpawnRequest) -> dict[str, Any]:
    """The request without what may be private or large: its environment, its input, the content of its files."""
    kept = request.model_dump(mode="json", exclude={"env", "stdin", "files"})
    return kept | {"env": sorted(request.env), "files": [one.path for one in request.files]}
