"""A real madre with neighbours that can misbehave."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from config.clients.hermes import HermesClient
from config.clients.hermes_db import HermesDbClient
from config.clients.shub import ShubClient
from config.clients.spawner import SpawnerClient
from config.clients.switch import SwitchClient
from config.module_template import Ground
from config.secrets import load_secrets
from madre.core.delegation import Delegation
from madre.engine import DbosEngine
from madre.main import create_app
from madre.settings import MadreSettings
from tests.conftest import client_in
from tests.fakes.line import over
from tests.fakes.neighbours import FakeHermes, FakeHermesDb, FakeShub, FakeSwitch
from tests.fakes.spawner import FakeSpawner


@pytest.fixture(scope="session")
def migrated(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the engine's own database too: its hundred statements would cost every test more than most tests do."""
    folder = tmp_path_factory.mktemp("migrated") / "state"
    shutil.copytree(migrated, folder)

    async def begin_and_end() -> None:
        engine = DbosEngine(MadreSettings(state_dir=folder, _env_file=None))
        await engine.open(no_plan)
        await engine.close()

    async def no_plan(plan_id: str) -> None:
        raise AssertionError(plan_id)

    asyncio.run(begin_and_end())
    return folder


@dataclass
class Neighbours:
    shub: FakeShub = field(default_factory=FakeShub)
    switch: FakeSwitch = field(default_factory=FakeSwitch)
    hermes_db: FakeHermesDb = field(default_factory=FakeHermesDb)
    hermes: FakeHermes = field(default_factory=FakeHermes)
    spawner: FakeSpawner = field(default_factory=FakeSpawner)

    def forget(self) -> None:
        """What they were asked."""
        for one in (self.shub, self.switch, self.hermes_db, self.hermes, self.spawner):
            one.asked.clear()


@pytest.fixture
def neighbours() -> Neighbours:
    found = Neighbours()
    found.hermes.registry = found.hermes_db
    return found


@pytest.fixture
def hermes(neighbours: Neighbours) -> FakeHermes:
    return neighbours.hermes


@pytest.fixture
def hermes_db(neighbours: Neighbours) -> FakeHermesDb:
    return neighbours.hermes_db


@pytest.fixture
def shub(neighbours: Neighbours) -> FakeShub:
    return neighbours.shub


@pytest.fixture
def switch(neighbours: Neighbours) -> FakeSwitch:
    return neighbours.switch


@pytest.fixture
def spawner(neighbours: Neighbours) -> FakeSpawner:
    return neighbours.spawner


@asynccontextmanager
async def running(state_dir: Path, neighbours: Neighbours, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Madre on this state folder among these neighbours, and her owner's way to her. Spawner lives on when she has ended."""
    mine = MadreSettings(state_dir=state_dir, madre_engine_polling_seconds=0.02, _env_file=None, **settings)
    secrets = load_secrets(mine)

    def delegation(ground: Ground) -> Delegation:
        return Delegation(
            mine,
            ground.secrets,
            shub=ShubClient(mine, ground.secrets, "madre", line=over(neighbours.shub)),
            switch=SwitchClient(mine, ground.secrets, "madre", line=over(neighbours.switch)),
            hermes_db=HermesDbClient(mine, ground.secrets, "madre", line=over(neighbours.hermes_db)),
            hermes=HermesClient(mine, ground.secrets, "madre", line=over(neighbours.hermes)),
            spawner=SpawnerClient(mine, ground.secrets, "madre", line=over(neighbours.spawner)),
        )

    app = create_app(mine, delegation_of=delegation)
    async with client_in(app, {"X-VX11-Token": secrets.owner.get_secret_value()}) as client:
        await neighbours.spawner.meet(mine, secrets, app)
        try:
            yield client
        finally:
            await neighbours.spawner.part()


MadreStart = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def start_madre(state_dir: Path, neighbours: Neighbours) -> AsyncIterator[MadreStart]:
    """`async with start_madre() as madre`: start it, more than once on the same state if need be. Spawner lives on between."""
    try:
        yield lambda **settings: running(state_dir, neighbours, **settings)
    finally:
        await neighbours.spawner.stop()


@pytest.fixture
async def madre(start_madre: MadreStart) -> AsyncIterator[httpx.AsyncClient]:
    async with start_madre() as client:
        yield client


@dataclass
class Shared:
    """A madre that the tests of a module share, for those that only ask and leave nothing behind that another would stumble on."""

    madre: httpx.AsyncClient
    neighbours: Neighbours
    state_dir: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, migrated: Path, tmp_path_factory) -> AsyncIterator[Shared]:
    """Its settings are the module's `SETTINGS`. DBOS is one per process: no other madre can be started beside it."""
    state_dir = tmp_path_factory.mktemp("madre") / "state"
    shutil.copytree(migrated, state_dir)
    neighbours = Neighbours()
    try:
        async with running(state_dir, neighbours, **getattr(request.module, "SETTINGS", {})) as client:
            yield Shared(client, neighbours, state_dir)
    finally:
        await neighbours.spawner.stop()
