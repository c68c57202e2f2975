"""Dangerous requests wait for their one-use token, and only that token, from that caller, in time, opens them."""

import asyncio
import sqlite3

import pytest

from config import grants
from tests.madre.test_reach import limited


async def ask_to_delete(madre, asset_id: str) -> dict:
    reply = await madre.post(
        "/madre/control", json={"target": "shub", "action": "delete", "params": {"asset_id": asset_id}}
    )
    assert reply.status_code == 202, reply.text
    return reply.json()


async def confirm(madre, asked: dict, token: str | None = None, **options):
    body = {"confirm_token": asked["confirm_token"] if token is None else token}
    return await madre.post(f"/madre/plans/{asked['plan_id']}/confirm", json=body, **options)


async def finished(madre, plan_id: str) -> dict:
    async with madre.stream("GET", f"/madre/plans/{plan_id}/events") as events:
        async for _ in events.aiter_lines():
            pass
    return (await madre.get(f"/madre/plans/{plan_id}")).json()


async def test_a_delete_waits_and_the_right_token_runs_it_once(madre, shub, secrets):
    asset = shub.add("take")
    asked = await ask_to_delete(madre, asset)
    assert asked["status"] == "pending_confirmation"
    assert asked["risk"] == "HIGH"
    assert asked["reason"]
    assert shub.deleted == []
    assert (await confirm(madre, asked)).json() == {"status": "confirmed", "plan_id": asked["plan_id"]}
    plan = await finished(madre, asked["plan_id"])
    assert plan["status"] == "DONE"
    assert shub.deleted == [asset]
    granted = grants.read(secrets, shub.grants[0])
    assert (granted.plan_id, granted.operation) == (asked["plan_id"], "shub:delete")
    assert granted.params_hash == grants.params_hash({"asset_id": asset})
    again = await confirm(madre, asked)
    assert again.status_code == 403
    assert again.json()["type"] == "/errors/confirmation_refused"


@pytest.mark.parametrize("token", ["wrong", "", "ñ" * 20, "x" * 200])
async def test_a_wrong_token_is_refused_and_audited(madre, shub, state_dir, token):
    asked = await ask_to_delete(madre, shub.add("take"))
    refused = await confirm(madre, asked, token)
    assert refused.status_code == 403
    assert shub.deleted == []
    with sqlite3.connect(state_dir / "vx11.db") as database:
        events = [row[0] for row in database.execute("SELECT event FROM madre_actions")]
    assert "confirmation_refused" in events


async def test_an_expired_token_is_refused(start_madre, shub):
    async with start_madre(madre_confirm_ttl="PT0S") as madre:
        asked = await ask_to_delete(madre, shub.add("take"))
        refused = await confirm(madre, asked)
        assert refused.status_code == 403
        assert "time" in refused.json()["detail"]
        assert shub.deleted == []


async def test_another_callers_token_is_refused(madre, shub, secrets):
    asked = await ask_to_delete(madre, shub.add("take"))
    other = {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": "token:x", "X-VX11-Scopes": "*"}
    assert (await confirm(madre, asked, headers=other)).status_code == 403
    assert shub.deleted == []


async def test_the_token_of_another_plan_is_refused(madre, shub):
    first, second = await ask_to_delete(madre, shub.add("a")), await ask_to_delete(madre, shub.add("b"))
    assert (await confirm(madre, first, second["confirm_token"])).status_code == 403
    assert shub.deleted == []


async def test_a_plan_that_was_changed_after_it_was_shown_is_refused(madre, shub, state_dir):
    asked = await ask_to_delete(madre, shub.add("a"))
    with sqlite3.connect(state_dir / "vx11.db") as database:
        database.execute('UPDATE plan_steps SET params = \'{"asset_id": "asset_b"}\'')
    assert (await confirm(madre, asked)).status_code == 403


async def test_two_racing_confirmations_run_it_once(madre, shub):
    asset = shub.add("take")
    asked = await ask_to_delete(madre, asset)
    replies = await asyncio.gather(*(confirm(madre, asked) for _ in range(6)))
    assert sorted(reply.status_code for reply in replies) == [200, 403, 403, 403, 403, 403]
    await finished(madre, asked["plan_id"])
    assert shub.deleted == [asset]


async def test_the_token_is_nowhere_on_disk(madre, shub, state_dir):
    asked = await ask_to_delete(madre, shub.add("take"))
    await confirm(madre, asked)
    await finished(madre, asked["plan_id"])
    needle = asked["confirm_token"].encode()
    assert not [file for file in state_dir.rglob("*") if file.is_file() and needle in file.read_bytes()]


async def test_a_plain_yes_in_chat_never_opens_a_dangerous_plan(madre, shub):
    asset = shub.add("take")
    body = (
        await madre.post("/madre/chat", json={"message": "borra este archivo", "files": [asset], "session_id": "s"})
    ).json()
    assert body["status"] == "WAITING", body
    assert body["confirmation"]["confirm_token"]
    await madre.post("/madre/chat", json={"message": "sí", "session_id": "s"})
    assert shub.deleted == []


@pytest.mark.parametrize(
    ("message", "yes", "said"),
    [("borra este archivo", "sí", "no basta"), ("delete this file", "yes, go ahead", "not enough")],
)
async def test_a_plain_yes_to_a_dangerous_plan_is_told_what_it_needs(madre, shub, message, yes, said):
    asset, key = shub.add("take"), {"Idempotency-Key": "a-yes"}
    asked = (await madre.post("/madre/chat", json={"message": message, "files": [asset], "session_id": "s"})).json()
    for _ in range(2):  # a repeat with its key is answered alike
        body = (await madre.post("/madre/chat", json={"message": yes, "session_id": "s"}, headers=key)).json()
        assert (body["plan_id"], body["status"], body["confirmation"]) == (asked["plan_id"], "WAITING", None)
        assert said in body["response"]
        assert f"vx11 confirm {asked['plan_id']}" in body["response"]
        assert asked["confirmation"]["confirm_token"] not in str(body)
    assert (await madre.get(f"/madre/plans/{asked['plan_id']}")).json()["status"] == "WAITING"
    assert (await confirm(madre, asked | asked["confirmation"])).status_code == 200


@pytest.mark.parametrize("no", ["no", "cancela", "olvídalo", "never mind", "mejor no", "no, gracias"])
async def test_a_plain_no_cancels_a_dangerous_plan(madre, shub, no):
    asset = shub.add("take")
    ask = {"message": "borra este archivo", "files": [asset], "session_id": "s"}
    asked = (await madre.post("/madre/chat", json=ask)).json()
    body = (await madre.post("/madre/chat", json={"message": no, "session_id": "s"})).json()
    assert (body["plan_id"], body["status"]) == (asked["plan_id"], "CANCELLED")
    assert (await confirm(madre, asked | asked["confirmation"])).status_code == 403
    assert shub.deleted == []


async def test_a_no_reaches_only_the_newest_plan_of_its_own_session(madre, shub, secrets):
    def ask(session: str) -> dict:
        return {"message": "borra este archivo", "files": [shub.add("take")], "session_id": session}

    first, newest, other = [(await madre.post("/madre/chat", json=ask(one))).json() for one in ("s", "s", "t")]
    stranger = limited(secrets, "madre:*", "shub:*")
    await madre.post("/madre/chat", json={"message": "no", "session_id": "s"}, headers=stranger)
    assert (await madre.get(f"/madre/plans/{newest['plan_id']}")).json()["status"] == "WAITING"
    await madre.post("/madre/chat", json={"message": "no", "session_id": "s"})
    await madre.post("/madre/chat", json={"message": "no", "session_id": "s"})
    stand = [(await madre.get(f"/madre/plans/{one['plan_id']}")).json()["status"] for one in (first, newest, other)]
    assert stand == ["WAITING", "CANCELLED", "WAITING"]


async def test_long_work_asks_first_and_a_plain_yes_starts_it(start_madre, shub):
    async with start_madre(madre_many_stems=2) as madre:
        files = [shub.add("a"), shub.add("b")]
        asked = (
            await madre.post("/madre/chat", json={"message": "mix these stems", "files": files, "session_id": "s"})
        ).json()
        assert (asked["status"], asked["risk"]) == ("WAITING", "MED")
        assert shub.jobs == {}
        done = (await madre.post("/madre/chat", json={"message": "yes", "session_id": "s", "wait_seconds": 20})).json()
        assert done["status"] == "DONE", done
        assert done["plan_id"] == asked["plan_id"]


async def test_a_no_cancels_what_waits(start_madre, shub):
    async with start_madre(madre_many_stems=2) as madre:
        files = [shub.add("a"), shub.add("b")]
        await madre.post("/madre/chat", json={"message": "mezcla estos stems", "files": files, "session_id": "s"})
        reply = (await madre.post("/madre/chat", json={"message": "mejor no", "session_id": "s"})).json()
        assert reply["status"] == "CANCELLED"
        assert shub.jobs == {}


async def test_expired_plans_are_closed_by_the_upkeep(start_madre, shub):
    async with start_madre(madre_confirm_ttl="PT0S", madre_cycle="PT0.05S") as madre:
        asked = await ask_to_delete(madre, shub.add("take"))
        plan = await finished(madre, asked["plan_id"])
        assert plan["status"] == "CANCELLED"


@pytest.mark.parametrize(
    ("target", "action", "status", "code"),
    [
        ("shub", "explode", 422, "unknown_control"),
        ("hormiguero", "scan", 422, "unknown_control"),
        ("", "delete", 422, "invalid_request"),
    ],
)
async def test_unknown_controls_say_what_there_is(madre, target, action, status, code):
    reply = await madre.post("/madre/control", json={"target": target, "action": action})
    assert reply.status_code == status
    assert reply.json()["type"] == f"/errors/{code}"


async def test_deleting_nothing_in_particular_asks_what(madre, shub):
    shub.add("take")
    reply = (await madre.post("/madre/control", json={"target": "shub", "action": "delete"})).json()
    assert reply["status"] == "WAITING"
    assert shub.deleted == []
