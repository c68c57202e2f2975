"""Servers of models on this machine: found when they run, gone when they stop, and nothing else is taken for one."""

import httpx
import pytest

from switch.calls import FREE
from switch.providers import local_servers
from switch.providers.local_servers import LocalServers
from tests.fakes.model_server import ANSWER, model_server


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A busy machine is not a server that is gone."""
    monkeypatch.setattr(local_servers, "CONNECT_SECONDS", 60.0)
    monkeypatch.setattr(local_servers, "ANSWER_SECONDS", 60.0)


def servers(settings_of, **places: str) -> LocalServers:
    return LocalServers(settings_of(switch_local_servers={name.replace("_", "."): url for name, url in places.items()}))


async def test_their_models_are_listed_and_answer_free_of_charge(settings_of, served):
    async with model_server() as ollama, model_server() as vllm:
        ollama.has("llama3.2:3b", "qwen3-coder:30b", "nomic-embed-text:latest")
        vllm.has("big/model", owner="vllm", max_model_len=8192)
        places = {"ollama": ollama.url, "vllm": vllm.url}
        async with served(settings_of(switch_local_servers=places, switch_look_for_servers_every=3600)) as client:
            await client.post("/switch/registry/refresh")
            listed = [card["id"] for card in (await client.get("/v1/models")).json()["data"]]
            assert listed[:4] == ["auto", "ollama/llama3.2:3b", "ollama/qwen3-coder:30b", "vllm/big/model"]
            body = {"model": "ollama/llama3.2:3b", "messages": [{"role": "user", "content": "what does a gate do?"}]}
            answer = await client.post("/v1/chat/completions", json=body)
            assert answer.json()["choices"][0]["message"]["content"] == ANSWER
            assert "/v1/chat/completions" in ollama.asked
            route = await client.post("/switch/route", json={"prompt": "what does a gate do?"})
            assert route.json()["provider"] in ("ollama", "vllm")  # `auto` may choose them
            told = {one["name"]: one for one in (await client.get("/switch/providers?usable=true")).json()["items"]}
            assert set(told) == {"ollama", "vllm"}
            assert told["ollama"]["key_source"] == "none"
            assert told["vllm"]["models"] == 1


async def test_what_is_known_of_their_models(settings_of):
    async with model_server() as vllm, model_server() as llama:
        vllm.has("big", owner="vllm", max_model_len=8192)
        llama.has("small-coder.gguf", owner="llamacpp", meta={"n_ctx_train": 32768})
        found = servers(settings_of, vllm=vllm.url, llama_cpp=llama.url)
        await found.look()
        big, small = found.found["vllm"].models["big"], found.found["llama.cpp"].models["small-coder.gguf"]
        assert (big.context_tokens, small.context_tokens) == (8192, 32768)
        assert big.price is FREE
        assert small.specialties == {"code"}


async def test_one_that_stops_leaves_and_one_that_is_busy_stays(settings_of, monkeypatch):
    async with model_server() as gone, model_server() as busy:
        gone.has("a")
        busy.has("b")
        found = servers(settings_of, one=gone.url, other=busy.url)
        await found.look()
        assert set(found.found) == {"one", "other"}
        gone.answers.clear()
        await found.look()
        assert set(found.found) == {"other"}
        busy.is_silent = True
        monkeypatch.setattr(local_servers, "ANSWER_SECONDS", 0.05)
        await found.look()
        assert set(found.found) == {"other"}
        monkeypatch.setattr(local_servers, "ANSWER_SECONDS", 60.0)
    await found.look()  # now nobody listens there
    assert not found.found


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\x01 220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n<html>hello</html",
        b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}",
        {"object": "list", "data": "none"},
        {"object": "list", "data": [{"name": "x"}, {"id": 7}, {"id": ""}, {"id": "a\nb"}, "llama", None]},
        {"object": "list", "data": []},
        ["llama"],
        None,
    ],
)
async def test_who_answers_something_else_is_no_server_of_models(settings_of, said):
    async with model_server(**{"/v1/models": said}) as fake:
        found = servers(settings_of, lmstudio=fake.url)
        await found.look()
        assert "/v1/models" in fake.asked
        assert not found.found


async def test_somebody_else_at_the_usual_port_is_not_asked_anything(settings_of):
    async with model_server() as tool:
        tool.has("gpt-9", owner="somebody")
        del tool.answers["/api/version"]
        found = servers(settings_of, ollama=tool.url, vllm=tool.url, llama_cpp=tool.url)
        await found.look()
        assert not found.found


async def test_our_own_services_are_never_probed(settings_of):
    async with model_server() as service:
        service.has("x")
        port = httpx.URL(service.url).port
        settings = settings_of(switch_local_servers={"a": service.url, "b": f"http://localhost:{port}"}, shub_port=port)
        found = LocalServers(settings)
        await found.look()
        assert not found.places
        assert not service.asked


def test_the_usual_places_are_not_where_the_fleet_listens(settings_of):
    assert set(LocalServers(settings_of()).places) == {"ollama", "llama.cpp", "vllm", "lmstudio"}
