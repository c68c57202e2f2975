"""What becomes of jobs when spawner ends, in good order or not, and when their time is over."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from config.clock import new_id
from tests.spawner.conftest import problem, until

SERVE = """
import sys
from config.module_template import create_module_app
from config.serve import run_apps
from spawner.main import create_app
from spawner.settings import SpawnerSettings
settings = SpawnerSettings()
run_apps({"spawner": create_app(settings)}, settings)
"""


async def test_what_waited_goes_on_and_what_ran_is_lost_or_run_again(spawner_at):
    async with spawner_at(spawner_concurrency=2) as spawner:
        lost = await spawner.spawn("sh", "-c", "echo begun; sleep 60")
        again = await spawner.spawn("sh", "-c", "echo begun; [ -e again ] || sleep 1", retries=1)
        await spawner.writing(lost["spawn_id"])
        await spawner.writing(again["spawn_id"])
        waits = await spawner.spawn("cat", stdin="waited")
    async with spawner_at(spawner_concurrency=2) as spawner:
        record = await spawner.record(lost["spawn_id"])
        assert (record["status"], record["reason"], record["stdout"]) == ("ERROR", "lost", "begun\n")
        assert record["started_at"] <= record["finished_at"]
        assert record["exit_code"] is None
        waited = await spawner.finished(waits["spawn_id"])
        assert (waited["status"], waited["stdout"], waited["attempt"]) == ("DONE", "waited", 1)
        second = await spawner.finished(again["spawn_id"])
        assert (second["status"], second["attempt"], second["stdout"]) == ("DONE", 2, "begun\n")


@pytest.fixture
def killed_spawner(state_dir: Path, work_dir: Path, tmp_path: Path):
    """`start()`: spawner in a process of its own, that can be killed."""
    started = []

    def start(port: int) -> subprocess.Popen:
        env = os.environ | {
            "VX11_STATE_DIR": str(state_dir),
            "VX11_SPAWNER_WORK_DIR": str(work_dir),
            "VX11_SPAWNER_PORT": str(port),
            "VX11_SPAWNER_CONCURRENCY": "2",
        }
        root = Path(__file__).resolve().parents[2]
        process = subprocess.Popen([sys.executable, "-c", SERVE], env=env, cwd=root)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def processes_with(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if word.encode() in line and state not in "ZX":
                found.append(entry.name)
    return found


async def test_after_a_kill_nothing_runs_and_the_next_start_tells_the_truth(
    spawner_at, killed_spawner, unused_tcp_port, owner_headers
):
    word = new_id("word")
    process = killed_spawner(unused_tcp_port)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{unused_tcp_port}", headers=owner_headers, timeout=30, verify=False
    ) as http:

        async def up():
            try:
                return (await http.get("/health")).json()
            except httpx.TransportError:
                return None

        await until(up)
        bodies = [
            {"command": "sh", "args": ["-c", f"echo {word}; setsid sleep 600 & sleep 600"]},
            {"command": "sh", "args": ["-c", f"echo {word}; [ -e /job/x ] && exit 7; sleep 600"], "retries": 1},
            {"command": "echo", "args": ["waited"], "env": {"A": "b"}},
        ]
        ids = [(await http.post("/spawner/spawn", json=body)).json()["spawn_id"] for body in bodies]

        async def both_run():
            logs = [(await http.get(f"/spawner/spawn/{one}/logs")).json()["stdout"]["text"] for one in ids[:2]]
            return True if all(word in one for one in logs) else None

        await until(both_run)
        assert processes_with(word) != []
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    async def nothing_runs():
        return True if processes_with(word) == [] else None

    await until(nothing_runs)
    async with spawner_at(spawner_concurrency=2) as spawner:
        lost = await spawner.record(ids[0])
        assert (lost["status"], lost["reason"], lost["stdout"]) == ("ERROR", "lost", f"{word}\n")
        assert (await spawner.finished(ids[2]))["stdout"] == "waited\n"
        await spawner.writing(ids[1], word)
        again = await spawner.record(ids[1])
        assert (again["status"], again["attempt"]) == ("RUNNING", 2)
        assert "lost" in again["detail"]


async def test_a_second_spawner_in_the_same_folder_does_not_start(spawner_at, monkeypatch):
    monkeypatch.setattr("spawner.instances.PATIENCE_SECONDS", 0.2)
    async with spawner_at():
        with pytest.raises(OSError, match="another spawner works in"):
            async with spawner_at():
                pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only a spawner that is root has a pool of users")
async def test_two_spawners_of_one_machine_never_share_a_user(spawner_at, migrated, tmp_path, work_dir):
    other_state, other_work = tmp_path / "other", work_dir / "other"
    shutil.copytree(migrated, other_state)
    async with spawner_at() as one, spawner_at(state_dir=other_state, spawner_work_dir=other_work) as other:
        uids = [set(up.app.state.spawner.runs.job_uids) for up in (one, other)]
        assert uids[0] & uids[1] == set()


async def test_when_its_time_is_over_a_jobs_files_go_and_its_record_stays(spawner_at):
    async with spawner_at() as spawner:
        job = await spawner.python("open('a', 'w').write('x'); print('hi')", artifacts=["a"], ttl_seconds=1)
        kept = await spawner.run("true", ttl_seconds=3600)

        async def gone():
            return True if spawner.folders() == [kept["spawn_id"]] else None

        await until(gone)
        path = f"/spawner/spawn/{job['spawn_id']}"

        async def is_said():
            answer = await spawner.http.get(f"{path}/logs")
            return answer if answer.status_code == 404 else None

        problem(await until(is_said), 404, "logs_gone")
        problem(await spawner.http.get(f"{path}/artifacts/a"), 404, "artifact_not_found")
        assert (await spawner.record(job["spawn_id"]))["stdout"] == "hi\n"
        events = await spawner.http.get(f"{path}/events")
        assert events.text.count("event: ") == 1


async def test_folders_that_belong_to_nobody_or_are_past_their_time_go_at_the_start(spawner_at, work_dir):
    async with spawner_at() as spawner:
        job = await spawner.run("true", ttl_seconds=3600)
        old = await spawner.run("true", ttl_seconds=3600)
        async with spawner.app.state.ground.db.write() as session:
            past = "UPDATE spawns SET expires_at = '2020-01-01 00:00:00' WHERE id = :id"
            await session.execute(text(past), {"id": old["spawn_id"]})
    (work_dir / "jobs/spawn_orphan/job/deep").mkdir(parents=True)
    (work_dir / "jobs/spawn_orphan/job/link").symlink_to(work_dir / "jobs" / job["spawn_id"])
    async with spawner_at() as spawner:

        async def only_one():
            return True if spawner.folders() == [job["spawn_id"]] else None

        await until(only_one)
        assert (work_dir / "jobs" / job["spawn_id"] / "spool").is_dir()


async def test_a_machine_that_cannot_start_it_is_told_and_tried_again(spawner_at):
    async with spawner_at() as spawner:
        tried = []
        real = spawner.app.state.spawner.runs.launcher.run

        async def failing(job, watcher):
            tried.append(job.spawn_id)
            if len(tried) < 3:
                raise OSError(11, "Resource temporarily unavailable")
            return await real(job, watcher)

        spawner.app.state.spawner.runs.launcher.run = failing
        refused = await spawner.run("true")
        assert (refused["status"], refused["reason"], refused["protections"]) == ("ERROR", "refused", None)
        assert "Resource temporarily unavailable" in refused["detail"]
        again = await spawner.run("true", retries=1)
        assert (again["status"], again["attempt"]) == ("DONE", 2)
        await asyncio.sleep(0)


async def test_without_root_or_not_jobs_never_are_root(spawner_at):
    async with spawner_at() as spawner:
        job = await spawner.spawn("sleep", "60")
        await spawner.when(job["spawn_id"], lambda record: record["status"] == "RUNNING")
        folder = spawner.app.state.folders.job(job["spawn_id"])

        async def owner():
            return (folder.exists() and folder.stat().st_uid) or None  # root's for the moment before it is handed over

        uid = await until(owner)
        uids = spawner.app.state.spawner.runs.job_uids
        assert uid in uids if uids is not None else uid == os.geteuid() != 0
