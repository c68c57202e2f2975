"""From an intent to steps. Values in, plan out; no I/O.

A draft either has steps, or a question (something is missing), or a refusal (no service of this fleet does that yet).
"""

from typing import Any

from pydantic import BaseModel, Field

from config.contracts.madre import MOST_FILES
from config.contracts.shub import AssetId, MixRequest, StemRole
from config.contracts.switch import RouteRequest
from madre.core import audio_words, model_plans, processes, words
from madre.core.draft import Draft, Known, Planner, checked, step
from madre.core.models import IntentName, IntentV2, ModeEnum, StepType

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
MIX_FORMATS = ("wav", "flac", "mp3", "ogg")
MIX_PARAMS = ("target_lufs", "ceiling_dbtp", "format", "bit_depth", "sample_rate_hz")


def mode_of(intent: IntentV2, wanted: ModeEnum | None) -> ModeEnum:
    """AUDIO_ENGINEER for everything about audio, unless the caller says otherwise."""
    return wanted or (ModeEnum.AUDIO_ENGINEER if intent.domain == "audio" else ModeEnum.MADRE)


def plan(intent: IntentV2, message: str, files: list[str], known: Known | None = None) -> Draft:
    """The steps that do what the intent wants, in order. Raises InvalidRequest for parameters that its specialist would refuse."""
    return PLANNERS.get(intent.name, _not_in_fleet)(intent, message, files, known or Known())


def named_files(intent: IntentV2) -> list[str]:
    """The `files` of a structured request. Raises InvalidRequest unless they are asset ids; those of a process are checked with it."""
    return [] if intent.name is IntentName.RUN_PROCESS else _ids(intent, "files")


def _mix(intent: IntentV2, _message: str, files: list[str], known: Known) -> Draft:
    stems = _stems(intent, files)
    if not stems:
        return Draft(question=audio_words.say("which_stems", intent.language), missing="files")
    said = intent.params.get("stem_count")
    warnings = []
    if isinstance(said, int) and said != len(stems):
        warnings.append(words.say("stem_count", intent.language, said=said, found=len(stems)))
    wanted = {key: intent.params[key] for key in MIX_PARAMS if intent.params.get(key) is not None}
    if intent.source != "structured" and wanted.get("format", "wav") not in MIX_FORMATS:
        warnings.append(words.say("mix_format", intent.language, wanted=wanted.pop("format")))
    checked(MixRequest, {"stems": stems, **wanted})
    steps = [
        step(1, StepType.CALL_SHUB, "shub:inspect", {"asset_ids": [stem["asset_id"] for stem in stems]}),
        step(2, StepType.CALL_SHUB, "shub:mix", {"stems": stems, **wanted}),
        step(3, StepType.CALL_SHUB, "shub:measure", {"asset_id": {"from": "s2", "key": "asset_id"}}),
    ]
    return Draft(steps, warnings=warnings, takes_long=len(stems) >= known.many_stems)


def _analyze(intent: IntentV2, _message: str, files: list[str], _known: Known) -> Draft:
    wanted = assets_of(intent, files)
    if not wanted:
        return Draft(question=words.say("which_file", intent.language), missing="files")
    return Draft([step(n, StepType.CALL_SHUB, "shub:analyze", {"asset_id": a}) for n, a in enumerate(wanted, start=1)])


def _delete(intent: IntentV2, message: str, files: list[str], known: Known) -> Draft:
    if model_plans.names_a_model(intent) and not files:
        return model_plans.remove(intent, message, files, known)
    if intent.target not in (None, "shub", "asset", "audio") and not assets_of(intent, files):
        return _not_in_fleet(intent, message, files, known)
    wanted = assets_of(intent, files)
    if not wanted:
        return Draft(question=words.say("delete_what", intent.language), missing="files")
    names = {asset.asset_id: asset.name for asset in known.files}
    steps = [step(n, StepType.CALL_SHUB, "shub:delete", {"asset_id": a}) for n, a in enumerate(wanted, start=1)]
    return Draft(steps, about=", ".join(f"{names[a]} ({a})" if a in names else a for a in wanted))


def _question(task_type: str) -> Planner:
    def make(intent: IntentV2, message: str, _files: list[str], _known: Known) -> Draft:
        prompt = intent.params.get("prompt") or message
        checked(RouteRequest, {"prompt": prompt, "task_type": task_type})
        return Draft([step(1, StepType.CALL_SWITCH, "switch:route", {"prompt": prompt, "task_type": task_type})])

    return make


def _one(kind: StepType, operation: str) -> Planner:
    def make(_intent: IntentV2, _message: str, _files: list[str], _known: Known) -> Draft:
        return Draft([step(1, kind, operation, {})])

    return make


def _not_in_fleet(intent: IntentV2, _message: str, _files: list[str], _known: Known) -> Draft:
    return Draft(refusal=words.not_in_fleet(intent))


PLANNERS: dict[IntentName, Planner] = {
    IntentName.AUDIO_MIX: _mix,
    IntentName.AUDIO_ANALYZE: _analyze,
    IntentName.DELETE_RESOURCE: _delete,
    IntentName.CODE_QUESTION: _question("code"),
    IntentName.GENERAL_QUESTION: _question("text_generation"),
    IntentName.LIST_MODELS: model_plans.list_models,
    IntentName.SEARCH_MODELS: model_plans.search,
    IntentName.DOWNLOAD_MODEL: model_plans.download,
    IntentName.LIST_CLIS: model_plans.list_clis,
    IntentName.FLEET_STATUS: _one(StepType.NOOP, "madre:health"),
    IntentName.RUN_PROCESS: processes.run,
    IntentName.PROCESS_STATUS: processes.status,
    IntentName.KILL_PROCESS: processes.kill,
    IntentName.HELP: _one(StepType.NOOP, "madre:help"),
}
"""Intents that this fleet can carry out; the others are refused in words."""


class _AssetIds(BaseModel):
    """`params` as far as they name assets, and files that came beside them."""

    asset_id: AssetId | None = None
    asset_ids: list[AssetId] | AssetId = Field([], max_length=MOST_FILES)
    files: list[AssetId] = Field([], max_length=MOST_FILES)


def _ids(intent: IntentV2, *names: str) -> list[str]:
    """The asset ids under these names. Raises InvalidRequest for anything that is none: it must not be passed over in silence."""
    given = {name: intent.params[name] for name in names if intent.params.get(name) is not None}
    checked(_AssetIds, given)
    values = list(given.values())
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def assets_of(intent: IntentV2, files: list[str]) -> list[str]:
    """The files that an intent speaks of, each once. Raises InvalidRequest for ids that are none."""
    return list(dict.fromkeys(_ids(intent, "asset_ids") or _ids(intent, "asset_id") or files))


def _stems(intent: IntentV2, files: list[str]) -> list[dict[str, Any]]:
    """The stems of a mix: as structured params give them, else the files, with roles where the message names one per file."""
    given = intent.params.get("stems")
    if given is not None:
        return [
            stem if isinstance(stem, dict) else {"asset_id": stem}
            for stem in (given if isinstance(given, list) else [given])
        ]
    assets = assets_of(intent, files)
    roles = intent.params.get("roles")
    if (
        isinstance(roles, list)
        and len(roles) == len(assets)
        and all(isinstance(role, str) and role in ROLES for role in roles)
    ):
        return [{"asset_id": asset, "role": role} for asset, role in zip(assets, roles, strict=True)]
    return [{"asset_id": asset} for asset in assets]
