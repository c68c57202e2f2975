"""A job from the request to its record."""

import asyncio

import pytest
from sqlalchemy import text

from tests.spawner.conftest import problem


async def test_a_job_is_run_and_its_record_tells_how_it_went(spawner_at):
    async with spawner_at() as spawner:
        record = await spawner.python("import sys; print(6*7); print('oh', file=sys.stderr)", name="answer")
        assert record["status"] == "DONE", record
        assert (record["reason"], record["exit_code"], record["signal"]) == ("exited", 0, None)
        assert (record["stdout"], record["stderr"]) == ("42\n", "oh\n")
        assert (record["stdout_bytes"], record["stderr_bytes"], record["truncated"]) == (3, 3, False)
        assert record["queued_at"] <= record["started_at"] <= record["finished_at"] < record["expires_at"]
        assert record["peak_memory_bytes"] > 0
        assert record["cpu_seconds"] >= 0
        assert set(record["protections"]) == {
            "fs", "net", "pid", "user", "seccomp", "mem", "pids", "kill", "orphan",
        }  # fmt: skip
        assert record["caller"] == "owner"
        assert record["limits"]["timeout_seconds"] == 60


async def test_without_waiting_the_record_comes_at_once_and_the_job_follows(spawner_at):
    async with spawner_at() as spawner:
        record = await spawner.spawn("cat", stdin="hello")
        assert record["status"] in ("PENDING", "RUNNING")
        assert (await spawner.finished(record["spawn_id"]))["stdout"] == "hello"
        for path in ("/spawner/spawn/{}", "/spawn/{}", "/spawn/{}/status"):
            again = await spawner.http.get(path.format(record["spawn_id"]))
            assert again.json()["stdout"] == "hello"


async def test_a_failure_is_told_as_it_was(spawner_at):
    async with spawner_at() as spawner:
        failed, timed_out = await asyncio.gather(
            spawner.python("import sys; sys.exit(3)"),
            spawner.run("sleep", "60", timeout_seconds=0.5),
        )
        assert (failed["status"], failed["reason"], failed["exit_code"]) == ("ERROR", "exited", 3)
        assert (timed_out["status"], timed_out["reason"], timed_out["exit_code"]) == ("ERROR", "timeout", None)


async def test_files_environment_and_folder_are_what_was_asked_for(spawner_at):
    script = """
import os
print(open('in/a.txt').read(), open('b').read(), os.environ['GREETING'], os.getcwd(), os.access('run.sh', os.X_OK))
"""
    files = [
        {"path": "in/a.txt", "content": "ñ"},
        {"path": "b", "content_base64": "Qg=="},
        {"path": "run.sh", "content": "#!/bin/sh\n", "executable": True},
    ]
    async with spawner_at() as spawner:
        record = await spawner.python(script, files=files, env={"GREETING": "¡hola!"})
        assert record["stdout"] == "ñ B ¡hola! /job True\n"


async def test_what_is_private_in_a_request_is_forgotten_at_the_end(spawner_at):
    secret = "very-private-9f2c"
    async with spawner_at() as spawner:
        files = [{"path": "f", "content": f"{secret}-file"}]
        record = await spawner.run("true", env={"KEY": f"{secret}-env"}, stdin=f"{secret}-in", files=files)
        assert record["status"] == "DONE"
        async with spawner.app.state.ground.db.read() as session:
            rows = (await session.execute(text("SELECT * FROM spawns"))).all()
            audit = (await session.execute(text("SELECT * FROM audit_log"))).all()
    assert "KEY" in str(rows)
    assert secret not in str(rows) + str(audit)


async def test_the_same_key_gives_the_same_job_and_another_body_a_conflict(spawner_at):
    async with spawner_at() as spawner:
        headers = {"Idempotency-Key": "k1"}
        one, two = await asyncio.gather(
            *(spawner.spawn("echo", "once", headers=headers, wait_seconds=20) for _ in range(2))
        )
        assert one["spawn_id"] == two["spawn_id"]
        later = await spawner.run("echo", "once", headers=headers, wait_seconds=20)
        assert (later["spawn_id"], later["stdout"]) == (one["spawn_id"], "once\n")
        answer = await spawner.http.post("/spawner/spawn", json={"command": "true"}, headers=headers)
        problem(answer, 409, "idempotency_conflict")
        jobs = (await spawner.http.get("/spawner/spawn/list")).json()["items"]
        assert len(jobs) == 1


async def test_jobs_are_listed_newest_first_by_page_and_filter(spawner_at):
    async with spawner_at() as spawner:
        ids = [(await spawner.run("true" if n else "false", name=f"job{n}"))["spawn_id"] for n in range(3)]
        first = (await spawner.http.get("/spawner/spawn/list?limit=2")).json()
        rest = (await spawner.http.get(f"/spawner/spawn/list?limit=2&cursor={first['next_cursor']}")).json()
        assert [one["spawn_id"] for one in first["items"] + rest["items"]] == ids[::-1]
        assert rest["next_cursor"] is None
        for query, found in (
            ("status=ERROR", ids[:1]),
            ("status=DONE&name=job2", ids[2:]),
            ("name=job", []),
            ("caller=owner", ids[::-1]),
            ("caller=switch", []),
            ("daughter_task_id=none", []),
        ):
            page = (await spawner.http.get(f"/spawner/spawn/list?{query}")).json()
            assert [one["spawn_id"] for one in page["items"]] == found, query


async def test_callers_see_and_kill_their_own_jobs_only(spawner_at):
    async with spawner_at() as spawner:
        fleet = spawner.secrets.fleet.get_secret_value()

        def as_(caller, scopes="spawner:read spawner:write"):
            return {"X-VX11-Token": fleet, "X-VX11-Caller": caller, "X-VX11-Scopes": scopes}

        mine = await spawner.spawn("sleep", "60", headers=as_("token:1"))
        path = f"/spawner/spawn/{mine['spawn_id']}"
        for way in ("", "/status", "/logs", "/events", "/artifacts", "/artifacts/x", "/samples"):
            problem(await spawner.http.get(path + way, headers=as_("token:2")), 404, "spawn_not_found")
        problem(await spawner.http.post(path + "/kill", headers=as_("token:2")), 404, "spawn_not_found")
        problem(await spawner.http.post(path + "/kill", headers=as_("token:1", "spawner:read")), 403, "forbidden")
        body = {"command": "true"}
        refused = await spawner.http.post("/spawner/spawn", json=body, headers=as_("token:1", "spawner:read"))
        problem(refused, 403, "forbidden")
        assert (await spawner.http.get("/spawner/spawn/list", headers=as_("token:2"))).json()["items"] == []
        theirs = await spawner.http.get("/spawner/spawn/list?caller=token:1", headers=as_("token:2"))
        assert theirs.json()["items"] == []
        killed = await spawner.http.post(path + "/kill", headers=as_("token:1"))
        assert (killed.json()["status"], killed.json()["reason"]) == ("CANCELLED", "killed")
        assert [row["caller"] for row in await spawner.audit("spawn_killed")] == ["token:1"]


async def test_a_job_that_has_ended_stays_as_it_is_when_killed(spawner_at):
    async with spawner_at() as spawner:
        record = await spawner.run("true")
        answer = await spawner.http.post(f"/spawner/spawn/{record['spawn_id']}/kill")
        assert (answer.status_code, answer.json()) == (200, record)


@pytest.mark.parametrize("path", ["", "/status", "/logs", "/events", "/artifacts", "/artifacts/a", "/samples"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_that_never_was_is_not_found(shared, path):
    problem(await shared.http.get(f"/spawner/spawn/spawn_0{path}"), 404, "spawn_not_found")


async def test_what_a_job_uses_is_measured_while_it_runs(spawner_at):
    async with spawner_at() as spawner:
        record = await spawner.python("import time; x = bytearray(50_000_000); time.sleep(2.5)")
        page = (await spawner.http.get(f"/spawner/spawn/{record['spawn_id']}/samples?limit=1")).json()
        assert len(page["items"]) == 1
        assert page["items"][0]["processes"] >= 1
        rest = await spawner.http.get(f"/spawner/spawn/{record['spawn_id']}/samples?cursor={page['next_cursor']}")
        assert max(one["memory_bytes"] for one in rest.json()["items"]) > 40_000_000


@pytest.mark.usefixtures("found_anew")
async def test_health_and_protections_tell_what_works_here(spawner_at):
    async with spawner_at() as spawner:
        health = (await spawner.http.get("/health")).json()
        assert set(health["checks"]) == {"database", "sandbox", "queue", "disk", "halt"}
        report = (await spawner.http.get("/spawner/protections")).json()
        assert report["rung"] in [rung["name"] for rung in report["rungs"]]
        record = await spawner.run("true")
        assert record["protections"] == report["protections"]
