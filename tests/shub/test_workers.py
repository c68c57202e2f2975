"""The worker processes: what they may see, how they end, and that a lost one is told."""

import asyncio
import os
from pathlib import Path

import pytest

from config.clients.shub import AudioWorkerLost
from shub.workers import WorkerPool
from tests.kernels import KERNELS
from tests.shub.conftest import until
from tests.shub.files import good


@pytest.fixture
async def pool(tmp_path):
    made = WorkerPool(job_workers=1, quick_workers=2, idle_seconds=30, cache=KERNELS, scratch=tmp_path)
    yield made
    await made.close()


def probing(path: Path) -> dict[str, object]:
    return {"op": "probe", "path": str(path), "name": path.name, "max_duration_seconds": 60.0}


async def test_a_worker_sees_no_secret_of_ours(pool, tmp_path, monkeypatch):
    monkeypatch.setenv("VX11_TOKEN", "a-secret-of-the-fleet")
    monkeypatch.setenv("VX11_DATABASE_URL", "postgresql://somebody:password@host/db")
    await pool.run(probing(good("wav16", tmp_path / "x.wav")), lane="quick")
    ((worker, _),) = pool._idle
    environment = Path(f"/proc/{worker.pid}/environ").read_text()  # noqa: ASYNC240
    assert "a-secret-of-the-fleet" not in environment
    assert "password" not in environment
    assert "NUMBA_CACHE_DIR" in environment


async def test_one_worker_serves_task_after_task_and_more_come_only_at_the_same_time(pool, tmp_path):
    task = probing(good("wav16", tmp_path / "x.wav"))
    for _ in range(3):
        await pool.run(task, lane="quick")
    assert pool.count == 1
    await asyncio.gather(*(pool.run(task, lane="quick") for _ in range(6)))
    assert pool.count == 2


async def test_a_task_that_breaks_the_worker_is_told_and_the_next_one_gets_another(pool, tmp_path):
    with pytest.raises(AudioWorkerLost, match="status 1"):
        await pool.run({"op": "no such thing"}, lane="quick")
    assert pool.busy_pids == []
    assert (await pool.run(probing(good("wav16", tmp_path / "x.wav")), lane="quick"))["channels"] == 2


async def test_who_is_cancelled_kills_the_worker(pool, tmp_path):
    task = asyncio.create_task(pool.run({"op": "warm"}, lane="job"))

    async def started() -> int | None:
        return pool.busy_pids[0] if pool.busy_pids else None

    pid = await until(started)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert pool.count == 0
