"""The same Idempotency-Key: the work once, the answer again, and the confirm token nowhere on disk."""

import asyncio
import sqlite3

DELETE = {"target": "shub", "action": "delete"}
KEY = {"Idempotency-Key": "k-1"}


async def ask_to_delete(madre, asset: str):
    return await madre.post("/madre/control", json=DELETE | {"params": {"asset_id": asset}}, headers=KEY)


async def test_a_repeat_gets_the_same_confirm_token_and_no_file_holds_it(madre, shub, state_dir):
    asset = shub.add("take")
    first, again = await ask_to_delete(madre, asset), await ask_to_delete(madre, asset)
    assert first.json() == again.json()
    token = first.json()["confirm_token"]
    assert not [file for file in state_dir.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]
    confirmed = await madre.post(f"/madre/plans/{first.json()['plan_id']}/confirm", json={"confirm_token": token})
    assert confirmed.status_code == 200


async def test_a_repeat_of_a_chat_gets_its_confirm_token_too(madre, shub, state_dir):
    request = {"message": "borra este archivo", "files": [shub.add("take")]}
    first = (await madre.post("/madre/chat", json=request, headers=KEY)).json()
    assert (await madre.post("/madre/chat", json=request, headers=KEY)).json() == first
    token = first["confirmation"]["confirm_token"]
    assert not [file for file in state_dir.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]


async def test_repeats_at_once_all_hold_a_token_that_works(madre, shub):
    asset = shub.add("take")
    replies = await asyncio.gather(*(ask_to_delete(madre, asset) for _ in range(8)))
    assert {reply.status_code for reply in replies} <= {202, 409}
    asked = [reply.json() for reply in replies if reply.status_code == 202]
    assert len({one["confirm_token"] for one in asked}) == 1
    confirm = {"confirm_token": asked[0]["confirm_token"]}
    assert (await madre.post(f"/madre/plans/{asked[0]['plan_id']}/confirm", json=confirm)).status_code == 200


async def test_an_answer_that_a_kill_kept_from_the_client_is_told_again_with_its_token(start_madre, shub, state_dir):
    asset = shub.add("take")
    async with start_madre() as madre:
        first = (await ask_to_delete(madre, asset)).json()
    with sqlite3.connect(state_dir / "vx11.db") as database:
        database.execute("UPDATE idempotency_keys SET answer = NULL, status = NULL")
    async with start_madre() as madre:
        assert (await ask_to_delete(madre, asset)).json() == first


async def test_repeats_after_a_kill_before_the_plan_make_one_plan(start_madre, shub, state_dir):
    request = {"message": "mix these 3 stems to -14 LUFS", "files": [shub.add(name) for name in "abc"]}
    async with start_madre() as madre:
        await madre.post("/madre/chat", json=request | {"wait_seconds": 20}, headers=KEY)
    with sqlite3.connect(state_dir / "vx11.db") as database:  # as it was between logging the intent and planning it
        database.execute("UPDATE idempotency_keys SET answer = NULL, status = NULL")
        database.execute("UPDATE intents_log SET status = 'PENDING', plan_id = NULL, response = ''")
    async with start_madre() as madre:
        request |= {"wait_seconds": 20.0}
        replies = await asyncio.gather(*(madre.post("/madre/chat", json=request, headers=KEY) for _ in range(4)))
        assert {reply.status_code for reply in replies} <= {200, 409}
        assert len((await madre.get("/madre/plans")).json()["items"]) == 2  # the one of before the cut, and one more


async def test_a_refused_request_is_refused_the_same_way_again(madre):
    request = {"target": "shub", "action": "mix", "params": {"stems": [{"asset_id": "a", "pan": 9}]}}
    replies = [await madre.post("/madre/control", json=request, headers=KEY) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [422, 422]
    assert replies[0].json()["detail"] == replies[1].json()["detail"]


async def test_what_was_refused_on_the_way_does_not_stay_pending(start_madre, shub, state_dir):
    async with start_madre(madre_many_stems=2) as madre:
        files = [shub.add("a"), shub.add("b")]
        await madre.post("/madre/chat", json={"message": "mix these stems", "files": files, "session_id": "s"})
        await madre.post("/madre/halt", json={"reason": "fire"})
        refused = await madre.post("/madre/chat", json={"message": "yes", "session_id": "s"})
        assert refused.json()["type"] == "/errors/fleet_halted"
    with sqlite3.connect(state_dir / "vx11.db") as database:
        found = database.execute("SELECT status, response FROM intents_log WHERE message = 'yes'").fetchone()
    assert found == ("ERROR", refused.json()["detail"])
