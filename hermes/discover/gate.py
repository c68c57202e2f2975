"""The only way out of the browser: a proxy on this machine that connects to hosts that are allowed, and to nothing else.

The browser asks no name server and opens no connection of its own; redirects, sub-requests, sockets and what it does by itself all come
through here. The address that was looked at is the one that is connected to, and bytes are counted as they come.
"""

import asyncio
import contextlib
from types import TracebackType
from urllib.parse import urlsplit

from hermes.discover.allowed import Allowed, Refused, endpoint_of

MOST_HEAD = 64 * 1024
PIECE = 64 * 1024
CONNECT_SECONDS = 10.0


class Gate:
    """`async with Gate(allowed, limit_bytes) as gate`: `gate.url` is the browser's proxy. `begin` starts the count for a page."""

    def __init__(self, allowed: Allowed, limit_bytes: int) -> None:
        self._allowed, self._limit_bytes = allowed, limit_bytes
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._refused: dict[tuple[str, int], Refused] = {}
        self.received_bytes = 0
        self.over = asyncio.Event()
        """Set when the page has had all the bytes it may have."""

    async def __aenter__(self) -> "Gate":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MOST_HEAD)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._cut()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def begin(self) -> None:
        self._cut()
        self._refused, self.received_bytes = {}, 0
        self.over.clear()

    def refuse(self, url: str, why: Refused) -> None:
        """Note what was refused before it came here."""
        with contextlib.suppress(Refused):
            self._refused[endpoint_of(url)] = why

    def refusal(self, url: str) -> Refused | None:
        """Why an address was refused since the page began; None if it was not."""
        try:
            return self._refused.get(endpoint_of(url))
        except Refused as why:
            return why

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Top of one connection of the browser."""
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await self._pass_on(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the browser sees the connection close, and says so of the page
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        url = f"https://{target}" if method == "CONNECT" else target
        try:
            host, port = endpoint_of(url)
            if self.over.is_set():
                raise Refused("the page has had all the bytes it may have")
            address = await self._allowed.address(host, port)
        except Refused as why:
            self.refuse(url, why)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(address, port)
        except (OSError, TimeoutError):
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        self._open.add(far_writer)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                far_writer.write(_for_origin(method, target, head))
            sending = asyncio.create_task(self._relay(reader, far_writer))
            try:
                await self._relay(far_reader, writer, is_counted=True)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        finally:
            self._open.discard(far_writer)
            far_writer.close()

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_counted: bool = False
    ) -> None:
        while piece := await reader.read(PIECE):
            if is_counted:
                self.received_bytes += len(piece)
                if self.received_bytes > self._limit_bytes:
                    self.over.set()
                    self._cut()
                    return
            writer.write(piece)
            await writer.drain()

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()


def _for_origin(method: str, target: str, head: bytes) -> bytes:
    """A request to a proxy as the server itself wants it; its connection carries this one request."""
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]
    hop = (b"proxy-", b"connection:", b"keep-alive:")
    kept = [line for line in lines if not line.lower().startswith(hop)]
    first = f"{method} {path} HTTP/1.1".encode("latin-1")
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""])
