"""Asking those who have models, over their OpenAI-compatible APIs: requests that end the moment nobody wants their answer any more."""

from collections.abc import Awaitable, Callable, Mapping

from config.outgoing import Connection, Peer, Trouble
from config.tls import trusted
from switch.failures import Failure, FailureKind

MOST_ANSWER = 64 * 1024 * 1024  # bytes of an answer that is read whole
IDLE_SECONDS = 30.0  # shorter than what servers keep: the connection we pick up should not be closing right now

KIND_OF = {
    Trouble.UNREACHABLE: FailureKind.UNREACHABLE,
    Trouble.LOST: FailureKind.UNREACHABLE,
    Trouble.LATE: FailureKind.LATE,
    Trouble.CUT: FailureKind.CUT,
    Trouble.GARBAGE: FailureKind.GARBAGE,
}


def _failure(trouble: Trouble, what: str) -> Failure:
    return Failure(KIND_OF[trouble], what)


class Exchange(Connection):
    """A connection, and on it a request and its answer. Got from `Address.post`, ended by `release`."""

    on_release: Callable[[], None] | None = None

    def header(self, name: bytes) -> str:
        """A header of the answer, by its lower-case name; empty if it is not there."""
        for found, value in self.headers:
            if found == name:
                return value.decode("latin-1")
        return ""

    async def whole(self, within_seconds: float) -> bytes:
        """The rest of the answer. Raises Failure, also for one that is longer than anything a model writes."""
        found = self.taken() if self.is_complete else await self.more(within_seconds)
        if self.is_exhausted:
            return found
        parts, size_bytes = [found], len(found)
        while data := await self.more(within_seconds):
            parts.append(data)
            size_bytes += len(data)
            if size_bytes > MOST_ANSWER:
                raise Failure(FailureKind.GARBAGE, "the answer does not end")
        return b"".join(parts)

    def release(self) -> None:
        """End the exchange. After a whole answer the connection is kept; before, it is broken off: so the other side learns of it."""
        super().release()
        if self.on_release is not None:
            self.on_release()
            self.on_release = None


class Address:
    """Where an OpenAI-compatible API is, and what every request to it carries."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        name: str,
        connect_seconds: float,
        keeps_connections: bool = True,
    ) -> None:
        self._peer = Peer(
            name,
            base_url,
            error_of=_failure,
            link=Exchange,
            connect_seconds=connect_seconds,
            idle_seconds=IDLE_SECONDS if keeps_connections else 0.0,
            tls=trusted,
        )
        always = {
            "host": self._peer.authority,
            "accept": "application/json, text/event-stream",
            "user-agent": "vx11",
        }
        self._headers = "".join(f"{key}: {value}\r\n" for key, value in (always | dict(headers)).items()).encode()

    def post(self, path: str, body: bytes, *, within_seconds: float) -> Awaitable[Exchange]:
        """Send `body` (JSON) and wait until the answer begins. Raises Failure. The caller releases the exchange.

        A kept connection that turns out to be closed is replaced by a new one, once.
        """
        request = b"POST %b HTTP/1.1\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            f"{self._peer.path}{path}".encode(),
            self._headers,
            len(body),
            body,
        )
        return self._ask(request, within_seconds)

    async def get(self, path: str, *, within_seconds: float) -> Exchange:
        """The same without a body."""
        request = b"GET %b HTTP/1.1\r\n%b\r\n" % (f"{self._peer.path}{path}".encode(), self._headers)
        return await self._ask(request, within_seconds)

    def close(self) -> None:
        self._peer.close()

    async def _ask(self, request: bytes, within_seconds: float) -> Exchange:
        exchange = self._peer.kept()
        if exchange is not None:
            try:
                return await _begin(exchange, request, within_seconds)
            except Failure:
                if not exchange.was_never_heard:
                    raise
        return await _begin(await self._peer.connection(fresh=True), request, within_seconds)


async def _begin(exchange: Exchange, request: bytes, within_seconds: float) -> Exchange:
    try:
        exchange.start(request)
        await exchange.answered(within_seconds)
    except BaseException:  # also a cancellation: the other side must stop working
        exchange.abort()
        raise
    return exchange
