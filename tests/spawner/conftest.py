"""Spawner as it really runs, on this machine's own sandbox; its jobs' folders lie where the jobs' users can get to."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from sqlalchemy import select

from config.contracts.spawner import RungReport
from config.db_schema import AuditRow
from config.secrets import FleetSecrets, load_secrets
from spawner import probe, sandbox
from spawner.main import create_app
from spawner.rungs import Rung
from spawner.settings import SpawnerSettings

PATIENCE_SECONDS = 60.0
FINAL = ("DONE", "ERROR", "CANCELLED")


class Found:
    """What was found to work on this machine, by running it once in this process, and the /etc that was made for jobs.

    Every spawner after the first is told of that: it would take each of them a second.
    """

    def __init__(self, folder: Path) -> None:
        self.is_looked_for_anew = False
        self._reports: dict[tuple[str, probe.Obstacles, bool], RungReport] = {}
        self._really, self._really_make, self._etc = probe.probe, sandbox.make_etc, folder / "etc"

    async def report(
        self, rung: Rung, launcher: probe.Runs, obstacles: probe.Obstacles, root: Path, uid: int | None
    ) -> RungReport:
        if self.is_looked_for_anew:
            return await self._really(rung, launcher, obstacles, root, uid)
        key = rung.name, obstacles, uid is None
        if key not in self._reports:
            self._reports[key] = await self._really(rung, launcher, obstacles, root, uid)
        return self._reports[key]

    def make_etc(self, folder: Path, source: Path | None = None) -> None:
        if self.is_looked_for_anew or source is not None:
            return self._really_make(folder, *([source] if source else []))
        if not self._etc.exists():
            self._really_make(self._etc)
        if not folder.exists():
            folder.symlink_to(self._etc)


@pytest.fixture(scope="session")
def found() -> Iterator[Found]:
    with reachable_folder() as folder:
        yield Found(folder)


@pytest.fixture(scope="module", autouse=True)
def _found_once(found: Found) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(probe, "probe", found.report)
        patched.setattr(sandbox, "make_etc", found.make_etc)
        yield


@pytest.fixture
def found_anew(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the finding itself: each spawner tries every rung."""
    monkeypatch.setattr(found, "is_looked_for_anew", True)


@dataclass
class Running:
    """A running spawner: ask it with `http`, look into it with the rest."""

    http: httpx.AsyncClient
    app: FastAPI
    settings: SpawnerSettings
    secrets: FleetSecrets

    async def spawn(self, command: str, *args: str, **request: Any) -> dict[str, Any]:
        """A job that must be accepted."""
        options = {name: request.pop(name) for name in ("headers",) if name in request}
        body = {"command": command, "args": list(args), **request}
        answer = await self.http.post("/spawner/spawn", json=body, **options)
        assert answer.status_code in (200, 202), answer.text
        record: dict[str, Any] = answer.json()
        assert (answer.status_code == 200) == (record["status"] in FINAL)
        return record

    async def run(self, command: str, *args: str, **request: Any) -> dict[str, Any]:
        """A job when it has ended."""
        record = await self.spawn(command, *args, **{"wait_seconds": 30, **request})
        return await self.finished(record["spawn_id"])

    async def python(self, script: str, **request: Any) -> dict[str, Any]:
        return await self.run("python3", "-I", "-S", "-c", script, **request)

    async def record(self, spawn_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/spawner/spawn/{spawn_id}/status")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def when(self, spawn_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            found = await self.record(spawn_id)
            return found if is_so(found) else None

        return await until(look)

    async def finished(self, spawn_id: str) -> dict[str, Any]:
        return await self.when(spawn_id, lambda job: job["status"] in FINAL)

    async def writing(self, spawn_id: str, text: str = "\n") -> None:
        """Comes back when the job has written this to stdout: then it runs for certain."""

        async def look() -> bool | None:
            logs = (await self.http.get(f"/spawner/spawn/{spawn_id}/logs")).json()
            return True if text in logs["stdout"]["text"] else None

        await until(look)

    async def audit(self, event: str) -> list[dict[str, Any]]:
        """Rows of the audit log."""
        async with self.app.state.ground.db.read() as session:
            rows = (await session.execute(select(AuditRow).where(AuditRow.event == event))).scalars()
            return [{"subject": row.subject, "caller": row.caller, "details": row.details} for row in rows]

    def folders(self) -> list[str]:
        return sorted(self.app.state.folders.ids())


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
    assert body["service"] == "spawner"
    return body


@asynccontextmanager
async def running(state: Path, work: Path, **settings: Any) -> AsyncIterator[Running]:
    """Spawner on this state folder, asked as its owner."""
    chosen = SpawnerSettings(**{"state_dir": state, "spawner_work_dir": work, "_env_file": None, **settings})
    secrets = load_secrets(chosen)
    app = create_app(chosen)
    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60) as up:
        transport = httpx.ASGITransport(up.app, raise_app_exceptions=False)
        headers = {"X-VX11-Token": secrets.owner.get_secret_value()}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://spawner", headers=headers, timeout=60
        ) as http:
            yield Running(http, app, chosen, secrets)


@pytest.fixture
def work_dir() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that every user can get through, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="vx11-spawner-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=os.geteuid() != 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One spawner for a whole module, whose tests are marked for its loop: finding the sandbox takes a second or two."""
    state_dir = tmp_path_factory.mktemp("spawner") / "state"
    shutil.copytree(migrated, state_dir)
    with reachable_folder() as folder:
        async with running(state_dir, folder) as up:
            yield up


@pytest.fixture
def spawner_at(state_dir: Path, work_dir: Path) -> Callable[..., AbstractAsyncContextManager[Running]]:
    """`async with spawner_at(setting=…) as spawner`: one of this test's own; again: the same state, started anew."""
    return lambda **settings: running(state_dir, work_dir, **settings)
