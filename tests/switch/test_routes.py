"""The routes beside OpenAI's: a prompt in, an answer with its reasons out."""

import asyncio

import pytest

from tests.fakes.openai_upstream import ANSWER
from tests.switch.conftest import KEY, problem, provider


@pytest.fixture
async def auto(upstream, settings_of, served):
    """Switch with one provider that `auto` may choose."""
    async with served(settings_of(providers={"mock": provider(upstream, "gpt", "coder")})) as client:
        yield client


async def test_a_prompt_is_answered_with_model_reason_and_decision(auto, upstream):
    body = {"prompt": "what does a compressor do?", "task_type": "research", "session_id": "s1", "max_tokens": 9}
    reply = (await auto.post("/switch/route", json=body)).json()
    assert reply["answer"] == ANSWER
    assert (reply["model"], reply["provider"]) == ("gpt", "mock")
    assert reply["cost_usd"] is None  # the price is not known
    assert reply["latency_ms"] > 0
    assert upstream.asked[0].body == {
        "model": "gpt",
        "messages": [{"role": "user", "content": "what does a compressor do?"}],
        "max_tokens": 9,
    }
    decision = (await auto.get(f"/switch/decisions/{reply['decision_id']}")).json()
    assert (decision["task_type"], decision["session_id"], decision["caller"]) == ("research", "s1", "owner")
    assert decision["outcome"] == "answered"
    assert [one["outcome"] for one in decision["candidates"]] == ["answered", "not_tried", "not_tried"]


async def test_a_schema_travels_as_openai_wants_it(auto, upstream):
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    await auto.post("/switch/route", json={"prompt": "x", "json_schema": schema})
    assert upstream.asked[0].body["response_format"]["json_schema"]["schema"] == schema


async def test_a_cost_limit_leaves_out_models_without_a_price(auto, upstream):
    refused = await auto.post("/switch/route", json={"prompt": "x", "max_cost_usd": 1.0})
    assert "no-such-model" in problem(refused, 503, "no_model_reachable")["detail"]
    assert not upstream.asked


async def test_a_latency_limit_ends_the_request_upstream(auto, upstream):
    upstream.behaviour = "silent"
    refused = await auto.post("/switch/route", json={"prompt": "x", "max_latency_ms": 100})
    assert "mock/gpt" in problem(refused, 503, "no_model_reachable")["detail"]
    await asyncio.wait_for(upstream.left.wait(), 60)


@pytest.mark.parametrize("path", ["/switch/route", "/query"])
async def test_a_client_that_leaves_ends_the_request_upstream(auto, upstream, path):
    upstream.behaviour = "silent"
    asking = asyncio.create_task(auto.post(path, json={"prompt": "x", "query": "x"}))
    await asyncio.wait_for(upstream.arrived.wait(), 60)
    asking.cancel()
    await asyncio.wait_for(upstream.left.wait(), 60)


async def test_what_the_model_refuses_is_told_without_the_key(auto, upstream):
    upstream.behaviour = "bad_request"
    refused = await auto.post("/switch/route", json={"prompt": "x"})
    assert "temperature is too high" in problem(refused, 422, "model_refused")["detail"]
    assert KEY not in refused.text


async def test_the_same_key_gets_the_same_answer_and_asks_once(auto, upstream):
    headers = {"Idempotency-Key": "plan_1:s1"}
    first = await auto.post("/switch/route", json={"prompt": "x"}, headers=headers)
    second = await auto.post("/switch/route", json={"prompt": "x"}, headers=headers)
    assert first.json() == second.json()
    assert len(upstream.asked) == 1
    problem(await auto.post("/switch/route", json={"prompt": "y"}, headers=headers), 409, "idempotency_conflict")
    assert (await auto.post("/query", json={"query": "x"}, headers={"Idempotency-Key": "q"})).json() == (
        await auto.post("/query", json={"query": "x"}, headers={"Idempotency-Key": "q"})
    ).json()
    assert len(upstream.asked) == 2


async def test_a_repeat_while_the_first_is_under_way_is_told_to_wait(auto, upstream):
    upstream.behaviour = "silent"
    headers = {"Idempotency-Key": "k"}
    first = asyncio.create_task(auto.post("/switch/route", json={"prompt": "x"}, headers=headers))
    await asyncio.wait_for(upstream.arrived.wait(), 60)
    again = await auto.post("/switch/route", json={"prompt": "x"}, headers=headers)
    problem(again, 409, "idempotency_in_progress")
    upstream.go_on.set()
    assert (await first).status_code == 200


async def test_a_failure_is_not_kept_for_the_key(auto, upstream):
    upstream.behaviours = ["broken", "broken"]
    headers = {"Idempotency-Key": "k"}
    assert (await auto.post("/switch/route", json={"prompt": "x"}, headers=headers)).status_code == 503
    assert (await auto.post("/switch/route", json={"prompt": "x"}, headers=headers)).status_code == 200


async def test_the_query_of_the_original_documents(auto, upstream):
    body = {
        "module_id": "op-1",
        "module_type": "OPERATOR",
        "query": "what does a compressor do?",
        "priority": 1,
        "timestamp": 12.5,
        "metadata": {"x": 1},
    }
    for path in ("/query", "/switch/query"):
        reply = (await auto.post(path, json=body)).json()
        assert (reply["status"], reply["model_used"], reply["response"]) == ("success", "mock/gpt", ANSWER)
        assert reply["timestamp"] == 12.5
    assert (await auto.post("/query", json=body | {"priority": "LOW"})).status_code == 200


@pytest.mark.parametrize(
    ("preference", "model"), [("mock/coder", "coder"), ("CODE", "coder"), ("nothing of ours", "gpt"), ("auto", "gpt")]
)
async def test_a_preference_is_a_name_or_a_part_of_one(auto, upstream, preference, model):
    await auto.post("/query", json={"query": "x", "model_preference": preference})
    assert upstream.asked[0].body["model"] == model


async def test_a_query_for_a_command_line_tool_is_not_pretended(auto):
    refused = await auto.post("/query", json={"query": "x", "requires_cli": True})
    assert "no command-line tool" in problem(refused, 503, "no_model_reachable")["detail"]


WRONG_FIELDS = [
    ("/switch/route", {}, "body.prompt"),
    ("/switch/route", {"prompt": ""}, "body.prompt"),
    ("/switch/route", {"prompt": "  \n"}, "body.prompt"),
    ("/switch/route", {"prompt": "a\x00b"}, "body.prompt"),
    ("/switch/route", {"prompt": "x" * 70_000}, "body.prompt"),
    ("/switch/route", {"prompt": "x", "max_latency_ms": 0}, "body.max_latency_ms"),
    ("/switch/route", {"prompt": "x", "max_latency_ms": "soon"}, "body.max_latency_ms"),
    ("/switch/route", {"prompt": "x", "max_cost_usd": -1}, "body.max_cost_usd"),
    ("/switch/route", {"prompt": "x", "priority": "NOW"}, "body.priority"),
    ("/switch/route", {"prompt": "x", "task_type": "a b"}, "body.task_type"),
    ("/query", {"query": 5}, "body.query"),
    ("/query", {"query": "x", "priority": 9}, "body.priority"),
]


async def test_a_wrong_field_is_named(auto, upstream):
    for path, body, field in WRONG_FIELDS:
        refused = problem(await auto.post(path, json=body), 422, "invalid_request")
        assert [one["field"] for one in refused["errors"]] == [field]
    assert not upstream.asked


async def test_emoji_right_to_left_and_sql_are_just_words(auto, upstream):
    prompt = "🎛️ ماذا يفعل الضاغط؟ '; DROP TABLE route_decisions; -- $(rm -rf /)"
    assert (await auto.post("/switch/route", json={"prompt": prompt})).status_code == 200
    assert upstream.asked[0].body["messages"][0]["content"] == prompt


async def test_unknown_decisions_and_wrong_ids(auto):
    problem(await auto.get("/switch/decisions/dec_0"), 404, "not_found")
    problem(await auto.get("/switch/decisions/no%20id"), 422, "invalid_request")


async def test_the_status_tells_models_and_counts(auto, upstream):
    upstream.behaviours = ["limited"]
    await auto.post("/switch/route", json={"prompt": "x"})
    status = (await auto.get("/switch/status")).json()
    assert status["models"] == ["mock/gpt", "mock/coder", "no-such-model"]
    assert status["providers"][0]["name"] == "mock"
    stats = status["stats"]
    assert (stats["total_queries"], stats["answered"], stats["failed_over"], stats["errors"]) == (1, 1, 1, 0)


async def test_a_provider_that_cools_down_shows_in_health(upstream, settings_of, served):
    upstream.behaviour = "limited"
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")}, switch_cooling=60)) as client:
        await client.post("/switch/route", json={"prompt": "x"})
        check = (await client.get("/health")).json()["checks"]["provider_mock"]
        assert (check["status"], "429" in check["detail"]) == ("degraded", True)
        metrics = (await client.get("/switch/metrics")).text
        assert 'vx11_switch_failures_total{kind="limited",provider="mock"} 1.0' in metrics


async def test_no_answer_shows_the_key_of_a_provider(auto):
    for path in ("/switch/status", "/health", "/v1/models", "/switch/openapi.json", "/switch/metrics"):
        assert KEY not in (await auto.get(path)).text


async def test_openapi_describes_the_hot_route_too(auto):
    schema = (await auto.get("/switch/openapi.json")).json()
    assert {"/v1/chat/completions", "/v1/models", "/switch/route", "/switch/query"} <= set(schema["paths"])
    assert "422" in schema["paths"]["/v1/chat/completions"]["post"]["responses"]
