"""HTTP/1.1 for our servers: a protocol for uvicorn's `Server`, on httptools, the parser that uvicorn uses itself.

uvicorn's own was measured and does not do, for two reasons. It keeps all headers and trailers that a client sends, however many, before
anybody has looked at a token (200 MB of them were 225 MB of memory); here a request that goes on without becoming complete or bringing any
of its body is broken off. And it writes head and body of an answer apart, which wakes the client twice, looks at every header with two
regular expressions, and arms a timer after each answer: of the time of a small answer that was 40 %, and of all that the router costs 10 %.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Generator
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import httptools
import structlog
from starlette.types import ASGIApp, Message, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

MOST_HEAD_BYTES = 64 * 1024
HIGH_WATER = 64 * 1024  # bytes of a body that wait for the app before we stop reading
ONE_WRITE_BYTES = 64 * 1024  # a longer piece is not copied to go out together with its head
LONGEST_KEPT_URL = 256
MOST_KNOWN_NAMES = 1000

NOT_IN_A_NAME = re.compile(rb'[\x00-\x20\x7f()<>@,;:\[\]={}\\"]')
CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if code != 0x09)
"""Characters that no header may hold; the two that end a line are among them."""
FRAMING = frozenset({b"content-length: ", b"transfer-encoding: ", b"connection: "})
BODILESS = frozenset({204, 304})
ASGI = {"version": "3.0", "spec_version": "2.3"}


class _Done:
    """What can be awaited and is over."""

    def __await__(self) -> Generator[Any, None, None]:
        return iter(())  # type: ignore[return-value]  # an iterator is all that is needed


DONE = _Done()

log = structlog.get_logger()
errors = logging.getLogger("uvicorn.error")


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES = {status: _status_line(status) for status in range(100, 600)}


class LimitedHttp(asyncio.Protocol):
    """One connection of a client. Answers 431 when request line and headers go past 64 KiB, and hangs up when trailers or chunk extensions
    do. Requests that come before the one ahead of them is answered wait for their turn."""

    transport: asyncio.Transport
    flow: FlowControl
    scope: Scope

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.app: ASGIApp = config.loaded_app
        self.loop = _loop or asyncio.get_running_loop()
        self.server_state, self._app_state, self._root_path = server_state, app_state, config.root_path
        self._idle_seconds = config.timeout_keep_alive
        self._idle_since = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_data_after_close=True
        )  # uvicorn's: the first of several is answered
        self.exchange: Exchange | None = None
        """The one whose request came last."""
        self._running: Exchange | None = None
        """The one that the app is at work on, or was."""
        self._waiting = deque[Exchange]()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_100 = self._has_moved = False
        self._is_in_head = True
        self._head_bytes = 0
        self._usual: tuple[Any, bytes] = (None, b"")

    # --- what asyncio tells us -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = ours = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.server_state.connections.add(cast(Any, self))
        self.flow = FlowControl(ours)
        self._server, self._client = get_local_addr(ours), get_remote_addr(ours)
        self._scheme = "https" if is_ssl(ours) else "http"

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.connections.discard(cast(Any, self))
        for exchange in (self._running, self.exchange):
            if exchange is not None:
                exchange.client_left()
        self.flow.resume_writing()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._parser = None  # it and we hold each other

    def data_received(self, data: bytes) -> None:
        self._has_moved = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # nobody has to take up the offer of another protocol (RFC 9110, 7.8)
        except httptools.HttpParserError:
            errors.warning("Invalid HTTP request received.")
            self._refuse(400, b"Invalid HTTP request received.")
            return
        if self._has_moved:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            log.warning("endless_headers", client=self._client and self._client[0])
            if self._is_in_head:
                self._refuse(431, b"")
            self.transport.close()

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    # --- what the parser tells us ----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url, self._headers, self._expects_100, self._is_in_head = b"", [], False, True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_100 = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._has_moved, self._is_in_head = True, False
        parser, url = self._parser, self._url
        path, raw_path, query = _parsed(url) if len(url) <= LONGEST_KEPT_URL else _parse(url)
        root, version = self._root_path, parser.get_http_version()
        scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": self._scheme,
            "server": self._server,
            "client": self._client,
            "root_path": root,
            "path": root + path if root else path,
            "raw_path": root.encode() + raw_path if root else raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self._app_state.copy(),
        }
        keeps_alive = version != "1.0" and parser.should_keep_alive()
        before, self.exchange = self.exchange, Exchange(self, scope, keeps_alive, self._expects_100)
        if before is None or before.is_complete:
            self._start(self.exchange)
        else:
            self.flow.pause_reading()
            self._waiting.append(self.exchange)

    def on_body(self, body: bytes) -> None:
        self._has_moved = True
        assert self.exchange is not None
        self.exchange.more_came(body)

    def on_message_complete(self) -> None:
        self._has_moved = True
        assert self.exchange is not None
        self.exchange.all_came()

    # --- exchanges, one after the other ----------------------------------------------------------------------------

    def _start(self, exchange: "Exchange") -> None:
        self._running = exchange
        exchange.task = self.loop.create_task(exchange.run(self.app))
        self.server_state.tasks.add(exchange.task)

    def ended(self) -> None:
        """The answer is out."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._waiting:
            self._start(self._waiting.popleft())
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:  # one for as long as the connection is there, not one for each request
            self._idle_timer = self.loop.call_later(self._idle_seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        if self.exchange is not None and not self.exchange.is_complete:
            return  # the end of its answer sets the next timer
        left = self._idle_since + self._idle_seconds - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(left, self._close_if_idle)

    def shutdown(self) -> None:
        """uvicorn's server wants to end: what is under way may end first."""
        if self.exchange is None or self.exchange.is_complete:
            self.transport.close()
        else:
            self.exchange.keeps_alive = False

    def usual_headers(self) -> bytes:
        """What every answer has: the date, which the server renews once a second."""
        headers = self.server_state.default_headers
        if headers is not self._usual[0]:
            self._usual = headers, b"".join([b"%b: %b\r\n" % header for header in headers])
        return self._usual[1]

    def _refuse(self, status: int, text: bytes) -> None:
        kind = b"content-type: text/plain; charset=utf-8\r\n" if text else b""
        self.transport.write(
            b"%b%b%bconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (STATUS_LINES[status], self.usual_headers(), kind, len(text), text)
        )
        self.transport.close()


class Exchange:
    """One request and its answer: `receive` and `send` of ASGI. The head of an answer goes out with the first piece of its body, or by
    itself when that is not there at once."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_expects_100",
        "_flow",
        "_has_begun",
        "_has_left",
        "_has_news",
        "_head",
        "_is_chunked",
        "_is_head_request",
        "_is_whole",
        "_left_bytes",
        "_protocol",
        "_scope",
        "_transport",
        "_waiter",
        "is_complete",
        "keeps_alive",
        "task",
    )

    def __init__(self, protocol: LimitedHttp, scope: Scope, keeps_alive: bool, expects_100: bool) -> None:
        self._protocol, self._scope, self.keeps_alive = protocol, scope, keeps_alive
        self._transport, self._flow, self._expects_100 = protocol.transport, protocol.flow, expects_100
        self._is_head_request = scope["method"] == "HEAD"
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._is_whole = self._has_news = self._has_left = self._has_begun = self.is_complete = False
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._is_chunked = False
        self._left_bytes = 0
        self.task: asyncio.Task[None] | None = None

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the client must not wait for ever
            errors.error("Exception in ASGI application\n", exc_info=exc)
            await self._break_off()
        else:
            if not self.is_complete and not self._has_left:
                errors.error("ASGI callable returned without completing response.")
                await self._break_off()
        finally:
            if self.task is not None:
                self._protocol.server_state.tasks.discard(self.task)

    async def _break_off(self) -> None:
        if self._has_begun:
            self._write_head()
            self._transport.close()
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")]
            headers.append((b"connection", b"close"))
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": b"Internal Server Error"})

    # --- the request -----------------------------------------------------------------------------------------------

    def more_came(self, body: bytes) -> None:
        if self.is_complete:
            return
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > HIGH_WATER:
            self._flow.pause_reading()
        self._tell()

    def all_came(self) -> None:
        if not self.is_complete:
            self._is_whole = True
            self._tell()

    def client_left(self) -> None:
        self._has_left = not self.is_complete
        self._tell()

    def _tell(self) -> None:
        self._has_news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        if self._expects_100 and not self._transport.is_closing():
            self._expects_100 = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._has_left and not self.is_complete:
            self._flow.resume_reading()
            while not (self._has_news or self._has_left or self.is_complete):
                if self._waiter is None or self._waiter.done():
                    self._waiter = self._protocol.loop.create_future()
                await asyncio.shield(self._waiter)
            self._has_news = False
        if self._has_left or self.is_complete:
            return {"type": "http.disconnect"}
        parts, self._body, self._body_bytes = self._body, [], 0
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return {"type": "http.request", "body": body, "more_body": not self._is_whole}

    # --- the answer ------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> Awaitable[None]:
        """Where nothing has to be waited for, as with every small answer, no coroutine is made of it."""
        if self._flow.write_paused and not self._has_left:
            return self._send_later(message)
        self._send(message)
        return DONE

    async def _send_later(self, message: Message) -> None:
        await self._flow.drain()
        self._send(message)

    def _send(self, message: Message) -> None:
        if self._has_left:
            return
        if not self._has_begun:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"an answer begins with http.response.start, not {message['type']}")
            self._has_begun, self._expects_100 = True, False
            self._head = self._head_of(message["status"], message.get("headers", ()))
            if not 0 < self._left_bytes <= ONE_WRITE_BYTES:  # such a body is as good as always there at once
                self._protocol.loop.call_soon(self._write_head)
            return
        if self.is_complete or message["type"] != "http.response.body":
            raise RuntimeError(f"after the answer came {message['type']}")
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        if self._is_head_request:
            data = b""
        elif self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if is_last:
                data += b"0\r\n\r\n"
        else:
            data = body
            self._left_bytes -= len(body)
            if self._left_bytes < 0 or (is_last and self._left_bytes):
                raise RuntimeError("the body is not as long as its content-length")
        if self._head and len(data) <= ONE_WRITE_BYTES:
            data, self._head = self._head + data, b""
        self._write_head()
        if data:
            self._transport.write(data)
        if is_last:
            self.is_complete = True
            self._tell()
            if not self.keeps_alive:
                self._transport.close()
            self._protocol.ended()

    def _write_head(self) -> None:
        if self._head and not self._transport.is_closing():
            head, self._head = self._head, b""
            self._transport.write(head)

    def _head_of(self, status: int, headers: Any) -> bytes:
        """Raises RuntimeError for what would be read as another header, or as none."""
        pieces = list[bytes]()
        is_framed = is_closing = False
        for name, value in headers:
            before = _beginnings.get(name) or _begin(name)
            if before in FRAMING:
                if before == b"content-length: " and not is_framed:
                    self._left_bytes, is_framed = int(value), True
                elif before == b"transfer-encoding: " and value.lower() == b"chunked":
                    self._is_chunked = is_framed = True
                elif before == b"connection: " and b"close" in [one.strip() for one in value.lower().split(b",")]:
                    is_closing = True
            pieces += before, value, b"\r\n"
        head = b"".join(pieces)
        if len(head) - len(head.translate(None, CONTROLS)) != len(pieces) // 3 * len(b"\r\n"):
            raise RuntimeError("a header of the answer holds a line break or another control character")
        if is_closing:
            self.keeps_alive = False
        elif not self.keeps_alive:
            head += b"connection: close\r\n"
        if not is_framed and not self._is_head_request and status not in BODILESS:
            self._is_chunked = True
            head += b"transfer-encoding: chunked\r\n"
        return b"%b%b%b\r\n" % (STATUS_LINES[status], self._protocol.usual_headers(), head)


_beginnings: dict[bytes, bytes] = {}
"""What a header's line begins with, by the header's name; answers have the same few."""


def _begin(name: bytes) -> bytes:
    if not name or NOT_IN_A_NAME.search(name):
        raise RuntimeError(f"{name!r} is no name of a header")
    beginning = name.lower() + b": "
    if len(_beginnings) < MOST_KNOWN_NAMES:
        _beginnings[name] = beginning
    return beginning


def _parse(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, the path as it was sent, and query. Raises what the parser takes for a bad request."""
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


_parsed = lru_cache(maxsize=1024)(_parse)
"""The same for the short ones, most of which come again and again."""
