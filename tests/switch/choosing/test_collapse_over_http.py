"""A model that collapses and recovers, as clients live through it: by what real sockets answer."""

from typing import Any

import httpx
import pytest

from tests.switch.conftest import chat, provider

SOON = 10  # times that a model which has collapsed is asked at most
LATER = 80  # requests within which one that has recovered is found again


@pytest.fixture
async def client(upstream, other_upstream, settings_of, served):
    providers = {"good": provider(upstream, "gpt"), "other": provider(other_upstream, "gpt")}
    prices = {"good/gpt": {"input": 0.1, "output": 0.4}, "other/gpt": {"input": 2.0, "output": 8.0}}
    async with served(settings_of(providers=providers, switch_prices=prices, switch_cooling=0.05)) as up:
        yield up


async def chosen(client: httpx.AsyncClient, times: int) -> list[str]:
    found = []
    for _ in range(times):
        answer = await client.post("/v1/chat/completions", json=chat(max_tokens=50) | {"model": "auto:code"})
        assert answer.status_code == 200, answer.text
        found.append(answer.headers["x-vx11-provider"])
    return found


async def decision(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/v1/chat/completions", json=chat() | {"model": "auto:code"})
    found: dict[str, Any] = (await client.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")).json()
    return found


async def test_a_model_that_collapses_is_left_without_an_error_and_found_again(client, upstream, other_upstream):
    before = await chosen(client, 12)
    assert before.count("good") > 6
    upstream.behaviour = "broken"
    asked = len(upstream.asked)
    assert set(await chosen(client, 22)) == {"other"}
    assert len(upstream.asked) - asked < SOON
    upstream.behaviour = "fine"
    assert "good" in await chosen(client, LATER)
    told = await decision(client)
    for one in told["candidates"]:
        assert sum(one["parts"].values()) == pytest.approx(one["score"])
