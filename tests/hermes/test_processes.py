"""Hermes as a process of its own: killed in the middle of a download, started again, and only the rest is fetched."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from config.secrets import FleetSecrets
from hermes_db.main import create_app as create_hermes_db
from hermes_db.settings import HermesDbSettings
from tests.fakes.model_files import gguf
from tests.forked import SERVE, Forks
from tests.hermes.conftest import PATIENCE_SECONDS, serving, until
from vx11.trial import ROOT, free_ports

CONTENT = gguf(parameters=4 * 1024 * 1024, quantization="Q8_0", seed=1)  # 4 MB
FILE = "tiny.Q8_0.gguf"


class Service:
    """Hermes as the fleet runs it, on a free port."""

    def __init__(self, forks: Forks, state_dir: Path, token: str, variables: dict[str, str]) -> None:
        self.state_dir, self.port = state_dir, free_ports(1)[0]
        settings = {
            "VX11_STATE_DIR": str(state_dir),
            "VX11_HERMES_PORT": str(self.port),
            "VX11_HERMES_CLI_SCAN_INTERVAL": "PT0S",
            "VX11_HERMES_SEARCH_INTERVAL": "PT0S",
            "PYTHONPATH": str(ROOT),
        }
        self.process = forks.start(SERVE, "hermes", cwd=state_dir, **settings | variables)
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"X-VX11-Token": token},
            timeout=60,
            trust_env=False,
            verify=False,
        )

    async def ready(self) -> "Service":
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self.process.ended.done():
            try:
                await self.http.get("/health")
                return self
            except httpx.TransportError:
                await asyncio.sleep(0.02)
        raise AssertionError(self.process.err.read_text())

    async def job_when(self, job_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            job: dict[str, Any] = (await self.http.get(f"/hermes/jobs/{job_id}")).json()
            return job if is_so(job) else None

        found: dict[str, Any] = await until(look)
        return found


@pytest_asyncio.fixture
async def db_url(state_dir: Path) -> AsyncIterator[str]:
    settings = HermesDbSettings(state_dir=state_dir, hermes_db_default_model=False, _env_file=None)
    async with serving(create_hermes_db(settings)) as url:
        yield url


@pytest.fixture
def service_at(state_dir: Path, secrets: FleetSecrets, forks: Forks, hub, db_url) -> Iterator[Callable[[], Service]]:
    with started(forks, state_dir, secrets, hub.url, db_url) as start:
        yield start


@contextmanager
def started(
    forks: Forks, state_dir: Path, secrets: FleetSecrets, hub_url: str, db_url: str
) -> Iterator[Callable[[], Service]]:
    running: list[Service] = []
    variables = {"VX11_HERMES_HUB_URL": hub_url, "VX11_SERVICE_URLS": f'{{"hermes_db": "{db_url}"}}'}

    def start() -> Service:
        running.append(Service(forks, state_dir, secrets.owner.get_secret_value(), variables))
        return running[-1]

    try:
        yield start
    finally:
        for service in running:
            service.process.kill()


async def test_a_killed_download_goes_on_and_fetches_less_than_a_twentieth_again(service_at, hub):
    hub.add("kill/download", {FILE: CONTENT, "config.json": b"{}"})
    at = len(CONTENT) * 6 // 10
    hub.inject("/cdn/*", "hold", at_byte=at, times=1)
    first = await service_at().ready()
    job = (await first.http.post("/hermes/download", json={"model_id": "kill/download"})).json()
    await first.job_when(job["job_id"], lambda job: job["done_bytes"] == at)
    first.process.kill()
    hub.go_on.set()
    second = await service_at().ready()
    done = await second.job_when(job["job_id"], lambda job: job["status"] not in ("PENDING", "RUNNING"))
    assert done["status"] == "DONE", done["error"]
    assert hub.requests("/cdn/*")[-1].range == f"bytes={at}-"
    assert hub.requests("/cdn/*")[-1].sent_bytes <= len(CONTENT) - at + len(CONTENT) // 20
    path = Path(done["result"]["path"])
    assert await asyncio.to_thread(path.read_bytes) == CONTENT
    models = (await second.http.get("/hermes/models")).json()
    assert [model["id"] for model in models["items"]] == [done["result"]["id"]]


async def test_a_kill_at_any_moment_ends_in_one_whole_model(service_at, hub):
    """Killed again and again, each time a little later; what is seen is whole or not there."""
    hub.add("kill/anytime", {FILE: CONTENT, "config.json": b"{}", "README.md": b"x"})
    hub.inject("/cdn/*", "slow", pause_seconds=0.02)
    service = await service_at().ready()
    job_id = (await service.http.post("/hermes/download", json={"model_id": "kill/anytime"})).json()["job_id"]
    folder = service.state_dir / "models" / "kill--anytime"
    for part in (0.1, 0.4, 0.7, 0.95):
        job = await service.job_when(job_id, lambda job, part=part: job["progress"] >= part)
        service.process.kill()
        whole = await asyncio.to_thread(lambda: [path.stat().st_size for path in folder.glob("*/*.gguf")])
        assert whole in ([], [len(CONTENT)])
        service = await service_at().ready()
    job = await service.job_when(job_id, lambda job: job["status"] not in ("PENDING", "RUNNING"))
    assert job["status"] == "DONE", job["error"]
    told = (await service.http.post(f"/hermes/models/{job['result']['id']}/verify")).json()
    assert told["is_right"] is True
    assert (
        hub.sent_bytes("/cdn/*") <= len(CONTENT) * 5 // 4 + 4 * 1024 * 1024
    )  # what lay in the sockets when it was killed
