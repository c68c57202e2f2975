"""What a client without a token can make a service keep."""

import pytest

from config.http_protocol import MOST_HEAD_BYTES
from tests.fakes.wire import Line
from tests.gateway.test_streaming import chunk, soon

PIECE = b"a" * 8192


async def pour(client: Line) -> None:
    while True:
        await client.send(PIECE)


async def test_endless_headers_are_431(door):
    async with door.dial() as client:
        await client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        sent = 0
        while sent <= MOST_HEAD_BYTES:
            await client.send(b"X-A: " + PIECE + b"\r\n")
            sent += len(PIECE)
        assert (await soon(client.answer())).status == 431


@pytest.mark.parametrize("start", [b"GET /health?", b"GET /health HTTP/1.1\r\nX: ", b"\r\n"])
async def test_an_endless_line_is_431(door, start):
    async with door.dial() as client:
        await client.send(start)
        piece = PIECE if start.strip() else start * 4096  # empty lines before a request are skipped
        for _ in range(MOST_HEAD_BYTES // len(piece) + 1):
            await client.send(piece)
        assert (await soon(client.answer())).status == 431


@pytest.mark.parametrize("start", [b"0\r\nX: ", b"1;"])
async def test_endless_trailers_and_chunk_extensions_end_the_connection(door, start):
    async with door.dial() as client:
        await client.send(door.request("POST /madre/chat", "Transfer-Encoding: chunked", token=""))
        await client.send(start)
        assert (await soon(client.answer())).status == 401
        with pytest.raises(ConnectionError):
            await pour(client)


async def test_long_headers_within_the_limit_and_long_bodies_pass(door, fleet):
    async with door.dial() as client:
        for _ in range(3):
            long = [f"X-{number}: {'a' * 4000}" for number in range(14)]
            await client.send(door.request("POST /madre/chat", *long, "Transfer-Encoding: chunked"))
            for _ in range(20):
                await client.send(chunk(b"x" * 40_000))
            await client.send(b"0\r\nX-Trailer: fine\r\n\r\n")
            assert (await soon(client.answer())).status == 200
    assert [len(visit.body) for visit in fleet.madre.visits] == [800_000] * 3
