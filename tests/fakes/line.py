"""The line of a typed client over an httpx transport: to an app in this process, or to a function that answers."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager

import httpx

from config.clients.line import Answer, MakesLine
from config.errors import UpstreamContractError, UpstreamUnavailable


def over(transport: httpx.AsyncBaseTransport) -> MakesLine:
    """Makes lines that use this transport."""

    def make(service: str, url: str, always: Mapping[str, str], *, connect_seconds: float) -> "HttpxLine":
        return HttpxLine(service, httpx.AsyncClient(base_url=url, headers=dict(always), transport=transport))

    return make


class HttpxLine:
    def __init__(self, service: str, http: httpx.AsyncClient) -> None:
        self._service, self._http = service, http

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, *, within_seconds: float
    ) -> Answer:
        about = {} if body is None else {"Content-Type": "application/json"}
        with self._troubles():
            response = await self._http.request(
                method, target, content=body, headers={**headers, **about}, timeout=within_seconds
            )
        return Answer(response.status_code, response.content, response.headers.get("retry-after"))

    async def pieces(
        self, target: str, headers: Mapping[str, str], *, within_seconds: float
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        stream = self._http.stream("GET", target, headers=dict(headers), timeout=within_seconds)
        with self._troubles():
            async with stream as response:
                yield response.status_code, b""
                async for piece in response.aiter_bytes():
                    yield response.status_code, piece

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as exc:
            raise UpstreamUnavailable(f"{self._service} cannot be reached ({type(exc).__name__})") from exc
        except httpx.DecodingError as exc:  # the real line leaves a body as it came, and then it is nobody's contract
            raise UpstreamContractError(f"{self._service} answered with a body that cannot be decoded") from exc

    async def close(self) -> None:
        await self._http.aclose()
