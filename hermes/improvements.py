"""Better models than those kept: looked for from time to time, reported, and fetched only where the setting says so."""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from config.auth import Caller
from config.clients.hermes_db import HermesDbClient
from config.clock import utc_now
from config.contracts.common import Job, StatusEnum
from config.contracts.hermes import (
    HUB_ID,
    DownloadRequest,
    Improvement,
    Improvements,
    NewerRevision,
    SearchFilters,
    SearchWarning,
)
from config.contracts.hermes_db import Model, Specialty
from config.errors import FleetError
from config.jobs.running import Assignment, Jobs
from hermes.better import Rated, Verdict, improvements, missing_in
from hermes.downloads import Downloads
from hermes.errors import HubBroken, HubRateLimited, HubUnreachable, ModelNotOnHub
from hermes.hub import Hub
from hermes.hub_model import HubModel
from hermes.ranking import score_of
from hermes.registry import SOURCE, ModelRegistry
from hermes.search import Search, parts_on_hub
from hermes.settings import HermesSettings
from hermes.specialties import CODE, PIPELINES
from hermes.versions import WEIGHTS, Version, preferred, versions_of

KIND = "improvements"
OWN_CALLER = Caller("hermes", frozenset({"hermes:*"}), is_service=True)
"""In whose name models are looked for and fetched when nobody asks."""
LOOKED_AT = 8
"""Models that are looked at for each specialty, the most wanted."""
LONGEST_WAIT = timedelta(hours=6)
"""However often it failed, it is tried again after that long."""
FIRST_WAIT = timedelta(minutes=1)
"""After a start, before a search that is due."""
KEPT_RESULTS = 24

log = structlog.get_logger()


class Improving:
    """Looks for improvements. Their last result is the last job of that kind, so that a restart has it."""

    def __init__(
        self,
        settings: HermesSettings,
        hub: Hub,
        search: Search,
        models: ModelRegistry,
        hermes_db: HermesDbClient,
        downloads: Downloads,
        jobs: Jobs,
    ) -> None:
        self._settings, self._hub, self._search = settings, hub, search
        self._models, self._hermes_db, self._downloads, self._jobs = models, hermes_db, downloads, jobs
        self._next_at: datetime | None = None
        self._is_offline = False
        jobs.offer(KIND, self._work)

    async def last(self) -> Improvements:
        """What the last search found."""
        job = await self._jobs.last_done(KIND)
        found = Improvements.model_validate(job.result) if job is not None and job.result is not None else _NOTHING
        is_periodic = self._settings.hermes_search_interval > timedelta(0) and not self._is_offline
        return found.model_copy(update={"is_periodic": is_periodic, "next_search_at": self._next_at})

    async def order(self, caller: Caller, key: str | None) -> Job:
        """A search now; the one that is under way, if there is one. Raises IdempotencyConflict."""
        return await self._jobs.order(KIND, {}, caller, key, subject=KIND)

    # --- by itself -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Top of the periodic search: a failure makes it wait longer, and never ends it."""
        interval, failures = self._settings.hermes_search_interval, 0
        try:
            last = (await self.last()).searched_at
        except Exception:  # what is kept of it cannot be read: then it is as if there was none
            log.exception("last_search_unreadable")
            last = None
        due = last + interval if last is not None else utc_now()
        self._next_at = max(due, utc_now() + min(FIRST_WAIT, interval))
        while True:
            await asyncio.sleep(max(0.0, (self._next_at - utc_now()).total_seconds()))
            try:
                is_good = await self._once()
            except Exception:
                log.exception("periodic_search_broke")
                is_good = False
            failures = 0 if is_good else failures + 1
            self._next_at = utc_now() + wait_after(failures, interval)

    async def _once(self) -> bool:
        """One search, unless there is no network. False where it failed."""
        try:
            await self._hub.search("", limit=1, sort="downloads")
        except FleetError as error:
            was_offline, self._is_offline = self._is_offline, isinstance(error, HubUnreachable)
            if not was_offline:
                log.warning("periodic_search_put_off", code=error.code, detail=error.detail)
            return False
        self._is_offline = False
        job = await self.order(OWN_CALLER, None)
        ended = await self._jobs.finished(job.job_id)
        await self._jobs.forget_older(KIND, keep=KEPT_RESULTS)
        return ended.status is StatusEnum.DONE

    # --- the search ------------------------------------------------------------------------------------------------

    async def _work(self, job: Assignment) -> dict[str, Any]:
        """Raises what the hub and hermes_db raise, when they cannot be asked at all."""
        kept = await self._models.models()
        tree = {one.name: one for one in await self._specialties()}
        rated, newer, warnings = await self._rate(kept)
        least = self._settings.hermes_least_per_specialty
        items: list[Improvement] = []
        looked = 0
        for number, (name, specialty) in enumerate(tree.items()):
            of_it = [one for one in rated if one.model.specialty == name]
            missing = missing_in(name, kept, tree, least)
            if of_it or missing:
                try:
                    verdicts, more = await self._look(specialty, of_it, kept, missing)
                except (HubUnreachable, HubRateLimited, HubBroken) as error:
                    if not looked:
                        raise
                    warnings.append(
                        SearchWarning(source=SOURCE, code=error.code, detail=f"from {name} on: {error.detail}")
                    )
                    break
                looked += 1
                warnings += more
                items += [
                    Improvement(found=one.found, instead_of=one.instead_of, specialty=name, reason=one.reason)
                    for one in verdicts
                ]
            job.progressed((number + 1) / len(tree))
        if self._settings.hermes_auto_download:
            items, more = await self._fetch(items, kept)
            warnings += more
        return Improvements(
            searched_at=utc_now(),
            is_periodic=False,
            next_search_at=None,
            items=items,
            newer_revisions=newer,
            warnings=warnings,
        ).model_dump(mode="json")

    async def _specialties(self) -> list[Specialty]:
        found: list[Specialty] = []
        cursor: str | None = None
        while True:
            page = await self._hermes_db.specialties(cursor=cursor)
            found += page.items
            if (cursor := page.next_cursor) is None:
                return found

    async def _rate(self, kept: Sequence[Model]) -> tuple[list[Rated], list[NewerRevision], list[SearchWarning]]:
        """The kept models with their scores: those that the hub's figures of today give, or, for a model that the hub does not have,
        how it does here. And which of them have a newer revision."""
        names = sorted(
            {model.model_id for model in kept if re.fullmatch(HUB_ID, model.model_id) and "/" in model.model_id}
        )
        on_hub: dict[str, HubModel] = {}
        warnings: list[SearchWarning] = []
        for name in names:
            try:
                on_hub[name] = await self._hub.info(name)
            except ModelNotOnHub as error:
                if any(model.model_id == name and model.source == SOURCE for model in kept):
                    warnings.append(SearchWarning(source=SOURCE, code=error.code, detail=error.detail))
        rated = [
            Rated(
                model,
                score_of(parts_on_hub(on_hub[model.model_id])) if model.model_id in on_hub else model.performance_score,
            )
            for model in kept
        ]
        newer = [
            NewerRevision(
                id=model.id,
                name=model.name,
                model_id=model.model_id,
                kept_revision=model.revision,
                newest_revision=newest,
            )
            for model in kept
            if model.source == SOURCE
            and model.revision is not None
            and (there := on_hub.get(model.model_id)) is not None
            and (newest := there.sha) is not None
            and newest != model.revision
        ]
        return rated, newer, warnings

    async def _look(
        self, specialty: Specialty, of_it: Sequence[Rated], kept: Sequence[Model], missing: int
    ) -> tuple[list[Verdict], list[SearchWarning]]:
        """What the hub has for a specialty, in the format of the models that are kept for it."""
        formats = [one.model.model_type for one in of_it if one.model.model_type in WEIGHTS]
        wanted = SearchFilters(
            specialty=specialty.name,
            model_type=formats[0] if formats and not missing else None,
            size_max=self._settings.hermes_download_limit_bytes,
        )
        tasks = PIPELINES.get(specialty.name, ())
        query = specialty.name.replace("_", " ") if specialty.name == CODE or not tasks else ""
        found, warnings = await self._search.on_hub(query, wanted, limit=LOOKED_AT + len(of_it), tags=tasks[:1])
        here = {model.model_id for model in kept}  # whatever it came from
        known = [one.model_copy(update={"is_kept": one.model_id in here}) for one in found]
        return improvements(known, of_it, specialty=specialty.name, missing=missing), warnings

    # --- fetching what was found -----------------------------------------------------------------------------------

    async def _fetch(
        self, items: Sequence[Improvement], kept: Sequence[Model]
    ) -> tuple[list[Improvement], list[SearchWarning]]:
        """Order the downloads that the limits of this box leave room for: the best for each specialty, and all that are missing."""
        count, used = len(kept), sum(model.size_bytes or 0 for model in kept)
        begun: list[Improvement] = []
        warnings: list[SearchWarning] = []
        improved: set[str | None] = set()
        for item in items:
            version = self._version_of(item)
            size = version.size_bytes or 0
            has_room = count < self._settings.hermes_most_models and used + size <= self._settings.hermes_budget_bytes
            if not has_room or (item.instead_of is not None and item.specialty in improved):
                begun.append(item)
                continue
            try:
                job = await self._downloads.order(_request(item, version), OWN_CALLER, None)
            except FleetError as error:
                warnings.append(SearchWarning(source=item.found.model_id, code=error.code, detail=error.detail))
                begun.append(item)
                continue
            count, used = count + 1, used + size
            improved.add(item.specialty)
            begun.append(item.model_copy(update={"job_id": job.job_id}))
        return begun, warnings

    def _version_of(self, item: Improvement) -> Version:
        """The one to fetch; the smallest, by which it was found, is always among those that are small enough."""
        limit = self._settings.hermes_download_limit_bytes
        versions = [one for one in versions_of(item.found.files) if one.format == item.found.model_type]
        return preferred([one for one in versions if one.size_bytes is not None and one.size_bytes <= limit])


def wait_after(failures: int, interval: timedelta) -> timedelta:
    """How long until the next search: the interval, twice as long with each failure in a row, up to LONGEST_WAIT or the interval."""
    longest = max(LONGEST_WAIT, interval)
    return min(longest, interval * (1 << min(failures, 20)))


def _request(item: Improvement, version: Version) -> DownloadRequest:
    return DownloadRequest(
        model_id=item.found.model_id,
        revision=item.found.revision,
        quantization=version.quantization or version.format,
        specialty=item.specialty,
    )


_NOTHING = Improvements(
    searched_at=None, is_periodic=False, next_search_at=None, items=[], newer_revisions=[], warnings=[]
)
