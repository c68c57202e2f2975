"""hermes: models and tools, found, verified, kept."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from config.clients.hermes_db import HermesDbClient
from config.clients.switch import SwitchClient
from config.db_schema import HermesJobRow
from config.jobs.routes import jobs_router
from config.jobs.running import Jobs
from config.module_template import Ground, create_module_app
from hermes.cli_routes import cli_router
from hermes.clis.tools import Tools
from hermes.discover.discoveries import Discoveries
from hermes.downloads import KIND, Downloads
from hermes.hub import Hub
from hermes.improvement_routes import improvements_router
from hermes.improvements import Improving
from hermes.kept import Models
from hermes.maintenance import FORGOTTEN_SECONDS, Maintenance
from hermes.openrouter import OpenRouter
from hermes.registry import ModelRegistry
from hermes.routes import models_router
from hermes.search import Search
from hermes.search_routes import search_router
from hermes.settings import HermesSettings
from hermes.store import ModelStore


def create_app(settings: HermesSettings | None = None) -> FastAPI:
    """The service; settings come from the environment when none are given."""
    settings = settings or HermesSettings()

    @asynccontextmanager
    async def lifespan(ground: Ground) -> AsyncIterator[None]:
        state = ground.app.state
        async with AsyncExitStack() as closing:
            # Neighbours, shared by all parts.
            registry = HermesDbClient(settings, ground.secrets, "hermes")
            closing.push_async_callback(registry.close)
            switch = SwitchClient(settings, ground.secrets, "hermes")
            closing.push_async_callback(switch.close)
            hub = Hub(settings, registry)
            closing.push_async_callback(hub.close)
            # Parts. One that has jobs offers their kind before they are resumed.
            state.jobs = jobs = Jobs("hermes", ground.db, HermesJobRow)
            closing.push_async_callback(jobs.close)
            state.tools = tools = Tools(settings, registry, switch)
            closing.push_async_callback(tools.close)
            state.discoveries = Discoveries(settings, jobs)
            store = ModelStore(settings.models_dir)
            await asyncio.to_thread(store.open)
            models = ModelRegistry(registry, switch)
            state.downloads = Downloads(settings, store, hub, models, jobs)
            state.models = kept = Models(settings, ground.gate, ground.trail, store, models, (registry, switch), jobs)
            state.maintenance = maintenance = Maintenance(settings, store, models, kept, jobs)
            wanted = {str(its.get("subject")) for its in await jobs.states(KIND)}
            # What a failed download left stays for a while, as it said: asking again goes on there.
            await asyncio.to_thread(partial(store.sweep_parts, wanted, older_than=time.time() - FORGOTTEN_SECONDS))
            state.search = Search(settings, hub, OpenRouter(settings), models)
            state.improving = improving = Improving(
                settings, hub, state.search, models, registry, state.downloads, jobs
            )
            await jobs.resume()
            await tools.open()
            closing.push_async_callback(stop, asyncio.create_task(kept.put_right(), name="put_right"))
            if (pause := settings.hermes_upkeep_interval.total_seconds()) > 0:
                closing.push_async_callback(stop, asyncio.create_task(maintenance.every(pause), name="upkeep"))
            if settings.hermes_search_interval > timedelta(0):
                closing.push_async_callback(stop, asyncio.create_task(improving.run(), name="improvements"))
            yield

    return create_module_app(
        "hermes",
        settings,
        routers=[search_router, improvements_router, models_router, jobs_router, cli_router],
        lifespan=lifespan,
        operation_of=operation_of,
        description="Finds, fetches and verifies models, keeps house, and knows the command-line tools of this box.",
    )


async def stop(task: asyncio.Task[None]) -> None:
    """End what runs beside the requests."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def operation_of(method: str, path: str) -> str | None:
    """Removing models is decided at its gate (None): by a grant, or by a scope that names it; "" leaves a request at the rule."""
    is_removal = method == "DELETE" and path.startswith("/hermes/models/")
    return None if is_removal or path == "/hermes/maintenance" else ""
