"""A hub that says something all the time and never gets to an end: no limit on silence ends that."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hermes.line import Line
from tests.hermes.conftest import problem, until

PAUSE_SECONDS = 0.02


class Dropping:
    """Answers every request with a head that has no end, a letter at a time."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._over = threading.Event()
        self.asked, self.left = 0, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._drop, args=(self._socket.accept()[0],), daemon=True).start()

    def _drop(self, connection: socket.socket) -> None:
        self.asked += 1
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not self._over.wait(PAUSE_SECONDS):
                connection.sendall(b"a")
        self.left += not self._over.is_set()


@pytest.fixture
def dropping() -> Iterator[Dropping]:
    server = Dropping()
    yield server
    server.close()


async def test_whoever_asks_the_hub_hangs_up_and_its_thread_is_free_again(hermes_at, dropping):
    async with hermes_at(hermes_hub_url=dropping.url, hermes_hub_timeout=0.5) as hermes:
        answer = await hermes.http.post("/hermes/search", json={"query": "code", "source": "huggingface"})
        problem(answer, 503, "hub_unreachable")

        async def is_free() -> bool | None:
            return dropping.asked == dropping.left == 1 or None

        await until(is_free)


async def test_a_download_hangs_up_too(dropping):
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(Line(0.2).get, f"{dropping.url}/file", {})
