"""A halt of the fleet stops direct jobs too: what runs is killed, what waits waits on, and nothing new is taken."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from config.clock import utc_now
from config.database import Database
from config.db_schema import ContextRow
from tests.spawner.conftest import Running, problem, until

SINCE = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
CYCLE = timedelta(seconds=0.2)
NEVER = timedelta(hours=1)
"""A cycle in which spawner learns of a halt only by being told."""


class Fleet:
    """Madre's row, as she writes it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def halt(self, *, by: str = "owner", reason: str | None = "smoke") -> None:
        await self._write({"halted": True, "since": SINCE.isoformat(), "by": by, "reason": reason})

    async def resume(self) -> None:
        await self._write({"halted": False, "since": None, "by": None, "reason": None})

    async def _write(self, value: dict[str, Any]) -> None:
        async with self._db.write() as session:
            await session.merge(ContextRow(scope="madre", key="halt", value=value, updated_at=utc_now()))


@pytest_asyncio.fixture
async def fleet(state_dir) -> AsyncIterator[Fleet]:
    db = Database(f"sqlite+aiosqlite:///{state_dir / 'vx11.db'}", "madre")
    yield Fleet(db)
    await db.close()


async def tell_of_the_halt(spawner: Running) -> None:
    headers = {"X-VX11-Token": spawner.secrets.fleet.get_secret_value(), "X-VX11-Caller": "madre"}
    assert (await spawner.http.post("/spawner/daughters/halt", headers=headers)).status_code == 204


async def halt_check(spawner: Running) -> dict[str, Any]:
    check: dict[str, Any] = (await spawner.http.get("/health")).json()["checks"]["halt"]
    return check


async def running_job(spawner: Running, **request: Any) -> str:
    job = await spawner.spawn("sh", "-c", "echo up; sleep 600", **request)
    await spawner.writing(job["spawn_id"], "up\n")
    return str(job["spawn_id"])


@pytest.mark.parametrize(
    ("by", "reason", "said"),
    [
        ("owner", "smoke", "halted by owner since 2026-11-22 05:00:00 UTC: smoke; `vx11 resume`"),
        ("token:3", None, "halted by token:3 since 2026-11-22 05:00:00 UTC; `vx11 resume`"),
        ("owner", "", "halted by owner since 2026-11-22 05:00:00 UTC; `vx11 resume`"),
    ],
)
async def test_while_it_lasts_nothing_is_taken_or_kept_and_the_answer_says_who_halted(
    spawner_at, fleet, by, reason, said
):
    async with spawner_at(spawner_cycle=NEVER) as spawner:
        key = {"Idempotency-Key": "once"}
        before = await spawner.run("echo", "before", headers={"Idempotency-Key": "before"}, wait_seconds=0)
        await fleet.halt(by=by, reason=reason)
        answer = await spawner.http.post("/spawner/spawn", json={"command": "true"}, headers=key)
        assert said in problem(answer, 409, "fleet_halted")["detail"]
        assert [one["subject"] for one in await spawner.audit("spawn_accepted")] == [f"spawn:{before['spawn_id']}"]
        assert len((await spawner.http.get("/spawner/spawn/list")).json()["items"]) == 1
        body = {"command": "echo", "args": ["before"], "wait_seconds": 0}
        same = await spawner.http.post("/spawner/spawn", json=body, headers={"Idempotency-Key": "before"})
        assert (same.status_code, same.json()["spawn_id"]) == (200, before["spawn_id"])
        await fleet.resume()
        assert (await spawner.run("true", headers=key))["status"] == "DONE"


async def test_it_kills_what_runs_and_what_waits_runs_after_the_resume(spawner_at, fleet):
    async with spawner_at(spawner_concurrency=1, spawner_queue_limit=2, spawner_cycle=CYCLE) as spawner:
        running = await running_job(spawner, retries=3)
        waiting = [await spawner.spawn("echo", f"{n}") for n in range(2)]
        assert (await halt_check(spawner)) == {"status": "ok", "detail": "not halted"}
        await fleet.halt()
        await tell_of_the_halt(spawner)
        killed = await spawner.record(running)
        assert (killed["status"], killed["reason"], killed["detail"]) == ("CANCELLED", "killed", "the fleet was halted")
        assert (killed["attempt"], killed["stdout"]) == (1, "up\n")
        check = await halt_check(spawner)
        assert (check["status"], check["detail"]) == (
            "degraded",
            "halted by owner since 2026-11-22 05:00:00 UTC: smoke",
        )
        full = await spawner.http.post("/spawner/spawn", json={"command": "true"})
        problem(full, 409, "fleet_halted")
        await spawner.app.state.daughters._offer()
        assert [(await spawner.record(job["spawn_id"]))["status"] for job in waiting] == ["PENDING", "PENDING"]
        assert (await spawner.http.get("/health")).json()["checks"]["queue"]["detail"] == "0 running, 2 waiting"
        await fleet.resume()
        ended = [await spawner.finished(job["spawn_id"]) for job in waiting]
        assert [(job["status"], job["stdout"], job["attempt"]) for job in ended] == [
            ("DONE", "0\n", 1),
            ("DONE", "1\n", 1),
        ]
        assert (await halt_check(spawner))["status"] == "ok"
        assert (await spawner.run("true"))["status"] == "DONE"


async def test_one_that_waits_can_be_killed_meanwhile(spawner_at, fleet):
    async with spawner_at(spawner_concurrency=1, spawner_cycle=NEVER) as spawner:
        await running_job(spawner)
        waiting = await spawner.spawn("true")
        await fleet.halt()
        await tell_of_the_halt(spawner)
        killed = (await spawner.http.post(f"/spawner/spawn/{waiting['spawn_id']}/kill")).json()
        assert (killed["status"], killed["detail"]) == ("CANCELLED", "killed by owner")


async def test_a_halt_that_nobody_told_of_is_noticed(spawner_at, fleet):
    async with spawner_at(spawner_cycle=CYCLE) as spawner:
        running = await running_job(spawner)
        await fleet.halt()
        assert (await spawner.finished(running))["detail"] == "the fleet was halted"
        assert (await halt_check(spawner))["status"] == "degraded"


async def test_one_whose_turn_comes_before_the_halt_is_noticed_waits_too(spawner_at, fleet):
    async with spawner_at(spawner_concurrency=1, spawner_cycle=NEVER) as spawner:
        await spawner.run("true")  # its first look at the row is over
        running = await running_job(spawner)
        waiting = await spawner.spawn("echo", "late")
        await fleet.halt()
        assert (await spawner.http.post(f"/spawner/spawn/{running}/kill")).json()["detail"] == "killed by owner"

        async def paused():
            return True if spawner.app.state.queue.is_paused else None

        await until(paused)
        assert (await spawner.record(waiting["spawn_id"]))["status"] == "PENDING"

        async def waits():
            return True if spawner.app.state.queue.waiting == 1 else None

        await until(waits)
        await fleet.resume()
        spawner.app.state.daughters.wake()
        assert (await spawner.finished(waiting["spawn_id"]))["stdout"] == "late\n"


async def test_a_spawner_that_was_down_at_the_halt_starts_nothing_until_the_resume(spawner_at, fleet):
    async with spawner_at(spawner_concurrency=1) as spawner:
        again = await running_job(spawner, retries=1)
        waiting = await spawner.spawn("echo", "waited")
    await fleet.halt()
    async with spawner_at(spawner_concurrency=1, spawner_cycle=CYCLE) as spawner:
        check = await halt_check(spawner)
        assert (check["status"], "smoke" in check["detail"]) == ("degraded", True)
        problem(await spawner.http.post("/spawner/spawn", json={"command": "true"}), 409, "fleet_halted")
        await spawner.app.state.daughters._offer()
        for spawn_id in (again, waiting["spawn_id"]):
            assert (await spawner.record(spawn_id))["status"] == "PENDING"
        await fleet.resume()
        await spawner.when(again, lambda job: (job["status"], job["attempt"]) == ("RUNNING", 2))
        await spawner.http.post(f"/spawner/spawn/{again}/kill")
        assert (await spawner.finished(waiting["spawn_id"]))["stdout"] == "waited\n"


async def test_a_second_halt_finds_nothing_to_end_and_many_at_once_are_one(spawner_at, fleet):
    async with spawner_at(spawner_cycle=NEVER) as spawner:
        running = [await running_job(spawner) for _ in range(2)]
        await fleet.halt()
        await asyncio.gather(*(tell_of_the_halt(spawner) for _ in range(3)))
        records = [await spawner.record(one) for one in running]
        assert {record["detail"] for record in records} == {"the fleet was halted"}
        await tell_of_the_halt(spawner)
        assert [await spawner.record(one) for one in running] == records
