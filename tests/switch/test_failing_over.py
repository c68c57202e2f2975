"""Retries, fallbacks, circuits and limits of time over `/v1/chat/completions`: what a client sees, and what providers saw."""

import asyncio

import httpx
import pytest

from switch import policy
from tests.fakes.openai_upstream import ANSWER
from tests.switch.conftest import chat, openai_error, provider
from tests.switch.test_completions import PATH, events, spoken


@pytest.fixture
def at_once(monkeypatch):
    """No pauses between rounds."""
    monkeypatch.setattr(policy, "pause_seconds", lambda _n: 0.0)


async def decision_of(client: httpx.AsyncClient, answer: httpx.Response) -> dict:
    found = await client.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")
    assert found.status_code == 200, found.text
    return found.json()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", ["broken", "closes", "not_http"])
async def test_who_fails_is_asked_again_before_the_first_byte(
    upstream, settings_of, served, at_once, behaviour, stream
):
    upstream.behaviours = [behaviour, behaviour]
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")}, switch_retries=2)) as client:
        answer = await client.post(PATH, json=chat(stream=stream))
        assert answer.status_code == 200
        assert (spoken(answer.text) if stream else answer.json()["choices"][0]["message"]["content"]) == ANSWER
        assert len(upstream.asked) == 3
        [candidate] = (await decision_of(client, answer))["candidates"]
        assert (candidate["tried"], candidate["outcome"]) == (True, "answered")


@pytest.mark.parametrize("behaviour", ["unauthorized", "limited", "bad_request", "no_such_model"])
async def test_what_would_only_fail_again_is_not_asked_again(upstream, settings_of, served, at_once, behaviour):
    upstream.behaviour = behaviour
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")}, switch_retries=2)) as client:
        assert (await client.post(PATH, json=chat())).status_code >= 400
    assert len(upstream.asked) == 1


async def test_after_the_first_byte_nobody_is_asked_again(upstream, settings_of, served, at_once):
    upstream.behaviour = "cut"
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")}, switch_retries=2)) as client:
        answer = await client.post(PATH, json=chat(stream=True))
    assert events(answer.text)[-1]["error"]["code"] == "upstream_cut"
    assert len(upstream.asked) == 1


async def test_a_fallback_is_asked_before_anybody_is_asked_twice(
    upstream, other_upstream, settings_of, served, at_once
):
    upstream.behaviour = "broken"
    providers = {"first": provider(upstream, "gpt"), "second": provider(other_upstream, "gpt")}
    async with served(settings_of(providers=providers, switch_retries=2)) as client:
        answer = await client.post(PATH, json=chat(model="auto"))
        assert answer.headers["x-vx11-provider"] == "second"
        assert len(upstream.asked) == len(other_upstream.asked) == 1


async def test_what_one_model_cannot_take_is_asked_of_the_next(upstream, other_upstream, settings_of, served):
    upstream.behaviour = "too_long"
    providers = {"first": provider(upstream, "gpt"), "second": provider(other_upstream, "gpt")}
    async with served(settings_of(providers=providers, switch_retries=2, switch_breaker_failures=1)) as client:
        answer = await client.post(PATH, json=chat(model="auto"))
        assert answer.headers["x-vx11-provider"] == "second"
        refused, answered, *_ = (await decision_of(client, answer))["candidates"]
        assert (refused["outcome"], answered["outcome"]) == ("unsupported", "answered")
        assert "maximum context length is 8 tokens" in refused["detail"]
        named = await client.post(PATH, json=chat(model="first/gpt"))  # in its own words, and no circuit is open
        assert (named.status_code, named.json()["error"]["code"]) == (400, "context_length_exceeded")
        other_upstream.behaviour = "too_long"
        openai_error(await client.post(PATH, json=chat(model="auto")), 400, "unsupported_by_model")
        assert len(upstream.asked) == 3


async def test_a_request_that_is_at_fault_itself_is_asked_of_nobody_else(upstream, other_upstream, settings_of, served):
    upstream.behaviour = "bad_request"
    providers = {"first": provider(upstream, "gpt"), "second": provider(other_upstream, "gpt")}
    async with served(settings_of(providers=providers)) as client:
        refused = await client.post(PATH, json=chat(model="auto"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_value")
    assert other_upstream.asked == []


async def test_a_model_that_our_key_is_not_for_leaves_its_provider_its_others(upstream, settings_of, served):
    upstream.behaviours = ["forbidden"]
    async with served(
        settings_of(providers={"mock": provider(upstream, "dear", "cheap")}, switch_cooling=60)
    ) as client:
        for _ in range(2):
            answer = await client.post(PATH, json=chat(model="auto"))
            assert answer.status_code == 200, answer.text
        assert [one.body["model"] for one in upstream.asked] == ["dear", "cheap", "cheap"]


async def test_a_model_that_fails_again_and_again_is_left_alone(upstream, other_upstream, settings_of, served):
    upstream.behaviour = "broken"
    providers = {"first": provider(upstream, "gpt"), "second": provider(other_upstream, "gpt")}
    # Whatever is learned, and however quick the other one is:
    preferred = {"switch_preferred": ["first"], "switch_weight_performance": 0.0, "switch_weight_efficiency": 0.0}
    settings = settings_of(providers=providers, switch_cooling=60, switch_breaker_failures=2, **preferred)
    async with served(settings) as client:
        for _ in range(4):
            answer = await client.post(PATH, json=chat(model="auto"))
            assert answer.headers["x-vx11-provider"] == "second"
        assert len(upstream.asked) == 2
        health = (await client.get("/health")).json()
        assert health["checks"]["provider_first"]["status"] == "degraded"
        assert health["checks"]["provider_second"]["status"] == "ok"
        named = await client.post(PATH, json=chat(model="first/gpt"))  # by name it is asked all the same
        openai_error(named, 502, "provider_failed")
        assert len(upstream.asked) == 3


async def test_who_breaks_off_its_streams_again_and_again_is_left_alone(upstream, other_upstream, settings_of, served):
    upstream.behaviour = "cut"
    providers = {"first": provider(upstream, "gpt"), "second": provider(other_upstream, "gpt")}
    preferred = {"switch_preferred": ["first"], "switch_weight_performance": 0.0, "switch_weight_efficiency": 0.0}
    settings = settings_of(providers=providers, switch_cooling=60, switch_breaker_failures=2, **preferred)
    async with served(settings) as client:
        for _ in range(2):
            broken = await client.post(PATH, json=chat(model="auto", stream=True))
            assert events(broken.text)[-1]["error"]["code"] == "upstream_cut"
        answer = await client.post(PATH, json=chat(model="auto", stream=True))
        assert answer.headers["x-vx11-provider"] == "second"


async def test_who_asked_for_a_pause_gets_it_even_when_asked_for_by_name(upstream, settings_of, served):
    upstream.behaviour = "limited"
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")}, switch_cooling=1)) as client:
        for _ in range(3):
            answer = await client.post(PATH, json=chat())
            openai_error(answer, 429, "provider_limited")
            assert 0 < int(answer.headers["retry-after"]) <= 7
    assert len(upstream.asked) == 1


async def test_killing_an_upstream_under_load_costs_no_client_its_answer(upstream, other_upstream, settings_of, served):
    upstream.behaviour = other_upstream.behaviour = "fine"
    providers = {"first": provider(upstream, "gpt"), "second": provider(other_upstream, "gpt")}
    async with served(settings_of(providers=providers, switch_cooling=60)) as client:

        async def ask(n: int) -> httpx.Response:
            if n == 40:
                busy = upstream if len(upstream.asked) >= len(other_upstream.asked) else other_upstream
                busy.behaviour = "closes"  # from now on every connection breaks, those under way too
            return await client.post(PATH, json=chat(model="auto", stream=n % 4 == 0))

        answers = await asyncio.gather(*(ask(n) for n in range(120)))
        assert {answer.status_code for answer in answers} == {200}
        assert all("[DONE]" in answer.text or "chat.completion" in answer.text for answer in answers)
        assert not any('"error"' in answer.text for answer in answers)


async def test_a_limit_of_time_ends_the_wait_and_the_work(upstream, settings_of, served):
    upstream.behaviour = "silent"
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")})) as client:
        answer = await client.post(PATH, json=chat(vx11={"max_latency_ms": 500}))
        openai_error(answer, 503, "no_model_reachable")
        await asyncio.wait_for(upstream.left.wait(), 60)


# --- what a request says to switch, and what is said back ----------------------------------------------------------


async def test_headers_tell_the_way_and_what_it_cost(upstream, settings_of, served):
    prices = {"mock/gpt": {"input": 100_000, "output": 200_000}}
    settings = settings_of(providers={"mock": provider(upstream, "gpt")}, switch_prices=prices)
    async with served(settings) as client:
        answer = await client.post(PATH, json=chat(vx11={"session_id": "s1", "task_type": "code"}))
        assert answer.headers["x-vx11-provider"] == "mock"
        assert float(answer.headers["x-vx11-cost-usd"]) == pytest.approx(5 * 0.1 + 6 * 0.2)
        assert float(answer.headers["x-vx11-queue-ms"]) == 0.0
        assert 0.0 < float(answer.headers["x-vx11-overhead-ms"]) < 5_000
        decision = await decision_of(client, answer)
        assert (decision["session_id"], decision["task_type"], decision["cost_usd"]) == (
            "s1",
            "code",
            pytest.approx(1.7),
        )
    assert "vx11" not in upstream.asked[0].body


@pytest.mark.parametrize("path", [PATH, "/v1/messages", "/switch/route"])
async def test_who_got_no_answer_can_ask_why_too(client, upstream, path):
    upstream.behaviour = "broken"
    asked = {"prompt": "hi"} if path == "/switch/route" else chat(max_tokens=9)
    answer = await client.post(path, json=asked)
    assert answer.status_code >= 500
    decision = await decision_of(client, answer)
    assert decision["outcome"] == "failed"
    assert decision["candidates"][0]["outcome"] == "server_error"


async def test_what_a_call_may_cost_holds_for_a_model_by_name_too(upstream, settings_of, served):
    prices = {"mock/gpt": {"input": 100, "output": 100}}
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")}, switch_prices=prices)) as client:
        dear = await client.post(PATH, json=chat(max_tokens=1000, vx11={"max_cost_usd": 0.01}))
        assert "0.01" in openai_error(dear, 422, "model_refused")["message"]
        unknown = await client.post(PATH, json=chat(model="mock/other", vx11={"max_cost_usd": 0.01}))
        assert "price is not known" in openai_error(unknown, 422, "model_refused")["message"]
        assert not upstream.asked
        assert (await client.post(PATH, json=chat(max_tokens=10, vx11={"max_cost_usd": 0.01}))).status_code == 200


@pytest.mark.parametrize(
    ("extras", "param"),
    [
        ("no object", "vx11"),
        ({"max_cost": 0.001}, "vx11"),
        ({"priority": "NOW"}, "vx11.priority"),
        ({"max_latency_ms": 0}, "vx11.max_latency_ms"),
        ({"max_cost_usd": -1}, "vx11.max_cost_usd"),
        ({"cache_seconds": "long"}, "vx11.cache_seconds"),
        ({"session_id": "a b"}, "vx11.session_id"),
        ({"task_type": ["code"]}, "vx11.task_type"),
    ],
)
async def test_what_cannot_be_meant_is_named(client, upstream, extras, param):
    assert openai_error(await client.post(PATH, json=chat(vx11=extras)), 422, "invalid_request")["param"] == param
    assert not upstream.asked


async def test_an_answer_is_given_again_only_to_who_asks_for_that(client, upstream, secrets):
    kept = chat(vx11={"cache_seconds": 60})
    assert (await client.post(PATH, json=chat())).headers.get("x-vx11-cache") is None
    first = await client.post(PATH, json=kept)
    assert first.headers["x-vx11-cache"] == "miss"
    again = await client.post(PATH, json=kept)
    assert again.headers["x-vx11-cache"] == "hit"
    assert again.content == first.content
    assert again.headers["x-vx11-decision"] == first.headers["x-vx11-decision"]
    assert len(upstream.asked) == 2
    assert "x-vx11-cache" not in (await client.post(PATH, json=chat())).headers
    other = {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": "you", "X-VX11-Scopes": "switch:*"}
    assert (await client.post(PATH, json=kept, headers=other)).headers["x-vx11-cache"] == "miss"
    streamed = await client.post(PATH, json=kept | {"stream": True})
    assert "x-vx11-cache" not in streamed.headers
    assert spoken(streamed.text) == ANSWER


async def test_a_failure_is_not_kept(client, upstream):
    upstream.behaviours = ["bad_request"]
    kept = chat(vx11={"cache_seconds": 60})
    assert (await client.post(PATH, json=kept)).status_code == 400
    assert (await client.post(PATH, json=kept)).headers["x-vx11-cache"] == "miss"


async def test_what_happened_is_counted(client, upstream):
    upstream.behaviours = ["broken"]
    await client.post(PATH, json=chat())
    await client.post(PATH, json=chat())
    metrics = (await client.get("/metrics")).text
    assert 'vx11_switch_calls_total{outcome="answered",provider="mock"} 1.0' in metrics
    assert 'vx11_switch_failures_total{kind="server_error",provider="mock"} 1.0' in metrics
    assert 'vx11_switch_tokens_total{direction="output",provider="mock"} 6.0' in metrics
    assert "vx11_switch_overhead_seconds_bucket" in metrics
