"""Shub as a process of its own: killed, started again, followed over a real connection, watched for its memory."""

import asyncio
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from config.secrets import FleetSecrets
from tests.forked import SERVE, Forks
from tests.kernels import KERNELS
from tests.shub.conftest import PATIENCE_SECONDS, until
from tests.shub.files import RATE, tone
from tests.shub.signals import write
from vx11.trial import ROOT, free_ports


class Service:
    """Shub as the fleet runs it, on a free port."""

    def __init__(self, forks: Forks, state_dir: Path, token: str, **variables: str) -> None:
        self.state_dir, self.token = state_dir, token
        self.port = free_ports(1)[0]
        settings = {
            "VX11_STATE_DIR": str(state_dir),
            "VX11_SHUB_PORT": str(self.port),
            "VX11_SHUB_CACHE_DIR": str(KERNELS),
            "PYTHONPATH": str(ROOT),
        }
        self.process = forks.start(SERVE, "shub", cwd=state_dir, **settings | variables)
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"X-VX11-Token": token}, timeout=60, trust_env=False
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self.process.ended.done():
            try:
                self.http.get("/health")
                return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(self.log())

    def log(self) -> str:
        return self.process.err.read_text()

    def upload(self, path: Path) -> str:
        answer = self.http.post("/shub/assets", files={"file": (path.name, path.read_bytes())})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["asset_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/shub/jobs/{job_id}").json()
        return found

    async def job_when(self, job_id: str, is_so: Any) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            job = await asyncio.to_thread(self.job, job_id)
            return job if is_so(job) else None

        found: dict[str, Any] = await until(look)
        return found

    def workers(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for children in tasks for pid in children.read_text().split()]

    def unfinished(self) -> list[Path]:
        return list((self.state_dir / "shub" / "unfinished").glob("part_*"))

    def files(self) -> list[str]:
        return [path.name for path in (self.state_dir / "shub" / "files").glob("??/*")]

    def stop(self) -> int:
        """Its exit status."""
        if not self.process.ended.done():
            os.kill(self.process.pid, signal.SIGTERM)
        self.http.close()
        return self.process.wait()


@pytest.fixture
def token(secrets: FleetSecrets) -> str:
    return secrets.owner.get_secret_value()


@pytest.fixture(scope="module")
def service(migrated: Path, tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Iterator[Service]:
    """One for the tests that leave it as it was."""
    state_dir = tmp_path_factory.mktemp("service") / "state"
    shutil.copytree(migrated, state_dir)
    made = Service(forks, state_dir, (state_dir / "secrets" / "token").read_text().strip())
    yield made
    made.stop()


@pytest.fixture
def service_at(state_dir: Path, token: str, forks: Forks) -> Iterator[Any]:
    started: list[Service] = []

    def start(**variables: str) -> Service:
        started.append(Service(forks, state_dir, token, **variables))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@contextmanager
def following(service: Service, job_id: str, **headers: str) -> Iterator[Iterator[tuple[int, str, dict[str, Any]]]]:
    """A job's events as they come: id, event, data."""
    with service.http.stream("GET", f"/shub/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")

        def events() -> Iterator[tuple[int, str, dict[str, Any]]]:
            found: dict[str, str] = {}
            for line in answer.iter_lines():
                if not line and found:
                    yield int(found["id"]), found["event"], json.loads(found["data"])
                    found = {}
                elif line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    found[name] = value

        yield events()


async def is_gone(pid: int) -> None:
    async def look() -> bool | None:
        return None if runs(pid) else True

    await until(look)


def runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def long_order(service: Service, folder: Path, seconds: float = 6.0) -> dict[str, Any]:
    asset_id = service.upload(write(folder / "x.wav", tone(2, seconds), RATE, "PCM_16"))
    return {"stems": [{"asset_id": asset_id}, {"asset_id": asset_id, "pan": 0.3}], "sample_rate_hz": 96_000}


async def test_a_killed_service_takes_its_jobs_up_again_and_makes_each_mix_once(service_at, tmp_path):
    first = service_at()
    order = long_order(first, tmp_path, 12.0)
    key = {"Idempotency-Key": "plan:s1"}
    job_id = first.http.post("/shub/mix", json=order, headers=key).json()["job_id"]
    waiting = first.http.post("/shub/mix", json=order | {"target_lufs": -20}).json()["job_id"]
    await first.job_when(job_id, lambda job: job["progress"] > 0.36)  # the stems are measured, the sum is being written
    workers = first.workers()
    assert workers
    first.process.kill()
    for pid in workers:
        await is_gone(pid)
    assert first.unfinished()  # half a file, and nobody sees it
    assert len(first.files()) == 1

    second = service_at()
    assert second.http.post("/shub/mix", json=order, headers=key).json()["job_id"] == job_id
    done = await second.job_when(job_id, lambda job: job["status"] == "DONE")
    await second.job_when(waiting, lambda job: job["status"] == "DONE")
    mixes = [one for one in second.http.get("/shub/assets").json()["items"] if one["provenance"]]
    assert len(mixes) == 2
    assert done["result"]["asset_id"] in [one["asset_id"] for one in mixes]
    assert second.unfinished() == []
    assert len(second.files()) == 3


async def test_a_service_killed_in_the_middle_of_a_master_makes_it_once_and_whole(service_at, tmp_path):
    first = service_at()
    asset_id = first.upload(write(tmp_path / "x.wav", tone(2, 8.0), RATE, "PCM_16"))
    order = {"asset_id": asset_id, "target_lufs": -9.0, "sample_rate_hz": 96_000}
    job_id = first.http.post("/shub/master", json=order).json()["job_id"]
    await first.job_when(job_id, lambda job: job["progress"] > 0.32)  # it was listened to and is being rendered
    workers = first.workers()
    first.process.kill()
    for pid in workers:
        await is_gone(pid)
    assert first.unfinished()  # what was on its way, and nobody sees it
    assert len(first.files()) == 1

    second = service_at()
    done = await second.job_when(job_id, lambda job: job["status"] == "DONE")
    assert done["result"]["target_lufs"] == -9.0
    assert second.unfinished() == []
    assert len(second.files()) == 2


async def test_a_stopped_service_ends_its_workers_and_goes_on_later_and_idle_ones_end(service_at, tmp_path):
    first = service_at()
    job_id = first.http.post("/shub/mix", json=long_order(first, tmp_path)).json()["job_id"]
    await first.job_when(job_id, lambda job: job["progress"] > 0.02)
    workers = first.workers()
    assert first.stop() == 0
    for pid in workers:
        await is_gone(pid)
    second = service_at(VX11_SHUB_WORKER_IDLE="PT0.2S")
    assert (await second.job_when(job_id, lambda job: job["status"] == "DONE"))["result"]

    async def none_left() -> bool | None:
        return True if not second.workers() else None

    await until(none_left)
    second.upload(write(tmp_path / "y.wav", tone(1), RATE, "PCM_16"))  # and the next one starts when it is needed


async def test_events_lead_to_the_end_and_resume_where_they_were_left(service, tmp_path):
    job_id = service.http.post("/shub/mix", json=long_order(service, tmp_path)).json()["job_id"]
    with following(service, job_id) as events:
        seen = [next(events) for _ in range(3)]
    assert [number for number, _, _ in seen] == sorted({number for number, _, _ in seen})
    with following(service, job_id, **{"Last-Event-ID": str(seen[-1][0])}) as events:
        rest = list(events)  # ends by itself
    assert rest[0][0] > seen[-1][0]
    assert [event for _, event, _ in rest[:-1]] == ["running"] * (len(rest) - 1)
    progress = [data["progress"] for _, _, data in seen + rest]
    assert progress == sorted(progress)
    _, event, data = rest[-1]
    assert event == "done"
    assert data == service.job(job_id)
    with following(service, job_id, **{"Last-Event-ID": str(rest[-1][0])}) as events:
        assert list(events) == []


async def test_following_a_job_that_is_cancelled_ends_with_that(service, tmp_path):
    job_id = service.http.post("/shub/mix", json=long_order(service, tmp_path)).json()["job_id"]
    with following(service, job_id) as events:
        next(events)
        service.http.post(f"/shub/jobs/{job_id}/cancel")
        assert list(events)[-1][1] == "cancelled"


async def test_a_large_upload_does_not_grow_the_service_and_sound_never_enters_it(service, tmp_path):
    service.upload(write(tmp_path / "small.wav", tone(), RATE, "PCM_16"))
    before = _memory(service.process.pid)
    large = write(tmp_path / "large.wav", np.zeros((48_000 * 150, 2), np.int16), 48_000, "PCM_24")  # 43 MB

    def pieces() -> Iterator[bytes]:
        with large.open("rb") as file:
            while piece := file.read(100_000):
                yield piece

    answer = service.http.post("/shub/assets", params={"name": "large.wav"}, content=pieces())
    assert answer.status_code == 201
    service.http.post("/shub/analyze", json={"asset_id": answer.json()["asset_id"]})
    with service.http.stream("GET", f"/shub/assets/{answer.json()['asset_id']}/content") as content:
        assert sum(len(piece) for piece in content.iter_bytes()) == large.stat().st_size
    assert _memory(service.process.pid) < before + 24_000
    assert not any(library in _mapped(service.process.pid) for library in ("numpy", "llvmlite", "sndfile", "soxr"))


def _mapped(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def _memory(pid: int) -> int:
    """Largest resident size so far, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


async def test_a_client_that_goes_away_in_the_middle_of_an_upload_leaves_nothing(service):
    held = service.files()
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        head = (
            f"POST /shub/assets HTTP/1.1\r\nHost: x\r\nX-VX11-Token: {service.token}\r\nContent-Length: 9000000\r\n\r\n"
        )
        connection.sendall(head.encode() + b"RIFF\x00\x00\x00\x00WAVE" + bytes(2_000_000))

        async def begun() -> bool | None:
            return True if service.unfinished() else None

        await until(begun)

    async def cleared() -> bool | None:
        return True if not service.unfinished() else None

    await until(cleared)
    assert service.files() == held
    assert "unexpected" not in service.log()


async def test_a_client_that_goes_away_stops_its_measurement(service, tmp_path):
    asset_id = service.upload(write(tmp_path / "x.wav", tone(1, 0.5), RATE, "PCM_16"))
    for pid in service.workers():
        os.kill(pid, signal.SIGSTOP)  # whatever they are asked now takes for ever
    body = json.dumps({"asset_id": asset_id}).encode()
    head = (
        f"POST /shub/analyze HTTP/1.1\r\nHost: x\r\nX-VX11-Token: {service.token}\r\nContent-Type: application/json\r\n"
    )

    async def at_work(count: int) -> bool | None:
        health = await asyncio.to_thread(service.http.get, "/shub/health")
        return True if health.json()["checks"]["workers"]["detail"].endswith(f" {count} at work") else None

    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await until(lambda: at_work(1))
    await until(lambda: at_work(0))
    assert '"status": 499' in service.log()
    assert service.http.post("/shub/analyze", json={"asset_id": asset_id}).status_code == 200
