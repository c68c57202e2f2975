"""Budgets against clients and providers that do their worst, over real sockets."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from config.db_schema import AuditRow
from config.forensics import verify
from switch.calls import Needs
from switch.money.usage import TOKENS_PER_SECOND, unheard
from tests.fakes import openai_upstream as fake
from tests.switch.conftest import chat, openai_error, provider

PRICES = {"mock/gpt": {"input": 1.0, "output": 10.0}}


@pytest.fixture
def switch_of(upstream, settings_of, served):
    def make(**given: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        return served(settings_of(providers={"mock": provider(upstream, "gpt")}, switch_prices=PRICES, **given))

    return make


async def ask(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=chat(**more))


async def budget(client: httpx.AsyncClient, scope: str = "day") -> dict[str, Any]:
    items = (await client.get("/switch/budget")).json()["items"]
    found: dict[str, Any] = next(one for one in items if one["scope"] == scope)
    return found


def answering(monkeypatch: pytest.MonkeyPatch, usage: Any) -> None:
    made = fake.completion
    monkeypatch.setattr(fake, "completion", lambda asked: made(asked) | {"usage": usage})


async def test_fifty_at_once_never_go_beyond_a_budget(switch_of, upstream, monkeypatch):
    upstream.behaviour = "silent"
    answering(monkeypatch, {"prompt_tokens": 5, "completion_tokens": 1000})
    async with switch_of(switch_budget_usd_per_day=0.1) as client:
        asking = [asyncio.create_task(ask(client, max_tokens=1000)) for _ in range(50)]
        while sum(one.done() for one in asking) + len(upstream.asked) < 50:
            await asyncio.sleep(0)
        held = await budget(client)
        upstream.go_on.set()
        statuses = [one.status_code for one in await asyncio.gather(*asking)]
        assert held["reserved_usd"] <= 0.1
        assert statuses.count(402) == 50 - len(upstream.asked)
        assert statuses.count(200) == len(upstream.asked) == 9  # a cent and what the question may cost, each
        found = await budget(client)
        assert (found["spent_usd"], found["reserved_usd"]) == (pytest.approx(9 * 0.010005), 0.0)


async def test_a_model_is_told_how_much_a_budget_lets_it_write(switch_of, upstream):
    async with switch_of(switch_budget_usd_per_day=0.1, switch_budget_max_tokens=2000) as client:
        assert (await ask(client)).status_code == 200
        assert (await ask(client, stream=True)).status_code == 200
        assert (await ask(client, max_tokens=300)).status_code == 200
        assert [one.body["max_tokens"] for one in upstream.asked] == [2000, 2000, 300]


async def test_nobody_is_let_write_for_more_than_the_request_may_cost(switch_of, upstream):
    async with switch_of() as client:
        for more in ({}, {"max_tokens": 998}, {"max_completion_tokens": 998}, {"max_tokens": 400}):
            answered = await ask(client, vx11={"max_cost_usd": 0.01}, **more)
            assert answered.status_code == 200, answered.text
        limits = [one.body.get("max_tokens") or one.body["max_completion_tokens"] for one in upstream.asked]
        assert limits == [996, 996, 996, 400]  # 996 tokens are 0.00996 dollars, and the question at most 0.000033
        refused = await ask(client, n=50, vx11={"max_cost_usd": 0.01})
        assert "the request allows $0.010000" in openai_error(refused, 402, "budget_exceeded")["message"]


async def test_without_a_budget_a_model_is_told_nothing(switch_of, upstream):
    async with switch_of(switch_budgets={"task:code": 1.0}) as client:
        assert (await ask(client)).status_code == 200
        assert "max_tokens" not in upstream.asked[0].body


async def test_a_refusal_says_what_is_reckoned_with(switch_of, upstream):
    async with switch_of(switch_budget_usd_per_day=0.01) as client:
        error = openai_error(await ask(client), 402, "budget_exceeded")
        assert "with no max_tokens, 8192 tokens of answer are reckoned with" in error["message"]
        assert (await ask(client, max_tokens=500)).status_code == 200


@pytest.mark.parametrize("more", [{"max_tokens": 10**30}, {"n": 10**30}, {"n": 1e300}])
async def test_no_number_is_too_large_to_be_refused_or_asked(switch_of, more):
    async with switch_of() as client:
        assert (await ask(client, **more)).status_code == 200
    async with switch_of(switch_budget_usd_per_day=1_000_000) as client:
        openai_error(await ask(client, **more), 402, "budget_exceeded")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 10},
        {"prompt_tokens": 10**9, "completion_tokens": 10**9},
        "a lot",
        None,
    ],
)
async def test_what_a_provider_cannot_have_used_is_estimated(switch_of, usage, monkeypatch):
    answering(monkeypatch, usage)
    async with switch_of(switch_budget_usd_per_day=1.0) as client:
        assert 0.00005 < float((await ask(client, max_tokens=100)).headers["x-vx11-cost-usd"]) < 0.001
        (found,) = (await client.get("/switch/spend")).json()["items"]
        assert found["is_estimated"] is True


async def test_a_kept_answer_costs_nothing_and_is_given_though_the_budget_is_gone(switch_of, upstream, monkeypatch):
    answering(monkeypatch, {"prompt_tokens": 5, "completion_tokens": 1000})
    async with switch_of(switch_budget_usd_per_day=0.0101) as client:
        for cached in ("miss", "hit", "hit"):
            answer = await ask(client, max_tokens=1000, vx11={"cache_seconds": 60})
            assert (answer.status_code, answer.headers["x-vx11-cache"]) == (200, cached)
        assert len(upstream.asked) == 1
        assert (await budget(client))["spent_usd"] == 0.010005
        openai_error(await ask(client, max_tokens=1000), 402, "budget_exceeded")


async def test_budgets_of_a_caller_and_of_a_type_of_task_hold_over_http(switch_of, upstream):
    async with switch_of(switch_budgets={"token:owner": 0.02, "task:code": 0.01}) as client:
        error = openai_error(await ask(client, max_tokens=1000, vx11={"task_type": "code"}), 402, "budget_exceeded")
        assert "task:code" in error["message"]
        error = openai_error(await ask(client, max_tokens=2000), 402, "budget_exceeded")
        assert "token:owner" in error["message"]
        refused = await client.post("/v1/chat/completions", json=chat(max_tokens=1000) | {"model": "auto:code"})
        openai_error(refused, 402, "budget_exceeded")
        assert upstream.asked == []
        assert (await ask(client, max_tokens=1000)).status_code == 200


def test_what_is_written_unheard_is_reckoned_by_time_and_never_beyond_what_may_be():
    assert unheard(Needs(input_tokens=7), None, 2.0).output_tokens == 2 * TOKENS_PER_SECOND
    assert unheard(Needs(output_tokens=20), None, 2.0).output_tokens == 20
    assert unheard(Needs(), 30, 2.0)[:2] == (0, 30)


async def test_a_client_behind_the_gateway_has_a_budget_of_its_own(switch_of, upstream, fleet_headers):
    def as_client(name: str, *scopes: str) -> dict[str, str]:
        return {**fleet_headers, "X-VX11-Caller": f"token:{name}", "X-VX11-Scopes": " ".join(scopes)}

    poor, rich, trusted = (
        as_client("poor", "switch:*"),
        as_client("rich", "switch:*"),
        as_client("poor", "switch:*", "switch:overspend"),
    )
    async with switch_of(switch_budgets={"token:poor": 0.001}) as client:
        asked = chat(max_tokens=1000)
        openai_error(await client.post("/v1/chat/completions", json=asked, headers=poor), 402, "budget_exceeded")
        for path in ("/v1/chat/completions", "/v1/messages"):
            assert (await client.post(path, json=asked, headers=rich)).status_code == 200
            assert (await client.post(path, json=asked, headers=trusted)).status_code == 200
        refused = await client.post("/v1/messages", json=asked, headers=poor)
        assert (refused.status_code, refused.json()["type"]) == (402, "error")
        told = (await client.get("/switch/budget", headers=poor)).json()["items"]
        assert [(one["scope"], one["spent_usd"]) for one in told] == [("day", 0.00026), ("token:poor", 0.00013)]
        spent = (await client.get("/switch/spend", headers=rich)).json()["items"]
        assert {one["caller"] for one in spent} == {"token:rich"}


async def test_a_stream_that_its_client_leaves_is_paid_as_far_as_it_came(switch_of, upstream):
    upstream.behaviour = "drips"
    async with switch_of(switch_budget_usd_per_day=1.0) as client:
        async with client.stream("POST", "/v1/chat/completions", json=chat(max_tokens=100, stream=True)) as answer:
            await anext(answer.aiter_raw())
        await asyncio.wait_for(upstream.left.wait(), 30)
        while not (found := (await client.get("/switch/spend")).json()["items"]):
            pass
        assert (found[0]["is_estimated"], found[0]["output_tokens"]) == (True, 2)
        assert (await budget(client))["reserved_usd"] == 0.0


async def test_a_refusal_for_money_is_told_in_a_trail_that_holds(switch_of, db, state_dir):
    async with switch_of(switch_budget_usd_per_day=0.001) as client:
        for _ in range(3):
            openai_error(await ask(client, max_tokens=1000), 402, "budget_exceeded")
    async with db.read() as session:
        (row,) = (await session.scalars(select(AuditRow).where(AuditRow.event == "money_refused"))).all()
        connection = await session.connection()
        assert await connection.run_sync(verify, state_dir) == (1, [])
    told = json.loads(row.details)
    assert (row.subject, row.caller, told["model"]) == ("day", "owner", "mock/gpt")
    assert (told["limit_usd"], told["left_usd"], told["needed_usd"]) == (0.001, 0.001, 0.010033)
