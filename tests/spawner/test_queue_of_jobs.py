"""Jobs that wait: in which order, how many, and how they are ended."""

import asyncio

from tests.spawner.conftest import problem, until


async def test_jobs_wait_by_priority_and_among_equals_in_their_order(spawner_at):
    async with spawner_at(spawner_concurrency=1) as spawner:
        blocker = await spawner.spawn("cat", "/dev/zero", max_output_bytes=0, timeout_seconds=600)
        order = ["BACKGROUND", "USER_INTERACTIVE", "BATCH_PROCESSING", "SYSTEM_CRITICAL", "USER_INTERACTIVE"]
        jobs = [await spawner.spawn("true", name=f"{n}", priority=priority) for n, priority in enumerate(order)]
        await spawner.http.post(f"/spawner/spawn/{blocker['spawn_id']}/kill")
        ended = [await spawner.finished(job["spawn_id"]) for job in jobs]
        assert [job["name"] for job in sorted(ended, key=lambda job: job["started_at"])] == ["3", "1", "4", "2", "0"]


async def test_no_more_jobs_run_at_once_than_places(spawner_at):
    async with spawner_at(spawner_concurrency=2) as spawner:
        jobs = [await spawner.spawn("sleep", "60") for _ in range(4)]

        async def two_run():
            page = (await spawner.http.get("/spawner/spawn/list?status=RUNNING")).json()["items"]
            return page if len(page) == 2 else None

        await until(two_run)
        uids = spawner.app.state.spawner.runs.job_uids
        assert uids is None or len(uids) == 2
        await spawner.http.post(f"/spawner/spawn/{jobs[0]['spawn_id']}/kill")
        await spawner.when(jobs[2]["spawn_id"], lambda job: job["status"] == "RUNNING")
        assert (await spawner.record(jobs[3]["spawn_id"]))["status"] == "PENDING"


async def test_a_full_queue_refuses_with_the_time_to_come_back_and_keeps_nothing(spawner_at):
    async with spawner_at(spawner_concurrency=1, spawner_queue_limit=2) as spawner:
        running = await spawner.spawn("sleep", "60")
        await spawner.when(running["spawn_id"], lambda job: job["status"] == "RUNNING")
        answers = await asyncio.gather(
            *(spawner.http.post("/spawner/spawn", json={"command": "true"}) for _ in range(5))
        )
        assert sorted(answer.status_code for answer in answers) == [202, 202, 429, 429, 429]
        full = next(answer for answer in answers if answer.status_code == 429)
        problem(full, 429, "queue_full")
        assert 1 <= int(full.headers["retry-after"]) <= 60
        assert len((await spawner.http.get("/spawner/spawn/list")).json()["items"]) == 3
        assert (await spawner.http.get("/health")).json()["checks"]["queue"]["detail"] == "1 running, 2 waiting"
        waiting = [answer.json()["spawn_id"] for answer in answers if answer.status_code == 202]
        killed = (await spawner.http.post(f"/spawner/spawn/{waiting[0]}/kill")).json()
        assert (killed["status"], killed["reason"], killed["started_at"]) == ("CANCELLED", "killed", None)
        assert (await spawner.http.post("/spawner/spawn", json={"command": "true"})).status_code == 202
        logs = (await spawner.http.get(f"/spawner/spawn/{waiting[0]}/logs")).json()
        assert logs["stdout"]["is_complete"] is True
        assert (await spawner.http.get(f"/spawner/spawn/{waiting[0]}/events")).text.count("event: status") == 1


async def test_a_kill_ends_the_job_and_everything_it_started(spawner_at):
    script = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
        while True:
            open("alive", "w").write(str(time.time())); time.sleep(0.01)
    os._exit(0)
print("up", flush=True); time.sleep(600)
"""
    async with spawner_at() as spawner:
        job = await spawner.spawn("python3", "-c", script)
        await spawner.writing(job["spawn_id"], "up\n")
        alive = spawner.app.state.folders.job(job["spawn_id"]) / "alive"

        async def beats():
            return True if alive.exists() else None

        await until(beats)
        killed = (await spawner.http.post(f"/spawner/spawn/{job['spawn_id']}/kill")).json()
        assert (killed["status"], killed["reason"], killed["detail"]) == ("CANCELLED", "killed", "killed by owner")
        assert killed["stdout"] == "up\n"
        assert killed["peak_memory_bytes"] > 0
        before = alive.read_text()
        await asyncio.sleep(0.1)  # ten times as long as the child takes between two beats
        assert alive.read_text() == before


async def test_many_kills_at_once_end_a_job_once(spawner_at):
    async with spawner_at() as spawner:
        job = await spawner.spawn("sleep", "60")
        answers = await asyncio.gather(*(spawner.http.post(f"/spawner/spawn/{job['spawn_id']}/kill") for _ in range(5)))
        records = [answer.json() for answer in answers]
        assert {record["status"] for record in records} == {"CANCELLED"}
        assert len({record["finished_at"] for record in records}) == 1
