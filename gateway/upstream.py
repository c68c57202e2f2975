"""HTTP/1.1 to our neighbours, byte for byte: keep-alive connections that carry one request and its answer at a time.

Built on asyncio and httptools (uvicorn's own parser) rather than on a client library, because a door must pass on exactly what came.
pyreqwest, measured before: resolves `..` and `%2e%2e` in paths, rewrites quotes in queries, fails on header bytes above 0x7f, and keeps a
request running whose task was cancelled.
"""

import asyncio
import ssl
from typing import cast
from urllib.parse import urlsplit

import httptools

from config.errors import FleetError, UpstreamContractError, UpstreamUnavailable
from gateway.errors import UpstreamCut, UpstreamTimeout

HIGH_WATER = 256 * 1024  # bytes of an answer that wait for a slow client before we stop reading
MOST_HEAD = 64 * 1024  # bytes of an answer's headers
MOST_IDLE = 64  # connections kept open per neighbour
IDLE_SECONDS = 60.0  # our services close theirs only after 120: never in the moment in which we use it again

Headers = list[tuple[bytes, bytes]]


class ConnectionLost(UpstreamUnavailable):
    """The connection ended before the first byte of an answer."""

    code = "connection_lost"


class Connection(asyncio.Protocol):
    """One connection to a neighbour. `start` begins an exchange; then `answered`, `status`, `headers`, and `more` until it is empty."""

    status: int
    headers: Headers

    def __init__(self, neighbour: "Neighbour") -> None:
        self._neighbour = neighbour
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self.is_reused = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self.status, self.headers = 0, []
        self.is_answered = self.is_complete = self.is_sent = False
        self._is_bodiless = self._keeps_alive = self._is_heard = False
        self._error: FleetError | None = None
        self._chunks: list[bytes] = []
        self._waiting_bytes = self._head_bytes = 0
        self._is_reading_paused = False

    # --- what the forwarder asks -----------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """Whether the exchange ended in a way that leaves the connection ready for another."""
        return self.is_complete and self.is_sent and self._keeps_alive and self._error is None and self.is_open

    @property
    def is_exhausted(self) -> bool:
        """Whether all of the answer came and was read."""
        return self.is_complete and not self._chunks

    def start(self, head: bytes, *, is_head_request: bool = False, is_whole: bool = True) -> None:
        """Send a request; `is_whole` tells that no more of it follows."""
        self._begin()
        self._is_bodiless, self.is_sent = is_head_request, is_whole
        self._open_transport().write(head)

    async def write(self, data: bytes, *, idle_seconds: float) -> None:
        """Send more of the request, waiting while the neighbour takes it slower than it comes."""
        if self._error is not None:
            raise self._error
        self._open_transport().write(data)
        if self._drained is not None:
            timer = self._loop.call_later(
                idle_seconds, self._late, "did not take the request any further", idle_seconds
            )
            try:
                await asyncio.shield(self._drained)
            finally:
                timer.cancel()
            if self._error is not None:
                raise self._error

    async def answered(self, within_seconds: float | None) -> None:
        """Wait for status and headers. Raises UpstreamTimeout, UpstreamContractError, ConnectionLost, or what `fail` was given."""
        while not self.is_answered:
            if self._error is not None:
                raise self._error
            await self._wait(within_seconds, "did not answer")
        if self._error is not None and not (self.is_complete or self._chunks):
            raise self._error

    async def more(self, idle_seconds: float) -> bytes:
        """The next bytes of the body, as they come; empty at its end. Raises UpstreamCut when the neighbour breaks it off."""
        while not self._chunks:
            if self.is_complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait(idle_seconds, "fell silent in the middle of its answer")
        found = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._waiting_bytes = [], 0
        if self._is_reading_paused:
            self._is_reading_paused = False
            self._open_transport().resume_reading()
        return found

    def fail(self, why: FleetError) -> None:
        """End the exchange here: whoever waits for it gets `why`, and the neighbour sees the connection close."""
        if self._error is None:
            self._error = why
        if self._transport is not None:
            self._transport.abort()
        self._wake()
        self._wake_writer()

    def finish(self) -> None:
        """Let the answer end here as if the neighbour had ended it; for event streams when we stop."""
        self.is_complete = True
        self._wake()

    def answer_within(self, seconds: float) -> asyncio.TimerHandle:
        """Fail with UpstreamTimeout unless the answer has begun after `seconds`; for a request that was sent piece by piece."""
        return self._loop.call_later(seconds, self._late_answer, seconds)

    def release(self) -> None:
        """Give the connection back: it is kept for the next request, or closed."""
        self._neighbour.take_back(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def _wait(self, seconds: float | None, lateness: str) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._late, lateness, seconds) if seconds is not None else None
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _late(self, lateness: str, seconds: float) -> None:
        self.fail(UpstreamTimeout(f"{self._neighbour.service} {lateness} within {seconds:g} seconds"))

    def _late_answer(self, seconds: float) -> None:
        if not self.is_answered:
            self._late("did not answer", seconds)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _open_transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise ConnectionLost(f"the connection to {self._neighbour.service} is closed")
        return self._transport

    # --- what asyncio tells us -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        self._wake_writer()

    def data_received(self, data: bytes) -> None:
        if self.is_complete:  # nobody asked for this
            self._keeps_alive = False
            self.close()
            return
        self._is_heard = True
        if not self.is_answered:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.fail(UpstreamContractError(f"{self._neighbour.service} answered something that is not HTTP"))
            return
        if not self.is_answered and self._head_bytes > MOST_HEAD:
            self.fail(UpstreamContractError(f"{self._neighbour.service} answered with endless headers"))
        elif self._waiting_bytes > HIGH_WATER and not self._is_reading_paused and self.is_open:
            self._is_reading_paused = True
            self._open_transport().pause_reading()
        if self.is_answered:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._neighbour.forget(self)
        if self._error is None and not self.is_complete:
            service = self._neighbour.service
            if self.is_answered and self._ends_with_the_connection and exc is None:
                self.is_complete = True
            elif self.is_answered:
                self._error = UpstreamCut(f"{service} broke its answer off")
            elif self._is_heard:
                self._error = UpstreamContractError(f"{service} broke off before its answer began")
            else:
                self._error = ConnectionLost(f"{service} closed the connection without an answer")
        self._wake()
        self._wake_writer()

    @property
    def _ends_with_the_connection(self) -> bool:
        return not any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    # --- what the parser tells us ----------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_answered:  # later ones are trailers
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.is_answered:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:  # an interim answer; the real one follows
            self.headers = []
            return
        if not 200 <= status <= 599:
            raise ValueError(f"status {status}")
        self.status, self.is_answered, self.is_complete = status, True, self._is_bodiless

    def on_body(self, body: bytes) -> None:
        if not self.is_complete:
            self._chunks.append(body)
            self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        if self.is_answered and not self.is_complete:
            self.is_complete, self._keeps_alive = True, self._parser.should_keep_alive()

    def on_message_begin(self) -> None:
        if self.is_complete:  # a second answer behind the first: something is wrong with this neighbour
            self._keeps_alive = False


class Neighbour:
    """The way to one service: its address and the open connections that wait for the next request."""

    def __init__(self, service: str, url: str, *, connect_seconds: float) -> None:
        parts = urlsplit(url)
        self.service, self._connect_seconds = service, connect_seconds
        self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self.authority = parts.netloc.encode("idna" if not parts.netloc.isascii() else "ascii")
        self._idle: list[Connection] = []

    async def connection(self, *, fresh: bool = False) -> Connection:
        """An open connection, kept from before unless `fresh`. Raises UpstreamUnavailable when the service cannot be reached in time."""
        loop = asyncio.get_running_loop()
        while self._idle and not fresh:
            kept = self._idle.pop()
            if kept.is_open and loop.time() - kept.idle_since < IDLE_SECONDS:
                return kept
            kept.close()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, made = await loop.create_connection(lambda: Connection(self), self._host, self._port, ssl=self._ssl)
        except OSError as exc:  # TimeoutError is one too
            raise UpstreamUnavailable(
                f"{self.service} cannot be reached ({type(exc).__name__})", headers={"Retry-After": "1"}
            ) from exc
        return made

    def take_back(self, connection: Connection) -> None:
        if connection.is_reusable and len(self._idle) < MOST_IDLE:
            connection.is_reused = True
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    def forget(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()
