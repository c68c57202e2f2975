"""The protocol of our servers, down to the bytes: real sockets, and apps that answer as each test needs it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from config.http_protocol import LimitedHttp
from tests.fakes.wire import Broken, Line, dial

GET = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"
PLAIN = [(b"content-type", b"text/plain")]


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [*PLAIN, *headers]}


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def soon(work: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(work, 20)


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[tuple[int, ServerState]]:
    """The app behind the protocol: its port, and what uvicorn's server would know."""
    config, state = (
        Config(app, http=LimitedHttp, ws="none", log_config=None, access_log=False, **options),
        ServerState(),
    )
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedHttp(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1], state
    finally:
        server.close()
        for task in list(state.tasks):
            task.cancel()


async def whole(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    return body


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The path and the body, with their length."""
    body = scope["path"].encode() + b" " + await whole(receive)
    await send(start(200, (b"content-length", b"%d" % len(body))))
    await send(piece(body))


class Written(asyncio.Protocol):
    """A client that keeps each piece that it gets."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.came = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.came.set()


async def test_a_small_answer_is_one_piece() -> None:
    async with serving(echo) as (port, _):
        transport, client = await asyncio.get_running_loop().create_connection(Written, "127.0.0.1", port)
        transport.write(GET % b"a")
        await soon(client.came.wait())
        transport.close()
    assert len(client.pieces) == 1
    assert client.pieces[0].endswith(b"\r\n\r\n/a ")


async def test_a_head_does_not_wait_for_a_body_that_is_late() -> None:
    goes_on = asyncio.Event()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await goes_on.wait()
        await send(piece(b"there", more=True))
        await send(piece(b"", more=False))

    async with serving(late) as (port, _), dial(port) as client:
        await client.send(GET % b"")
        head = await soon(client.head())
        assert head.header(b"transfer-encoding") == b"chunked"
        goes_on.set()
        assert await soon(client.chunk()) == b"there"
        assert await soon(client.chunk()) == b""


async def test_requests_that_come_together_are_answered_one_after_the_other() -> None:
    under_way: list[str] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        under_way.append(scope["path"])
        assert len(under_way) == 1
        await asyncio.sleep(0)
        await echo(scope, receive, send)
        under_way.clear()

    async with serving(slow) as (port, state), dial(port) as client:
        posted = b"POST /b?c=d HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
        await client.send(GET % b"a" + posted + GET % b"%41")
        assert [(await soon(client.answer())).body for _ in range(3)] == [b"/a ", b"/b abc", b"/A "]
    assert state.total_requests == 3


@pytest.mark.parametrize(
    "bad", [(b"x-a", b"1\r\nx-b: 2"), (b"x-a", b"1\n2"), (b"x-a", b"\x00"), (b"x a", b"1"), (b"", b"1")]
)
async def test_a_header_that_would_be_more_than_one_is_not_sent(bad: tuple[bytes, bytes]) -> None:
    async def careless(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, bad))

    async with serving(careless) as (port, _), dial(port) as client:
        await client.send(GET % b"")
        with pytest.raises(Broken):
            await soon(client.answer())


@pytest.mark.parametrize(("length", "body"), [(b"3", b"ab"), (b"3", b"abcd")])
async def test_a_body_of_another_length_than_was_said_ends_the_connection(length: bytes, body: bytes) -> None:
    async def wrong(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-length", length)))
        await send(piece(body))

    async with serving(wrong) as (port, _), dial(port) as client:
        await client.send(GET % b"")
        with pytest.raises(Broken):
            await soon(client.answer())


async def test_an_app_that_fails_before_its_answer_is_a_500_and_after_its_head_a_broken_answer() -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await send(start())
            await send(piece(b"half", more=True))
        raise ValueError("no")

    async with serving(fails) as (port, state):
        async with dial(port) as client:
            await client.send(GET % b"")
            answer = await soon(client.answer())
            assert (answer.status, answer.header(b"connection")) == (500, b"close")
        async with dial(port) as client:
            await client.send(GET % b"late")
            with pytest.raises(Broken):
                await soon(client.answer())
        assert not state.tasks


async def test_an_answer_to_head_has_no_body() -> None:
    async with serving(echo) as (port, _), dial(port) as client:
        await client.send(b"HEAD /a HTTP/1.1\r\nhost: x\r\n\r\n" + GET % b"b")
        assert (await soon(client.answer(to_head=True))).header(b"content-length") == b"3"
        assert (await soon(client.answer())).body == b"/b "


async def test_who_asks_whether_to_go_on_is_told_so_when_the_body_is_wanted() -> None:
    async with serving(echo) as (port, _), dial(port) as client:
        await client.send(b"POST /a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert (await soon(client.head())).status == 100
        await client.send(b"ok")
        assert (await soon(client.answer())).body == b"/a ok"


async def test_a_long_body_waits_until_it_is_read() -> None:
    reads = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await reads.wait()
        body = await whole(receive)
        await send(start(200, (b"connection", b"close")))
        await send(piece(b"%d" % len(body)))

    async with serving(slow) as (port, _), dial(port) as client:
        sending = asyncio.create_task(
            client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n" + b"x" * 20_000_000)
        )
        done, _ = await asyncio.wait([sending], timeout=0.2)
        assert not done  # somebody else's memory holds it
        reads.set()
        assert (await soon(client.answer())).body == b"20000000"
        assert await soon(client.reader.read()) == b""


async def test_everybody_who_listens_hears_that_the_client_left() -> None:
    listening, heard = asyncio.Event(), asyncio.Queue[str]()

    async def listens(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        listening.set()
        for message in await asyncio.gather(receive(), receive()):
            heard.put_nowait(message["type"])
        await send(start())  # says nothing to nobody

    async def leave(client: Line) -> None:
        await soon(listening.wait())
        client.hang_up()

    async with serving(listens) as (port, state):
        async with dial(port) as client:
            await client.send(GET % b"")
            await leave(client)
        assert [await soon(heard.get()) for _ in range(2)] == ["http.disconnect"] * 2
        assert not state.connections


async def test_a_connection_that_is_idle_for_too_long_is_closed_and_one_at_work_is_not() -> None:
    goes_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await goes_on.wait()
        await echo(scope, receive, send)

    async with serving(slow, timeout_keep_alive=0.05) as (port, state), dial(port) as idle, dial(port) as busy:
        await busy.send(GET % b"slow")
        await idle.send(GET % b"a")
        await soon(idle.answer())
        assert await soon(idle.reader.read()) == b""
        assert len(state.connections) == 1
        goes_on.set()
        assert (await soon(busy.answer())).body == b"/slow "
        assert await soon(busy.reader.read()) == b""


async def test_what_is_not_http_is_a_400() -> None:
    async with serving(echo) as (port, _), dial(port) as client:
        await client.send(b"what is a mutex?\r\n\r\n")
        assert (await soon(client.answer())).status == 400
