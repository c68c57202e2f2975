"""Keeping house: too many models, or too many bytes, and some go; by itself once a day, or when asked."""

import asyncio
import time
from collections import Counter

import structlog

from config.auth import Caller
from config.clock import utc_now
from config.contracts.hermes import Removal, SearchWarning, Upkeep
from config.contracts.hermes_db import Model
from config.errors import FleetError
from config.jobs.running import Jobs
from config.module_template import Ground
from hermes import downloads, upkeep
from hermes.kept import Models, is_among
from hermes.registry import ModelRegistry
from hermes.settings import HermesSettings
from hermes.store import ModelStore
from hermes.upkeep import Held, Verdict

OPERATION = "hermes:maintenance"
ITSELF = Caller("hermes", frozenset({"hermes:*"}), is_service=True)
SOON_SECONDS = 600.0  # after a start; a box that is switched off every night has its upkeep too
FORGOTTEN_SECONDS = 24 * 3600.0
"""After this, what a failed download left is not waited for any more."""

log = structlog.get_logger()


class Maintenance:
    """Decides with `upkeep`, and does it."""

    def __init__(
        self, settings: HermesSettings, store: ModelStore, registry: ModelRegistry, models: Models, jobs: Jobs
    ) -> None:
        self._settings, self._store, self._registry = settings, store, registry
        self._models, self._jobs = models, jobs
        self._turn = asyncio.Lock()

    async def plan(self) -> Upkeep:
        """What keeping house would do now."""
        upkeep_, _ = await self._plan()
        return upkeep_

    async def run(self, caller: Caller) -> Upkeep:
        """Remove what has to go. A model that cannot be removed after all stays, and is told of."""
        async with self._turn:
            planned, rows = await self._plan()
            removed, kept = list[Removal](), list(planned.kept)
            size, count = planned.bytes_before, planned.models_before
            for one in planned.removed:
                try:
                    await self._models.remove(rows[one.id], caller, f"upkeep: {one.reason}")
                except FleetError as error:
                    kept.append(one.model_copy(update={"reason": error.detail}))
                    continue
                removed.append(one)
                size, count = size - one.size_bytes, count - 1
            await self._sweep()
        is_within = count <= planned.most_models and size <= planned.budget_bytes
        values = {"is_dry_run": False, "removed": removed, "kept": kept, "is_within_limits": is_within}
        return planned.model_copy(update=values)

    async def run_granted(self, ground: Ground, caller: Caller, grant: str | None) -> Upkeep:
        """The same for somebody who asks. Raises GrantRefused without a grant for it or a scope that names it."""
        granted = await ground.gate.check(caller, OPERATION, {}, grant, subject="maintenance")
        async with ground.db.write(durable=True) as session:
            await ground.gate.use(session, granted)
            plan_id = granted.plan_id if granted else None
            await ground.trail.record(session, "upkeep_asked_for", "maintenance", caller.id, plan_id=plan_id)
        return await self.run(caller)

    async def every(self, seconds: float) -> None:
        """Keep house again and again, the first time soon; one failure never stops it."""
        await asyncio.sleep(min(seconds, SOON_SECONDS))
        while True:
            try:
                done = await self.run(ITSELF)
                log.info("upkeep_done", removed=len(done.removed), is_within_limits=done.is_within_limits)
            except FleetError as error:
                log.warning("upkeep_failed", code=error.code, detail=error.detail)
            except Exception:
                log.exception("upkeep_broke")
            await asyncio.sleep(seconds)

    async def _plan(self) -> tuple[Upkeep, dict[int, Model]]:
        rows = await self._registry.models()
        loaded = await self._models.loaded()
        problem = loaded.problem
        own = [row for row in rows if self._store.holds(row.path) is not None]
        others = Counter(row.specialty for row in rows if self._store.holds(row.path) is None)
        held = [_held(row, is_loaded=not loaded.is_known or is_among(row, loaded.files, self._store)) for row in own]
        most, budget = self._settings.hermes_most_models, self._settings.hermes_budget_bytes
        least = max(upkeep.LEAST_OF_A_SPECIALTY, self._settings.hermes_least_per_specialty)
        verdict = upkeep.decide(held, most_models=most, budget_bytes=budget, now=utc_now(), others=others, least=least)
        warnings = []
        if problem is not None:
            warnings.append(
                SearchWarning(
                    source="switch", code=problem.code, detail=f"what is loaded is not known: {problem.detail}"
                )
            )
        return _upkeep_of(held, verdict, most, budget, warnings), {row.id: row for row in own}

    async def _sweep(self) -> None:
        wanted = {str(state.get("subject")) for state in await self._jobs.states(downloads.KIND)}
        await asyncio.to_thread(self._store.sweep_parts, wanted, older_than=time.time() - FORGOTTEN_SECONDS)


def _held(row: Model, *, is_loaded: bool) -> Held:
    return Held(
        id=row.id,
        name=row.name,
        size_bytes=row.size_bytes or 0,
        specialty=row.specialty,
        score=row.performance_score,
        last_used_at=row.last_used_at,
        added_at=row.added_at,
        is_loaded=is_loaded,
    )


def _upkeep_of(held: list[Held], verdict: Verdict, most: int, budget: int, warnings: list[SearchWarning]) -> Upkeep:
    return Upkeep(
        is_dry_run=True,
        models_before=len(held),
        bytes_before=sum(one.size_bytes for one in held),
        most_models=most,
        budget_bytes=budget,
        removed=verdict.removed,
        kept=verdict.kept,
        is_within_limits=verdict.count <= most and verdict.size_bytes <= budget,
        warnings=warnings,
    )
