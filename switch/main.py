"""Switch's app: wiring and lifespan, no rules."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp

from config.anthropic_errors import MESSAGES
from config.clients.hermes_db import HermesDbClient
from config.clients.spawner import SpawnerClient
from config.contracts.common import Check
from config.default_model import ModelUnusable
from config.module_template import Ground, create_module_app
from switch.audio.interpreter import ShubInterpreter
from switch.audio.mode import AudioMode
from switch.audio.routes import router as audio_router
from switch.breaker import Breakers
from switch.cache import AnswerCache
from switch.choosing.chooser import Chooser
from switch.choosing.feedback import Feedback
from switch.choosing.routes import router as choosing_router
from switch.clis.hub import CliHub
from switch.clis.routes import router as clis_router
from switch.completions import PATH, ChatCompletions
from switch.embedding.embedder import Embedder
from switch.embeddings import EmbeddingRelay, Embeddings
from switch.embeddings import router as embeddings_router
from switch.ledger import Ledger
from switch.local.models import LocalModels
from switch.local.routes import router as local_router
from switch.local.trial import Trial
from switch.messages.endpoint import COUNT_TOKENS, CountTokens, Messages
from switch.messages.openapi import describe_messages
from switch.meters import Meters
from switch.money.money import Money
from switch.money.routes import router as money_router
from switch.openai import describe, v1
from switch.providers.roster import Roster
from switch.providers.routes import router as providers_router
from switch.registry import Registry
from switch.relay import Relay
from switch.retention import Retention
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
        meters = Meters(ground.app.state.metrics.registry)
        hermes_db = HermesDbClient(settings, ground.secrets, "switch")
        spawner = SpawnerClient(settings, ground.secrets, "switch")
        registry = Registry(ground.db)
        local = LocalModels(settings, registry, Trial(spawner))
        chooser = Chooser(settings)
        registry.followers.append(chooser.follow)
        async with ground.db.read() as session:
            await chooser.load(session)
        money = Money(settings, ground.db, ground.trail)
        await money.start()
        breakers = Breakers(failures=settings.switch_breaker_failures, seconds=settings.switch_cooling.total_seconds())
        roster = Roster(settings, hermes_db, breakers)
        clis = CliHub(settings, registry, hermes_db, spawner, breakers)
        shub = ShubInterpreter(settings, ground.secrets, "switch")
        audio = AudioMode(shub, lambda: switch.audio_model())
        ledger = Ledger(ground.db, hermes_db, registry, chooser, meters)
        ways: dict[str, Any] = {
            "silence_seconds": silence_seconds,
            "retries": settings.switch_retries,
            "breakers": breakers,
            "purse": money,
            "count_failure": meters.count_failure,
        }
        relay, embedding_relay = Relay(**ways), EmbeddingRelay(**ways)
        switch = Switch(
            ground.db,
            ledger,
            registry,
            relay,
            chooser,
            roster,
            local,
            clis,
            audio,
            meters,
            auto_models=settings.switch_auto_models,
            longest_answer_seconds=silence_seconds,
        )
        state = ground.app.state
        state.switch, state.ledger, state.money, state.chooser = switch, ledger, money, chooser
        embedder = Embedder(threads=settings.threads, stop_after_seconds=settings.light_stop_after.total_seconds())
        state.roster, state.local, state.clis, state.audio = roster, local, clis, audio
        state.embeddings = Embeddings(embedder, roster, embedding_relay, ledger)
        state.feedback = Feedback(ground.db, chooser, ledger.save)
        retention = Retention(settings, ground.db)
        cache = AnswerCache(settings.switch_cache_bytes)
        hot[PATH] = ChatCompletions(switch, cache, silence_seconds=silence_seconds)
        hot[MESSAGES] = Messages(switch, silence_seconds=silence_seconds)
        hot[COUNT_TOKENS] = CountTokens()
        tasks = [
            asyncio.create_task(work)
            for work in (ledger.run(), _verify(local), local.run(), roster.run(), clis.run(), retention.run())
        ]
        if roster.models:
            tasks.append(asyncio.create_task(money.load_prices()))
        try:
            yield
        finally:
            for task in reversed(tasks):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await clis.close()
            await embedder.close()
            await local.close()
            await money.close()
            roster.close()
            await shub.close()
            await spawner.close()
            await hermes_db.close()

    async def checks() -> dict[str, Check]:
        switch: Switch = app.state.switch
        return await switch.check()

    app = create_module_app(
        "switch",
        settings,
        routers=[router, providers_router, local_router, money_router, clis_router, audio_router, choosing_router],
        lifespan=run,
        checks=checks,
        hot=hot.get,
        body_limit_of=lambda path: (
            settings.switch_v1_limit_bytes if path.startswith("/v1/") else settings.body_limit_bytes
        ),
        description="The model router: one OpenAI-compatible door over the local light model and every configured provider.",
    )
    app.include_router(v1)
    app.include_router(embeddings_router)
    _document(app)
    return app


async def _verify(local: LocalModels) -> None:
    """Read the light model's file while nobody waits for it; a question finds it verified."""
    try:
        found = await local.verify_light()
    except ModelUnusable as exc:
        log.warning("light_model_unusable", reason=str(exc))
    else:
        log.info("light_model_verified", name=found.name, sha256=found.sha256)


def _document(app: FastAPI) -> None:
    written = app.openapi

    def documented() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        schema = written()
        return describe_messages(describe(schema)) if is_new else schema

    app.openapi = documented  # type: ignore[method-assign]
