"""What the fakes of providers with an API of their own have in common: real sockets, keep-alive, and the misbehaviours of the wire."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class RawUpstream(ABC):
    """A provider on a free port. `behaviour` is for all requests; `behaviours`, if not empty, is used up first, one per request.

    The behaviours of the wire are `cut`, `cut_in_event`, `closes`, `garbage`, `garbage_event`, `drips` and `silent`; the API adds its own.
    """

    base_url: str = ""
    behaviour: str = "fine"
    behaviours: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set for a client that goes away before it has its answer."""
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets `silent` and `drips` go on."""
    connections: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @abstractmethod
    def is_stream(self, asked: Asked) -> bool: ...

    @abstractmethod
    def whole(self, asked: Asked, behaviour: str) -> tuple[int, Any, dict[str, str]]:
        """Status, content and headers of a plain answer."""

    @abstractmethod
    def events(self, asked: Asked, behaviour: str) -> list[bytes] | None:
        """The events of a stream, or None where it is refused with `whole`."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def close(self) -> None:
        """Break every connection off."""
        self.go_on.set()
        for writer in self._writers:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))))
        method, path, _ = head[0].split()
        asked = Asked(method, path, headers, body)
        self.asked.append(asked)
        watch = asyncio.create_task(self._watch(reader))
        try:
            return await self._answer(writer, asked, self.behaviours.pop(0) if self.behaviours else self.behaviour)
        finally:
            watch.cancel()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        if await reader.read(1) == b"":
            self.left.set()

    async def _answer(self, writer: asyncio.StreamWriter, asked: Asked, behaviour: str) -> bool:
        if behaviour == "closes":
            return False
        if behaviour == "silent":
            await self.go_on.wait()
        if behaviour == "garbage":
            return await self._raw(
                writer, 200, b"<html>welcome to the captive portal</html>", {"content-type": "text/html"}
            )
        events = self.events(asked, behaviour) if self.is_stream(asked) else None
        if events is not None:
            return await self._stream(writer, events, behaviour)
        status, content, more = self.whole(asked, behaviour)
        written = json.dumps(content).encode()
        if behaviour == "cut":
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n" + written[:50]
            )
            await writer.drain()
            return False
        return await self._raw(writer, status, written, {"content-type": "application/json"} | more)

    async def _stream(self, writer: asyncio.StreamWriter, events: list[bytes], behaviour: str) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        if behaviour == "garbage_event":
            events = [*events[: len(events) // 2], b"data: {not json\n\n"]
        if behaviour in ("cut", "cut_in_event"):
            for event in events[: len(events) // 2]:
                await _chunk(writer, event)
            if behaviour == "cut_in_event":
                await _chunk(writer, events[len(events) // 2][:25])
            return False
        if behaviour == "no_end":
            for event in events[: len(events) // 2]:
                await _chunk(writer, event)
        elif behaviour == "drips":
            half = len(events) // 2
            await _chunk(writer, b"".join(events[:half]))
            await self.go_on.wait()
            rest = b"".join(events[half:])
            for start in range(0, len(rest), 7):  # in the middle of lines, of characters, of anything
                await _chunk(writer, rest[start : start + 7])
        else:
            for event in events:
                await _chunk(writer, event)
        await _chunk(writer, b"")
        return True

    async def _raw(self, writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str]) -> bool:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} Whatever\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body)
        await writer.drain()
        return True


async def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    await writer.drain()


Kind = TypeVar("Kind", bound=RawUpstream)


@asynccontextmanager
async def running(upstream: Kind, path: str) -> AsyncIterator[Kind]:
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
    try:
        yield upstream
    finally:
        upstream.close()
        server.close()
