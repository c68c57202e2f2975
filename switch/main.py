"""Switch's app: wiring and lifespan, no rules."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from fastapi import FastAPI
from prometheus_client import Counter
from starlette.types import ASGIApp

from config.clients.hermes_db import HermesDbClient
from config.contracts.common import Check
from config.default_model import ModelUnusable
from config.module_template import Ground, create_module_app
from switch.completions import PATH, ChatCompletions
from switch.ledger import Ledger
from switch.local.light import Light
from switch.openai import describe, v1
from switch.providers.roster import Roster
from switch.providers.routes import router as providers_router
from switch.registry import Registry
from switch.relay import Relay
from switch.routes import router
from switch.service import Switch
from switch.settings import SwitchSettings

log = structlog.get_logger()


def create_app(settings: SwitchSettings | None = None) -> FastAPI:
    """Switch. Without settings they are read from the environment."""
    settings = settings or SwitchSettings()
    hot: dict[str, ASGIApp] = {}
    silence_seconds = settings.switch_answer_timeout.total_seconds()

    @asynccontextmanager
    async def run(ground: Ground) -> AsyncIterator[None]:
        failures = Counter(
            "vx11_switch_failures",
            "Models that were asked and did not answer",
            ["provider", "kind"],
            registry=ground.app.state.metrics.registry,
        )
        light = Light(settings)
        hermes_db = HermesDbClient(settings, ground.secrets, "switch")
        roster = Roster(settings, hermes_db)
        registry = Registry(ground.db)
        ledger = Ledger(ground.db, hermes_db, registry)
        relay = Relay(
            silence_seconds=silence_seconds, count_failure=lambda provider, kind: failures.labels(provider, kind).inc()
        )
        switch = Switch(ground.db, ledger, registry, relay, light, roster, longest_answer_seconds=silence_seconds)
        ground.app.state.roster = roster
        ground.app.state.switch, ground.app.state.light, ground.app.state.ledger = switch, light, ledger
        hot[PATH] = ChatCompletions(switch, silence_seconds=silence_seconds)
        writing, verifying = asyncio.create_task(ledger.run()), asyncio.create_task(_verify(light))
        refreshing = asyncio.create_task(roster.run())
        try:
            yield
        finally:
            for task in (refreshing, verifying, writing):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await light.close()
            roster.close()
            await hermes_db.close()

    async def checks() -> dict[str, Check]:
        switch: Switch = app.state.switch
        return await switch.check()

    app = create_module_app(
        "switch",
        settings,
        routers=[router, providers_router],
        lifespan=run,
        checks=checks,
        hot=hot.get,
        body_limit_of=lambda path: (
            settings.switch_v1_limit_bytes if path.startswith("/v1/") else settings.body_limit_bytes
        ),
        description="The model router: one OpenAI-compatible door over the local light model and every configured provider.",
    )
    app.include_router(v1)
    _document(app)
    return app


async def _verify(light: Light) -> None:
    """Read the model's file while nobody waits for it; a question finds it verified."""
    try:
        found = await light.verify()
    except ModelUnusable as exc:
        log.warning("light_model_unusable", reason=str(exc))
    else:
        log.info("light_model_verified", name=found.name, sha256=found.sha256)


def _document(app: FastAPI) -> None:
    written = app.openapi

    def documented() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        schema = written()
        return describe(schema) if is_new else schema

    app.openapi = documented  # type: ignore[method-assign]
