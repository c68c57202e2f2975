"""Madre's daughters: taken, run, told back; and what holds when leases run out, plans end or the fleet is halted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import insert, select, update

from config.clock import new_id, utc_now
from config.contracts.spawner import DaughterRequest, SpawnRequest
from config.database import Database
from config.db_schema import ContextRow, DaughterTaskRow, IntentLogRow, TaskRow
from tests.spawner.conftest import PATIENCE_SECONDS, Running, problem, until

FINAL = ("DONE", "ERROR", "CANCELLED")


@dataclass
class Madre:
    """Her table as she fills it, and her side of the callback, on a real socket."""

    db: Database
    url: str
    told: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses to answer with, one after the other; then 204."""

    async def plan(self, status: str = "WAITING") -> str:
        now = utc_now()
        async with self.db.write() as session:
            intent = new_id("intent")
            values = {"session_id": "s", "caller": "owner", "status": status, "created_at": now}
            await session.execute(
                insert(IntentLogRow).values(
                    id=intent, origin="operator", kind="chat", message="", request={}, response="", **values
                )
            )
            plan = new_id("plan")
            await session.execute(
                insert(TaskRow).values(
                    id=plan, intent_id=intent, mode="MADRE", risk="HIGH", reason="", intent_name="run_process", intent={},
                    plan_hash="", response="", artifacts=[], warnings=[], **values,
                )
            )  # fmt: skip
        return plan

    async def daughter(
        self, command: str, *args: str, plan: str | None = None, confirmed: bool = False, most: int = 3, **request: Any
    ) -> str:
        daughter_id = new_id("daughter")
        spawn = SpawnRequest(command=command, args=list(args), **request)
        asked = DaughterRequest(spawn=spawn, is_confirmed=confirmed)
        values = {
            "id": daughter_id,
            "plan_id": plan or await self.plan(),
            "step_id": "s1",
            "key": daughter_id,
            "caller": "token:5",
            "request": asked.model_dump(mode="json"),
            "priority": spawn.priority.rank,
            "most_attempts": most,
            "status": "PENDING",
            "created_at": utc_now(),
        }
        async with self.db.write() as session:
            await session.execute(insert(DaughterTaskRow).values(**values))
        return daughter_id

    async def end_plan(self, daughter_id: str) -> None:
        async with self.db.write() as session:
            plan = select(DaughterTaskRow.plan_id).where(DaughterTaskRow.id == daughter_id).scalar_subquery()
            await session.execute(update(TaskRow).where(TaskRow.id == plan).values(status="CANCELLED"))

    async def halt(self, halted: bool) -> None:
        async with self.db.write() as session:
            row = await session.get(ContextRow, ("madre", "halt"))
            if row is None:
                session.add(ContextRow(scope="madre", key="halt", value={"halted": halted}, updated_at=utc_now()))
            else:
                row.value = {"halted": halted}

    async def row(self, daughter_id: str) -> DaughterTaskRow:
        async with self.db.read() as session:
            found = await session.get(DaughterTaskRow, daughter_id)
        assert found is not None
        return found

    async def when(self, daughter_id: str, is_so: Any) -> DaughterTaskRow:
        async def look() -> DaughterTaskRow | None:
            row = await self.row(daughter_id)
            return row if is_so(row) else None

        return await until(look)

    async def ended(self, daughter_id: str) -> DaughterTaskRow:
        return await self.when(daughter_id, lambda row: row.status in FINAL)

    async def heard(self, daughter_id: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            return next((one for one in self.told if one["daughter_task_id"] == daughter_id), None)

        return await until(look)


@pytest_asyncio.fixture
async def madre(state_dir, unused_tcp_port) -> AsyncIterator[Madre]:
    db = Database(f"sqlite+aiosqlite:///{state_dir / 'vx11.db'}", "madre")
    her = Madre(db, f"http://127.0.0.1:{unused_tcp_port}")
    app = FastAPI()

    @app.post("/madre/daughters/{daughter_id}/result")
    async def result(daughter_id: str, request: Request) -> Response:
        status = her.answers.pop(0) if her.answers else 204
        if status == 204:
            body = await request.json()
            assert body["daughter_task_id"] == daughter_id
            assert request.headers["x-vx11-caller"] == "spawner"
            her.told.append(body)
        if status == 404:
            gone = {"type": "/errors/daughter_not_found", "title": "", "status": 404, "detail": "no such daughter"}
            return JSONResponse(gone, 404, media_type="application/problem+json")
        return Response(status_code=status)

    server = uvicorn.Server(uvicorn.Config(app, port=unused_tcp_port, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: _started(server))
    yield her
    server.should_exit = True
    await serving
    await db.close()


async def _started(server: uvicorn.Server) -> bool | None:
    return True if server.started else None


@pytest.fixture
def spawner_of(spawner_at, madre):
    """A spawner that calls this madre."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Running]:
        settings = {"service_urls": {"madre": madre.url}, "spawner_cycle": timedelta(seconds=0.2)} | settings
        async with spawner_at(**settings) as up:
            yield up

    return start


def as_service(spawner: Running) -> dict[str, str]:
    return {"X-VX11-Token": spawner.secrets.fleet.get_secret_value(), "X-VX11-Caller": "madre"}


async def job_of(spawner: Running, madre: Madre, daughter_id: str, writes: str = "\n") -> dict[str, Any]:
    """The job that runs for a daughter, as soon as it has written something."""
    row = await madre.when(daughter_id, lambda row: row.status == "RUNNING" and row.spawn_id)
    await spawner.writing(row.spawn_id, writes)
    return await spawner.record(row.spawn_id)


async def test_a_daughter_is_found_run_and_told_back(spawner_of, madre):
    async with spawner_of() as spawner:
        daughter = await madre.daughter("python3", "-c", "print(6*7)", name="answer")
        told = await madre.heard(daughter)
        assert (told["status"], told["attempts"], told["fence"], told["error"]) == ("DONE", 1, 1, None)
        row = await madre.when(daughter, lambda row: row.reported_at is not None)
        assert (row.status, row.lease_by, row.lease_until) == ("DONE", None, None)
        spawn = row.result["spawn"]
        assert (spawn["stdout"], spawn["exit_code"], spawn["spawn_id"]) == ("42\n", 0, row.spawn_id)
        record = await spawner.record(row.spawn_id)
        assert (record["daughter_task_id"], record["caller"], record["name"]) == (daughter, "token:5", "answer")
        listed = await spawner.http.get(f"/spawner/spawn/list?daughter_task_id={daughter}")
        assert [one["spawn_id"] for one in listed.json()["items"]] == [row.spawn_id]


async def test_a_wake_makes_her_run_at_once(spawner_of, madre):
    async with spawner_of(spawner_cycle=timedelta(hours=1)) as spawner:
        await spawner.run("true")
        daughter = await madre.daughter("true")
        answer = await spawner.http.post("/spawner/daughters/wake", headers=as_service(spawner))
        assert answer.status_code == 204
        assert (await madre.ended(daughter)).status == "DONE"


async def test_only_services_reach_daughters(spawner_of, madre):
    async with spawner_of() as spawner:
        for path in ("wake", "halt", "daughter_1/cancel"):
            problem(await spawner.http.post(f"/spawner/daughters/{path}"), 403, "forbidden")
        answer = await spawner.http.post("/spawner/daughters/daughter_1/cancel", headers=as_service(spawner))
        problem(answer, 404, "daughter_not_found")


async def test_one_that_fails_is_told_with_what_happened_and_is_not_run_again(spawner_of, madre):
    async with spawner_of():
        daughter = await madre.daughter("sh", "-c", "echo no >&2; exit 3")
        row = await madre.ended(daughter)
        assert (row.status, row.attempts, row.error) == ("ERROR", 1, "it ended with exit code 3")
        assert row.result["spawn"]["stderr"] == "no\n"


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("./x", {}, "relative path"),
        ("true", {"max_memory_mb": 1_000_000}, "4096"),
        ("true", {"project": "none"}, "no project"),
        ("true", {"network": "full"}, "confirmed"),
    ],
)
async def test_one_that_may_not_be_run_is_refused_and_told(spawner_of, madre, command, options, said):
    async with spawner_of() as spawner:
        daughter = await madre.daughter(command, **options)
        told = await madre.heard(daughter)
        assert told["status"] == "ERROR"
        assert said in told["error"]
        row = await madre.ended(daughter)
        record = await spawner.record(row.spawn_id)
        assert (record["status"], record["reason"], record["started_at"]) == ("ERROR", "refused", None)
        assert len(await spawner.audit("grant_refused")) == ("network" in options)


async def test_network_is_for_plans_that_were_confirmed(spawner_of, madre):
    async with spawner_of() as spawner:
        row = await madre.ended(await madre.daughter("true", network="full", confirmed=True))
        assert (row.status, row.result["spawn"]["network"]) == ("DONE", "full")
        assert [one["caller"] for one in await spawner.audit("network_allowed")] == ["token:5"]


async def test_daughters_run_by_priority_then_age_among_other_jobs(spawner_of, madre):
    async with spawner_of(spawner_concurrency=1) as spawner:
        blocker = await spawner.spawn("sleep", "60")
        await spawner.when(blocker["spawn_id"], lambda job: job["status"] == "RUNNING")
        low = await madre.daughter("true", priority="BACKGROUND")
        high = await madre.daughter("true", priority="SYSTEM_CRITICAL")
        queue = spawner.app.state.queue

        async def both_wait():
            return True if queue.waiting == 2 else None

        await until(both_wait)
        between = await spawner.spawn("true", priority="BATCH_PROCESSING")
        await spawner.http.post(f"/spawner/spawn/{blocker['spawn_id']}/kill")
        rows = [await madre.ended(one) for one in (low, high)]
        record = await spawner.finished(between["spawn_id"])
        times = {"low": rows[0].result["spawn"]["started_at"], "high": rows[1].result["spawn"]["started_at"]}
        assert times["high"] < record["started_at"] < times["low"]


async def test_a_cancelled_one_that_waits_never_runs(spawner_of, madre):
    async with spawner_of(spawner_concurrency=1) as spawner:
        await spawner.spawn("sleep", "60")
        daughter = await madre.daughter("true")
        answer = await spawner.http.post(f"/spawner/daughters/{daughter}/cancel", headers=as_service(spawner))
        assert answer.status_code == 204
        row = await madre.row(daughter)
        assert (row.status, row.spawn_id, row.attempts) == ("CANCELLED", None, 0)
        assert (await madre.heard(daughter))["status"] == "CANCELLED"
        again = await spawner.http.post(f"/spawner/daughters/{daughter}/cancel", headers=as_service(spawner))
        assert again.status_code == 204


async def test_a_cancelled_one_that_runs_is_killed(spawner_of, madre):
    async with spawner_of() as spawner:
        daughter = await madre.daughter("sh", "-c", "echo up; sleep 60")
        job = await job_of(spawner, madre, daughter)
        await spawner.http.post(f"/spawner/daughters/{daughter}/cancel", headers=as_service(spawner))
        row = await madre.row(daughter)
        assert (row.status, row.result["spawn"]["reason"]) == ("CANCELLED", "killed")
        record = await spawner.record(job["spawn_id"])
        assert (record["status"], record["detail"]) == ("CANCELLED", "cancelled by madre")
        assert (await madre.heard(daughter))["status"] == "CANCELLED"


async def test_a_killed_job_ends_its_daughter(spawner_of, madre, monkeypatch):
    monkeypatch.setattr("spawner.service.KILL_PATIENCE_SECONDS", 3600)  # the answer comes with her end, not with that
    async with spawner_of() as spawner:
        daughter = await madre.daughter("sh", "-c", "echo up; sleep 60")
        job = await job_of(spawner, madre, daughter)
        async with asyncio.timeout(PATIENCE_SECONDS):
            killed = await spawner.http.post(f"/spawner/spawn/{job['spawn_id']}/kill")
        assert killed.json()["status"] == "CANCELLED"
        row = await madre.ended(daughter)
        assert (row.status, row.attempts, row.error) == ("CANCELLED", 1, "killed: killed by owner")


async def test_a_daughter_of_a_plan_that_ended_does_not_run(spawner_of, madre):
    async with spawner_of(spawner_lease=timedelta(seconds=0.6)) as spawner:
        running = await madre.daughter("sh", "-c", "echo up; sleep 60")
        job = await job_of(spawner, madre, running)
        await madre.end_plan(running)
        assert (await madre.ended(running)).status == "CANCELLED"
        assert (await spawner.record(job["spawn_id"]))["detail"] == "its plan has ended"
        late = await madre.daughter("true", plan=(await madre.row(running)).plan_id)
        row = await madre.ended(late)
        assert (row.status, row.spawn_id) == ("CANCELLED", None)


async def test_a_halt_kills_and_the_resume_runs_them_again_without_counting(spawner_of, madre):
    async with spawner_of() as spawner:
        daughter = await madre.daughter("sh", "-c", "echo up; sleep 60", most=1)
        first = await job_of(spawner, madre, daughter)
        await madre.halt(True)
        answer = await spawner.http.post("/spawner/daughters/halt", headers=as_service(spawner))
        assert answer.status_code == 204
        row = await madre.row(daughter)
        assert (row.status, row.attempts, row.fence) == ("PENDING", 0, 1)
        record = await spawner.record(first["spawn_id"])
        assert (record["status"], record["detail"]) == ("CANCELLED", "the fleet was halted")
        late = await madre.daughter("true")
        await spawner.app.state.daughters._offer()
        assert spawner.app.state.queue.waiting == 0
        assert (await madre.row(late)).status == "PENDING"
        await madre.halt(False)
        second = await job_of(spawner, madre, daughter)
        assert second["spawn_id"] != first["spawn_id"]
        assert ((await madre.row(daughter)).fence, second["attempt"]) == (2, 1)
        assert (await madre.ended(late)).status == "DONE"
        assert await madre.row(daughter) is not None
        assert madre.told == [] or all(one["daughter_task_id"] == late for one in madre.told)


async def test_a_halt_that_spawner_was_not_told_of_is_noticed(spawner_of, madre):
    async with spawner_of(spawner_lease=timedelta(seconds=0.6)) as spawner:
        daughter = await madre.daughter("sh", "-c", "echo up; sleep 60")
        await job_of(spawner, madre, daughter)
        await madre.halt(True)
        row = await madre.when(daughter, lambda row: row.status == "PENDING")
        assert row.attempts == 0


async def test_leases_are_renewed_for_as_long_as_she_runs(spawner_of, madre):
    async with spawner_of(spawner_lease=timedelta(seconds=0.9)) as spawner:
        daughter = await madre.daughter("sh", "-c", "echo up; sleep 60")
        await job_of(spawner, madre, daughter)
        first = (await madre.row(daughter)).lease_until
        row = await madre.when(daughter, lambda row: row.lease_until > first + timedelta(seconds=2))
        assert (row.status, row.fence) == ("RUNNING", 1)


async def test_a_late_worker_writes_nothing_and_its_job_is_killed(spawner_of, madre, state_dir):
    other = Database(f"sqlite+aiosqlite:///{state_dir / 'vx11.db'}", "spawner")
    async with spawner_of(spawner_lease=timedelta(seconds=1.5)) as spawner:
        daughter = await madre.daughter("sh", "-c", "echo up; sleep 60")
        job = await job_of(spawner, madre, daughter)
        async with other.write() as session:  # another worker has thought ours lost, and taken her
            taken = {"fence": 2, "lease_by": "other", "lease_until": utc_now() + timedelta(hours=1)}
            await session.execute(update(DaughterTaskRow).where(DaughterTaskRow.id == daughter).values(**taken))
        record = await spawner.finished(job["spawn_id"])
        assert (record["status"], record["reason"]) == ("CANCELLED", "killed")
        assert "another worker" in record["detail"]
        row = await madre.row(daughter)
        assert (row.status, row.fence, row.lease_by, row.result) == ("RUNNING", 2, "other", None)
        assert madre.told == []
    await other.close()


async def test_the_end_of_a_late_worker_changes_nothing(spawner_of, madre, state_dir):
    other = Database(f"sqlite+aiosqlite:///{state_dir / 'vx11.db'}", "spawner")
    async with spawner_of() as spawner:  # a lease that is long: it does not look before its job has ended
        daughter = await madre.daughter("sh", "-c", "echo up; until [ -e go ]; do sleep 0.01; done; echo late")
        job = await job_of(spawner, madre, daughter)
        async with other.write() as session:
            taken = {"fence": 2, "lease_by": "other", "lease_until": utc_now() + timedelta(hours=1)}
            await session.execute(update(DaughterTaskRow).where(DaughterTaskRow.id == daughter).values(**taken))
        (spawner.app.state.folders.job(job["spawn_id"]) / "go").touch()
        assert (await spawner.finished(job["spawn_id"]))["status"] == "DONE"
        row = await madre.row(daughter)
        assert (row.status, row.fence, row.result) == ("RUNNING", 2, None)
    await other.close()


async def lose(madre: Madre, state_dir: Any, daughter_id: str, by: str, attempts: int) -> None:
    """Leave her as a worker leaves her that was killed."""
    db = Database(f"sqlite+aiosqlite:///{state_dir / 'vx11.db'}", "spawner")
    held = {"status": "RUNNING", "lease_by": by, "attempts": attempts, "fence": attempts}
    held["lease_until"] = utc_now() - timedelta(seconds=1)
    async with db.write() as session:
        await session.execute(update(DaughterTaskRow).where(DaughterTaskRow.id == daughter_id).values(**held))
    await db.close()


async def test_one_whose_lease_ran_out_is_taken_over_until_she_was_lost_too_often(spawner_of, madre, state_dir):
    again, enough = await madre.daughter("true", most=2), await madre.daughter("true", most=2)
    await lose(madre, state_dir, again, "other", 1)
    await lose(madre, state_dir, enough, "other", 2)
    async with spawner_of():
        row = await madre.ended(again)
        assert (row.status, row.attempts, row.fence) == ("DONE", 2, 2)
        row = await madre.ended(enough)
        assert (row.status, row.attempts, row.spawn_id) == ("ERROR", 2, None)
        assert "lost" in (await madre.heard(enough))["error"]


async def test_a_restart_runs_her_again(spawner_of, madre):
    async with spawner_of() as spawner:
        daughter = await madre.daughter("sh", "-c", "echo up; sleep 60", most=1)
        first = await job_of(spawner, madre, daughter)
    row = await madre.row(daughter)
    assert (row.status, row.attempts) == ("PENDING", 0)
    async with spawner_of() as spawner:
        assert (await spawner.record(first["spawn_id"]))["reason"] == "lost"
        second = await job_of(spawner, madre, daughter)
        assert second["spawn_id"] != first["spawn_id"]


async def test_what_was_lost_with_a_killed_spawner_counts_as_an_attempt(spawner_of, madre, state_dir):
    daughter, last = await madre.daughter("true", most=2), await madre.daughter("true", most=1)
    async with spawner_of(spawner_cycle=timedelta(hours=1)) as spawner:
        await madre.halt(True)
        worker = spawner.app.state.daughters._worker
    await lose(madre, state_dir, daughter, worker, 1)
    await lose(madre, state_dir, last, worker, 1)
    async with spawner_of():
        assert (await madre.ended(last)).error.startswith("lost")
        assert (await madre.row(daughter)).status == "PENDING"
        await madre.halt(False)
        row = await madre.ended(daughter)
        assert (row.status, row.attempts) == ("DONE", 2)


@pytest.mark.parametrize("faults", [[503, 500], [400]])
async def test_madre_is_told_until_she_has_heard(spawner_of, madre, faults):
    madre.answers = list(faults)
    async with spawner_of():
        daughter = await madre.daughter("true")
        await madre.heard(daughter)
        await madre.when(daughter, lambda row: row.reported_at is not None)
        assert madre.answers == []
        assert len(madre.told) == 1


async def test_a_daughter_that_madre_does_not_know_any_more_counts_as_told(spawner_of, madre):
    madre.answers = [404]
    async with spawner_of():
        daughter = await madre.daughter("true")
        await madre.when(daughter, lambda row: row.reported_at is not None)
        assert (madre.told, madre.answers) == ([], [])


async def test_what_could_not_be_told_is_told_after_a_restart(spawner_of, madre, unused_tcp_port_factory):
    nobody = f"http://127.0.0.1:{unused_tcp_port_factory()}"
    async with spawner_of(service_urls={"madre": nobody}):
        daughter = await madre.daughter("true")
        await madre.ended(daughter)
    assert (await madre.row(daughter)).reported_at is None
    async with spawner_of():
        assert (await madre.heard(daughter))["status"] == "DONE"


async def test_a_request_that_cannot_be_read_ends_her(spawner_of, madre, state_dir):
    async with spawner_of(spawner_concurrency=1) as spawner:
        await spawner.run("true")
        daughter = new_id("daughter")
        values = {"id": daughter, "plan_id": await madre.plan(), "step_id": "s1", "key": daughter, "caller": "owner"}
        async with madre.db.write() as session:
            await session.execute(
                insert(DaughterTaskRow).values(request={"spawn": {}}, status="PENDING", created_at=utc_now(), **values)
            )
        row = await madre.ended(daughter)
        assert (row.status, row.error) == ("ERROR", "her request cannot be read: 1 fields")
