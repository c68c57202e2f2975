"""The registry as it runs, on a database of its own."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from config.secrets import FleetSecrets, load_secrets
from hermes_db.main import create_app
from hermes_db.settings import HermesDbSettings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(state_dir: Path) -> HermesDbSettings:
    """Without the default model, so that the first model of a test has the id 1."""
    return HermesDbSettings(state_dir=state_dir, hermes_db_default_model=False, _env_file=None)


@pytest.fixture
async def registry(settings, client_of) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(settings)) as client:
        yield client


@dataclass
class Hands:
    """A clock that stands where a test puts it."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class HermesDb:
    """A running hermes_db: ask it with `http` as its owner, or as somebody else with the headers here."""

    http: httpx.AsyncClient
    app: FastAPI
    settings: HermesDbSettings
    secrets: FleetSecrets
    clock: Hands
    as_switch: dict[str, str] = field(init=False)
    """What a service shows."""
    through_gateway: dict[str, str] = field(init=False)
    """What the gateway shows in the owner's name."""

    def __post_init__(self) -> None:
        fleet = {"X-VX11-Token": self.secrets.fleet.get_secret_value()}
        self.as_switch = fleet | {"X-VX11-Caller": "switch"}
        self.through_gateway = fleet | {"X-VX11-Caller": "owner", "X-VX11-Scopes": "*"}

    def client_at(self, address: str) -> httpx.AsyncClient:
        """Asks as a service, from that address."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url="http://hermes_db", headers=self.as_switch)

    def trail(self) -> list[dict[str, Any]]:
        """What was audited."""
        file = self.settings.state_dir / "forensic" / "hermes_db" / "logs" / "audit_log.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [row | {"details": json.loads(row["details"])} for row in rows]


@asynccontextmanager
async def running(
    state_dir: Path, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep, **settings: Any
) -> AsyncIterator[HermesDb]:
    """hermes_db on this state folder."""
    chosen = HermesDbSettings(state_dir=state_dir, hermes_db_default_model=False, _env_file=None, **settings)
    secrets, clock = load_secrets(chosen), Hands()
    app = create_app(chosen, clock=clock, pause=pause)
    async with LifespanManager(app, startup_timeout=30, shutdown_timeout=30) as up:
        transport = httpx.ASGITransport(up.app, raise_app_exceptions=False)
        headers = {"X-VX11-Token": secrets.owner.get_secret_value()}
        async with httpx.AsyncClient(transport=transport, base_url="http://hermes_db", headers=headers) as http:
            yield HermesDb(http, up.app, chosen, secrets, clock)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HermesDb]:
    """One hermes_db for a whole module, with a clock that stands at noon."""
    state_dir = tmp_path_factory.mktemp("hermes_db") / "state"
    shutil.copytree(migrated, state_dir)
    async with running(state_dir) as up:
        yield up


@pytest.fixture
def hermes_db(shared: HermesDb) -> HermesDb:
    """The module's, at noon of the first day again."""
    shared.clock.now = NOON
    return shared


@pytest.fixture
def hermes_db_at(state_dir: Path) -> Callable[..., AbstractAsyncContextManager[HermesDb]]:
    """`async with hermes_db_at(setting=…) as hermes_db`: one of this test's own; again: the same state, started anew."""
    return lambda **settings: running(state_dir, **settings)
