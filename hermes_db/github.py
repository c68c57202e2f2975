"""A key for GitHub by its OAuth device flow (RFC 8628): somebody enters a code on GitHub's page, and GitHub hands us the key.

One sign-in at a time, in memory: a restart loses one that was not finished, and its code is of no more use to us.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from config.auth import Caller
from config.clock import Clock
from config.contracts.common import StatusEnum
from config.contracts.hermes_db import DeviceState, Link, Token
from config.errors import Conflict, FleetError, NotFound, UpstreamContractError, UpstreamUnavailable
from config.tls import trusted
from hermes_db.settings import HermesDbSettings

GITHUB = "github"
"""The service under which the key is stored."""
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
TIMEOUT = httpx.Timeout(20.0, connect=10.0)  # seconds
MOST_BYTES = 64 * 1024
"""Of one answer; GitHub's have some hundred."""
SHORTEST_SECONDS, LONGEST_SECONDS, SLOWER_SECONDS = 1.0, 120.0, 5.0
"""Between two questions: the least and the most, and by how much more after `slow_down` (RFC 8628, section 3.5)."""

Pause = Callable[[float], Awaitable[None]]
Keep = Callable[[SecretStr, datetime | None, Caller], Awaitable[object]]

log = structlog.get_logger()


class _Answer(BaseModel):
    """What GitHub sends may be a secret: an error about it never repeats it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    error: Annotated[str, StringConstraints(max_length=100, pattern=r"^[\x20-\x7e]+$")] | None = None


class _Code(_Answer):
    device_code: SecretStr | None = None
    user_code: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$")] = ""
    verification_uri: Link = ""
    expires_in: int = Field(900, ge=1, le=86_400)
    interval: float = Field(5.0, ge=0.0, le=3600.0)


class _Token(_Answer):
    access_token: Token | None = None
    expires_in: int | None = Field(None, ge=1, le=10 * 365 * 86_400)
    interval: float | None = Field(None, ge=0.0, le=3600.0)


Answer = TypeVar("Answer", bound=_Answer)


@dataclass
class _SignIn:
    """The one that is under way, or the last one."""

    scope: str
    caller: Caller
    device_code: SecretStr
    user_code: str
    verification_uri: str
    expires_at: datetime
    interval_seconds: float
    status: StatusEnum = StatusEnum.WAITING
    error: str | None = None

    @property
    def told(self) -> DeviceState:
        return DeviceState(
            status=self.status,
            user_code=self.user_code,
            verification_uri=self.verification_uri,
            expires_at=self.expires_at,
            interval_seconds=self.interval_seconds,
            error=self.error,
        )

    def end(self, error: str | None) -> None:
        self.status, self.error = StatusEnum.DONE if error is None else StatusEnum.ERROR, error


class GithubSignIn:
    """Begins sign-ins and asks GitHub for their outcome."""

    def __init__(self, settings: HermesDbSettings, keep: Keep, *, clock: Clock, pause: Pause) -> None:
        self._client_id, self._keep, self._clock, self._pause = settings.hermes_db_github_client_id, keep, clock, pause
        self._http = httpx.AsyncClient(
            base_url=settings.hermes_db_github_url.rstrip("/"),
            headers={"Accept": "application/json"},
            timeout=TIMEOUT,
            verify=trusted(),
        )
        self._current: _SignIn | None = None
        self._asking: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    async def begin(self, scope: str, caller: Caller) -> DeviceState:
        """Get a code to be entered at GitHub. While one for the same scope waits, it is told again; one for another takes its place.

        Raises Conflict when no client id is set or GitHub does not take it, UpstreamUnavailable and UpstreamContractError.
        """
        if self._client_id is None:
            raise Conflict(
                "VX11_HERMES_DB_GITHUB_CLIENT_ID is not set: register an OAuth app with the device flow enabled at GitHub, and put its "
                "client id there"
            )
        async with self._beginning:
            current = self._current
            if current is not None and current.status is StatusEnum.WAITING and current.scope == scope:
                return current.told
            code = await self._ask("/login/device/code", {"client_id": self._client_id, "scope": scope}, _Code)
            if code.error is not None:
                raise Conflict(
                    f"GitHub refused ({code.error}): look at VX11_HERMES_DB_GITHUB_CLIENT_ID and its app's device flow"
                )
            if code.device_code is None or not code.user_code or not code.verification_uri:
                raise UpstreamContractError("GitHub answered without a code")
            await self.close()
            self._current = _SignIn(
                scope=scope,
                caller=caller,
                device_code=code.device_code,
                user_code=code.user_code,
                verification_uri=code.verification_uri,
                expires_at=self._clock() + timedelta(seconds=code.expires_in),
                interval_seconds=min(max(code.interval, SHORTEST_SECONDS), LONGEST_SECONDS),
            )
            self._asking = asyncio.create_task(self._follow(self._current, self._client_id))
            return self._current.told

    def state(self) -> DeviceState:
        """Raises NotFound when none was begun since this service started."""
        if self._current is None:
            raise NotFound("no sign-in at GitHub was begun since this service started: POST here begins one")
        return self._current.told

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def disconnect(self) -> None:
        await self.close()
        await self._http.aclose()

    async def _follow(self, one: _SignIn, client_id: str) -> None:
        try:
            one.end(await self._outcome(one, client_id))
        except FleetError as problem:  # the key could not be stored, or GitHub does not speak its protocol
            one.end(problem.detail)
        except Exception:
            log.exception("github_sign_in_failed")
            one.end("an unexpected error; the log of this service has it")
        log.info("github_sign_in_ended", status=one.status, error=one.error)

    async def _outcome(self, one: _SignIn, client_id: str) -> str | None:
        """Asks until there is an answer, and keeps the key. Returns why there is none, or None."""
        asked = {"client_id": client_id, "device_code": one.device_code.get_secret_value(), "grant_type": GRANT_TYPE}
        while self._clock() < one.expires_at:
            await self._pause(one.interval_seconds)
            try:
                answer = await self._ask("/login/oauth/access_token", asked, _Token)
            except UpstreamUnavailable:
                one.interval_seconds = min(one.interval_seconds * 2, LONGEST_SECONDS)
                continue
            if answer.access_token is not None:
                ends = None if answer.expires_in is None else self._clock() + timedelta(seconds=answer.expires_in)
                await self._keep(answer.access_token, ends, one.caller)
                return None
            if answer.error == "slow_down":
                wanted = max(one.interval_seconds + SLOWER_SECONDS, answer.interval or 0.0)
                one.interval_seconds = min(wanted, LONGEST_SECONDS)
            elif answer.error != "authorization_pending":
                return answer.error or "GitHub answered neither with a key nor with an error"
        return "expired_token"

    async def _ask(self, path: str, form: dict[str, str], shape: type[Answer]) -> Answer:
        """GitHub's answer, whatever its status: it says 200 to errors where the standard has 400."""
        try:
            async with self._http.stream("POST", path, data=form) as response:
                content = b""
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise UpstreamContractError(f"GitHub answered {path} with more than {MOST_BYTES} bytes")
        except httpx.TransportError as exc:
            raise UpstreamUnavailable(f"GitHub cannot be reached ({type(exc).__name__})") from exc
        except httpx.DecodingError as exc:
            raise UpstreamContractError(f"GitHub answered {path} with a body that cannot be decoded") from exc
        if response.status_code == 429 or response.status_code >= 500:
            raise UpstreamUnavailable(f"GitHub answered {response.status_code}")
        try:
            return shape.model_validate_json(content)
        except ValidationError as exc:
            raise UpstreamContractError(f"GitHub answered {path} ({response.status_code}) off its protocol") from exc
