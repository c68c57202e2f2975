"""Finding models: the hub and the catalogue are asked at once, what they tell is ranked, and the best get their files and sizes."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from config.clock import utc_now
from config.contracts.hermes import (
    MOST_FILES,
    FoundModel,
    ScoreParts,
    SearchFilters,
    SearchRequest,
    SearchResult,
    SearchSource,
    SearchWarning,
    SortBy,
)
from config.errors import FleetError, InvalidRequest
from hermes import machine
from hermes.errors import ModelNotOnHub
from hermes.hub import THREADS, Hub, Sort
from hermes.hub_model import HubModel
from hermes.machine import Room
from hermes.openrouter import CatalogueModel, OpenRouter
from hermes.ranking import parts_of, score_of
from hermes.registry import SOURCE, ModelRegistry
from hermes.settings import HermesSettings
from hermes.specialties import is_of, specialty_of
from hermes.versions import WEIGHTS, is_pickle, versions_of

API = "api"
"""The type of a model that only runs elsewhere."""
MOST_CANDIDATES = 100
"""Models of the hub that are looked at for one search."""
FILES_SECONDS = 15.0
"""For how long sizes of files are asked for; then what is not known stays unknown. Who searches waits a minute at most."""
_HUB_SORTS: dict[SortBy, Sort] = {SortBy.LIKES: "likes", SortBy.RECENCY: "last_modified"}

Found = tuple[list[FoundModel], list[SearchWarning]]


class Search:
    """Looks for models, and tells for each whether this machine has room for it."""

    def __init__(self, settings: HermesSettings, hub: Hub, openrouter: OpenRouter, registry: ModelRegistry) -> None:
        self._hub, self._openrouter, self._registry = hub, openrouter, registry
        self._folder = settings.models_dir

    async def find(self, request: SearchRequest) -> SearchResult:
        """Models that fit the request, the best first.

        A source that fails is a warning; where no source answered, its error is raised: what `Hub` and `OpenRouter` raise. Raises
        InvalidRequest for a type of model that there is not.
        """
        wanted = request.filters
        if wanted.model_type not in (None, *WEIGHTS, API):
            raise InvalidRequest(f"filters.model_type: one of {', '.join((*WEIGHTS, API))}, not {wanted.model_type!r}")
        asked: dict[str, Coroutine[Any, Any, Found]] = {}
        if request.source is not SearchSource.OPENROUTER and wanted.model_type != API:
            asked["huggingface"] = self.on_hub(request.query, wanted, limit=request.limit)
        if request.source is not SearchSource.HUGGINGFACE and wanted.model_type in (None, API):
            asked["openrouter"] = self.in_catalogue(request.query, wanted)
        answers = dict(zip(asked, await asyncio.gather(*(_caught(one) for one in asked.values())), strict=True))
        failed = {source: answer for source, answer in answers.items() if isinstance(answer, FleetError)}
        if failed and len(failed) == len(answers):
            raise next(iter(failed.values()))
        items = [item for answer in answers.values() if not isinstance(answer, FleetError) for item in answer[0]]
        warnings = [one for answer in answers.values() if not isinstance(answer, FleetError) for one in answer[1]]
        warnings += [_warning(source, error) for source, error in failed.items()]
        items.sort(key=order_of(wanted.sort_by))
        shown, more = await self._with_kept(items[: request.limit])
        return SearchResult(items=shown, warnings=warnings + more)

    async def on_hub(
        self, query: str, wanted: SearchFilters, *, limit: int, tags: Sequence[str] = ()
    ) -> tuple[list[FoundModel], list[SearchWarning]]:
        """At most `limit` models of the hub that have all tags, with their files. Raises what `Hub` raises."""
        all_tags = [*tags]
        if wanted.model_type is not None:
            all_tags.append(wanted.model_type)
        if wanted.license is not None:
            all_tags.append(f"license:{wanted.license.lower()}")
        is_narrow = wanted != SearchFilters(sort_by=wanted.sort_by) or wanted.sort_by is SortBy.SIZE
        candidates = await self._hub.search(
            query,
            limit=MOST_CANDIDATES if is_narrow else min(MOST_CANDIDATES, 2 * limit),
            sort=_HUB_SORTS.get(wanted.sort_by, "downloads"),
            tags=all_tags,
        )
        free = await asyncio.to_thread(machine.room, self._folder)
        listed = [item for model in candidates if _is_wanted(item := self._found(model, wanted, free), wanted)]
        listed.sort(key=order_of(wanted.sort_by))
        return await self._with_files(listed, wanted, free, limit)

    async def _with_files(
        self, listed: list[FoundModel], wanted: SearchFilters, free: Room, limit: int
    ) -> tuple[list[FoundModel], list[SearchWarning]]:
        """The first `limit` of them that still fit when their files are known. All are looked at where size is the order."""
        found: list[FoundModel] = []
        until = time.monotonic() + FILES_SECONDS
        enough = len(listed) if wanted.sort_by is SortBy.SIZE else limit
        for start in range(0, len(listed), THREADS):
            some = listed[start : start + THREADS]
            answers = await asyncio.gather(*(_caught(self._hub.info(item.model_id)) for item in some))
            for item, answer in zip(some, answers, strict=True):
                if isinstance(answer, HubModel):
                    found.append(self._found(answer, wanted, free))
                elif not isinstance(answer, ModelNotOnHub):  # taken away between the two questions
                    found.append(item)
            found = [item for item in found if _is_fitting_filters(item, wanted)]
            problem = next(
                (one for one in answers if isinstance(one, FleetError) and not isinstance(one, ModelNotOnHub)), None
            )
            if problem is not None or time.monotonic() > until:
                rest = [item for item in listed[start + THREADS :] if _is_fitting_filters(item, wanted)]
                return (found + rest)[:enough], [_sizes_unknown(problem)]
            if len(found) >= enough:
                break
        return found[:enough], []

    async def in_catalogue(self, query: str, wanted: SearchFilters) -> tuple[list[FoundModel], list[SearchWarning]]:
        """Models that run elsewhere. Raises CatalogueUnavailable."""
        models = await self._openrouter.models()
        free = await asyncio.to_thread(machine.room, self._folder)
        words = [word.lower() for word in query.split()]
        matching = [
            model
            for model in models
            if all(word in f"{model.model_id} {model.name} {model.description}".lower() for word in words)
        ]
        return [item for model in matching if _is_wanted(item := _of_catalogue(model, wanted, free), wanted)], []

    async def _with_kept(self, items: list[FoundModel]) -> tuple[list[FoundModel], list[SearchWarning]]:
        """The items, those marked that the registry has; unmarked, with a warning, where it cannot be asked."""
        try:
            kept = {(model.source, model.model_id) for model in await self._registry.models()}
        except FleetError as error:
            return items, [_warning("hermes_db", error)]
        return [
            item.model_copy(update={"is_kept": True}) if (item.source, item.model_id) in kept else item
            for item in items
        ], []

    def _found(self, model: HubModel, wanted: SearchFilters, free: Room) -> FoundModel:
        """A model of the hub as a search shows it; its size is that of its smallest version of the wanted type."""
        versions = [one for one in versions_of(model.files) if wanted.model_type in (None, one.format)]
        of_type = [one for one in versions if one.format == versions[0].format]
        smallest = min(of_type, key=lambda one: (one.size_bytes is None, one.size_bytes or 0), default=None)
        size_bytes = smallest.size_bytes if smallest is not None else None
        parts = parts_on_hub(model)
        return FoundModel(
            model_id=model.model_id,
            source=SOURCE,
            score=score_of(parts),
            parts=parts,
            size_bytes=size_bytes,
            files=list(model.files[:MOST_FILES]),
            quantizations=sorted({one.quantization for one in of_type if one.quantization is not None}),
            license=model.license,
            is_gated=model.is_gated,
            access_url=self._hub.access_url(model.model_id) if model.is_gated else None,
            specialty=specialty_of(model.model_id, model.tags, model.pipeline_tag),
            model_type=smallest.format if smallest is not None else None,
            tags=list(model.tags),
            downloads=model.downloads,
            likes=model.likes,
            revision=model.sha,
            last_modified=model.last_modified,
            created_at=model.created_at,
            context_length=model.context_length,
            fit=machine.fit_of(size_bytes, free, why_unknown=_why_no_size(model)),
            is_kept=False,
        )


def parts_on_hub(model: HubModel) -> ScoreParts:
    """The parts of the score of a model of the hub, now."""
    return parts_of(
        downloads=model.downloads, likes=model.likes, tags=model.tags, changed_at=model.last_modified, now=utc_now()
    )


def _of_catalogue(model: CatalogueModel, wanted: SearchFilters, free: Room) -> FoundModel:
    parts = parts_of(downloads=None, likes=None, tags=None, changed_at=model.created_at, now=utc_now())
    tags = [f"input:{one}" for one in model.inputs] + [f"output:{one}" for one in model.outputs] + list(model.supports)
    task = next((_TASKS[one] for one in model.outputs if one in _TASKS), "text-generation")
    return FoundModel(
        model_id=model.model_id,
        source="openrouter",
        score=score_of(parts),
        parts=parts,
        size_bytes=None,
        files=[],
        quantizations=[],
        license=None,
        is_gated=False,
        access_url=None,
        specialty=specialty_of(f"{model.model_id} {model.name}", (), task),
        model_type=API,
        tags=tags,
        downloads=None,
        likes=None,
        revision=None,
        last_modified=None,
        created_at=model.created_at,
        context_length=model.context_length,
        price_prompt_usd_per_token=model.price_prompt,
        price_completion_usd_per_token=model.price_completion,
        fit=machine.fit_of(None, free, why_unknown="runs elsewhere: it takes no room here"),
        is_kept=False,
    )


_TASKS = {
    "image": "text-to-image",
    "audio": "text-to-audio",
    "embeddings": "feature-extraction",
    "rerank": "text-ranking",
}
"""What a model of the catalogue makes, as the hub would call the task."""


def order_of(sort_by: SortBy) -> Callable[[FoundModel], tuple[Any, ...]]:
    """The key that sorts by it, best first; what a model does not tell puts it last, and names decide between equals."""

    def key(item: FoundModel) -> tuple[Any, ...]:
        changed = item.last_modified or item.created_at
        by: dict[SortBy, float | None] = {
            SortBy.SCORE: item.score,
            SortBy.DOWNLOADS: item.downloads,
            SortBy.LIKES: item.likes,
            SortBy.RECENCY: changed.timestamp() if changed is not None else None,
            SortBy.SIZE: -item.size_bytes if item.size_bytes is not None else None,
        }
        value = by[sort_by]
        return (value is None, -(value or 0), -item.score, item.source, item.model_id)

    return key


def _is_wanted(item: FoundModel, wanted: SearchFilters) -> bool:
    """By what is known before its files are."""
    if wanted.license is not None and (item.license or "").lower() != wanted.license.lower():
        return False
    return wanted.specialty is None or is_of(wanted.specialty, item.specialty, item.model_id, item.tags)


def _is_fitting_filters(item: FoundModel, wanted: SearchFilters) -> bool:
    """By its files. A model of the hub whose size nobody knows is not below a limit."""
    if wanted.model_type is not None and item.model_type != wanted.model_type:
        return False
    return wanted.size_max is None or (item.size_bytes is not None and item.size_bytes <= wanted.size_max)


def _why_no_size(model: HubModel) -> str:
    if not model.files:
        return "the hub did not tell its files"
    if any(is_pickle(file.path) for file in model.files):
        return (
            "it holds its weights only as pickle, which can run code when it is read: nothing of it can be downloaded"
        )
    return "it offers no gguf, safetensors or onnx file with a size"


def _sizes_unknown(problem: FleetError | None) -> SearchWarning:
    if problem is None:
        detail = f"the hub took longer than {FILES_SECONDS:g} s for the files: some sizes are not known"
        return SearchWarning(source="huggingface", code="hub_slow", detail=detail)
    return SearchWarning(source="huggingface", code=problem.code, detail=f"some sizes are not known: {problem.detail}")


def _warning(source: str, error: FleetError) -> SearchWarning:
    return SearchWarning(source=source, code=error.code, detail=error.detail)


async def _caught(asked: Coroutine[Any, Any, Any]) -> Any:
    """What it answers, or the FleetError that it raises: one question that fails does not end the others."""
    try:
        return await asked
    except FleetError as error:
        return error
