"""The base of the typed clients: who asks, time-outs, and a neighbour's errors turned back into our classes."""

import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from config import log as logs
from config.contracts.common import Health
from config.errors import FleetError, UpstreamContractError, UpstreamUnavailable
from config.secrets import FleetSecrets
from config.settings import FleetSettings

Reply = TypeVar("Reply", bound=BaseModel)


def segment(value: str) -> str:
    """A value as one segment of a path, whatever is in it: no slash, query or `..` leads to another route."""
    return quote(value, safe="").replace(".", "%2E")


class ServiceClient:
    """Asks one service in the name of another.

    Raises UpstreamUnavailable when it is down, late or answers an unknown 5xx; UpstreamContractError when what it answers is not its
    contract; and the service's own FleetError class when it answers with a problem that we know.
    """

    service: str

    def __init__(
        self,
        settings: FleetSettings,
        secrets: FleetSecrets,
        caller: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        connect = settings.connect_timeout.total_seconds()
        self._http = httpx.AsyncClient(
            base_url=settings.url_of(self.service),
            headers={"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": caller},
            timeout=httpx.Timeout(10.0, connect=connect),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            transport=transport,
            trust_env=False,  # a proxy in the environment is not for our own loopback
            verify=settings.url_of(self.service).startswith("https:"),  # without TLS, no 50 ms to read all certificates
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def health(self) -> Health:
        """The service's own word on its health; asked with a short limit."""
        return await self._ask("GET", f"/{self.service}/health", Health, timeout_seconds=2.0)

    async def _get(self, path: str, reply: type[Reply], **options: Any) -> Reply:
        return await self._ask("GET", path, reply, **options)

    async def _post(
        self, path: str, body: BaseModel | dict[str, Any] | None, reply: type[Reply], **options: Any
    ) -> Reply:
        content = body.model_dump(mode="json", exclude_none=True) if isinstance(body, BaseModel) else body
        return await self._ask("POST", path, reply, json=content, **options)

    async def _ask(self, method: str, path: str, reply: type[Reply], **options: Any) -> Reply:
        response = await self._send(method, path, **options)
        try:
            return reply.model_validate_json(response.content)
        except ValidationError as exc:
            raise UpstreamContractError(
                f"{self.service} answered {method} {path} with something that is not {reply.__name__}"
            ) from exc

    async def _send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
        grant: str | None = None,
        timeout_seconds: float | None = None,
    ) -> httpx.Response:
        headers = {"X-Request-ID": logs.request_id.get()} if logs.request_id.get() else {}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if grant is not None:
            headers["X-VX11-Grant"] = grant
        timeout = (
            httpx.USE_CLIENT_DEFAULT
            if timeout_seconds is None
            else httpx.Timeout(timeout_seconds, connect=self._http.timeout.connect)
        )
        try:
            response = await self._http.request(
                method, path, json=json, params=params, headers=headers, timeout=timeout
            )
        except httpx.TransportError as exc:
            raise UpstreamUnavailable(f"{self.service} cannot be reached ({type(exc).__name__})") from exc
        except httpx.DecodingError as exc:
            raise UpstreamContractError(f"{self.service} answered with a body that cannot be decoded") from exc
        if response.is_error:
            raise self._error(response)
        return response

    async def _pieces(self, path: str) -> AsyncIterator[bytes]:
        """The body of an answer as it comes, for what is too large to be held."""
        headers = {"X-Request-ID": logs.request_id.get()} if logs.request_id.get() else {}
        try:
            async with self._http.stream("GET", path, headers=headers) as response:
                if response.is_error:
                    await response.aread()
                    raise self._error(response)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.TransportError as exc:
            raise UpstreamUnavailable(f"{self.service} cannot be reached ({type(exc).__name__})") from exc
        except httpx.DecodingError as exc:
            raise UpstreamContractError(f"{self.service} answered with a body that cannot be decoded") from exc

    def _error(self, response: httpx.Response) -> FleetError:
        try:
            problem = json.loads(response.content)
            known = FleetError.by_code.get(str(problem["type"]).removeprefix("/errors/"))
            detail = str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            known, detail = None, f"{self.service} answered {response.status_code}"
        if known is not None:
            error = known.__new__(known)
            later = response.headers.get("retry-after")
            FleetError.__init__(error, detail, headers={} if later is None else {"Retry-After": later})
            return error
        if response.status_code >= 500:
            return UpstreamUnavailable(detail)
        return UpstreamContractError(f"{self.service} answered {response.status_code}: {detail}")
