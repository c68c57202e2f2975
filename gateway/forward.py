"""Passing a request on to a module and its answer back, piece by piece as they come.

A pure ASGI app behind the door of `module_template`: the caller is known and the body limited before anything gets here. Hop-by-hop headers
end here in both directions (RFC 9110, 7.6.1), and so does every `X-VX11-*` a client sends, together with its token.
"""

import asyncio
from dataclasses import dataclass

import structlog
from starlette.types import Message, Receive, Scope, Send

from config import log as logs
from config.auth import SAFE_METHODS, Caller
from config.delay import Delay
from config.errors import FleetError, Forbidden, MalformedRequest
from config.outgoing import Connection, Headers
from config.secrets import FleetSecrets
from gateway import routing
from gateway.errors import ClientGone, ClientStalled, ConnectionLost
from gateway.routing import Kind
from gateway.settings import GatewaySettings
from gateway.upstream import Neighbour

SMALL_BODY = 64 * 1024  # bytes; up to here a request is read whole before the module is asked, and can be asked again
WATCH_AFTER = Delay(0.05)
"""Seconds. Most answers are there by then: only for the others is it worth a task to see the client leave."""
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
NOT_PASSED_ON = HOP_BY_HOP | {b"authorization", b"content-length", b"expect", b"x-api-key", b"x-request-id"}
NOT_PASSED_BACK = HOP_BY_HOP | {b"date", b"server", b"x-request-id"}  # the door writes its own
REPEATABLE = SAFE_METHODS | {"PUT", "DELETE"}  # RFC 9110, 9.2.2

log = structlog.get_logger()


@dataclass(frozen=True)
class _Limits:
    answer_seconds: float
    idle_seconds: float


class Forwarder:
    """Forwards what is not the gateway's own."""

    def __init__(self, settings: GatewaySettings, secrets: FleetSecrets, neighbours: dict[str, Neighbour]) -> None:
        self._neighbours = neighbours
        self._fleet_token = b"x-vx11-token: " + secrets.fleet.get_secret_value().encode() + b"\r\nx-vx11-caller: "
        idle = settings.gateway_idle_timeout.total_seconds()
        generation = settings.gateway_generation_timeout.total_seconds()
        self._limits = {
            Kind.ORDINARY: _Limits(settings.gateway_answer_timeout.total_seconds(), idle),
            Kind.GENERATION: _Limits(generation, max(generation, idle)),
            Kind.UPLOAD: _Limits(settings.gateway_upload_timeout.total_seconds(), idle),
        }
        self._event_streams: set[Connection] = set()

    async def end_streams(self, stopping: asyncio.Event) -> None:
        """Once `stopping` is set, let the open event streams end cleanly: their readers come back with Last-Event-ID."""
        await stopping.wait()
        for connection in self._event_streams:
            connection.finish()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, state = scope["path"], scope["state"]
        service = routing.service_of(path)
        state["route"] = "/v1/…" if path.startswith("/v1/") else f"/{service}/…"
        caller: Caller = state["caller"]
        if not caller.reaches(service):
            raise Forbidden(f"this token reaches {_reach(caller)}, not {service}")
        neighbour = self._neighbours[service]
        limits = self._limits[routing.kind_of(path)]
        length, is_chunked, named = _framing(scope["headers"])
        head = self._head(scope, caller, neighbour, named)
        if is_chunked or length > SMALL_BODY:
            await self._forward_stream(scope, receive, send, neighbour, limits, head, None if is_chunked else length)
            return
        if length:
            body = await _whole_body(receive, limits.idle_seconds)
            request = b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)
        elif scope["method"] in ("POST", "PUT", "PATCH"):
            request = head + b"content-length: 0\r\n\r\n"
        else:
            request = head + b"\r\n"
        await self._forward_whole(scope, receive, send, neighbour, limits, request)

    async def _forward_whole(
        self, scope: Scope, receive: Receive, send: Send, neighbour: Neighbour, limits: _Limits, request: bytes
    ) -> None:
        connection = await neighbour.connection()
        try:
            await self._exchange(connection, scope, receive, send, limits, request)
        except ConnectionLost:
            # The module closed a kept connection, or fell, before it answered. Again, where that cannot do a thing twice.
            if not (connection.is_reused and _is_repeatable(scope)):
                raise
            await self._exchange(await neighbour.connection(fresh=True), scope, receive, send, limits, request)

    async def _exchange(
        self, connection: Connection, scope: Scope, receive: Receive, send: Send, limits: _Limits, request: bytes
    ) -> None:
        watch: asyncio.Task[None] | None = None

        def start_watching() -> None:
            nonlocal watch
            watch = asyncio.get_running_loop().create_task(_watch(connection, receive))

        start = WATCH_AFTER.call(start_watching)
        try:
            connection.start(request, is_head_request=scope["method"] == "HEAD")
            await connection.answered(limits.answer_seconds)
            await self._pass_back(connection, send, limits)
        finally:
            WATCH_AFTER.cancel(start)
            if watch is not None:
                watch.cancel()
            connection.release()

    async def _forward_stream(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        neighbour: Neighbour,
        limits: _Limits,
        head: bytes,
        length: int | None,
    ) -> None:
        connection = await neighbour.connection()
        framing = b"transfer-encoding: chunked\r\n\r\n" if length is None else b"content-length: %d\r\n\r\n" % length
        connection.start(head + framing, is_whole=False)
        pump = asyncio.create_task(_pump(connection, receive, limits, is_chunked=length is None))
        pump.add_done_callback(lambda ended: _tell(connection, ended))
        try:
            await connection.answered(None)  # the pump starts the clock when all is sent; a refusal may come before
            await self._pass_back(connection, send, limits)
        finally:
            pump.cancel()
            connection.release()

    async def _pass_back(self, connection: Connection, send: Send, limits: _Limits) -> None:
        headers = _headers_back(connection.headers)
        start: Message = {"type": "http.response.start", "status": connection.status, "headers": headers}
        is_event_stream = not connection.is_complete and _is_event_stream(headers)
        if is_event_stream:
            self._event_streams.add(connection)
        try:
            await send(start)
            while True:
                data = await connection.more(limits.idle_seconds)
                is_last = connection.is_exhausted
                if data or is_last:
                    await send({"type": "http.response.body", "body": data, "more_body": not is_last})
                if is_last:
                    return
        except FleetError as error:
            # Half an answer is out. Returning without its end makes the server break the connection, which is the only honest sign left.
            if not isinstance(error, ClientGone):
                log.warning("answer_cut", why=error.code, detail=error.detail)
        finally:
            if is_event_stream:
                self._event_streams.discard(connection)

    def _head(self, scope: Scope, caller: Caller, neighbour: Neighbour, named: frozenset[bytes]) -> bytes:
        """The request line and headers for the module, without framing and without the empty line."""
        query = scope["query_string"]
        target = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
        lines = [scope["method"].encode() + b" " + target + b" HTTP/1.1"]
        has_host = False
        for name, value in scope["headers"]:
            if name in NOT_PASSED_ON or name in named or name.startswith(b"x-vx11-"):
                continue
            has_host = has_host or name == b"host"
            lines.append(name + b": " + value)
        if not has_host:
            lines.append(b"host: " + neighbour.authority.encode("latin-1", "replace"))
        scopes = " ".join(sorted(caller.scopes))
        lines.append(
            self._fleet_token
            + f"{caller.id}\r\nx-vx11-scopes: {scopes}\r\nx-request-id: {logs.request_id.get()}\r\nvia: 1.1 vx11\r\n".encode(
                "latin-1", "replace"
            )
        )
        return b"\r\n".join(lines)


async def _whole_body(receive: Receive, idle_seconds: float) -> bytes:
    try:
        async with asyncio.timeout(idle_seconds):
            message = await receive()
            body: bytes = message.get("body", b"")
            while message.get("more_body"):
                message = await receive()
                body += message.get("body", b"")
    except TimeoutError as exc:
        raise ClientStalled(f"the body did not arrive within {idle_seconds:g} seconds") from exc
    if message["type"] == "http.disconnect":
        raise ClientGone()
    return body


async def _pump(connection: Connection, receive: Receive, limits: _Limits, *, is_chunked: bool) -> None:
    """Send the body on as it comes, then watch for the client leaving."""
    try:
        more = True
        while more:
            try:
                async with asyncio.timeout(limits.idle_seconds):
                    message = await receive()
            except TimeoutError as exc:
                raise ClientStalled(f"no more of the body came within {limits.idle_seconds:g} seconds") from exc
            if message["type"] == "http.disconnect":
                raise ClientGone()
            data, more = message.get("body", b""), message.get("more_body", False)
            if data:
                framed = b"%x\r\n%b\r\n" % (len(data), data) if is_chunked else data
                await connection.write(framed, idle_seconds=limits.idle_seconds)
        if is_chunked:
            await connection.write(b"0\r\n\r\n", idle_seconds=limits.idle_seconds)
    except FleetError as error:
        connection.fail(error)
        return
    connection.is_sent = True
    timer = connection.answer_within(limits.answer_seconds)
    try:
        await _watch(connection, receive)
    finally:
        timer.cancel()


def _tell(connection: Connection, pump: asyncio.Task[None]) -> None:
    if not pump.cancelled() and (unexpected := pump.exception()) is not None:
        log.error("pump_broke", exc_info=unexpected)
        connection.fail(FleetError())


async def _watch(connection: Connection, receive: Receive) -> None:
    """End the exchange when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    connection.fail(ClientGone())


def _framing(headers: Headers) -> tuple[int, bool, frozenset[bytes]]:
    """How long the body is said to be, whether it comes in chunks instead, and the headers that `Connection` names as hop-by-hop."""
    length, is_chunked, named = 0, False, frozenset[bytes]()
    for name, value in headers:
        if name == b"content-length":
            if not value.isdigit():
                raise MalformedRequest("Content-Length is not a number")
            length = int(value)
        elif name == b"transfer-encoding":
            is_chunked = True
        elif name == b"connection":
            named |= _options(value)
    return length, is_chunked, named


def _headers_back(headers: Headers) -> Headers:
    kept, named = [], frozenset[bytes]()
    for name, value in headers:
        if name not in NOT_PASSED_BACK:
            kept.append((name, value))
        elif name == b"connection":
            named |= _options(value)
    return [pair for pair in kept if pair[0] not in named] if named else kept


def _options(connection: bytes) -> frozenset[bytes]:
    return frozenset(option.strip().lower() for option in connection.split(b",")) - {b"keep-alive", b"close"}


def _is_event_stream(headers: Headers) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


def _is_repeatable(scope: Scope) -> bool:
    return scope["method"] in REPEATABLE or any(name == b"idempotency-key" for name, _ in scope["headers"])


def _reach(caller: Caller) -> str:
    modules = sorted({scope.partition(":")[0] for scope in caller.scopes})
    return ", ".join(modules) or "nothing"
