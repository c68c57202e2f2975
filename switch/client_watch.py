"""Noticing that the client has left, so that nobody goes on working for it."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Message, Receive, Send

from config.delay import Delay

WATCH_AFTER = Delay(
    0.1
)  # seconds; most answers of a fast upstream are there by then, and need nobody who watches the client
CLIENT_CLOSED_REQUEST = 499  # nginx's word for it; nobody reads it but the metrics


class ClientWatch:
    """Ends the block when the client leaves, and then `has_left` is true. Only an answer that takes a while is watched over."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self.has_left = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._start_number = WATCH_AFTER.call(self._start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        WATCH_AFTER.cancel(self._start_number)
        if self._watcher is not None:
            self._watcher.cancel()
        if self.has_left and kind is not None and issubclass(kind, asyncio.CancelledError):
            self._task.uncancel()
            return True
        return False

    def _start(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.has_left = True
        self._task.cancel()


async def tell_nobody(send: Send) -> None:
    """End the exchange with a client that is gone."""
    start: Message = {"type": "http.response.start", "status": CLIENT_CLOSED_REQUEST, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": b""})
