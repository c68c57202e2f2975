"""Halts, cancels, restarts: nothing finished runs twice, nothing accepted is lost."""

import asyncio

MIX = {"message": "mix these 3 stems to -14 LUFS", "session_id": "s1", "wait_seconds": 0}


def stems(shub) -> list[str]:
    return [shub.add(name) for name in ("vocal", "bass", "drums")]


async def a_running_mix(madre, shub) -> dict:
    shub.finish.clear()
    reply = await madre.post("/madre/chat", json=MIX | {"files": stems(shub)})
    assert reply.status_code == 202, reply.text
    async with asyncio.timeout(60):
        await shub.mix_asked.wait()
    return reply.json()


async def finished(madre, plan_id: str) -> dict:
    async with asyncio.timeout(60), madre.stream("GET", f"/madre/plans/{plan_id}/events") as events:
        async for _ in events.aiter_lines():
            pass
    return (await madre.get(f"/madre/plans/{plan_id}")).json()


async def test_a_restart_in_the_middle_of_a_mix_goes_on_with_the_same_job(start_madre, shub):
    async with start_madre() as madre:
        asked = await a_running_mix(madre, shub)
    inspected = len([request for request in shub.asked if "/assets/" in request.url.path])
    shub.finish.set()
    async with start_madre() as madre:
        plan = await finished(madre, asked["plan_id"])
    assert plan["status"] == "DONE"
    assert len(shub.jobs) == 1
    assert len([request for request in shub.asked if "/assets/" in request.url.path]) == inspected
    assert shub.analyses == 1


async def test_a_cancel_stops_the_job_and_the_plan(madre, shub):
    asked = await a_running_mix(madre, shub)
    cancelled = await madre.post(f"/madre/plans/{asked['plan_id']}/cancel")
    assert cancelled.json()["status"] == "CANCELLED"
    async with asyncio.timeout(60):
        while shub.jobs["job_0"].status != "CANCELLED":
            await asyncio.sleep(0.01)
    again = await madre.post(f"/madre/plans/{asked['plan_id']}/cancel")
    assert again.status_code == 409


async def test_a_halt_interrupts_survives_a_restart_and_resume_goes_on(start_madre, shub):
    async with start_madre() as madre:
        asked = await a_running_mix(madre, shub)
        state = (await madre.post("/madre/halt", json={"reason": "fire"})).json()
        assert state["halted"] is True
        assert state["by"] == "owner"
        assert shub.jobs["job_0"].status == "CANCELLED"
        shub.finish.set()
        held = (await madre.post("/madre/chat", json=MIX | {"files": stems(shub), "wait_seconds": 0.2})).json()
        assert held["status"] == "PENDING"
        assert "fire" in held["response"]
    async with start_madre() as madre:
        health = (await madre.get("/madre/health")).json()
        assert health["status"] == "degraded"
        assert "fire" in health["checks"]["halt"]["detail"]
        assert len(shub.jobs) == 1
        asked_delete = await madre.post(
            "/madre/control", json={"target": "shub", "action": "delete", "params": {"asset_id": "asset_bass"}}
        )
        refused = await madre.post(
            f"/madre/plans/{asked_delete.json()['plan_id']}/confirm",
            json={"confirm_token": asked_delete.json()["confirm_token"]},
        )
        assert refused.status_code == 409
        assert refused.json()["type"] == "/errors/fleet_halted"
        assert (await madre.post("/madre/resume")).json()["halted"] is False
        assert (await finished(madre, asked["plan_id"]))["status"] == "DONE"
        assert (await finished(madre, held["plan_id"]))["status"] == "DONE"
        confirmed = await madre.post(
            f"/madre/plans/{asked_delete.json()['plan_id']}/confirm",
            json={"confirm_token": asked_delete.json()["confirm_token"]},
        )
        assert confirmed.status_code == 200
    assert len(shub.jobs) == 3  # the halted one, the same step again, and the plan that was held


async def test_a_neighbour_that_comes_back_is_asked_again(madre, shub):
    import httpx

    shub.fault = httpx.ConnectError("down")
    asked = (await madre.post("/madre/chat", json=MIX | {"files": stems(shub)})).json()
    async with asyncio.timeout(60):
        while len(shub.asked) <= 3:  # what is asked about the three files while planning, and then the first step
            await asyncio.sleep(0.01)
    shub.fault = None
    plan = await finished(madre, asked["plan_id"])
    assert plan["status"] == "DONE"
    assert plan["steps"][0]["attempts"] == 2


async def test_events_tell_the_story_and_resume_by_last_event_id(madre, shub):
    asked = (await madre.post("/madre/chat", json=MIX | {"files": stems(shub)})).json()
    await finished(madre, asked["plan_id"])
    whole = (await madre.get(f"/madre/plans/{asked['plan_id']}/events")).text
    names = [line.removeprefix("event: ") for line in whole.splitlines() if line.startswith("event: ")]
    assert names[0] == "plan_made"
    assert names[-1] == "plan_done"
    assert names.count("step_done") == 3
    rest = (await madre.get(f"/madre/plans/{asked['plan_id']}/events", headers={"Last-Event-ID": "2"})).text
    assert rest.startswith("id: 3\n")
