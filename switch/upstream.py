"""HTTP/1.1 to those who have models: requests that end the moment nobody wants their answer any more.

Built on asyncio and httptools, uvicorn's own parser. pyreqwest 0.15 was measured for this and does not do: a cancelled task leaves its
request running until the answer begins (the provider goes on writing, and billing), and streams hold 64 KiB back.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools
import httpx

from switch.failures import Failure, FailureKind

HIGH_WATER = 256 * 1024  # bytes of an answer that wait for a slow client before we stop reading
MOST_HEAD = 64 * 1024  # bytes of an answer's headers
MOST_ANSWER = 64 * 1024 * 1024  # bytes of an answer that is read whole
MOST_IDLE = 64  # connections kept open per address
IDLE_SECONDS = 30.0  # shorter than what servers keep: the connection we pick up should not be closing right now


class Exchange(asyncio.Protocol):
    """One connection, and on it one request and its answer at a time. Got from `Address.post`, ended by `release`."""

    def __init__(self, address: "Address") -> None:
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.idle_since = 0.0
        self.on_release: Callable[[], None] | None = None
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self._headers: dict[bytes, bytes] = {}
        self._is_answered = self._is_complete = self._keeps_alive = self._is_heard = self._is_paused = False
        self._failure: Failure | None = None
        self._chunks: list[bytes] = []
        self._waiting_bytes = self._head_bytes = 0

    # --- asking ----------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def header(self, name: bytes) -> str:
        """A header of the answer, by its lower-case name; empty if it is not there."""
        return self._headers.get(name, b"").decode("latin-1")

    def send(self, request: bytes) -> None:
        self._reset()
        if self._transport is None:
            raise Failure(FailureKind.UNREACHABLE, f"{self._address.shown} closed the connection")
        self._transport.write(request)

    async def answered(self, within_seconds: float) -> None:
        """Wait for status and headers. Raises Failure."""
        while not self._is_answered:
            if self._failure is not None:
                raise self._failure
            await self._wait(within_seconds, "did not answer within")

    async def chunk(self, within_seconds: float) -> bytes:
        """The next bytes of the answer as they come; empty at its end. Raises Failure."""
        while not self._chunks:
            if self._is_complete:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._wait(within_seconds, "fell silent for")
        found = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._waiting_bytes = [], 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return found

    async def whole(self, within_seconds: float) -> bytes:
        """The rest of the answer. Raises Failure, also for one that is longer than anything a model writes."""
        if self._is_complete:
            return b"".join(self._chunks)
        found, size_bytes = [], 0
        while data := await self.chunk(within_seconds):
            found.append(data)
            size_bytes += len(data)
            if size_bytes > MOST_ANSWER:
                raise Failure(FailureKind.GARBAGE, f"{self._address.shown} does not stop answering")
        return b"".join(found)

    def release(self) -> None:
        """End the exchange. After a whole answer the connection is kept; before, it is broken off: so the other side learns of it."""
        self._address.take_back(self)
        if self.on_release is not None:
            self.on_release()
            self.on_release = None

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_reusable(self) -> bool:
        return self._is_complete and self._keeps_alive and self._failure is None and self.is_open

    @property
    def was_never_heard(self) -> bool:
        """Whether the connection ended without one byte of an answer."""
        return self._failure is not None and self._failure.kind is FailureKind.UNREACHABLE and not self._is_heard

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def _wait(self, seconds: float, lateness: str) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._late, seconds, lateness)
        try:
            await self._waiter
        finally:
            self._waiter = None
            timer.cancel()

    def _late(self, seconds: float, lateness: str) -> None:
        self._fail(FailureKind.LATE, f"{lateness} {seconds:g} seconds")

    def _fail(self, kind: FailureKind, what: str) -> None:
        if self._failure is None:
            self._failure = Failure(kind, f"{self._address.shown} {what}")
        self.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what asyncio tells us -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are transports without saying so

    def data_received(self, data: bytes) -> None:
        if self._is_complete:  # nobody asked for this
            self._keeps_alive = False
            self.abort()
            return
        self._is_heard = True
        if not self._is_answered:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(FailureKind.GARBAGE, "answered something that is not HTTP")
            return
        if not self._is_answered and self._head_bytes > MOST_HEAD:
            self._fail(FailureKind.GARBAGE, "answered with endless headers")
        elif self._waiting_bytes > HIGH_WATER and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        if self._is_complete or self._chunks:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._address.forget(self)
        if not self._is_complete and self._failure is None:
            if self._is_answered and exc is None and self._ends_with_the_connection:
                self._is_complete = True
            elif self._is_heard:
                self._failure = Failure(FailureKind.CUT, f"{self._address.shown} broke its answer off")
            else:
                self._failure = Failure(
                    FailureKind.UNREACHABLE, f"{self._address.shown} closed the connection without an answer"
                )
        self._wake()

    @property
    def _ends_with_the_connection(self) -> bool:
        return b"content-length" not in self._headers and b"transfer-encoding" not in self._headers

    # --- what the parser tells us ----------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_answered:  # later ones are trailers
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:  # an interim answer; the real one follows
            self._headers = {}
            return
        self.status, self._is_answered = status, True
        self._wake()

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._is_answered:
            self._is_complete, self._keeps_alive = True, self._parser.should_keep_alive()

    def on_message_begin(self) -> None:
        if self._is_complete:  # a second answer behind the first: something is wrong over there
            self._keeps_alive = False


class Address:
    """Where an OpenAI-compatible API is, what every request to it carries, and the open connections that wait for the next one."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        name: str,
        connect_seconds: float,
        keeps_connections: bool = True,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{base_url!r} is not http://host/path or https://host/path")
        self.shown = name
        self._connect_seconds, self._keeps = connect_seconds, keeps_connections
        self._host, self._is_tls = parts.hostname, parts.scheme == "https"
        self._port = parts.port or (443 if self._is_tls else 80)
        self._tls: ssl.SSLContext | None = None
        self._path = parts.path.rstrip("/")
        authority = parts.netloc.rpartition("@")[2]
        lines = [f"host: {authority}", "accept: application/json, text/event-stream", "user-agent: vx11"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        self._headers = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        self._idle: list[Exchange] = []

    async def post(self, path: str, body: bytes, *, within_seconds: float) -> Exchange:
        """Send `body` (JSON) and wait until the answer begins. Raises Failure. The caller releases the exchange.

        A kept connection that turns out to be closed is replaced by a new one, once.
        """
        request = b"POST %b HTTP/1.1\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            f"{self._path}{path}".encode("latin-1"),
            self._headers,
            len(body),
            body,
        )
        return await self._ask(request, within_seconds)

    async def get(self, path: str, *, within_seconds: float) -> Exchange:
        """The same without a body."""
        request = b"GET %b HTTP/1.1\r\n%b\r\n" % (f"{self._path}{path}".encode("latin-1"), self._headers)
        return await self._ask(request, within_seconds)

    async def _ask(self, request: bytes, within_seconds: float) -> Exchange:
        kept = self._kept()
        if kept is not None:
            try:
                return await self._begin(kept, request, within_seconds)
            except Failure:
                if not kept.was_never_heard:
                    raise
        return await self._begin(await self._connect(), request, within_seconds)

    async def _begin(self, exchange: Exchange, request: bytes, within_seconds: float) -> Exchange:
        try:
            exchange.send(request)
            await exchange.answered(within_seconds)
        except BaseException:  # also a cancellation: the other side must stop working
            exchange.abort()
            raise
        return exchange

    def _kept(self) -> Exchange | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            kept = self._idle.pop()
            if kept.is_open and now - kept.idle_since < IDLE_SECONDS:
                return kept
            kept.abort()
        return None

    async def _connect(self) -> Exchange:
        loop = asyncio.get_running_loop()
        try:
            if self._is_tls and self._tls is None:
                self._tls = await asyncio.to_thread(httpx.create_ssl_context)
            async with asyncio.timeout(self._connect_seconds):
                _, made = await loop.create_connection(lambda: Exchange(self), self._host, self._port, ssl=self._tls)
        except TimeoutError as exc:
            detail = f"{self.shown} cannot be reached within {self._connect_seconds:g} seconds"
            raise Failure(FailureKind.UNREACHABLE, detail) from exc
        except OSError as exc:  # also what TLS finds wrong
            reason = getattr(exc, "reason", None) or exc.strerror or type(exc).__name__
            raise Failure(FailureKind.UNREACHABLE, f"{self.shown} cannot be reached ({reason})") from exc
        return made

    def take_back(self, exchange: Exchange) -> None:
        if self._keeps and exchange.is_reusable and len(self._idle) < MOST_IDLE:
            exchange.idle_since = asyncio.get_running_loop().time()
            self._idle.append(exchange)
        else:
            exchange.abort()

    def forget(self, exchange: Exchange) -> None:
        if exchange in self._idle:
            self._idle.remove(exchange)

    def close(self) -> None:
        for exchange in self._idle:
            exchange.abort()
        self._idle.clear()
