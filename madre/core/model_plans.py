"""Plans about models and tools: look for models, fetch one, remove one, list what is here. Values in, draft out; no I/O.

What is fetched is settled before a person is asked: model, revision and version stand in the step, and so in the plan's hash.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints

from config.contracts.hermes import DownloadRequest, FoundModel, SearchFilters, SearchRequest, SearchSource
from config.contracts.hermes_db import Model
from config.errors import FleetError
from madre.core import model_words, words
from madre.core.draft import Draft, Known, checked, step
from madre.core.intents.model_slots import is_hub_id, quoted_model
from madre.core.intents.text import plain
from madre.core.models import IntentName, IntentV2, StepType, StepV2

SHOWN = 10
"""Models of an answer for people."""
PREFERRED = ("Q4_K_M", "Q5_K_M", "Q4_K_S", "Q4_K_L", "Q5_K_S", "Q4_0", "Q4_1", "Q6_K", "Q8_0")
"""Versions of a GGUF, the one that is proposed first: four to five bits lose little and take a third of the memory."""
WEIGHTS = ("gguf", "safetensors", "onnx")
_BESIDE = re.compile(r"(?:^|[-._/])(?:mmproj|imatrix)(?=$|[-._])", re.IGNORECASE)
"""Files that are no version of a model: the projector of its eyes, and what a quantiser measured; often the smallest of all."""
OTHERS_SHOWN = 2
UPKEEP = "maintenance"
"""The action of a structured request to keep house."""
SEARCH = "hermes:search"
LISTED = "listed_models"
"""The key of a session's context that holds what its last search showed."""
FILTERS = ("size_max", "specialty", "license", "model_type", "sort_by")


@dataclass(frozen=True)
class Version:
    """Files of a found model that make one usable model."""

    format: str
    quantization: str | None
    paths: tuple[str, ...]
    size_bytes: int | None


@dataclass(frozen=True)
class Choice:
    """A model and the version of it that is proposed."""

    found: FoundModel
    version: Version
    is_only: bool
    """Whether the model offers no other."""


# --- searching -----------------------------------------------------------------------------------------------------


def search(intent: IntentV2, _message: str, _files: list[str], _known: Known) -> Draft:
    """One search. Raises InvalidRequest for parameters that hermes would refuse."""
    request = search_of(intent)
    if request is None:
        return Draft(question=words.say("which_search", intent.language), missing="model")
    return Draft([step(1, StepType.CALL_HERMES, SEARCH, request.model_dump(mode="json", exclude_none=True))])


def search_of(intent: IntentV2, *, limit_bytes: int | None = None, listed: Sequence[str] = ()) -> SearchRequest | None:
    """What hermes is asked for; None where neither a model nor a purpose is said. With a limit: nothing larger, and only what can be
    downloaded. Raises InvalidRequest for parameters that hermes would refuse."""
    params = checked(_Said, intent.params)
    name = named(intent, listed)
    query = name or params.query
    if query is None:
        return None
    filters = {key: intent.params[key] for key in FILTERS if intent.params.get(key) is not None} | params.filters
    if name is not None:  # who names a model means that one, whatever it is good at
        filters.pop("specialty", None)
    source = params.source
    if limit_bytes is not None:
        source = SearchSource.HUGGINGFACE
        if name is None:
            said = filters.get("size_max")
            filters["size_max"] = min(said, limit_bytes) if isinstance(said, int) else limit_bytes
    wanted = {"query": query, "filters": filters, "source": source, "limit": params.limit}
    checked(SearchFilters, filters)
    return checked(SearchRequest, {key: value for key, value in wanted.items() if value is not None})


def named(intent: IntentV2, listed: Sequence[str]) -> str | None:
    """The model that is named: by a structured `model_id`, in the message, or by its place in the list that was shown last."""
    params = checked(_Said, intent.params)
    if intent.source == "structured" and params.model_id is not None:
        return checked(DownloadRequest, {"model_id": params.model_id}).model_id
    if params.models:
        return params.models[0]
    if params.query is None and listed:
        return listed[params.place - 1] if 1 <= params.place <= len(listed) else None
    return None


def listed_in(steps: Sequence[StepV2]) -> list[str]:
    """The models that a finished search showed and that can be downloaded or not, in its order."""
    return [
        str(item["model_id"])
        for one in steps
        if one.operation == SEARCH
        for item in (one.result or {}).get("items", [])
    ]


class _Said(BaseModel):
    """`params` as far as they say which model is meant."""

    model_id: str | int | None = None
    models: list[str] = []
    place: int = 1
    query: str | None = None
    quantization: Annotated[str, StringConstraints(max_length=32)] | None = None
    source: SearchSource | None = None
    limit: int = SHOWN
    filters: dict[str, Any] = {}


# --- downloading ---------------------------------------------------------------------------------------------------


def download(intent: IntentV2, _message: str, _files: list[str], known: Known) -> Draft:
    """The download of exactly one version of one model, with the question that names it."""
    language = intent.language
    if intent.params.get("files") is not None and intent.source == "structured":
        return _as_ordered(intent)
    name = named(intent, known.listed)
    if name is None and search_of(intent) is None:
        return Draft(question=words.say("which_model_to_download", language), missing="model")
    if known.found is None:
        return _unheard(intent, known.unheard)
    warnings = [model_words.warning(language, one) for one in known.found.warnings]
    candidates = _fitting(known.found.items, name, known.download_limit_bytes)
    choices = [choice for found in candidates if (choice := _choice(found, intent)) is not None]
    if not choices:
        if candidates and intent.params.get("quantization"):
            return _other_versions(intent, candidates[0])
        return Draft(refusal=model_words.nothing_found(language, intent, known.found.items), refusal_code="not_found")
    if name is not None and len(choices) > 1 and not is_hub_id(name) and intent.source == "structured":
        ids = ", ".join(choice.found.model_id for choice in choices[:SHOWN])
        return Draft(question=words.say("which_of_models", language, what=ids), missing="model")
    chosen = choices[0]
    order = order_of(chosen, intent)
    if chosen.found.is_gated:
        warnings.append(words.say("gated", language, url=chosen.found.access_url or chosen.found.model_id))
    if chosen.found.fit.is_fitting is False:
        warnings.append(words.say("does_not_fit", language, detail=chosen.found.fit.detail))
    if chosen.found.is_kept:
        warnings.append(words.say("is_kept", language, name=chosen.found.model_id))
    others = [] if name is not None else choices[1 : 1 + OTHERS_SHOWN]
    about = described(chosen, language)
    return Draft(
        [step(1, StepType.CALL_HERMES, "hermes:download", order)],
        warnings=warnings,
        about=about,
        confirmation=model_words.ask_download(language, about, [described(other, language) for other in others]),
    )


def order_of(choice: Choice, intent: IntentV2) -> dict[str, Any]:
    """The parameters of the step, which are the order to hermes, and beside it size and licence as they were told."""
    found, version = choice.found, choice.version
    wanted: dict[str, Any] = {"model_id": found.model_id, "revision": found.revision}
    if version.quantization is not None:
        wanted["quantization"] = version.quantization
    elif not choice.is_only:
        wanted["files"] = list(version.paths)
    wanted |= {key: intent.params[key] for key in ("name",) if intent.params.get(key)}
    if specialty := (intent.params.get("specialty") or found.specialty):
        wanted["specialty"] = specialty
    order = checked(DownloadRequest, wanted).model_dump(mode="json", exclude_none=True)
    return {"order": order, "size_bytes": version.size_bytes, "license": found.license}


def versions_of(found: FoundModel) -> list[Version]:
    """What of a found model can be fetched as a whole, the version to propose first."""
    groups: dict[tuple[str, str | None], list[Any]] = {}
    for file in found.files:
        if file.format in WEIGHTS and not _BESIDE.search(file.path):
            groups.setdefault((file.format, file.quantization), []).append(file)
    made = [
        Version(
            format=kind,
            quantization=quantization,
            paths=tuple(file.path for file in files),
            size_bytes=None
            if any(file.size_bytes is None for file in files)
            else sum(file.size_bytes for file in files),
        )
        for (kind, quantization), files in groups.items()
    ]
    return sorted(made, key=_preference)


def described(choice: Choice, language: str) -> str:
    """A model as a person is asked about it: name, version, size, licence."""
    version = choice.version
    told = [version.quantization or version.format, model_words.size(version.size_bytes, language)]
    told.append(choice.found.license or words.say("no_license", language))
    return f"{choice.found.model_id} ({', '.join(told)})"


def _as_ordered(intent: IntentV2) -> Draft:
    """A structured order that names its files: nothing is left to choose."""
    fields = {key: intent.params[key] for key in DownloadRequest.model_fields if intent.params.get(key) is not None}
    order = checked(DownloadRequest, fields)
    about = f"{order.model_id} ({', '.join(order.files or [])})"
    content = order.model_dump(mode="json", exclude_none=True)
    steps = [step(1, StepType.CALL_HERMES, "hermes:download", {"order": content, "size_bytes": None, "license": None})]
    return Draft(steps, about=about, confirmation=model_words.ask_download(intent.language, about, []))


def _fitting(items: Sequence[FoundModel], name: str | None, limit_bytes: int) -> list[FoundModel]:
    """The models to choose from: the one of that very name; else those that can be downloaded and run here, freely ones first."""
    local = [one for one in items if one.files and one.source == SearchSource.HUGGINGFACE]
    if name is not None:
        exact = [one for one in local if plain(one.model_id) == plain(name)]
        if exact or is_hub_id(name):
            return exact
    fitting = [one for one in local if one.fit.is_fitting is not False and (one.size_bytes or 0) <= limit_bytes]
    return sorted(
        fitting, key=lambda one: (one.is_gated, one.is_kept, "gguf" not in {file.format for file in one.files})
    )


def _choice(found: FoundModel, intent: IntentV2) -> Choice | None:
    """The version of a model that the message asks for, or the usual one; None where it has no such version."""
    versions = versions_of(found)
    quantization, kind = intent.params.get("quantization"), intent.params.get("model_type")
    fitting = [
        one
        for one in versions
        if (kind is None or one.format == kind) and (quantization is None or _is_called(one.quantization, quantization))
    ]
    if quantization is None and (most := intent.params.get("size_max")) is not None:
        fitting = [one for one in fitting if one.size_bytes is not None and one.size_bytes <= most]
    if intent.params.get("sort_by") == "size":
        fitting.sort(key=lambda one: (one.size_bytes is None, one.size_bytes or 0))
    return Choice(found, fitting[0], len(versions) == 1) if fitting else None


def _is_called(quantization: str | None, said: object) -> bool:
    """`Q4` means any of four bits; a full name means itself."""
    if quantization is None or not isinstance(said, str):
        return False
    return quantization.upper() == said.upper() or quantization.upper().startswith(f"{said.upper()}_")


def _preference(version: Version) -> tuple[int, int, int]:
    rank = PREFERRED.index(version.quantization) if version.quantization in PREFERRED else len(PREFERRED)
    return WEIGHTS.index(version.format), rank, version.size_bytes or 0


def _other_versions(intent: IntentV2, found: FoundModel) -> Draft:
    there = ", ".join(
        f"{one.quantization or one.format} ({model_words.size(one.size_bytes, intent.language)})"
        for one in versions_of(found)
    )
    said = str(intent.params["quantization"])
    question = words.say("which_version", intent.language, name=found.model_id, said=said, what=there)
    return Draft(question=question, missing="model")


# --- removing ------------------------------------------------------------------------------------------------------


def remove(intent: IntentV2, message: str, _files: list[str], known: Known) -> Draft:
    """The removal of the one registered model that is named. Never a guess: what is not clear is asked."""
    language = intent.language
    if intent.action == UPKEEP:
        return _keep_house(intent, known)
    if known.kept is None:
        return _unheard(intent, known.unheard)
    if not known.kept:
        return Draft(refusal=words.say("no_models", language), refusal_code="not_found")
    found = _meant(intent, message, known.kept)
    if len(found) != 1:
        alike = found or _alike(intent, message, known.kept) or known.kept
        there = ", ".join(f"{one.name} (id {one.id})" for one in alike[:SHOWN])
        question = words.say("which_model_to_delete", language, what=there + (", …" if len(alike) > SHOWN else ""))
        return Draft(question=question, missing="model")
    [model] = found
    params = {"model_id": model.id, "name": model.name}
    about = f"{model.name} ({model_words.size(model.size_bytes, language)}, id {model.id})"
    return Draft([step(1, StepType.CALL_HERMES, "hermes:delete_model", params)], about=about)


def _keep_house(intent: IntentV2, known: Known) -> Draft:
    """The removal of what upkeep would remove now; what is told is a dry run of it."""
    if known.upkeep is None:
        return _unheard(intent, known.unheard)
    if not known.upkeep.removed:
        return Draft(refusal=words.say("nothing_to_remove", intent.language), refusal_code="nothing_to_do")
    about = ", ".join(
        f"{one.name} ({model_words.size(one.size_bytes, intent.language)}, id {one.id})" for one in known.upkeep.removed
    )
    return Draft([step(1, StepType.CALL_HERMES, "hermes:maintenance", {})], about=about)


def names_a_model(intent: IntentV2) -> bool:
    """Whether what is to be deleted is a model."""
    is_models = intent.target in ("hermes", "hermes_db")
    return intent.name is IntentName.DELETE_RESOURCE and is_models and not intent.params.get("asset_ids")


def is_about_models(intent: IntentV2) -> bool:
    """Whether what is missing in such a request can be said in a few words, which alone mean nothing."""
    return intent.name in (IntentName.SEARCH_MODELS, IntentName.DOWNLOAD_MODEL) or names_a_model(intent)


def _meant(intent: IntentV2, message: str, kept: Sequence[Model]) -> list[Model]:
    """The models whose number, name or hub id is said in full; of names that hold one another, the longest."""
    params = intent.params
    checked(_Said, params)
    number = params.get("model_id", params.get("number"))
    name = params.get("name")
    if intent.source == "structured":
        if isinstance(number, int) and not isinstance(number, bool):
            return [one for one in kept if one.id == number]
        said = name if isinstance(name, str) else number
        return [one for one in kept if said in (one.name, one.model_id)]
    if (quoted := quoted_model(message)) is not None:
        return [one for one in kept if plain(quoted) in (plain(one.name), plain(one.model_id))]
    text = plain(message)
    said_names = _longest({called for one in kept for called in (one.name, one.model_id) if _is_said(called, text)})
    by_name = [one for one in kept if said_names & {plain(one.name), plain(one.model_id)}]
    unknown = [said for said in params.get("models", []) if plain(said) not in said_names]
    if by_name or unknown:
        return by_name if not unknown else []
    return [one for one in kept if number is not None and one.id == number]


def _alike(intent: IntentV2, message: str, kept: Sequence[Model]) -> list[Model]:
    """Models that share something with what was said: offered in the question, never chosen."""
    params = intent.params
    said = [*params.get("models", []), params.get("name"), quoted_model(message)]
    parts = {
        part for one in said if isinstance(one, str) for part in re.split(r"[^a-z0-9.]+", plain(one)) if len(part) > 2
    }
    return [one for one in kept if any(part in plain(f"{one.name} {one.model_id}") for part in parts)]


def _is_said(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w./-]){re.escape(plain(name))}(?![\w/-]|\.\w)", text) is not None


def _longest(names: Iterable[str]) -> set[str]:
    said = {plain(name) for name in names}
    return {one for one in said if not any(one != other and one in other for other in said)}


# --- listing -------------------------------------------------------------------------------------------------------


def list_models(intent: IntentV2, _message: str, _files: list[str], _known: Known) -> Draft:
    wanted = {"specialty": intent.params["specialty"]} if isinstance(intent.params.get("specialty"), str) else {}
    return Draft([step(1, StepType.CALL_HERMES_DB, "hermes_db:models", wanted)])


def list_clis(_intent: IntentV2, _message: str, _files: list[str], _known: Known) -> Draft:
    return Draft([step(1, StepType.CALL_HERMES, "hermes:clis", {})])


# --- both ----------------------------------------------------------------------------------------------------------


def _unheard(intent: IntentV2, error: FleetError | None) -> Draft:
    error = error or FleetError("hermes was not asked")
    return Draft(refusal=model_words.trouble(intent.language, error), refusal_code=error.code)
