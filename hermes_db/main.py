"""hermes_db: the registry of models, command-line tools, specialties and usage."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from config.module_template import Ground, create_module_app
from hermes_db.routes import router
from hermes_db.service import Registry
from hermes_db.settings import HermesDbSettings


def create_app(settings: HermesDbSettings | None = None) -> FastAPI:
    """The service; settings come from the environment when none are given."""
    settings = settings or HermesDbSettings()

    @asynccontextmanager
    async def lifespan(ground: Ground) -> AsyncIterator[None]:
        registry = Registry(ground.db, ground.trail)
        await registry.seed()
        ground.app.state.registry = registry
        yield

    return create_module_app(
        "hermes_db",
        settings,
        routers=[router],
        lifespan=lifespan,
        description="The registry of models, command-line tools, specialties and usage.",
    )
