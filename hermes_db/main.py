"""hermes_db: the registry of models, command-line tools, specialties and usage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI

from config.contracts.common import Check, HealthState
from config.default_model import ModelUnusable, ensure_default_model
from config.module_template import Ground, create_module_app
from hermes_db.default_model import facts_of
from hermes_db.routes import router
from hermes_db.service import OWN_CALLER, Registry
from hermes_db.settings import HermesDbSettings

log = structlog.get_logger()


def create_app(settings: HermesDbSettings | None = None) -> FastAPI:
    """The service; settings come from the environment when none are given."""
    settings = settings or HermesDbSettings()
    default_model = Check(status=HealthState.OK, detail="not asked for")

    @asynccontextmanager
    async def lifespan(ground: Ground) -> AsyncIterator[None]:
        nonlocal default_model
        registry = Registry(ground.db, ground.trail)
        await registry.seed()
        if settings.hermes_db_default_model:
            default_model = await _keep_default_model(registry, settings)
        ground.app.state.registry = registry
        yield

    async def checks() -> dict[str, Check]:
        return {"default_model": default_model}

    return create_module_app(
        "hermes_db",
        settings,
        routers=[router],
        lifespan=lifespan,
        checks=checks,
        description="The registry of models, command-line tools, specialties and usage.",
    )


async def _keep_default_model(registry: Registry, settings: HermesDbSettings) -> Check:
    """Register the local model from what its file holds. A box without it still has a registry."""
    try:
        verified = await asyncio.to_thread(ensure_default_model, settings)
    except ModelUnusable as exc:
        log.warning("default_model_unusable", reason=str(exc))
        return Check(status=HealthState.DEGRADED, detail=str(exc))
    model = await registry.keep_model(facts_of(verified), OWN_CALLER)
    return Check(status=HealthState.OK, detail=f"model {model.id}: {model.name}")
