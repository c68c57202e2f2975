"""The gateway as a process of its own: what it keeps in memory, and how it stops."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.wire import Visit, dial
from tests.forked import SERVE, Forked, Forks
from tests.gateway.conftest import Door, Fleet
from tests.gateway.test_streaming import CHUNKED, EVENTS, chunk, soon

MIB = 1024 * 1024
PIECE = b"x" * MIB
PIECES = 300
ROOM_MIB = 48  # what buffers on the way may take; far below what passes


class Process:
    def __init__(self, door: Door, running: Forked) -> None:
        self.door, self.running = door, running

    def peak_mib(self) -> float:
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


@pytest.fixture
async def process(state_dir: Path, secrets, fleet: Fleet, forks: Forks) -> AsyncIterator[Process]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ports = {f"VX11_{name.upper()}_PORT": str(module.port) for name, module in fleet.all.items()}
    told = ports | {"VX11_STATE_DIR": str(state_dir), "VX11_GATEWAY_PORT": str(port)}
    running = forks.start(SERVE, "gateway", **told)
    door = Door(None, port, secrets.owner.get_secret_value())
    async with asyncio.timeout(60):
        while not running.ended.done():
            try:
                await door.ask("GET /health", token="")
                break
            except ConnectionError:
                await asyncio.sleep(0.05)
    yield Process(door, running)
    running.kill()


async def test_what_passes_through_does_not_stay(process, fleet):
    taken = 0

    async def take(visit: Visit) -> None:
        nonlocal taken
        while taken < PIECES * MIB:
            taken += len(await visit.reader.read(MIB))
        await visit.send(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")

    async def give(visit: Visit) -> None:
        await visit.send(CHUNKED)
        for _ in range(PIECES):
            await visit.send(chunk(PIECE))
        await visit.send(b"0\r\n\r\n")

    before = process.peak_mib()
    async with asyncio.timeout(60), dial(process.door.port) as client:
        fleet.shub.behaviour = take
        await client.send(process.door.request("POST /shub/assets", f"Content-Length: {PIECES * MIB}"))
        for _ in range(PIECES):
            await client.send(PIECE)
        assert (await client.answer()).status == 201
        fleet.shub.behaviour = give
        await client.send(process.door.request("GET /shub/assets/a/content"))
        await client.head()
        got = 0
        while piece := await client.chunk():
            got += len(piece)
    assert (taken, got) == (PIECES * MIB, PIECES * MIB)
    assert process.peak_mib() - before < ROOM_MIB


async def test_a_stop_ends_event_streams_and_then_the_process(process, fleet):
    async def tell(visit: Visit) -> None:
        await visit.send(EVENTS + chunk(b"data: 1\n\n"))
        await visit.left()

    fleet.madre.behaviour = tell
    async with dial(process.door.port) as client:
        await client.send(process.door.request("GET /madre/plans/p/events"))
        await soon(client.head())
        assert await soon(client.chunk()) == b"data: 1\n\n"
        os.kill(process.running.pid, signal.SIGTERM)
        assert await soon(client.chunk()) == b""
        assert await asyncio.to_thread(process.running.wait) == 0
