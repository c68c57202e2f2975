"""Audio made by the tests themselves, and shub as it really runs, with worker processes of its own."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from config.secrets import FleetSecrets, load_secrets
from shub.main import create_app
from shub.settings import ShubSettings
from tests.kernels import KERNELS

PATIENCE_SECONDS = 60.0
os.environ["NUMBA_CACHE_DIR"] = str(KERNELS)  # no test has imported numba yet


@pytest.fixture(scope="session", autouse=True)
def _compiled(kernels: Path) -> None:
    """No test here compiles: what it needs is there before the first one."""


@dataclass
class Shub:
    """A running shub: ask it with `http`, look into it with the rest."""

    http: httpx.AsyncClient
    app: FastAPI
    settings: ShubSettings
    secrets: FleetSecrets

    async def upload(self, path: Path, name: str | None = None, **options: Any) -> dict[str, Any]:
        """The asset of a file that must be taken."""
        content = await asyncio.to_thread(path.read_bytes)
        answer = await self.http.post("/shub/assets", files={"file": (name or path.name, content)}, **options)
        assert answer.status_code in (200, 201), answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def finished(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        return await self.job_when(job_id, lambda job: job["status"] in ("DONE", "ERROR", "CANCELLED"))

    async def job_when(self, job_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            job: dict[str, Any] = (await self.http.get(f"/shub/jobs/{job_id}")).json()
            return job if is_so(job) else None

        return await until(look)

    def files(self) -> list[Path]:
        """What the store holds."""
        return sorted((self.settings.state_dir / "shub" / "files").glob("??/*"))

    def unfinished(self) -> list[Path]:
        return list((self.settings.state_dir / "shub" / "unfinished").glob("part_*"))


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
    assert body["service"] == "shub"
    return body


@asynccontextmanager
async def running(state_dir: Path, **settings: Any) -> AsyncIterator[Shub]:
    """Shub on this state folder, asked as its owner."""
    chosen = ShubSettings(state_dir=state_dir, shub_cache_dir=KERNELS, _env_file=None, **settings)
    secrets = load_secrets(chosen)
    app = create_app(chosen)
    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60) as up:
        transport = httpx.ASGITransport(up.app, raise_app_exceptions=False)
        headers = {"X-VX11-Token": secrets.owner.get_secret_value()}
        async with httpx.AsyncClient(transport=transport, base_url="http://shub", headers=headers, timeout=60) as http:
            yield Shub(http, app, chosen, secrets)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shub(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shub]:
    """One shub for a whole module: its worker need not start for every test."""
    state_dir = tmp_path_factory.mktemp("shub") / "state"
    shutil.copytree(migrated, state_dir)
    async with running(state_dir, max_duration_seconds=400.0, shub_upload_limit_bytes=30_000_000) as up:
        yield up


@pytest.fixture
def shub_at(state_dir: Path) -> Callable[..., AbstractAsyncContextManager[Shub]]:
    """`async with shub_at(setting=…) as shub`: one of this test's own; again: the same state, started anew."""
    return lambda **settings: running(state_dir, **settings)
