"""The base of the typed clients: who asks, time-outs, and a neighbour's errors turned back into our classes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from json import dumps, loads
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ValidationError

from config import log as logs
from config.clients.line import Answer, FleetLine, MakesLine
from config.contracts.common import Health
from config.errors import FleetError, UpstreamContractError, UpstreamUnavailable
from config.secrets import FleetSecrets
from config.settings import FleetSettings

Reply = TypeVar("Reply", bound=BaseModel)


TIMEOUT_SECONDS = 10.0


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
        line: MakesLine = FleetLine,
    ) -> None:
        always = {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": caller}
        connect_seconds = settings.connect_timeout.total_seconds()
        self._line = line(self.service, settings.url_of(self.service), always, connect_seconds=connect_seconds)

    async def close(self) -> None:
        await self._line.close()

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
        answer = await self._send(method, path, **options)
        try:
            return reply.model_validate_json(answer.body)
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
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Answer:
        headers = _request_id()
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if grant is not None:
            headers["X-VX11-Grant"] = grant
        target = f"{path}?{urlencode(_texts(params), doseq=True)}" if params else path
        body = None if json is None else dumps(json, ensure_ascii=False, separators=(",", ":")).encode()
        answer = await self._line.ask(method, target, headers, body, within_seconds=timeout_seconds)
        if answer.is_error:
            raise self._error(answer)
        return answer

    async def _pieces(self, path: str) -> AsyncGenerator[bytes, None]:
        """The body of an answer as it comes, for what is too large to be held."""
        refusal = b""
        async with aclosing(self._line.pieces(path, _request_id(), within_seconds=TIMEOUT_SECONDS)) as pieces:
            async for status, piece in pieces:
                if status >= 400:
                    refusal += piece
                elif piece:
                    yield piece
        if status >= 400:
            raise self._error(Answer(status, refusal))

    def _error(self, answer: Answer) -> FleetError:
        try:
            problem = loads(answer.body)
            known = FleetError.by_code.get(str(problem["type"]).removeprefix("/errors/"))
            detail = str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            known, detail = None, f"{self.service} answered {answer.status}"
        if known is not None:
            error = known.__new__(known)
            headers = {} if answer.retry_after is None else {"Retry-After": answer.retry_after}
            FleetError.__init__(error, detail, headers=headers)
            return error
        if answer.status >= 500:
            return UpstreamUnavailable(detail)
        return UpstreamContractError(f"{self.service} answered {answer.status}: {detail}")


def _request_id() -> dict[str, str]:
    return {"X-Request-ID": found} if (found := logs.request_id.get()) else {}


def _texts(params: dict[str, Any]) -> dict[str, Any]:
    """Truth values as JSON writes them."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}
