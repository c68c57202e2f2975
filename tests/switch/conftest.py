"""Switch as it is served: real sockets in front of it and behind it, so that streams stream and clients can leave."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from switch.main import create_app
from switch.settings import SwitchSettings
from tests.fakes.openai_upstream import OpenAIUpstream, openai_upstream

KEY = "sk-the-key-of-the-provider-0123456789"
ALONE = {"hermes_db_port": 1, "spawner_port": 1, "shub_port": 1}
"""A fleet that runs on this machine has no part in what is tested."""


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with openai_upstream() as up:
        yield up


@pytest.fixture
async def other_upstream() -> AsyncIterator[OpenAIUpstream]:
    async with openai_upstream() as up:
        yield up


def provider(upstream: OpenAIUpstream, *models: str) -> dict[str, Any]:
    return {"base_url": upstream.base_url, "api_key": KEY, "models": list(models)}


SettingsMaker = Callable[..., SwitchSettings]


@pytest.fixture
def settings_of(state_dir: Path, tmp_path: Path) -> SettingsMaker:
    """Settings in this test's state folder, without a local model unless `light_model_path` says otherwise."""

    def make(**given: Any) -> SwitchSettings:
        defaults = {
            "state_dir": state_dir,
            **ALONE,
            "light_model_path": tmp_path / "no-such-model.gguf",
            "switch_cooling": 0,
            "switch_retries": 0,
            "switch_look_for_servers_every": 0,
            "switch_connect_timeout": 60,  # a busy machine is not a provider that is down, nor a neighbour
            "connect_timeout": 60,
        }
        return SwitchSettings(**(defaults | given), _env_file=None)

    return make


@pytest.fixture
def served(owner_headers: dict[str, str]) -> Callable[[SwitchSettings], AbstractAsyncContextManager[httpx.AsyncClient]]:
    """`async with served(settings) as client`: switch behind uvicorn on a port of its own, and a client with the owner's token."""

    @asynccontextmanager
    async def run(settings: SwitchSettings) -> AsyncIterator[httpx.AsyncClient]:
        async with (
            serving(create_app(settings)) as base_url,
            httpx.AsyncClient(base_url=base_url, headers=owner_headers, timeout=30, verify=False) as client,
        ):
            yield client

    return run


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listening])
        try:
            assert server.started
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            await server.shutdown(sockets=[listening])


@pytest.fixture
async def client(upstream, settings_of, served) -> AsyncIterator[httpx.AsyncClient]:
    """Switch with one provider called mock."""
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")})) as up:
        yield up


def chat(text: str = "what does a compressor do?", **more: Any) -> dict[str, Any]:
    return {"model": "mock/gpt", "messages": [{"role": "user", "content": text}]} | more


def openai_error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert set(response.json()["error"]) == {"message", "type", "code", "param"}
    assert response.json()["error"]["code"] == code
    error: dict[str, Any] = response.json()["error"]
    return error


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"/errors/{code}"
    return body


async def light_until(client: httpx.AsyncClient, is_so: Callable[[dict[str, Any]], bool]) -> None:
    """Ask for the local model's status until it is as it should be."""
    async with asyncio.timeout(60):
        while not is_so((await client.get("/switch/status")).json()["light_llm"]):
            pass
