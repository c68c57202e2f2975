"""Providers that are odd in ways that real ones are: what they say word for word, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from switch import flight
from tests.fakes.openai_upstream import ANSWER, Asked, OpenAIUpstream, completion
from tests.switch.conftest import KEY, chat, openai_error, provider
from tests.switch.test_completions import PATH, events, spoken
from tests.switch.test_failing_over import decision_of

EVENTS = "text/event-stream"


@dataclass
class Scripted(OpenAIUpstream):
    """Gives these answers, each once: status, content type, and a body; then it is well-behaved, and answers with what it was asked."""

    script: list[tuple[int, str, str]] = field(default_factory=list)

    async def _fine(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        if self.script:
            status, kind, body = self.script.pop(0)
            return await self._raw(writer, status, kind, body.encode())
        if asked.body.get("stream"):
            return await super()._fine(writer, asked)
        answer = completion(asked)
        answer["choices"][0]["message"]["content"] = asked.body["messages"][0]["content"]
        return await self._json(writer, 200, answer)


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    upstream = Scripted()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield upstream
    finally:
        server.close()


@pytest.fixture
async def odd() -> AsyncIterator[Scripted]:
    async with scripted() as upstream:
        yield upstream


@pytest.fixture
async def client(odd, settings_of, served):
    async with served(settings_of(providers={"mock": provider(odd, "gpt")})) as up:
        yield up


def said(**more: Any) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': 'word '}}]} | more)}\n\n"


async def test_answers_do_not_mix_after_a_provider_refused_to_tell_the_usage_and_failed(client, odd):
    refusal = json.dumps({"error": {"message": "unknown field stream_options"}})
    failure = json.dumps({"error": {"message": "internal"}})
    odd.script = [(400, "application/json", refusal), (500, "application/json", failure)]
    openai_error(await client.post(PATH, json=chat(stream=True)), 502, "provider_failed")
    answers = await asyncio.wait_for(asyncio.gather(*(client.post(PATH, json=chat(f"no {n}")) for n in range(6))), 60)
    assert [one.json()["choices"][0]["message"]["content"] for one in answers] == [f"no {n}" for n in range(6)]


async def test_a_refusal_in_other_words_reaches_the_client_in_openais(client, odd):
    odd.script = [
        (413, "text/html", f"<html>too large, {KEY}</html>"),
        (400, "application/json", '{"object": "error", "message": "temperature is odd", "code": 400}'),
        (400, "application/json", '{"error": "temperature is odd"}'),
        (422, "application/json", '{"detail": [{"msg": "temperature is odd"}]}'),
        (400, "text/plain", ""),
    ]
    answers = [await client.post(PATH, json=chat()) for _ in range(5)]
    for answer in answers:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "code", "param"}, answer.text
        assert error["message"]
        assert answer.headers["content-type"] == "application/json"
    assert [answer.status_code for answer in answers] == [413, 400, 400, 422, 400]
    assert KEY not in answers[0].text
    assert all("temperature is odd" in answer.json()["error"]["message"] for answer in answers[1:4])


@pytest.mark.parametrize("name", ["gpt\r\nx-evil: 1", "gpt\nset-cookie: a=b", "gpt\x00", "gpt\x7f", "\u2028"])
async def test_a_name_that_would_be_headers_is_no_name(client, odd, name):
    answer = await client.post(PATH, json=chat(model=f"mock/{name}"))
    openai_error(answer, 404, "model_not_found")
    assert "x-evil" not in answer.headers
    embedded = await client.post("/v1/embeddings", json={"model": f"mock/{name}", "input": "hi"})
    assert embedded.status_code in (404, 422)
    assert not odd.asked


async def test_names_in_any_script_are_told_in_headers(client, odd):
    answer = await client.post(PATH, json=chat(model="mock/模型"))
    assert answer.status_code == 200
    assert answer.headers["x-vx11-model"] == "mock/%E6%A8%A1%E5%9E%8B"
    odd.script = [(200, "application/json", '{"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 1}}')]
    embedded = await client.post("/v1/embeddings", json={"model": "mock/模型", "input": "hi"})
    assert embedded.status_code == 200, embedded.text
    assert embedded.headers["x-vx11-model"] == "mock/%E6%A8%A1%E5%9E%8B"


@pytest.mark.parametrize(
    "error",
    [
        'data: {"id": "1", "error": {"message": "overloaded"}, "choices": []}\n\n',
        'event: error\ndata: {"error": {"message": "overloaded"}}\n\n',
        ': PROCESSING\n\n: PROCESSING\n\ndata: {"error": {"message": "overloaded"}}\n\n',
    ],
)
async def test_an_error_before_any_word_is_mended_however_it_is_told(odd, error, settings_of, served, other_upstream):
    providers = {"mock": provider(odd, "gpt"), "other": provider(other_upstream, "gpt")}
    odd.script = [(200, EVENTS, error)]
    async with served(settings_of(providers=providers, switch_preferred=["mock"])) as two:
        answer = await two.post(PATH, json=chat(model="auto", stream=True))
    assert len(odd.asked) == 1
    assert answer.headers["x-vx11-provider"] == "other", answer.text
    assert spoken(answer.text) == ANSWER


async def test_an_error_after_the_first_word_is_no_success(client, odd):
    odd.script = [(200, EVENTS, said() + 'data: {"error": {"message": "overloaded ' + KEY + '"}}\n\n')]
    answer = await client.post(PATH, json=chat(stream=True))
    assert "overloaded" in events(answer.text)[-1]["error"]["message"]
    assert KEY not in answer.text
    assert (await decision_of(client, answer))["outcome"] == "cut"


async def test_a_reason_to_stop_that_is_empty_is_none(client, odd):
    odd.script = [(200, EVENTS, said(choices=[{"delta": {"content": "a"}, "finish_reason": ""}]) * 2)]
    answer = await client.post(PATH, json=chat(stream=True))
    assert events(answer.text)[-1]["error"]["code"] == "upstream_cut"


async def test_an_answer_with_an_error_in_place_of_words_is_none(client, odd):
    odd.script = [
        (200, "application/json", '{"choices": [], "error": {"message": "overloaded"}}'),
        (200, "application/json", '{"choices": []}'),
    ]
    for _ in range(2):
        openai_error(await client.post(PATH, json=chat()), 502, "provider_failed")


async def test_the_time_a_model_writes_is_not_counted_as_ours(client, odd, monkeypatch):
    odd.behaviour = "drips"
    clock = flight.time.perf_counter
    late = 0.0
    monkeypatch.setattr(flight, "time", type("Clock", (), {"perf_counter": lambda: clock() + late, "monotonic": None}))
    async with client.stream("POST", PATH, json=chat(stream=True)) as answer:
        chunks = answer.aiter_text()
        await anext(chunks)
        late = 1000.0
        odd.go_on.set()
        _ = [chunk async for chunk in chunks]
    metrics = (await client.get("/metrics")).text
    [total] = [line for line in metrics.splitlines() if line.startswith("vx11_switch_overhead_seconds_sum")]
    assert float(total.split()[1]) < 500.0


async def test_a_model_whose_answer_holds_no_text_did_not_do_well(client, odd):
    odd.script = [(200, "application/json", '{"choices": [{"message": {"role": "assistant", "content": null}}]}')]
    answer = await client.post("/switch/route", json={"prompt": "hi"})
    assert answer.status_code == 502, answer.text
    assert 'outcome="failed",provider="mock"' in (await client.get("/metrics")).text
    [stat] = [one for one in (await client.get("/switch/performance")).json()["items"] if one["provider"] == "mock"]
    assert stat["failed"] == 1, stat
