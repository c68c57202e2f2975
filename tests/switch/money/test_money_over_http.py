"""Budgets and spend as clients meet them: refused before anybody is asked, paid for whoever answered."""

import httpx
import pytest

from tests.switch.conftest import chat, openai_error, problem, provider

PRICES = {"mock/gpt": {"input": 1.0, "output": 10.0}, "other/gpt": {"input": 2.0, "output": 20.0}}


@pytest.fixture
async def client(upstream, other_upstream, settings_of, served):
    providers = {"mock": provider(upstream, "gpt"), "other": provider(other_upstream, "gpt")}
    settings = settings_of(
        providers=providers,
        switch_prices=PRICES,
        switch_budget_usd_per_day=0.05,
        switch_retries=0,
        switch_look_for_servers_every=0,
    )
    async with served(settings) as up:
        yield up


async def spent(client: httpx.AsyncClient, **query: str) -> list[dict]:
    return (await client.get("/switch/spend", params=query)).json()["items"]


async def day(client: httpx.AsyncClient) -> dict:
    return (await client.get("/switch/budget")).json()["items"][0]


async def test_a_call_is_paid_for_and_told_of_page_by_page(client):
    decisions = [
        (await client.post("/v1/chat/completions", json=chat(max_tokens=100))).headers["x-vx11-decision"]
        for _ in range(3)
    ]
    listed, cursor = [], None
    while True:
        query = {"limit": 1} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get("/switch/spend", params=query)).json()
        listed += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert sorted(one["decision_id"] for one in listed) == sorted(decisions)
    assert {one["cost_usd"] for one in listed} == {0.000065}  # 5 tokens read and 6 written
    found = await day(client)
    assert (found["scope"], found["limit_usd"], found["spent_usd"], found["reserved_usd"]) == (
        "day",
        0.05,
        0.000195,
        0.0,
    )


async def test_a_budget_refuses_before_anybody_is_asked(client, upstream):
    refused = await client.post("/v1/chat/completions", json=chat(max_tokens=6000))
    error = openai_error(refused, 402, "budget_exceeded")
    assert "the budget of the day (day: $0.05 a day) has $0.050000 left" in error["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert upstream.asked == []
    assert await spent(client) == []


async def test_route_says_it_in_its_own_words(client, upstream, other_upstream):
    refused = await client.post("/switch/route", json={"prompt": "hello", "max_tokens": 30_000})
    problem(refused, 402, "budget_exceeded")
    assert upstream.asked == other_upstream.asked == []


async def test_only_who_answered_is_paid(client, upstream, other_upstream):
    upstream.behaviour = "broken"
    answered = await client.post("/v1/chat/completions", json=chat(max_tokens=100) | {"model": "auto"})
    assert answered.status_code == 200
    assert len(upstream.asked) <= 1
    assert len(other_upstream.asked) == 1
    assert [(one["provider"], one["cost_usd"]) for one in await spent(client)] == [("other", 0.00013)]
    assert (await day(client))["reserved_usd"] == 0.0


async def test_what_the_provider_refuses_is_not_paid(client, upstream):
    upstream.behaviour = "bad_request"
    assert (await client.post("/v1/chat/completions", json=chat(max_tokens=100))).status_code == 400
    assert await spent(client) == []
    assert (await day(client))["reserved_usd"] == 0.0


async def test_a_stream_that_breaks_off_is_paid_as_far_as_it_came(client, upstream):
    upstream.behaviour = "cut"
    async with client.stream("POST", "/v1/chat/completions", json=chat(max_tokens=100, stream=True)) as answer:
        await answer.aread()
    (found,) = await spent(client, provider="mock")
    assert found["is_estimated"] is True
    assert found["output_tokens"] == 2
    assert found["cost_usd"] >= 0.00002


@pytest.mark.parametrize("query", [{"day": "yesterday"}, {"limit": 0}, {"limit": 501}, {"caller": "x" * 201}])
async def test_a_question_that_makes_no_sense_is_refused(client, query):
    problem(await client.get("/switch/spend", params=query), 422, "invalid_request")
