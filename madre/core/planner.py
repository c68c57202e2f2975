"""From an intent to steps. Values in, plan out; no I/O.

A draft either has steps, or a question (something is missing), or a refusal (no service of this fleet does that yet).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from config.contracts.madre import MOST_FILES
from config.contracts.shub import AssetId, MixRequest, StemRole
from config.contracts.switch import RouteRequest
from config.errors import InvalidRequest
from madre.core import words
from madre.core.models import IntentName, IntentV2, ModeEnum, StepType, StepV2

AUDIO = frozenset(
    {
        IntentName.AUDIO_MIX,
        IntentName.AUDIO_EFFECTS,
        IntentName.AUDIO_MASTER,
        IntentName.AUDIO_ANALYZE,
        IntentName.AUDIO_EXPORT,
        IntentName.AUDIO_UNDO,
    }
)
TAKES_FILES = AUDIO | {IntentName.DELETE_RESOURCE}
ROLES = frozenset(role.value for role in StemRole)
MIX_FORMATS = ("wav", "flac")
MIX_PARAMS = ("target_lufs", "ceiling_dbtp", "format", "bit_depth", "sample_rate_hz")


@dataclass(frozen=True)
class Draft:
    """What the planner made of an intent."""

    steps: list[StepV2] = field(default_factory=list)
    question: str | None = None
    missing: str | None = None
    """What the question asks for: `files` or `asset_id`."""
    refusal: str | None = None
    warnings: list[str] = field(default_factory=list)
    takes_long: bool = False


def mode_of(intent: IntentV2, wanted: ModeEnum | None) -> ModeEnum:
    """AUDIO_ENGINEER for everything about audio, unless the caller says otherwise."""
    return wanted or (ModeEnum.AUDIO_ENGINEER if intent.domain == "audio" else ModeEnum.MADRE)


def plan(intent: IntentV2, message: str, files: list[str], *, many_stems: int = 24) -> Draft:
    """The steps that do what the intent wants, in order. Raises InvalidRequest for parameters that its specialist would refuse."""
    return PLANNERS.get(intent.name, _not_in_fleet)(intent, message, files, many_stems)


def named_files(intent: IntentV2) -> list[str]:
    """The `files` of a structured request. Raises InvalidRequest unless they are asset ids."""
    return _ids(intent, "files")


def _mix(intent: IntentV2, _message: str, files: list[str], many_stems: int) -> Draft:
    stems = _stems(intent, files)
    if not stems:
        return Draft(question=words.say("which_stems", intent.language), missing="files")
    said = intent.params.get("stem_count")
    warnings = []
    if isinstance(said, int) and said != len(stems):
        warnings.append(words.say("stem_count", intent.language, said=said, found=len(stems)))
    wanted = {key: intent.params[key] for key in MIX_PARAMS if intent.params.get(key) is not None}
    if intent.source != "structured" and wanted.get("format", "wav") not in MIX_FORMATS:
        warnings.append(words.say("mix_format", intent.language, wanted=wanted.pop("format")))
    _checked(MixRequest, {"stems": stems, **wanted})
    steps = [
        _step(1, StepType.CALL_SHUB, "shub:inspect", {"asset_ids": [stem["asset_id"] for stem in stems]}),
        _step(2, StepType.CALL_SHUB, "shub:mix", {"stems": stems, **wanted}),
        _step(3, StepType.CALL_SHUB, "shub:measure", {"asset_id": {"from": "s2", "key": "asset_id"}}),
    ]
    return Draft(steps, warnings=warnings, takes_long=len(stems) >= many_stems)


def _analyze(intent: IntentV2, _message: str, files: list[str], _many: int) -> Draft:
    wanted = _assets(intent, files)
    if not wanted:
        return Draft(question=words.say("which_file", intent.language), missing="files")
    return Draft([_step(n, StepType.CALL_SHUB, "shub:analyze", {"asset_id": a}) for n, a in enumerate(wanted, start=1)])


def _delete(intent: IntentV2, _message: str, files: list[str], _many: int) -> Draft:
    if intent.target not in (None, "shub", "asset", "audio") and not _assets(intent, files):
        return _not_in_fleet(intent, _message, files, _many)
    wanted = _assets(intent, files)
    if not wanted:
        return Draft(question=words.say("delete_what", intent.language), missing="files")
    return Draft([_step(n, StepType.CALL_SHUB, "shub:delete", {"asset_id": a}) for n, a in enumerate(wanted, start=1)])


def _question(task_type: str) -> "Planner":
    def make(intent: IntentV2, message: str, _files: list[str], _many: int) -> Draft:
        prompt = intent.params.get("prompt") or message
        _checked(RouteRequest, {"prompt": prompt, "task_type": task_type})
        return Draft([_step(1, StepType.CALL_SWITCH, "switch:route", {"prompt": prompt, "task_type": task_type})])

    return make


def _one(kind: StepType, operation: str) -> "Planner":
    def make(_intent: IntentV2, _message: str, _files: list[str], _many: int) -> Draft:
        return Draft([_step(1, kind, operation, {})])

    return make


def _not_in_fleet(intent: IntentV2, _message: str, _files: list[str], _many: int) -> Draft:
    return Draft(refusal=words.not_in_fleet(intent))


Planner = Callable[[IntentV2, str, list[str], int], Draft]
PLANNERS: dict[IntentName, Planner] = {
    IntentName.AUDIO_MIX: _mix,
    IntentName.AUDIO_ANALYZE: _analyze,
    IntentName.DELETE_RESOURCE: _delete,
    IntentName.CODE_QUESTION: _question("code"),
    IntentName.GENERAL_QUESTION: _question("text_generation"),
    IntentName.LIST_MODELS: _one(StepType.CALL_HERMES_DB, "hermes_db:models"),
    IntentName.LIST_CLIS: _one(StepType.CALL_HERMES_DB, "hermes_db:clis"),
    IntentName.FLEET_STATUS: _one(StepType.NOOP, "madre:health"),
    IntentName.PROCESS_STATUS: _one(StepType.NOOP, "madre:plans"),
    IntentName.HELP: _one(StepType.NOOP, "madre:help"),
}
"""Intents that this fleet can carry out; the others are refused in words."""


def _step(number: int, kind: StepType, operation: str, params: dict[str, Any]) -> StepV2:
    return StepV2(step_id=f"s{number}", type=kind, operation=operation, params=params)


def _checked(shape: type[BaseModel], params: dict[str, Any]) -> None:
    """Raises InvalidRequest naming each field that the specialist would refuse: better now than in the middle of a plan."""
    try:
        shape.model_validate(params)
    except ValidationError as exc:
        errors = [{"field": ".".join(map(str, ("params", *one["loc"]))), "message": one["msg"]} for one in exc.errors()]
        raise InvalidRequest("; ".join(f"{one['field']}: {one['message']}" for one in errors), errors=errors) from exc


class _AssetIds(BaseModel):
    """`params` as far as they name assets, and files that came beside them."""

    asset_id: AssetId | None = None
    asset_ids: list[AssetId] | AssetId = Field([], max_length=MOST_FILES)
    files: list[AssetId] = Field([], max_length=MOST_FILES)


def _ids(intent: IntentV2, *names: str) -> list[str]:
    """The asset ids under these names. Raises InvalidRequest for anything that is none: it must not be passed over in silence."""
    given = {name: intent.params[name] for name in names if intent.params.get(name) is not None}
    _checked(_AssetIds, given)
    values = list(given.values())
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _assets(intent: IntentV2, files: list[str]) -> list[str]:
    return list(dict.fromkeys(_ids(intent, "asset_ids") or _ids(intent, "asset_id") or files))


def _stems(intent: IntentV2, files: list[str]) -> list[dict[str, Any]]:
    """The stems of a mix: as structured params give them, else the files, with roles where the message names one per file."""
    given = intent.params.get("stems")
    if given is not None:
        return [
            stem if isinstance(stem, dict) else {"asset_id": stem}
            for stem in (given if isinstance(given, list) else [given])
        ]
    assets = _assets(intent, files)
    roles = intent.params.get("roles")
    if (
        isinstance(roles, list)
        and len(roles) == len(assets)
        and all(isinstance(role, str) and role in ROLES for role in roles)
    ):
        return [{"asset_id": asset, "role": role} for asset, role in zip(assets, roles, strict=True)]
    return [{"asset_id": asset} for asset in assets]
