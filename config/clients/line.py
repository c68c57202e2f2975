"""The line to one service of the fleet: a request with a small body, and its answer read whole or piece by piece.

On `config.outgoing` and not on httpx: half of what a call cost here was httpx's making of URLs, requests and pools.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple, Protocol

from config.errors import FleetError, UpstreamContractError, UpstreamUnavailable
from config.outgoing import Connection, Peer, Trouble

IDLE_SECONDS = 60.0  # our services close a kept connection only after 120
MOST_ANSWER = 64 * 1024 * 1024  # bytes of an answer that is read whole
REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
TARGET = re.compile(r"/[!-~]*")
"""A space or a line's end in it would begin another header, or another request."""


class Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: str | None = None
    """What its Retry-After header says."""

    @property
    def is_error(self) -> bool:
        return self.status >= 400


class Line(Protocol):
    """How a client's requests travel. Raises UpstreamUnavailable, and UpstreamContractError for what is not HTTP."""

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, *, within_seconds: float
    ) -> Answer:
        """Send a request, which is no HEAD, and read its answer; `target` is path and query, percent-encoded.

        `within_seconds` is the longest silence, before the answer and in it.
        """

    def pieces(
        self, target: str, headers: Mapping[str, str], *, within_seconds: float
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """GET, with the body as it comes: status and bytes, at least once; `within_seconds` is the longest silence."""

    async def close(self) -> None:
        """Let go of what is open."""


class MakesLine(Protocol):
    """Makes the line to a service at a URL; `always` are the headers that each request carries."""

    def __call__(self, service: str, url: str, always: Mapping[str, str], *, connect_seconds: float) -> Line: ...


class FleetLine:
    """A line over kept connections. A request that is safe to repeat is sent again, once, when its kept connection was closed."""

    def __init__(self, service: str, url: str, always: Mapping[str, str], *, connect_seconds: float) -> None:
        self._service = service
        self._peer: Peer[Connection] = Peer(
            service,
            url,
            error_of=self._trouble,
            link=Connection,
            connect_seconds=connect_seconds,
            idle_seconds=IDLE_SECONDS,
        )
        self._always = _lines({"Host": self._peer.authority, "Accept": "*/*"} | dict(always))

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, *, within_seconds: float
    ) -> Answer:
        is_repeatable = method in REPEATABLE or "Idempotency-Key" in headers
        exchange = await self._begun(self._request(method, target, headers, body), within_seconds, is_repeatable)
        try:
            parts, size_bytes = [], 0
            while piece := await exchange.more(within_seconds):
                parts.append(piece)
                size_bytes += len(piece)
                if size_bytes > MOST_ANSWER:
                    raise UpstreamContractError(f"{self._service} answered with more than {MOST_ANSWER} bytes")
            later = next((value.decode("latin-1") for name, value in exchange.headers if name == b"retry-after"), None)
            return Answer(exchange.status, parts[0] if len(parts) == 1 else b"".join(parts), later)
        finally:
            exchange.release()

    async def pieces(
        self, target: str, headers: Mapping[str, str], *, within_seconds: float
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        exchange = await self._begun(self._request("GET", target, headers, None), within_seconds, True)
        try:
            yield exchange.status, b""
            while piece := await exchange.more(within_seconds):
                yield exchange.status, piece
        finally:
            exchange.release()

    async def close(self) -> None:
        self._peer.close()

    async def _begun(self, request: bytes, within_seconds: float, is_repeatable: bool) -> Connection:
        exchange = await self._peer.connection()
        try:
            return await _answered(exchange, request, within_seconds)
        except UpstreamUnavailable:
            if not (is_repeatable and exchange.is_reused and exchange.was_never_heard):
                raise
        return await _answered(await self._peer.connection(fresh=True), request, within_seconds)

    def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        if not TARGET.fullmatch(target):
            raise ValueError(f"{target!r} is not percent-encoded")
        about = b"" if body is None else b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        if body is None and method in ("POST", "PUT", "PATCH"):
            about = b"Content-Length: 0\r\n"
        line = f"{method} {self._peer.path}{target} HTTP/1.1\r\n".encode()
        return b"%b%b%b%b\r\n%b" % (line, self._always, _lines(headers), about, body or b"")

    def _trouble(self, trouble: Trouble, what: str) -> FleetError:
        if trouble is Trouble.GARBAGE:
            return UpstreamContractError(what)
        return UpstreamUnavailable(what)


async def _answered(exchange: Connection, request: bytes, within_seconds: float) -> Connection:
    try:
        exchange.start(request)
        await exchange.answered(within_seconds)
    except BaseException:  # also a cancellation: the other side must stop working
        exchange.abort()
        raise
    return exchange


def _lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they travel. Raises ValueError for a value with a line's end or a NUL in it, which could smuggle another header in."""
    for name, value in headers.items():
        if any(mark in value for mark in "\r\n\0"):
            raise ValueError(f"the header {name} may not hold a line's end")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
