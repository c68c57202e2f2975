"""What whoever asks others can rely on; the rest is proved by the gateway's and switch's own tests."""

import asyncio

import pytest

from config.outgoing import Connection, Peer, Trouble
from tests.fakes.wire import Module, Visit

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Told(Exception):
    def __init__(self, trouble: Trouble, what: str) -> None:
        super().__init__(what)
        self.trouble = trouble


@pytest.fixture
async def module():
    async with Module().open() as found:
        yield found
    assert not found.troubles


def peer_at(module: Module, *, idle_seconds: float = 60.0) -> Peer[Connection]:
    url = f"http://127.0.0.1:{module.port}/v1/"
    return Peer("them", url, error_of=Told, link=Connection, connect_seconds=5, idle_seconds=idle_seconds)


async def ask(peer: Peer[Connection], *, within_seconds: float = 10.0) -> Connection:
    connection = await peer.connection()
    connection.start(GET)
    try:
        await connection.answered(within_seconds)
        while await connection.more(within_seconds):
            pass
    finally:
        connection.release()
    return connection


async def test_a_connection_is_kept_unless_that_is_not_wanted(module):
    peer = peer_at(module)
    assert await ask(peer) is await ask(peer)
    assert module.connections == 1
    forgetful = peer_at(module, idle_seconds=0.0)
    assert await ask(forgetful) is not await ask(forgetful)
    assert module.connections == 3
    peer.close()


async def test_an_address_is_taken_apart(module):
    peer = peer_at(module)
    assert (peer.path, peer.authority) == ("/v1", f"127.0.0.1:{module.port}")
    for url in ("ftp://them", "them:80", "http://"):
        with pytest.raises(ValueError, match="is not http"):
            Peer("them", url, error_of=Told, link=Connection, connect_seconds=1, idle_seconds=1)


async def never(visit: Visit) -> None:
    await visit.left()


async def hang_up(visit: Visit) -> None:
    visit.hang_up()


@pytest.mark.parametrize(
    ("behaviour", "trouble", "was_never_heard"), [(never, Trouble.LATE, False), (hang_up, Trouble.LOST, True)]
)
async def test_a_peer_that_is_late_is_told_from_one_that_hung_up(module, behaviour, trouble, was_never_heard):
    peer = peer_at(module)
    await ask(peer)
    module.behaviour = behaviour
    connection = await peer.connection()
    assert connection.is_reused
    connection.start(GET)
    with pytest.raises(Told) as told:
        await connection.answered(0.05)
    await asyncio.sleep(0)  # by now the closed connection has told us of its end
    assert (told.value.trouble, connection.was_never_heard) == (trouble, was_never_heard)
    assert not connection.is_reusable


async def test_a_wait_that_is_given_up_ends_the_request(module):
    left = asyncio.Event()

    async def wait(visit: Visit) -> None:
        await visit.left()
        left.set()

    module.behaviour = wait
    asking = asyncio.create_task(ask(peer_at(module)))
    await module.came.wait()
    asking.cancel()
    async with asyncio.timeout(60):
        await left.wait()
