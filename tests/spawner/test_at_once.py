"""Jobs that find a free place run from the moment they are let in."""

import pytest
from sqlalchemy import text


@pytest.mark.parametrize(
    "request_",
    [
        {"command": "true"},
        {"command": "sh", "args": ["-c", "echo out; echo err >&2; echo a > left; exit 3"], "artifacts": ["left"]},
        {"command": "sh", "args": ["-c", "kill -KILL $$"], "name": "x"},
        {"command": "sleep", "args": ["60"], "timeout_seconds": 0.2, "priority": "BACKGROUND", "ttl_seconds": 60},
        {"command": "sh", "args": ["-c", "printf 'a\\0b'"], "max_cpu_seconds": 5},
    ],
)
async def test_whoever_waits_is_told_what_the_record_says(spawner_at, request_):
    async with spawner_at() as spawner:
        answer = await spawner.http.post("/spawner/spawn", json=request_ | {"wait_seconds": 30})

        assert answer.status_code == 200
        assert answer.json() == await spawner.record(answer.json()["spawn_id"])


async def test_one_that_never_began_has_another_turn_after_a_restart_and_one_that_began_is_lost(spawner_at):
    async with spawner_at(spawner_concurrency=1) as spawner:
        ran = await spawner.spawn("sh", "-c", "echo begun; sleep 60")
        await spawner.writing(ran["spawn_id"])
        waits = await spawner.spawn("cat", stdin="mine")
        async with spawner.app.state.ground.db.write() as session:  # as a kill between the two would leave it
            await session.execute(
                text("UPDATE spawns SET status = 'RUNNING' WHERE id = :id"), {"id": waits["spawn_id"]}
            )
    async with spawner_at(spawner_concurrency=1) as spawner:
        record = await spawner.finished(waits["spawn_id"])
        assert (record["status"], record["stdout"], record["attempt"]) == ("DONE", "mine", 1)
        assert (await spawner.record(ran["spawn_id"]))["reason"] == "lost"


async def test_one_that_comes_while_others_wait_does_not_overtake_them(spawner_at):
    async with spawner_at(spawner_concurrency=1) as spawner:
        first = await spawner.spawn("sh", "-c", "echo begun; sleep 60")
        await spawner.writing(first["spawn_id"])
        waiting = [await spawner.spawn("true") for _ in range(3)]
        await spawner.http.post(f"/spawner/spawn/{first['spawn_id']}/kill")
        last = await spawner.run("true")
        for one in waiting:
            assert (await spawner.record(one["spawn_id"]))["finished_at"] <= last["started_at"]
