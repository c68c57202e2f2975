"""Hermes as it runs, with a registry of its own on a real socket, beside a hub and a catalogue that can misbehave."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from config.secrets import FleetSecrets, load_secrets
from hermes.settings import HermesSettings
from hermes_db.main import create_app as create_hermes_db
from hermes_db.settings import HermesDbSettings
from tests.fakes.hub import FakeHub, fake_hub
from tests.fakes.openrouter import FakeOpenRouter, fake_openrouter

PATIENCE_SECONDS = 60.0
NOBODY = "http://127.0.0.1:1"
QUIET: dict[str, Any] = {
    "hermes_search_interval": 0,
    "hermes_upkeep_interval": 0,
    "hermes_cli_scan_interval": 0,
    "hermes_hub_timeout": 30,
}
"""Nothing that runs by itself, unless a test asks for it; and a busy machine is not a hub that is silent."""


@dataclass
class Hermes:
    """A running hermes: ask it with `http`, and its registry with `hermes_db`."""

    http: httpx.AsyncClient
    hermes_db: httpx.AsyncClient
    app: FastAPI
    settings: HermesSettings
    secrets: FleetSecrets

    async def finished(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        return await self.job_when(job_id, lambda job: job["status"] in ("DONE", "ERROR", "CANCELLED"))

    async def job_when(self, job_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            job: dict[str, Any] = (await self.http.get(f"/hermes/jobs/{job_id}")).json()
            return job if is_so(job) else None

        return await until(look)

    async def register(self, **facts: Any) -> dict[str, Any]:
        """A model of the registry."""
        answer = await self.hermes_db.post("/hermes_db/models", json=facts)
        assert answer.status_code in (200, 201), answer.text
        model: dict[str, Any] = answer.json()
        return model


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that")


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"/errors/{code}"
    assert body["service"] == "hermes"
    return body


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The app behind a real socket; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listening])
        try:
            assert server.started
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            await server.shutdown(sockets=[listening])


@asynccontextmanager
async def running(
    state_dir: Path, hub: FakeHub, openrouter: FakeOpenRouter, *, switch_url: str = NOBODY, **settings: Any
) -> AsyncIterator[Hermes]:
    """Hermes and its registry on this state folder, asked as their owner."""
    from hermes.main import create_app  # not for tests of single parts

    of_db = HermesDbSettings(state_dir=state_dir, hermes_db_default_model=False, _env_file=None)
    secrets = load_secrets(of_db)
    headers = {"X-VX11-Token": secrets.owner.get_secret_value()}
    async with (
        serving(create_hermes_db(of_db)) as db_url,
        httpx.AsyncClient(base_url=db_url, headers=headers, timeout=60, trust_env=False, verify=False) as hermes_db,
    ):
        chosen = HermesSettings(
            **QUIET
            | {
                "state_dir": state_dir,
                "hermes_hub_url": hub.url,
                "hermes_openrouter_url": openrouter.url,
                "service_urls": {"hermes_db": db_url, "switch": switch_url},
                "connect_timeout": 30,
            }
            | settings,
            _env_file=None,
        )
        app = create_app(chosen)
        async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60) as up:
            transport = httpx.ASGITransport(up.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://hermes", headers=headers, timeout=60
            ) as http:
                yield Hermes(http, hermes_db, app, chosen, secrets)


@pytest.fixture(scope="module")
def _hub() -> Iterator[FakeHub]:
    with fake_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def _openrouter() -> Iterator[FakeOpenRouter]:
    with fake_openrouter() as openrouter:
        yield openrouter


@pytest.fixture
def hub(_hub: FakeHub) -> FakeHub:
    """Empty, and well-behaved."""
    _hub.reset()
    return _hub


@pytest.fixture
def openrouter(_openrouter: FakeOpenRouter) -> FakeOpenRouter:
    _openrouter.reset()
    return _openrouter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hermes(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory, _hub: FakeHub, _openrouter: FakeOpenRouter
) -> AsyncIterator[Hermes]:
    """One hermes for a whole module; what it keeps stays from test to test."""
    state_dir = tmp_path_factory.mktemp("hermes") / "state"
    shutil.copytree(migrated, state_dir)
    async with running(state_dir, _hub, _openrouter) as up:
        yield up


@pytest.fixture
def hermes_at(
    state_dir: Path, hub: FakeHub, openrouter: FakeOpenRouter
) -> Callable[..., AbstractAsyncContextManager[Hermes]]:
    """`async with hermes_at(setting=…) as hermes`: one of this test's own; again: the same state, started anew."""
    return lambda **settings: running(state_dir, hub, openrouter, **settings)
