"""Processes: asked for by chat or by parameters, confirmed, run by spawner, answered; halted, cancelled and found again."""

import asyncio
import sqlite3

import httpx
import pytest
from sqlalchemy import select

from config.contracts.common import StatusEnum
from config.contracts.spawner import DaughterResult, Reason
from config.db_schema import PlanEventRow
from tests.fakes.spawner import asked_paths
from tests.madre.test_reach import limited

PRINTS = "python3 -c 'print(6*7)'"
NOISY = "python3 -c 'import sys; print(1); print(\"oh no\", file=sys.stderr); sys.exit(3)'"


async def chat(madre, message: str, **more) -> dict:
    reply = await madre.post("/madre/chat", json={"message": message, **more})
    assert reply.status_code in (200, 202), reply.text
    return reply.json()


async def confirm(madre, asked: dict) -> str:
    token = {"confirm_token": asked["confirmation"]["confirm_token"]}
    reply = await madre.post(f"/madre/plans/{asked['plan_id']}/confirm", json=token)
    assert reply.status_code == 200, reply.text
    return asked["plan_id"]


async def ended(madre, plan_id: str) -> dict:
    async with asyncio.timeout(60), madre.stream("GET", f"/madre/plans/{plan_id}/events") as events:
        async for _ in events.aiter_lines():
            pass
    return (await madre.get(f"/madre/plans/{plan_id}")).json()


async def until(spawner, plan_id: str, event: str) -> None:
    """Wait until the plan has come to this event."""
    found = select(PlanEventRow.seq).where(PlanEventRow.plan_id == plan_id, PlanEventRow.event == event)
    async with asyncio.timeout(60):
        while True:
            async with spawner.db.read() as session:
                if await session.scalar(found):
                    return
            await asyncio.sleep(0.01)


async def a_running_daughter(madre, spawner, command: str = "sleep 60") -> str:
    plan_id = await confirm(madre, await chat(madre, f"run `{command}`"))
    async with asyncio.timeout(60):
        while not spawner.running:
            await asyncio.sleep(0.01)
    return plan_id


@pytest.mark.parametrize(
    "message", [f"ejecuta `{PRINTS}`", f"run `{PRINTS}`", f"run “{PRINTS}”", f"ejecuta «{PRINTS}»"]
)
async def test_a_quoted_command_is_shown_confirmed_run_and_answered(madre, spawner, message):
    asked = await chat(madre, message)
    assert (asked["status"], asked["risk"]) == ("WAITING", "HIGH")
    assert "print(6*7)" in asked["question"]
    assert await spawner.rows() == []
    plan = await ended(madre, await confirm(madre, asked))
    assert plan["status"] == "DONE", plan
    assert "42" in plan["response"]
    (step,) = plan["steps"]
    assert (step["type"], step["operation"], step["status"]) == ("SPAWN_DAUGHTER", "spawner:run", "DONE")
    assert step["params"] == {"name": "python3", "command": "python3", "args": ["-c", "print(6*7)"]}
    assert (plan["result"]["exit_code"], plan["result"]["stdout"], plan["result"]["reason"]) == (0, "42\n", "exited")
    (row,) = await spawner.rows()
    assert (row.caller, row.plan_id, row.key) == ("owner", plan["plan_id"], f"{plan['plan_id']}:s1")
    assert row.request["is_confirmed"] is True
    assert plan["result"]["spawn_id"] in spawner.jobs


async def test_the_answer_names_the_files_that_were_left(madre):
    params = {"command": "true", "artifacts": ["out/*"]}
    plan = await ended(madre, await confirm(madre, await chat(madre, "run a command", params=params)))
    assert plan["result"]["artifacts"] == [{"path": "out.txt", "size_bytes": 3, "sha256": "0" * 64}]
    assert "out.txt" in plan["response"]


@pytest.mark.parametrize(("word", "code"), [("ejecuta", "código 3"), ("run", "code 3")])
async def test_a_process_that_fails_fails_its_plan_with_its_code_and_its_last_words(madre, word, code):
    plan = await ended(madre, await confirm(madre, await chat(madre, f"{word} `{NOISY}`")))
    assert plan["status"] == "ERROR"
    assert code in plan["response"]
    assert "oh no" in plan["response"]
    assert plan["error"].startswith("/errors/daughter_failed: it ended with code 3")
    assert (plan["result"]["exit_code"], plan["steps"][0]["status"]) == (3, "ERROR")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason.TIMEOUT, "out of time (60.0 s)"),
        (Reason.OOM, "out of memory (512 MiB)"),
        (Reason.KILLED, "somebody stopped it"),
        (Reason.LOST, "spawner ended while it ran"),
    ],
)
async def test_every_other_end_is_said_too(madre, spawner, reason, said):
    spawner.works.clear()
    plan_id = await confirm(madre, await chat(madre, "run `sleep 60`"))
    await until(spawner, plan_id, "step_waiting")
    spawn_id = spawner.add("sleep", status=StatusEnum.ERROR, reason=reason)
    (row,) = await spawner.rows()
    await spawner.close(row.id, StatusEnum.ERROR, spawner.jobs[spawn_id])
    await spawner.call(row.id, StatusEnum.ERROR)
    plan = await ended(madre, plan_id)
    assert plan["status"] == "ERROR"
    assert said in plan["response"]


async def test_a_spawner_that_never_calls_is_found_out_by_its_row(madre, spawner):
    spawner.calls_back = False
    assert "42" in (await ended(madre, await confirm(madre, await chat(madre, f"run `{PRINTS}`"))))["response"]


# --- asking for it ---------------------------------------------------------------------------------------------------


async def control(madre, action: str, **params) -> httpx.Response:
    return await madre.post("/madre/control", json={"target": "spawner", "action": action, "params": params})


async def test_a_daughter_with_network_is_begun_once_and_others_are_tried_again(madre, spawner):
    for params in ({"network": "full"}, {}, {"retries": 0}):
        asked = (await control(madre, "run", command="true", **params)).json()
        await confirm(madre, asked | {"confirmation": asked})
        await ended(madre, asked["plan_id"])
    assert [row.most_attempts for row in await spawner.rows()] == [1, 3, 1]


# --- what comes between ------------------------------------------------------------------------------------------------


async def test_a_plan_with_a_daughter_waits_and_takes_no_confirmation_and_does_not_expire(
    start_madre, spawner, state_dir
):
    async with start_madre(madre_cycle="PT0.05S") as madre:
        asked = await chat(madre, "run `sleep 60`")
        plan_id = await confirm(madre, asked)
        await until(spawner, plan_id, "step_waiting")
        plan = (await madre.get(f"/madre/plans/{plan_id}")).json()
        assert (plan["status"], plan["question"], plan["steps"][0]["status"]) == ("WAITING", None, "WAITING")
        again = await madre.post(f"/madre/plans/{plan_id}/confirm", json={})
        assert again.status_code == 403
        assert "does not wait for a confirmation" in again.json()["detail"]
        with sqlite3.connect(state_dir / "vx11.db") as database:
            expiry = database.execute("SELECT confirm_expires_at FROM tasks WHERE id = ?", (plan_id,)).fetchone()
        assert expiry == (None,)
        await madre.post(f"/madre/plans/{plan_id}/cancel")


async def test_a_cancel_ends_the_running_daughter(madre, spawner):
    plan_id = await a_running_daughter(madre, spawner)
    assert (await madre.post(f"/madre/plans/{plan_id}/cancel")).json()["status"] == "CANCELLED"
    (row,) = await spawner.rows()
    async with asyncio.timeout(60):
        while spawner.running:
            await asyncio.sleep(0.01)
    assert spawner.cancelled == [row.id]
    assert (await spawner.rows())[0].status == "CANCELLED"
    plan = (await madre.get(f"/madre/plans/{plan_id}")).json()
    assert (plan["status"], plan["steps"][0]["status"]) == ("CANCELLED", "CANCELLED")


async def test_a_spawner_that_is_away_is_said_and_waited_for(madre, spawner):
    spawner.works.clear()
    spawner.fault = httpx.ConnectError("down")
    plan_id = await confirm(madre, await chat(madre, f"ejecuta `{PRINTS}`"))
    await until(spawner, plan_id, "daughter_unheard")
    plan = (await madre.get(f"/madre/plans/{plan_id}")).json()
    assert plan["status"] == "WAITING"
    assert "no responde" in plan["response"]
    spawner.fault = None
    spawner.works.set()
    assert "42" in (await ended(madre, plan_id))["response"]


async def test_a_queued_daughter_can_be_cancelled_while_spawner_is_away(madre, spawner):
    spawner.works.clear()
    spawner.fault = httpx.ConnectError("down")
    plan_id = await confirm(madre, await chat(madre, "run `true`"))
    await until(spawner, plan_id, "daughter_unheard")
    assert (await madre.post(f"/madre/plans/{plan_id}/cancel")).json()["status"] == "CANCELLED"


async def test_a_restart_finds_the_daughter_and_waits_on(start_madre, spawner):
    spawner.works.clear()
    async with start_madre() as madre:
        plan_id = await confirm(madre, await chat(madre, f"run `{PRINTS}`"))
        await until(spawner, plan_id, "step_waiting")
    async with start_madre() as madre:
        spawner.works.set()
        plan = await ended(madre, plan_id)
    assert plan["status"] == "DONE"
    assert "42" in plan["response"]
    assert len(await spawner.rows()) == 1
    assert plan["steps"][0]["attempts"] == 1


async def test_a_daughter_that_ended_while_madre_was_down_is_answered_at_the_next_start(start_madre, spawner):
    spawner.works.clear()
    async with start_madre() as madre:
        plan_id = await confirm(madre, await chat(madre, f"run `{PRINTS}`"))
        await until(spawner, plan_id, "step_waiting")
    spawner.works.set()
    async with asyncio.timeout(60):
        while (await spawner.rows())[0].status != "DONE":
            await asyncio.sleep(0.01)
    async with start_madre() as madre:
        assert "42" in (await ended(madre, plan_id))["response"]


async def test_a_workflow_that_was_lost_while_its_daughter_runs_is_started_again(start_madre, spawner, state_dir):
    spawner.works.clear()
    async with start_madre() as madre:
        plan_id = await confirm(madre, await chat(madre, f"run `{PRINTS}`"))
        await until(spawner, plan_id, "step_waiting")
    for file in state_dir.glob("dbos.db*"):
        file.unlink()
    async with start_madre() as madre:
        spawner.works.set()
        assert (await ended(madre, plan_id))["status"] == "DONE"
    assert len(await spawner.rows()) == 1


async def test_a_halt_kills_the_daughter_and_the_resume_goes_on_with_the_same_one(madre, spawner, tmp_path):
    flag = tmp_path / "flag"
    script = f"""
import os, time
if os.path.exists({str(flag)!r}):
    print(42)
else:
    open({str(flag)!r}, "w")
    time.sleep(60)
"""
    asked = (await control(madre, "run", command="python3", args=["-c", script])).json()
    plan_id = await confirm(madre, asked | {"confirmation": asked})
    async with asyncio.timeout(60):
        while not flag.exists():
            await asyncio.sleep(0.01)
    spawner.works.clear()  # as spawner does by itself while the fleet is halted
    await madre.post("/madre/halt", json={"reason": "fire"})
    assert spawner.halts == 1
    assert spawner.running == {}
    assert (await madre.get(f"/madre/plans/{plan_id}")).json()["status"] == "WAITING"
    spawner.works.set()
    await madre.post("/madre/resume")
    plan = await ended(madre, plan_id)
    assert "42" in plan["response"]
    assert len(await spawner.rows()) == 1


async def test_a_queued_daughter_says_that_she_is_halted_and_after_the_resume_that_she_is_queued(madre, spawner):
    spawner.works.clear()
    plan_id = await confirm(madre, await chat(madre, "run `true`"))
    await until(spawner, plan_id, "step_waiting")
    await madre.post("/madre/halt", json={})
    await until(spawner, plan_id, "daughter_halted")
    assert "vx11 resume" in (await madre.get(f"/madre/plans/{plan_id}")).json()["response"]
    await madre.post("/madre/resume")
    await until(spawner, plan_id, "daughter_queued")
    spawner.works.set()
    assert (await ended(madre, plan_id))["status"] == "DONE"


async def test_a_plan_that_is_confirmed_before_a_halt_bears_nothing_until_the_resume(madre, spawner):
    asked = await chat(madre, f"run `{PRINTS}`")
    await madre.post("/madre/halt", json={"reason": "fire"})
    refused = await madre.post(
        f"/madre/plans/{asked['plan_id']}/confirm", json={"confirm_token": asked["confirmation"]["confirm_token"]}
    )
    assert refused.status_code == 409
    assert await spawner.rows() == []
    await madre.post("/madre/resume")
    assert (await ended(madre, await confirm(madre, asked)))["status"] == "DONE"


async def test_a_row_that_spawner_closed_off_the_contract_fails_the_plan(madre, spawner, state_dir):
    spawner.works.clear()
    plan_id = await confirm(madre, await chat(madre, "run `true`"))
    await until(spawner, plan_id, "step_waiting")
    with sqlite3.connect(state_dir / "vx11.db") as database:
        database.execute("UPDATE daughter_tasks SET status = 'DONE', result = '{\"status\": 7}'")
    plan = await ended(madre, plan_id)
    assert plan["status"] == "ERROR"
    assert "not as agreed" in plan["error"]


# --- spawner's call ----------------------------------------------------------------------------------------------------


def as_service(secrets, name: str) -> dict[str, str]:
    return {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": name}


async def test_only_spawner_may_tell_how_a_daughter_went(madre, spawner, secrets):
    spawner.works.clear()
    plan_id = await confirm(madre, await chat(madre, "run `true`"))
    await until(spawner, plan_id, "step_waiting")
    (row,) = await spawner.rows()
    path, body = f"/madre/daughters/{row.id}/result", {"daughter_task_id": row.id, "status": "DONE"}
    assert (await madre.post(path, json=body)).status_code == 403
    assert (await madre.post(path, json=body, headers=as_service(secrets, "shub"))).status_code == 403
    through_gateway = limited(secrets, "*") | {"X-VX11-Caller": "spawner"}
    assert (await madre.post(path, json=body, headers=through_gateway)).status_code == 403
    mine = as_service(secrets, "spawner")
    assert (await madre.post(path, json=body, headers=mine)).status_code == 204
    assert (await madre.post(path, json=body, headers=mine)).status_code == 204
    other = await madre.post(path, json=body | {"daughter_task_id": "daughter_b"}, headers=mine)
    assert other.status_code == 422
    assert (await madre.get(f"/madre/plans/{plan_id}")).json()["status"] == "WAITING"  # the row is the truth


async def test_an_unknown_daughter_is_not_found(madre, secrets):
    body = {"daughter_task_id": "daughter_x", "status": "DONE"}
    reply = await madre.post("/madre/daughters/daughter_x/result", json=body, headers=as_service(secrets, "spawner"))
    assert reply.status_code == 404
    assert reply.json()["type"] == "/errors/daughter_not_found"


async def test_output_is_kept_up_to_a_limit_and_what_is_missing_is_said(madre):
    asked = (await control(madre, "run", command="python3", args=["-c", "print('x' * 100_000)"])).json()
    plan = await ended(madre, await confirm(madre, asked | {"confirmation": asked}))
    assert len(plan["result"]["stdout"]) == 16 * 1024
    assert plan["result"]["stdout_bytes"] == 100_001
    assert "/logs" in plan["response"]
    assert len(plan["response"]) < 5_000


async def test_the_call_carries_no_output(madre, spawner):
    """Output may hold what no body may (NUL), and be larger than one: madre reads it in the row."""
    spawner.works.clear()
    plan_id = await confirm(madre, await chat(madre, "run `true`"))
    await until(spawner, plan_id, "step_waiting")
    ended_well = {"status": StatusEnum.DONE, "reason": Reason.EXITED, "exit_code": 0}
    record = spawner.jobs[spawner.add("true", **ended_well, stdout="a\0b")]
    (row,) = await spawner.rows()
    await spawner.close(row.id, StatusEnum.DONE, record)
    await spawner.madre.daughter_ended(DaughterResult(daughter_task_id=row.id, status=StatusEnum.DONE, spawn=record))
    assert (await ended(madre, plan_id))["result"]["stdout"] == "a\ufffdb"


# --- status and kill -----------------------------------------------------------------------------------------------------


async def test_what_runs_is_told_with_the_plans(madre, spawner):
    going = spawner.add("nightly")
    over = spawner.add("healthcheck", status=StatusEnum.ERROR, reason=Reason.EXITED, exit_code=2)
    for message, said in (
        ("¿qué procesos hay?", "Procesos: nightly"),
        ("what processes are running?", "Processes: nightly"),
    ):
        body = await chat(madre, message, wait_seconds=20)
        assert body["status"] == "DONE", body
        assert said in body["response"]
        assert going in body["response"]
        assert f"healthcheck ({over}, exit 2)" in body["response"]


async def test_one_job_is_told_by_its_id(madre, spawner):
    spawn_id = spawner.add("nightly")
    body = await chat(madre, f"cómo va el proceso {spawn_id}", wait_seconds=20)
    assert body["status"] == "DONE", body
    assert f"nightly ({spawn_id}) está en marcha" in body["response"]


async def test_jobs_of_others_are_not_told_and_not_ended(madre, spawner, secrets):
    spawn_id = spawner.add("secret")
    other = limited(secrets, "madre:*", "spawner:*")
    for message in ("what processes are running?", f"how is job {spawn_id} doing"):
        body = (await madre.post("/madre/chat", json={"message": message, "wait_seconds": 20}, headers=other)).json()
        assert "secret" not in body["response"], body
    body = (await madre.post("/madre/chat", json={"message": f"kill job {spawn_id}"}, headers=other)).json()
    assert body["status"] == "ERROR"
    assert spawner.jobs[spawn_id].status == "RUNNING"


async def test_status_without_spawner_says_so_and_still_tells_the_plans(madre, spawner):
    spawner.fault = httpx.ConnectError("down")
    body = await chat(madre, "what processes are running?", wait_seconds=20)
    assert body["status"] == "DONE"
    assert "spawner does not answer" in body["response"]


@pytest.mark.parametrize(
    "say", ["mata el proceso {id}", "kill job {id}", "kill the nightly job", "detén el proceso `nightly`"]
)
async def test_a_job_is_ended_by_id_or_name_once_confirmed(madre, spawner, say):
    spawn_id, other = spawner.add("nightly"), spawner.add("daily")
    asked = await chat(madre, say.format(id=spawn_id))
    assert (asked["status"], asked["risk"]) == ("WAITING", "HIGH"), asked
    assert f"nightly ({spawn_id}" in asked["question"]
    assert spawner.jobs[spawn_id].status == "RUNNING"
    plan = await ended(madre, await confirm(madre, asked))
    assert plan["status"] == "DONE"
    assert f"nightly ({spawn_id})" in plan["response"]
    assert spawner.jobs[spawn_id].status == "CANCELLED"
    assert spawner.jobs[other].status == "RUNNING"


async def test_which_job_is_asked_when_it_is_not_clear_and_the_answer_is_taken(madre, spawner):
    spawner.add("nightly")
    spawner.add("daily")
    asked = await chat(madre, "mata el proceso", session_id="s")
    assert asked["plan"] is None
    assert "nightly" in asked["question"]
    assert "daily" in asked["question"]
    answered = await chat(madre, "`daily`", session_id="s")
    assert answered["plan"]["steps"][0]["params"]["name"] == "daily", answered


async def test_two_jobs_of_one_name_are_asked_about(madre, spawner):
    spawner.add("nightly")
    spawner.add("nightly")
    assert (await chat(madre, "kill the nightly job"))["plan"] is None


async def test_nothing_to_end_and_nobody_to_ask_are_said(madre, spawner):
    assert "No process runs" in (await chat(madre, "kill the nightly job"))["response"]
    spawner.fault = httpx.ConnectError("down")
    body = await chat(madre, "kill the nightly job")
    assert "does not answer" in body["response"]
    assert body["plan"]["error"].startswith("/errors/upstream_unavailable")


async def test_a_job_that_ended_before_the_confirmation_is_told_as_ended(madre, spawner):
    spawn_id = spawner.add("nightly")
    asked = (await control(madre, "kill", spawn_id=spawn_id)).json()
    done = {"status": StatusEnum.DONE, "reason": Reason.EXITED, "exit_code": 0}
    spawner.jobs[spawn_id] = spawner.jobs[spawn_id].model_copy(update=done)
    plan = await ended(madre, await confirm(madre, asked | {"confirmation": asked}))
    assert "had ended before (exit 0)" in plan["response"]
    assert asked_paths(spawner)[-1] == f"/spawner/spawn/{spawn_id}/kill"
