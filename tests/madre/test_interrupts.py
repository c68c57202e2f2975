"""What comes between: halts, cancels and faults at awkward moments. Nothing hangs, nothing is lost, nothing runs on unseen."""

import asyncio
import json
import sqlite3

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from madre.core import db as repository
from madre.engine import DbosEngine
from tests.fakes.neighbours import answer, problem

MIX = {"message": "mix these 3 stems to -14 LUFS", "wait_seconds": 0}
QUESTION = {"message": "what does a compressor do?", "wait_seconds": 20}


async def finished(madre, plan_id: str) -> dict:
    async with asyncio.timeout(60), madre.stream("GET", f"/madre/plans/{plan_id}/events") as events:
        async for _ in events.aiter_lines():
            pass
    return (await madre.get(f"/madre/plans/{plan_id}")).json()


async def a_mix(madre, shub) -> dict:
    return (await madre.post("/madre/chat", json=MIX | {"files": [shub.add(name) for name in "abc"]})).json()


async def a_mix_whose_job_cannot_be_polled(madre, shub, state_dir) -> tuple[dict, asyncio.Event]:
    """Waits until madre pauses before she asks for the job again; the event makes shub well."""
    shub.finish.clear()
    is_well, work = asyncio.Event(), shub.work

    async def flapping(request: httpx.Request) -> httpx.Response:
        is_poll = "/jobs/" in request.url.path and request.method == "GET"
        return httpx.Response(503, text="busy") if is_poll and not is_well.is_set() else await work(request)

    shub.work = flapping
    asked = await a_mix(madre, shub)
    with sqlite3.connect(state_dir / "vx11.db") as database:
        async with asyncio.timeout(60):
            while not database.execute("SELECT 1 FROM plan_events WHERE event = 'step_retry'").fetchone():
                await asyncio.sleep(0.01)
    return asked, is_well


async def first_time(fake, refusal: httpx.Response, path: str) -> None:
    work, has_refused = fake.work, False

    async def refusing(request: httpx.Request) -> httpx.Response:
        nonlocal has_refused
        if not has_refused and path in request.url.path:
            has_refused = True
            return refusal
        return await work(request)

    fake.work = refusing


async def test_a_cancel_in_the_pause_before_a_retry_cancels_the_job(madre, shub, state_dir):
    asked, is_well = await a_mix_whose_job_cannot_be_polled(madre, shub, state_dir)
    is_well.set()
    assert (await madre.post(f"/madre/plans/{asked['plan_id']}/cancel")).status_code == 200
    async with asyncio.timeout(60):
        while shub.jobs["job_0"].status != "CANCELLED":
            await asyncio.sleep(0.01)


async def test_a_halt_in_the_pause_before_a_retry_asks_anew_after_the_resume(madre, shub, state_dir):
    asked, is_well = await a_mix_whose_job_cannot_be_polled(madre, shub, state_dir)
    await madre.post("/madre/halt", json={"reason": "fire"})
    assert shub.jobs["job_0"].status == "CANCELLED"
    is_well.set()
    shub.finish.set()
    await madre.post("/madre/resume")
    assert (await finished(madre, asked["plan_id"]))["status"] == "DONE"
    assert len(shub.jobs) == 2


async def test_a_kill_in_the_middle_of_a_halt_still_cancels_the_jobs_and_goes_on_after_the_resume(
    start_madre, shub, state_dir
):
    shub.finish.clear()
    async with start_madre() as madre:
        asked = await a_mix(madre, shub)
        async with asyncio.timeout(60):
            await shub.mix_asked.wait()
    with sqlite3.connect(state_dir / "vx11.db") as database:  # the halt is written down, and nothing else was done
        halt = json.dumps({"halted": True, "reason": "fire", "by": "owner"})
        database.execute("INSERT INTO context VALUES ('madre', 'halt', ?, '2026-01-01 00:00:00')", (halt,))
    async with start_madre(madre_cycle="PT0.05S") as madre:
        async with asyncio.timeout(60):
            while shub.jobs["job_0"].status != "CANCELLED":
                await asyncio.sleep(0.01)
        shub.finish.set()
        await madre.post("/madre/resume")
        assert (await finished(madre, asked["plan_id"]))["status"] == "DONE"
    assert len(shub.jobs) == 2


async def test_a_delete_that_a_halt_interrupted_after_it_was_done_is_found_done(madre, shub):
    done, answered, may_answer, work = {}, asyncio.Event(), asyncio.Event(), shub.work

    async def slow_to_answer(request: httpx.Request) -> httpx.Response:
        if request.method != "DELETE":
            return await work(request)
        key = request.headers["idempotency-key"]
        if key not in done:
            done[key] = (await work(request)).content
        answered.set()
        await may_answer.wait()
        return answer(json.loads(done[key]))

    shub.work = slow_to_answer
    request = {"target": "shub", "action": "delete", "params": {"asset_id": shub.add("take")}}
    asked = (await madre.post("/madre/control", json=request)).json()
    await madre.post(f"/madre/plans/{asked['plan_id']}/confirm", json={"confirm_token": asked["confirm_token"]})
    async with asyncio.timeout(60):
        await answered.wait()
    await madre.post("/madre/halt", json={"reason": "fire"})
    may_answer.set()
    await madre.post("/madre/resume")
    assert (await finished(madre, asked["plan_id"]))["status"] == "DONE"
    assert shub.deleted == ["asset_take"]


async def test_a_halt_that_comes_while_a_resume_is_written_down_is_not_lost(madre):
    await madre.post("/madre/halt", json={"reason": "first"})
    resuming = asyncio.create_task(madre.post("/madre/resume"))
    for _ in range(6):
        await asyncio.sleep(0)
    halted = (await madre.post("/madre/halt", json={"reason": "second"})).json()
    await resuming
    health = (await madre.get("/madre/health")).json()
    assert halted["halted"] is health["checks"]["halt"]["detail"].startswith("halted by")


async def test_a_halt_needs_no_words(madre):
    assert (await madre.post("/madre/halt")).json()["halted"] is True


@pytest.mark.parametrize(
    "refusal",
    [problem("idempotency_in_progress", 409), problem("database_busy", 503), problem("switch_busy", 503)],
    ids=["still at it after our kill", "database busy", "queue full"],
)
async def test_a_refusal_that_passes_is_asked_again(madre, switch, refusal):
    await first_time(switch, refusal, "/route")
    assert (await madre.post("/madre/chat", json=QUESTION)).json()["response"] == "It evens out levels."


async def test_a_body_that_cannot_be_decoded_is_a_neighbour_that_is_down(madre, switch):
    await first_time(switch, httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Garbage()), "/route")
    assert (await madre.post("/madre/chat", json=QUESTION)).json()["status"] == "DONE"


class Garbage(httpx.AsyncByteStream):
    async def __aiter__(self):
        yield b"this is no gzip"


async def test_a_mix_without_a_file_is_off_the_contract_and_never_stored(start_madre, shub):
    work = shub.work

    async def nameless(request: httpx.Request) -> httpx.Response:
        reply = await work(request)
        job = json.loads(reply.content)
        return answer(job | {"result": {"asset_id": "a", "size_bytes": "big"}}) if job.get("result") else reply

    shub.work = nameless
    async with start_madre(madre_step_attempts=1) as madre:
        asked = await a_mix(madre, shub)
        plan = await finished(madre, asked["plan_id"])
    assert plan["status"] == "ERROR"
    assert "names no file" in plan["error"]


async def test_a_plan_that_the_engine_lost_is_closed_by_the_upkeep(start_madre, shub, monkeypatch):
    async def locked(*_args, **_values):
        raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))

    async with start_madre(madre_cycle="PT0.05S") as madre:
        monkeypatch.setattr(repository, "update_step", locked)
        asked = await a_mix(madre, shub)
        plan = await finished(madre, asked["plan_id"])
    assert plan["status"] == "ERROR"
    assert "gave this plan up" in plan["error"]


@pytest.mark.parametrize("what", ["cancel", "halt"])
async def test_what_comes_between_the_saving_of_a_plan_and_its_start_is_heeded(madre, switch, monkeypatch, what):
    start = DbosEngine.start

    async def after_that(self, plan_id: str) -> None:
        if what == "halt":  # and a cancel while it lasted
            await madre.post("/madre/halt")
        assert (await madre.post(f"/madre/plans/{plan_id}/cancel")).json()["status"] == "CANCELLED"
        if what == "halt":
            await madre.post("/madre/resume")
        await start(self, plan_id)

    monkeypatch.setattr(DbosEngine, "start", after_that)
    asked = (await madre.post("/madre/chat", json=QUESTION)).json()
    assert asked["status"] == "CANCELLED"
    monkeypatch.undo()
    assert (await madre.post("/madre/chat", json=QUESTION)).json()["status"] == "DONE"
    assert [one.url.path for one in switch.asked].count("/switch/route") == 1


async def test_a_plan_that_could_not_be_started_is_started_by_the_upkeep(start_madre, shub, monkeypatch):
    async with start_madre(madre_cycle="PT0.2S") as madre:
        with monkeypatch.context() as patch:
            patch.setattr("madre.engine.DbosEngine.start", _fails)
            assert (await a_mix(madre, shub))["status"] == 500
        (plan,) = (await madre.get("/madre/plans")).json()["items"]
        assert (await finished(madre, plan["plan_id"]))["status"] == "DONE"


async def _fails(*_args):
    raise OperationalError("INSERT", {}, sqlite3.OperationalError("database is malformed"))


@pytest.mark.parametrize(("reason", "said"), [("", "(by owner);"), ("fire", "(by owner: fire);")])
async def test_a_chat_while_halted_says_so_and_does_not_wait(madre, shub, reason, said):
    await madre.post("/madre/halt", json={"reason": reason})
    async with asyncio.timeout(30):
        body = (await madre.post("/madre/chat", json=QUESTION | {"wait_seconds": 60})).json()
    assert body["status"] == "PENDING"
    assert said in body["warnings"][0]
    assert body["response"] == body["warnings"][0]
    asked = {"message": "delete this file", "files": [shub.add("take")]}
    asked = (await madre.post("/madre/chat", json=asked)).json()
    assert asked["confirmation"]
    assert "confirmed after `vx11 resume`" in asked["warnings"][0]
    assert said in asked["warnings"][0]
    health = (await madre.get("/health")).json()
    assert health["checks"]["halt"]["detail"] == ("halted by owner: fire" if reason else "halted by owner")


async def test_a_chat_that_waits_when_the_halt_comes_is_answered(madre, shub):
    shub.finish.clear()
    waits = asyncio.ensure_future(madre.post("/madre/chat", json=MIX | {"files": [shub.add("a")], "wait_seconds": 60}))
    async with asyncio.timeout(30):
        while not shub.jobs:
            await asyncio.sleep(0.01)
        await madre.post("/madre/halt", json={"reason": "fire"})
        body = (await waits).json()
    assert body["status"] not in ("DONE", "ERROR")
    assert "fire" in body["warnings"][-1]
    shub.finish.set()
    await madre.post("/madre/resume")
    assert (await finished(madre, body["plan_id"]))["status"] == "DONE"
