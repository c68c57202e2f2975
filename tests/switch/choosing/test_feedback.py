"""What clients say of answers, and what they can read of how models have done."""

import asyncio
import json
import signal

import pytest
from sqlalchemy import select

from config.clients.switch import SwitchClient
from config.database import Database
from config.db_schema import LearnerStateRow, RouteDecisionRow
from config.errors import NotFound
from switch.choosing.chooser import FEEDBACK_WEIGHT
from tests.switch.conftest import chat, problem, provider
from tests.switch.real_switch import real_switch


@pytest.fixture
async def client(upstream, settings_of, served):
    """Switch with two models that `auto` may choose."""
    settings = settings_of(
        providers={"mock": provider(upstream, "one", "two")}, switch_auto_models=["mock/one", "mock/two"]
    )
    async with served(settings) as up:
        yield up


@pytest.fixture
async def db(settings_of):
    database = Database(settings_of().sqlalchemy_url(), "switch")
    yield database
    await database.close()


@pytest.fixture
def mine(fleet_headers):
    return {**fleet_headers, "X-VX11-Caller": "token:mine", "X-VX11-Scopes": "switch:read switch:write"}


async def asked(client, task_type="code", **more):
    reply = await client.post("/switch/route", json={"prompt": "hello", "task_type": task_type}, **more)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def give(client, decision_id, score, **more):
    return await client.post("/switch/feedback", json={"decision_id": decision_id, "score": score}, **more)


async def learned(client, model, task_type="code"):
    page = (await client.get("/switch/performance", params={"task_type": task_type})).json()
    [found] = [one for one in page["items"] if one["model"] == model]
    [one] = found["learned"]
    return one


async def arms(db):
    async with db.read() as session:
        return {(row.task_type, row.model): row.state for row in await session.scalars(select(LearnerStateRow))}


async def test_bad_feedback_is_learned_and_another_model_is_chosen(client):
    first = await asked(client)
    chosen = []
    for _ in range(8):
        decision = await asked(client)
        chosen.append(decision["model"] == first["model"])
        reply = await give(client, decision["decision_id"], 0.0 if chosen[-1] else 1.0)
        assert reply.status_code == 200, reply.text
    assert chosen[-4:] == [False] * 4


async def test_feedback_is_kept_with_what_it_taught_before_the_answer_is_sent(client, db):
    decision = await asked(client)
    before = await learned(client, decision["model"])
    reply = await give(client, decision["decision_id"], 0.25)
    assert reply.json() == {
        "decision_id": decision["decision_id"],
        "model": decision["model"],
        "provider": "mock",
        "task_type": "code",
        "score": 0.25,
    }
    kept = await arms(db)  # read beside the running switch: whatever kills it now, this stays
    for task_type in ("code", "*"):
        state = kept[task_type, f"mock/{decision['model']}"]
        assert state["count"] == pytest.approx(before["outcomes"] + FEEDBACK_WEIGHT)
    async with db.read() as session:
        row = await session.get(RouteDecisionRow, decision["decision_id"])
    assert (row.feedback["score"], row.feedback["caller"]) == (0.25, "owner")
    after = await learned(client, decision["model"])
    assert after["reward"] < before["reward"]
    assert after["outcomes"] == pytest.approx(3)


async def test_saying_it_again_replaces_what_was_said(client, db):
    decision = (await asked(client))["decision_id"]
    await give(client, decision, 0.9)
    only = await arms(db)
    await give(client, decision, 0.1)
    assert await arms(db) != only
    await give(client, decision, 0.9)
    assert await arms(db) == {key: {**state, "total": pytest.approx(state["total"])} for key, state in only.items()}


async def test_the_same_key_counts_once_and_another_body_is_refused(client, db):
    decision, key = (await asked(client))["decision_id"], {"Idempotency-Key": "fb-1"}
    first = await give(client, decision, 0.5, headers=key)
    once = await arms(db)
    again = await give(client, decision, 0.5, headers=key)
    assert again.json() == first.json()
    assert await arms(db) == once
    problem(await give(client, decision, 0.6, headers=key), 409, "idempotency_conflict")


async def test_feedback_is_for_ones_own_decisions_and_for_answers(client, upstream, mine):
    owners = (await asked(client))["decision_id"]
    problem(await give(client, owners, 1.0, headers=mine), 403, "forbidden")
    my_own = (await asked(client, headers=mine))["decision_id"]
    assert (await give(client, my_own, 1.0, headers=mine)).status_code == 200
    assert (await give(client, my_own, 0.5)).status_code == 200  # the owner may
    problem(await give(client, "dec_nothing", 1.0), 404, "not_found")
    upstream.behaviour = "bad_request"
    refused = await client.post("/v1/chat/completions", json=chat(model="mock/one"))
    problem(await give(client, refused.headers["x-vx11-decision"], 1.0), 409, "conflict")


@pytest.mark.parametrize("score", [-0.1, 1.1, None, "NaN", "high"])
async def test_a_score_is_a_number_from_0_to_1(client, score):
    assert (await give(client, "dec_1", score)).status_code == 422


async def test_how_models_have_done_can_be_read_page_by_page(client, upstream):
    for model in ("one", "two"):
        await client.post("/v1/chat/completions", json=chat(model=f"mock/{model}"))
    upstream.behaviour = "broken"
    await client.post("/v1/chat/completions", json=chat(model="mock/one"))
    whole = (await client.get("/switch/performance")).json()
    one, two = whole["items"]
    assert (one["id"], one["asked"] > one["answered"], one["answered"], two["failed"]) == ("mock/one", True, 1, 0)
    assert "failed with status 500" in one["last_failure"]
    assert two["mean_latency_ms"] > 0
    assert two["input_tokens"] > 0
    assert [known["task_type"] for known in two["learned"]] == ["general"]
    first = (await client.get("/switch/performance", params={"limit": 1})).json()
    rest = (await client.get("/switch/performance", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [*first["items"], *rest["items"]] == whole["items"]
    assert rest["next_cursor"] is None
    assert (await client.get("/switch/performance", params={"provider": "nobody"})).json()["items"] == []
    assert (await client.get("/switch/performance", params={"task_type": "code"})).json()["items"][0]["learned"] == []


@pytest.mark.parametrize("asked", [{"cursor": "nonsense"}, {"provider": "a b"}, {"task_type": "*"}])
async def test_a_page_that_cannot_be_is_refused(client, asked):
    assert (await client.get("/switch/performance", params=asked)).status_code == 422


async def test_a_decision_shows_the_parts_of_each_score(client):
    decision = await asked(client)
    told = (await client.get(f"/switch/decisions/{decision['decision_id']}")).json()
    scores = [one["score"] for one in told["candidates"]]
    assert scores == sorted(scores, reverse=True)
    for one in told["candidates"]:
        assert one["score"] == pytest.approx(sum(one["parts"].values()), abs=0.01)
        assert {"specialty", "performance", "efficiency", "availability", "exploration"} <= set(one["parts"])


async def test_the_client_of_other_services_speaks_the_contract(client, settings_of, secrets):
    port = client.base_url.port
    neighbour = SwitchClient(settings_of(switch_port=port), secrets, "madre")
    try:
        decision = await neighbour.route("hello", task_type="code")
        reply = await neighbour.feedback(decision.decision_id, 0.75, comment="rather good")
        assert (reply.score, reply.task_type, reply.model) == (0.75, "code", decision.model)
        page = await neighbour.performance(task_type="code")
        assert page.items[0].learned[0].task_type == "code"
        with pytest.raises(NotFound):
            await neighbour.feedback("dec_nothing", 1.0)
    finally:
        await neighbour.close()


async def test_feedback_outlives_a_switch_that_is_killed_at_once(upstream, forks, state_dir, owner_headers, db):
    providers = json.dumps({"mock": provider(upstream, "one")})
    told = {
        "VX11_PROVIDERS": providers,
        "VX11_SWITCH_LOOK_FOR_SERVERS_EVERY": "PT0S",
        "VX11_LIGHT_MODEL_PATH": "/nowhere",
    }

    def say_and_kill():
        with real_switch(forks, state_dir, owner_headers, **told) as switch:
            decision = switch.client.post("/v1/chat/completions", json=chat(model="mock/one")).headers[
                "x-vx11-decision"
            ]
            reply = switch.client.post("/switch/feedback", json={"decision_id": decision, "score": 0.0})
            switch.stop(signal.SIGKILL)
            assert reply.status_code == 200, reply.text

    await asyncio.to_thread(say_and_kill)
    kept = await arms(db)
    assert kept["general", "mock/one"]["count"] == pytest.approx(1 + FEEDBACK_WEIGHT)
    assert kept["general", "mock/one"]["total"] < 1.0
