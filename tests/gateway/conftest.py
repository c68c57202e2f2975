"""The gateway as it runs: uvicorn on a real socket, in front of modules on real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop
from fastapi import FastAPI

from config.http_protocol import LimitedHttp
from config.secrets import FleetSecrets
from gateway.main import create_app
from gateway.settings import GatewaySettings
from tests.fakes.wire import Answer, Line, Module, dial


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}  # what the services run on; asyncio's own transports behave differently


@dataclass
class Fleet:
    """A module for each that the gateway knows."""

    madre: Module = field(default_factory=Module)
    switch: Module = field(default_factory=Module)
    hermes_db: Module = field(default_factory=Module)
    hermes: Module = field(default_factory=Module)
    shub: Module = field(default_factory=Module)
    spawner: Module = field(default_factory=Module)

    @property
    def all(self) -> dict[str, Module]:
        return vars(self)

    @property
    def visits(self) -> int:
        return sum(len(module.visits) for module in self.all.values())


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    found = Fleet()
    async with AsyncExitStack() as stack:
        for module in found.all.values():
            await stack.enter_async_context(module.open())
        yield found
    for name, module in found.all.items():
        assert not module.troubles, f"{name}: {module.troubles}"


@dataclass
class Door:
    """A gateway that runs, and the owner's way to talk to it."""

    app: FastAPI
    port: int
    token: str

    def request(self, line: str, *headers: str, token: str | None = None) -> bytes:
        """The head of a request, with the owner's token unless another is given (empty: none)."""
        shown = self.token if token is None else token
        lines = [f"{line} HTTP/1.1", "Host: door.test", *([f"X-VX11-Token: {shown}"] if shown else []), *headers]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    async def ask(self, line: str, *headers: str, body: bytes = b"", token: str | None = None) -> Answer:
        """One request on a connection of its own, and its answer."""
        framing = [f"Content-Length: {len(body)}"] if body else []
        async with dial(self.port) as client:
            await client.send(self.request(line, *headers, *framing, token=token) + body)
            return await client.answer(to_head=line.startswith("HEAD "))

    def dial(self) -> AbstractAsyncContextManager[Line]:
        return dial(self.port)

    def http(self, **options: Any) -> httpx.AsyncClient:
        headers = {"X-VX11-Token": self.token} | options.pop("headers", {})
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, trust_env=False, verify=False, **options
        )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up, self.ends = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.is_up.set()
        await self.ends.wait()


OpenDoor = Callable[..., Awaitable[Door]]


@pytest.fixture
async def open_door(state_dir: Path, secrets: FleetSecrets, fleet: Fleet) -> AsyncIterator[OpenDoor]:
    """`door = await open_door(gateway_idle_timeout=…)`: a gateway with these settings in front of the fleet."""
    running: list[tuple[_Server, asyncio.Task[None]]] = []

    async def start(**given: Any) -> Door:
        urls = {name: f"http://127.0.0.1:{module.port}" for name, module in fleet.all.items()}
        settings = GatewaySettings(
            _env_file=None,
            state_dir=state_dir,
            # All ends share one loop here, and a busy machine may hold it up for longer than the half second of the default.
            **{"service_urls": urls, "log_level": "error", "connect_timeout": 10, **given},
        )
        app = create_app(settings)
        listening = socket.create_server(("127.0.0.1", 0))
        server = _Server(
            uvicorn.Config(
                app,
                http=LimitedHttp,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        running.append((server, asyncio.create_task(server.serve(sockets=[listening]))))
        await server.is_up.wait()
        return Door(app, listening.getsockname()[1], secrets.owner.get_secret_value())

    yield start
    for server, task in running:
        server.ends.set()
        await task


@pytest.fixture
async def door(open_door: OpenDoor) -> Door:
    return await open_door()
