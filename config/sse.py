"""Server-sent events: `id`, `event` and `data` (one JSON object), resumable by `Last-Event-ID`, a comment line every 15 s."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import StreamingResponse
from pydantic_core import to_jsonable_python

KEEP_ALIVE_SECONDS = 15.0
LARGEST_ID = 2**63 - 1  # what the databases count to


@dataclass(frozen=True)
class Event:
    """One event on the wire."""

    id: str
    event: str
    data: dict[str, Any]

    def encode(self) -> bytes:
        data = json.dumps(to_jsonable_python(self.data), ensure_ascii=False)
        return f"id: {self.id}\nevent: {self.event}\ndata: {data}\n\n".encode()


def event_stream(events: AsyncIterator[Event], request: Request) -> StreamingResponse:
    """Answer with events until they end, the client leaves or the service stops."""
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    stopping: asyncio.Event = request.app.state.stopping
    return StreamingResponse(_lines(events, stopping), media_type="text/event-stream", headers=headers)


async def _lines(events: AsyncIterator[Event], stopping: asyncio.Event) -> AsyncIterator[bytes]:
    stop: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    upcoming: asyncio.Future[Any] | None = None
    try:
        while not stopping.is_set():
            upcoming = upcoming or asyncio.ensure_future(anext(events))
            await asyncio.wait([upcoming, stop], timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if upcoming.done():
                try:
                    event = upcoming.result()
                except StopAsyncIteration:
                    return
                upcoming = None
                yield event.encode()
            elif not stop.done():
                yield b": still here\n\n"
    finally:
        stop.cancel()
        if upcoming is not None:
            upcoming.cancel()


async def _last_event_id(value: Annotated[int, Header(alias="Last-Event-ID", ge=0, le=LARGEST_ID)] = 0) -> int:
    return value


LastEventIdDep = Annotated[int, Depends(_last_event_id)]
"""Number of the last event the client has seen; 0 for none."""
