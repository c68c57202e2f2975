"""Shub: the audio engineer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import FastAPI

from config.clients.switch import SwitchClient
from config.contracts.common import Check, HealthState
from config.db_schema import AudioJobRow
from config.errors import FleetError
from config.jobs.routes import jobs_router
from config.jobs.running import Jobs
from config.module_template import Ground, create_module_app
from config.settings import MIB
from shub import repository
from shub.assets import Assets
from shub.dsp.kernel_cache import cache_dir, is_complete
from shub.language.interpreting import Interpreter
from shub.language.routes import language_router
from shub.making import Making
from shub.picture_routes import pictures_router
from shub.pictures import Pictures
from shub.routes import assets_router, making_router
from shub.settings import ShubSettings
from shub.store import Store
from shub.work import Work
from shub.workers import WorkerPool

FRAMING_BYTES = 64 * 1024
"""What a multipart form adds to the file in it."""
LOW_DISK_BYTES = 512 * MIB

log = structlog.get_logger()


def create_app(settings: ShubSettings | None = None) -> FastAPI:
    """The service. Sound is worked on in processes of their own; this one stays small."""
    settings = settings or ShubSettings()
    folder = settings.state_dir / "shub"
    cache = settings.shub_cache_dir or settings.state_dir / "cache" / "numba"
    store = Store(folder, settings.shub_pictures_limit_bytes)
    pool = WorkerPool(
        job_workers=settings.shub_job_workers,
        quick_workers=settings.shub_quick_workers,
        idle_seconds=settings.shub_worker_idle.total_seconds(),
        cache=cache,
        scratch=store.unfinished,
    )
    work = Work(settings, pool, store)

    @asynccontextmanager
    async def lifespan(ground: Ground) -> AsyncIterator[None]:
        await asyncio.to_thread(store.open)
        await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
        async with ground.db.read() as session:
            kept = await repository.all_hashes(session)
        removed = await asyncio.to_thread(store.sweep, kept)
        if removed:
            log.info("leftovers_removed", files=removed)
        jobs = Jobs("shub", ground.db, AudioJobRow)
        state = ground.app.state
        state.jobs, state.pool = jobs, pool
        state.making = Making(ground.db, store, work, jobs)
        state.assets = Assets(settings, ground.db, store, work, ground.gate, ground.trail)
        state.pictures = Pictures(state.assets, store, work)
        switch = SwitchClient(settings, ground.secrets, "shub")
        state.interpreter = Interpreter(switch)
        warming = asyncio.create_task(_warm(work, cache))
        await jobs.resume()
        try:
            yield
        finally:
            warming.cancel()
            await asyncio.gather(warming, return_exceptions=True)
            await jobs.close()
            await pool.close()
            await switch.close()

    async def checks() -> dict[str, Check]:
        free = await asyncio.to_thread(store.free_bytes)
        state = HealthState.OK if free > LOW_DISK_BYTES else HealthState.DEGRADED
        return {
            "store": Check(status=state, detail=f"{free // MIB} MiB free"),
            "workers": Check(status=HealthState.OK, detail=f"{pool.count} running, {len(pool.busy_pids)} at work"),
        }

    def body_limit_of(path: str) -> int:
        is_upload = path == "/shub/assets"
        return settings.shub_upload_limit_bytes + FRAMING_BYTES if is_upload else settings.body_limit_bytes

    def operation_of(method: str, path: str) -> str | None:
        # Deleting is decided at its gate: by a grant, or by a scope that names it.
        return None if method == "DELETE" and path.startswith("/shub/assets/") else ""

    return create_module_app(
        "shub",
        settings,
        routers=[assets_router, pictures_router, making_router, language_router, jobs_router],
        lifespan=lifespan,
        checks=checks,
        body_limit_of=body_limit_of,
        operation_of=operation_of,
        description="Audio files, measurements to the standard, and mixes.",
    )


async def _warm(work: Work, cache: Path) -> None:
    """Compile what this version has not compiled yet, so that the first job need not wait for it."""
    if await asyncio.to_thread(lambda: is_complete(cache_dir(cache))):
        return
    try:
        await work.warm()
    except FleetError as error:
        log.warning("warming_failed", code=error.code, detail=error.detail)  # then the first job compiles
