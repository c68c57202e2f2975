"""Both ends of a connection, down to the bytes: a module that answers as it is told, and a client that sends what it is told."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Visit:
    """One request that came to the module, with the connection to answer it on."""

    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes = b""

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        lines = self.head.rstrip(b"\r\n").split(b"\r\n")[1:]
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]

    def header(self, name: bytes) -> bytes | None:
        return next((value for found, value in self.headers if found == name), None)

    async def read_body(self) -> bytes:
        """All of the body, whichever way it is framed."""
        if self.header(b"transfer-encoding") == b"chunked":
            while size := int(await self.reader.readuntil(b"\n"), 16):
                self.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\n")
        else:
            self.body += await self.reader.readexactly(int(self.header(b"content-length") or 0))
        return self.body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def left(self) -> None:
        """Wait until the other side has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def hang_up(self) -> None:
        self.writer.close()


Behaviour = Callable[[Visit], Awaitable[None]]


async def is_well(visit: Visit) -> None:
    await visit.read_body()
    await visit.send(OK)


@dataclass
class Module:
    """A module on a real socket. `behaviour` answers each request; `visits` are those that came, `connections` how many lines."""

    behaviour: Behaviour = is_well
    port: int = 0
    connections: int = 0
    visits: list[Visit] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    troubles: list[Exception] = field(default_factory=list)

    def answers(self, data: bytes, *, then_hang_up: bool = False) -> None:
        """Answer every request with these bytes."""

        async def answer(visit: Visit) -> None:
            await visit.read_body()
            await visit.send(data)
            if then_hang_up:
                visit.hang_up()

        self.behaviour = answer

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Module"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for visit in self.visits:
                visit.hang_up()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                visit = Visit(await reader.readuntil(b"\r\n\r\n"), reader, writer)
                self.visits.append(visit)
                self.came.set()
                await self.behaviour(visit)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # cancelled: the test is over, and asyncio would only log it
        except Exception as exc:  # noqa: BLE001 - whatever a test's behaviour raises must fail the test, not vanish in a task
            self.troubles.append(exc)
        finally:
            writer.close()


@dataclass
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return next((value for found, value in self.headers if found == name), None)


class Broken(Exception):
    """The connection ended in the middle of an answer."""


class Line:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> Answer:
        """Status and headers of the next answer."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as exc:
            raise Broken from exc
        status, *lines = head.rstrip(b"\r\n").split(b"\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3})", status)
        assert found is not None, head
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        return Answer(int(found[1]), headers, b"")

    async def chunk(self) -> bytes:
        """The next piece of a chunked answer; empty at its end. Raises Broken."""
        try:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            return (await self.reader.readexactly(size + 2))[:-2]
        except asyncio.IncompleteReadError as exc:
            raise Broken from exc

    async def answer(self, *, to_head: bool = False) -> Answer:
        """The next answer, whole. Raises Broken."""
        found = await self.head()
        if to_head or found.status in (204, 304):
            return found
        try:
            if found.header(b"transfer-encoding") == b"chunked":
                while piece := await self.chunk():
                    found.body += piece
            elif (length := found.header(b"content-length")) is not None:
                found.body = await self.reader.readexactly(int(length))
            else:
                found.body = await self.reader.read()
        except asyncio.IncompleteReadError as exc:
            raise Broken from exc
        return found

    def hang_up(self) -> None:
        self.writer.close()


@asynccontextmanager
async def dial(port: int) -> AsyncIterator[Line]:
    line = Line(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield line
    finally:
        line.hang_up()
