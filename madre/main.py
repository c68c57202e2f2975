"""Madre's wiring."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from config.clients.hermes import HermesClient
from config.clients.hermes_db import HermesDbClient
from config.clients.shub import ShubClient
from config.clients.spawner import SpawnerClient
from config.clients.switch import SwitchClient
from config.contracts.common import Check
from config.module_template import Ground, create_module_app
from madre.core.delegation import Delegation
from madre.core.parser import Parser
from madre.core.runner import Runner
from madre.core.second_reading import SecondReader
from madre.cycle import upkeep
from madre.engine import DbosEngine, Engine
from madre.routes import router
from madre.service import Madre
from madre.settings import MadreSettings

DelegationFactory = Callable[[Ground], Delegation]


def create_app(
    settings: MadreSettings | None = None,
    *,
    delegation_of: DelegationFactory | None = None,
    engine: Engine | None = None,
) -> FastAPI:
    """The orchestrator's app. Tests may give their own neighbours or engine."""
    mine = settings or MadreSettings()

    @asynccontextmanager
    async def lifespan(ground: Ground) -> AsyncIterator[None]:
        delegation = delegation_of(ground) if delegation_of else _delegation(mine, ground)
        carrier = engine or DbosEngine(mine)
        runner = Runner(mine, ground.db, ground.trail, delegation, carrier)
        parser = Parser(switch=SecondReader(delegation.switch) if mine.madre_second_reading else None)
        confirm_key = ground.secrets.key_for("confirmations")
        madre = Madre(mine, ground.db, ground.trail, parser, runner, delegation, confirm_key)
        await madre.wake()
        await carrier.open(runner.run)
        await runner.reconcile()
        ground.app.state.madre = madre
        cycle = asyncio.create_task(upkeep(madre, mine.madre_cycle.total_seconds()))
        try:
            yield
        finally:
            cycle.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await cycle
            await runner.stop()
            await carrier.close()
            await delegation.close()

    async def checks() -> dict[str, Check]:
        madre: Madre = app.state.madre
        return await madre.checks()

    app = create_module_app(
        "madre",
        mine,
        routers=[router],
        lifespan=lifespan,
        checks=checks,
        operation_of=operation_of,
        description="Reads intents in Spanish and English, weighs their risk, plans, and carries the plans out durably.",
    )
    return app


def _delegation(settings: MadreSettings, ground: Ground) -> Delegation:
    return Delegation(
        settings,
        ground.secrets,
        shub=ShubClient(settings, ground.secrets, "madre"),
        switch=SwitchClient(settings, ground.secrets, "madre"),
        hermes_db=HermesDbClient(settings, ground.secrets, "madre"),
        hermes=HermesClient(settings, ground.secrets, "madre"),
        spawner=SpawnerClient(settings, ground.secrets, "madre"),
    )


def operation_of(_method: str, path: str) -> str:
    """Stopping the whole fleet, and letting it go on, is more than writing: `madre:halt` and `madre:resume`; "" leaves it at the rule."""
    return {"/madre/halt": "madre:halt", "/madre/resume": "madre:resume"}.get(path.rstrip("/"), "")
