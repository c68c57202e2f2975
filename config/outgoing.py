"""HTTP/1.1 to others, byte for byte: keep-alive connections that carry one request and its answer at a time.

Built on asyncio and httptools, uvicorn's own parser, rather than on a client library. pyreqwest 0.15 was measured for this and does not do:
it resolves `..` in paths, rewrites queries, fails on header bytes above 0x7f, holds 64 KiB of a stream back, and keeps a request running
whose task was cancelled (a model goes on writing, and billing).
"""

import asyncio
import ssl
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

import httptools

HIGH_WATER = 256 * 1024  # bytes of an answer that wait for a slow reader before we stop reading
MOST_HEAD = 64 * 1024  # bytes of an answer's headers
MOST_IDLE = 64  # connections kept open per peer

Headers = list[tuple[bytes, bytes]]


class Trouble(Enum):
    """What can happen on the way."""

    UNREACHABLE = auto()
    """No connection could be had in time."""
    LOST = auto()
    """The connection ended before the first byte of an answer."""
    LATE = auto()
    CUT = auto()
    """The answer began and broke off."""
    GARBAGE = auto()
    """What came is not HTTP."""


ErrorOf = Callable[[Trouble, str], Exception]
"""Makes the error that is raised for a trouble; the text says who it was and what they did."""


class Connection(asyncio.Protocol):
    """One connection to a peer: `start`, then `answered`, `status` and `headers`, then `more` until it is empty, then `release`."""

    status: int
    headers: Headers
    """As they came, names in lower case."""

    def __init__(self, peer: "Peer[Any]") -> None:
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self.is_reused = False
        self.idle_since = 0.0
        self._late_at: float | None = None
        """When whoever waits now has waited too long."""
        self._lateness = ("", 0.0)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._begin()

    def _begin(self) -> None:
        self.status, self.headers = 0, []
        self.is_answered = self.is_complete = self.is_sent = False
        self._is_bodiless = self._keeps_alive = self._is_heard = self._is_lost = False
        self._error: Exception | None = None
        self._chunks: list[bytes] = []
        self._waiting_bytes = self._head_bytes = 0
        self._is_reading_paused = False

    # --- one request and its answer --------------------------------------------------------------------------------

    def start(self, request: bytes, *, is_head_request: bool = False, is_whole: bool = True) -> None:
        """Send a request, or with `is_whole` unset its beginning: then set `is_sent` when all of it is written."""
        self._begin()
        self._is_bodiless, self.is_sent = is_head_request, is_whole
        self._open_transport().write(request)

    async def write(self, data: bytes, *, idle_seconds: float) -> None:
        """Send more of the request, waiting while the peer takes it slower than it comes."""
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
        """Wait for status and headers. Raises the peer's error for a trouble, or what `fail` was given."""
        while not self.is_answered:
            if self._error is not None:
                raise self._error
            await self._wait(within_seconds, "did not answer")
        if self._error is not None and not (self.is_complete or self._chunks):
            raise self._error

    async def more(self, idle_seconds: float) -> bytes:
        """The next bytes of the body as they come; empty at its end. Raises as `answered` does."""
        while not self._chunks:
            if self.is_complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait(idle_seconds, "fell silent in the middle of its answer")
        return self.taken()

    def taken(self) -> bytes:
        """What has come of the body since it was last asked for; after the end that is the rest."""
        found = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._waiting_bytes = [], 0
        if self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = False
            self._transport.resume_reading()
        return found

    @property
    def peer_name(self) -> str:
        return self._peer.name

    @property
    def is_exhausted(self) -> bool:
        """Whether all of the answer came and was read."""
        return self.is_complete and not self._chunks

    @property
    def was_never_heard(self) -> bool:
        """Whether the connection ended without one byte of an answer, and not by us."""
        return self._is_lost

    def answer_within(self, seconds: float) -> asyncio.TimerHandle:
        """Fail unless the answer has begun after `seconds`; for a request that was sent piece by piece."""
        return self._loop.call_later(seconds, self._late_answer, seconds)

    def fail(self, why: Exception) -> None:
        """End the exchange here: whoever waits for it gets `why`, and the peer sees the connection close."""
        if self._error is None:
            self._error = why
        self.abort()
        self._wake()
        self._wake_writer()

    def finish(self) -> None:
        """Let the answer end here as if the peer had ended it."""
        self.is_complete = True
        self._wake()

    def release(self) -> None:
        """Give the connection back. After a whole exchange it is kept for the next; before, it is broken off, so that the peer stops."""
        self._peer.take_back(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """Whether the exchange ended in a way that leaves the connection ready for another."""
        return self.is_complete and self.is_sent and self._keeps_alive and self._error is None and self.is_open

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def _wait(self, seconds: float | None, lateness: str) -> None:
        self._waiter = self._loop.create_future()
        if seconds is not None:
            self._late_at, self._lateness = self._loop.time() + seconds, (lateness, seconds)
            if self._timer is None or self._timer_at > self._late_at:
                self._look_at(self._late_at)
        try:
            await self._waiter
        finally:
            self._waiter = self._late_at = None

    def _look_at(self, when: float) -> None:
        """Look then whether it is late. A timer is left where it is when what it was for has come: setting one and taking it back with
        every request and every piece of a stream took 3 us."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(when, self._look), when

    def _look(self) -> None:
        self._timer = None
        if self._late_at is None:
            return
        if self._loop.time() < self._late_at:
            self._look_at(self._late_at)
        else:
            self._late(*self._lateness)

    def _late(self, lateness: str, seconds: float) -> None:
        self._fail(Trouble.LATE, f"{lateness} within {seconds:g} seconds")

    def _late_answer(self, seconds: float) -> None:
        if not self.is_answered:
            self._late("did not answer", seconds)

    def _fail(self, trouble: Trouble, what: str) -> None:
        self.fail(self._peer.error(trouble, what))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _open_transport(self) -> asyncio.Transport:
        if self._transport is None:
            self._is_lost = True
            raise self._peer.error(Trouble.LOST, "closed the connection")
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
            self.abort()
            return
        self._is_heard = True
        if not self.is_answered:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Trouble.GARBAGE, "answered something that is not HTTP")
            return
        if not self.is_answered and self._head_bytes > MOST_HEAD:
            self._fail(Trouble.GARBAGE, "answered with endless headers")
        elif self._waiting_bytes > HIGH_WATER and not self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = True
            self._transport.pause_reading()
        if self.is_answered:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._peer.forget(self)
        if self._error is None and not self.is_complete:
            if self.is_answered and self._ends_with_the_connection and exc is None:
                self.is_complete = True
            elif self._is_heard:
                self._error = self._peer.error(Trouble.CUT, "broke its answer off")
            else:
                self._is_lost = True
                self._error = self._peer.error(Trouble.LOST, "closed the connection without an answer")
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
        if self.is_complete:  # a second answer behind the first: something is wrong over there
            self._keeps_alive = False


Link = TypeVar("Link", bound=Connection)


class Peer(Generic[Link]):
    """The way to one server: its address and the open connections that wait for the next request.

    `url` is `http(s)://host[:port][/path]`; `path` and `authority` are its parts as a request line and a Host header want them. `error_of`
    makes the errors, `link` the connections. A connection is used again until it was idle for `idle_seconds`: less than the server keeps
    it, so that it is not closing in the moment in which we pick it up.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        error_of: ErrorOf,
        link: Callable[["Peer[Link]"], Link],
        connect_seconds: float,
        idle_seconds: float,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not http://host or https://host")
        self.name, self._error_of, self._link = name, error_of, link
        self._connect_seconds, self._idle_seconds = connect_seconds, idle_seconds
        self._host, self._is_tls = parts.hostname, parts.scheme == "https"
        self._port = parts.port or (443 if self._is_tls else 80)
        self._make_tls, self._tls = tls, cast(ssl.SSLContext | None, None)
        self.path = parts.path.rstrip("/")
        self.authority = parts.netloc.rpartition("@")[2]
        self._idle: list[Link] = []

    def error(self, trouble: Trouble, what: str) -> Exception:
        return self._error_of(trouble, f"{self.name} {what}")

    def kept(self) -> Link | None:
        """An open connection that was kept from before, where there is one."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            kept = self._idle.pop()
            if kept.is_open and now - kept.idle_since < self._idle_seconds:
                return kept
            kept.abort()
        return None

    async def connection(self, *, fresh: bool = False) -> Link:
        """An open connection, kept from before unless `fresh`. Raises the peer's error when there is none to be had in time."""
        if not fresh and (kept := self.kept()) is not None:
            return kept
        loop = asyncio.get_running_loop()
        try:
            if self._is_tls and self._tls is None:
                self._tls = await asyncio.to_thread(self._make_tls)
            async with asyncio.timeout(self._connect_seconds):
                _, made = await loop.create_connection(lambda: self._link(self), self._host, self._port, ssl=self._tls)
        except TimeoutError as exc:
            what = f"cannot be reached within {self._connect_seconds:g} seconds"
            raise self.error(Trouble.UNREACHABLE, what) from exc
        except OSError as exc:  # also what TLS finds wrong
            reason = getattr(exc, "reason", None) or exc.strerror or type(exc).__name__
            raise self.error(Trouble.UNREACHABLE, f"cannot be reached ({reason})") from exc
        return made

    def take_back(self, connection: Link) -> None:
        if connection.is_reusable and self._idle_seconds > 0 and len(self._idle) < MOST_IDLE:
            connection.is_reused = True
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()

    def forget(self, connection: Link) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
