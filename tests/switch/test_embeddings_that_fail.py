"""Embeddings of providers that fail, over `/v1/embeddings`: tried again, left alone and counted as chats are."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from switch import policy
from tests.switch.conftest import KEY, openai_error, serving

PATH = "/v1/embeddings"
ASKED = {"model": "mock/embed", "input": "hello"}
Opens = Callable[..., Any]


@dataclass
class FakeProvider:
    """Answers with these statuses in turn, then well."""

    statuses: list[int] = field(default_factory=list)
    asked: int = 0

    async def embed(self, request: Request) -> JSONResponse:
        self.asked += 1
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return JSONResponse({"error": {"message": "no"}}, status, {"retry-after": "60"} if status == 429 else {})
        data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return JSONResponse({"object": "list", "data": data, "model": (await request.json())["model"], "usage": usage})


@pytest.fixture
def opened(settings_of: Any, served: Any, monkeypatch: pytest.MonkeyPatch) -> Opens:
    """`async with opened(fake, **settings) as client`, without pauses between tries."""
    monkeypatch.setattr(policy, "pause_seconds", lambda _n: 0.0)

    @asynccontextmanager
    async def run(fake: FakeProvider, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
        upstream = FastAPI()
        upstream.post("/v1/embeddings")(fake.embed)
        async with serving(upstream) as url:
            mock = {"base_url": f"{url}/v1", "api_key": KEY}
            async with served(settings_of(providers={"mock": mock}, switch_cooling=60, **given)) as client:
                yield client

    return run


async def test_who_fails_for_a_moment_is_asked_again(opened: Opens):
    fake = FakeProvider([500, 503])
    async with opened(fake, switch_retries=2) as client:
        answer = await client.post(PATH, json=ASKED)
        assert answer.status_code == 200, answer.text
        decision = (await client.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")).json()
    assert (fake.asked, decision["outcome"]) == (3, "answered")


async def test_who_wants_a_pause_gets_it_and_says_how_long(opened: Opens):
    fake = FakeProvider([429])
    async with opened(fake) as client:
        for _ in range(2):
            answer = await client.post(PATH, json=ASKED)
            openai_error(answer, 429, "provider_limited")
            assert 0 < int(answer.headers["retry-after"]) <= 60
    assert fake.asked == 1


async def test_failures_in_a_row_open_the_circuit_that_health_tells_of_and_an_answer_closes_it(opened: Opens):
    fake = FakeProvider([500, 500])
    async with opened(fake, switch_breaker_failures=2) as client:
        for _ in range(2):
            openai_error(await client.post(PATH, json=ASKED), 502, "provider_failed")
        assert (await client.get("/health")).json()["checks"]["provider_mock"]["status"] == "degraded"
        assert (await client.post(PATH, json=ASKED)).status_code == 200  # by name it is asked all the same
        assert (await client.get("/health")).json()["checks"]["provider_mock"]["status"] == "ok"
        metrics = (await client.get("/switch/metrics")).text
    assert 'vx11_switch_failures_total{kind="server_error",provider="mock"} 2.0' in metrics
