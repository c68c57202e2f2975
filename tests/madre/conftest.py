"""A real madre with neighbours that can misbehave."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from config.clients.hermes_db import HermesDbClient
from config.clients.shub import ShubClient
from config.clients.spawner import SpawnerClient
from config.clients.switch import SwitchClient
from config.module_template import Ground
from madre.core.delegation import Delegation
from madre.main import create_app
from madre.settings import MadreSettings
from tests.fakes.neighbours import FakeHermesDb, FakeShub, FakeSwitch
from tests.fakes.spawner import FakeSpawner


@dataclass
class Neighbours:
    shub: FakeShub = field(default_factory=FakeShub)
    switch: FakeSwitch = field(default_factory=FakeSwitch)
    hermes_db: FakeHermesDb = field(default_factory=FakeHermesDb)
    spawner: FakeSpawner = field(default_factory=FakeSpawner)


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
def shub(neighbours: Neighbours) -> FakeShub:
    return neighbours.shub


@pytest.fixture
def switch(neighbours: Neighbours) -> FakeSwitch:
    return neighbours.switch


@pytest.fixture
def spawner(neighbours: Neighbours) -> FakeSpawner:
    return neighbours.spawner


MadreStart = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def start_madre(state_dir, client_of, neighbours, secrets) -> AsyncIterator[MadreStart]:
    """`async with start_madre() as madre`: start it, more than once on the same state if need be. Spawner lives on between."""

    @asynccontextmanager
    async def run(**settings) -> AsyncIterator[httpx.AsyncClient]:
        mine = MadreSettings(state_dir=state_dir, madre_engine_polling_seconds=0.02, _env_file=None, **settings)

        def delegation(ground: Ground) -> Delegation:
            return Delegation(
                mine,
                ground.secrets,
                shub=ShubClient(mine, ground.secrets, "madre", transport=neighbours.shub),
                switch=SwitchClient(mine, ground.secrets, "madre", transport=neighbours.switch),
                hermes_db=HermesDbClient(mine, ground.secrets, "madre", transport=neighbours.hermes_db),
                spawner=SpawnerClient(mine, ground.secrets, "madre", transport=neighbours.spawner),
            )

        app = create_app(mine, delegation_of=delegation)
        async with client_of(app) as client:
            await neighbours.spawner.meet(mine, secrets, app)
            try:
                yield client
            finally:
                await neighbours.spawner.part()

    try:
        yield run
    finally:
        await neighbours.spawner.stop()


@pytest.fixture
async def madre(start_madre) -> AsyncIterator[httpx.AsyncClient]:
    async with start_madre() as client:
        yield client
