"""The app that every service is built from: auth, request ids, body limits, problem+json, health, metrics, clean shutdown.

`create_module_app()` gives a FastAPI app in which every path except `/health` needs a token. Canonical paths start with the module's name;
on the module's own port the bare path of the original documents is the same route (`/query` is `/switch/query`).
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config import log as logs
from config.anthropic_errors import anthropic_error, is_anthropics
from config.auth import SAFE_METHODS, Authenticator, Caller, token_in
from config.bodies import require_readable
from config.clock import new_id
from config.contracts.common import Check, Health, HealthState, Problem
from config.database import Database
from config.errors import (
    PROBLEM,
    BodyTooLarge,
    FleetError,
    Forbidden,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    TooManyRequests,
    Unauthorized,
    documented,
)
from config.forensics import Trail
from config.grants import Gate
from config.metrics import Metrics
from config.migrate import require_current
from config.secrets import FleetSecrets, load_secrets
from config.settings import SERVICES, FleetSettings

VERSION = "0.1.0"
REQUEST_ID_LONGEST = 128
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own would look at the environment on every request, and would send what our errors say to whoever it names."""

HealthCheck = Callable[[], Awaitable[dict[str, Check]]]
HotApp = Callable[[str], ASGIApp | None]
Lifespan = Callable[["Ground"], AbstractAsyncContextManager[None]]
CompleteHealth = Callable[[Health], Awaitable[Health]]

log = structlog.get_logger()


@dataclass(frozen=True)
class Ground:
    """What every service stands on; made before its own lifespan begins."""

    app: FastAPI
    service: str
    settings: FleetSettings
    secrets: FleetSecrets
    db: Database
    trail: Trail
    gate: Gate
    authenticator: Authenticator


class Admission(Protocol):
    """Keeps count of who comes in how often; each method may raise TooManyRequests."""

    def arriving(self, address: str, token: str) -> None:
        """A token comes from this address and has not been looked at."""

    def refused(self, address: str) -> None:
        """It was wrong."""

    def admitted(self, address: str, token: str, caller: Caller) -> None:
        """It was good, and this caller's."""


def create_module_app(
    service: str,
    settings: FleetSettings,
    *,
    routers: Sequence[APIRouter] = (),
    lifespan: Lifespan | None = None,
    checks: HealthCheck | None = None,
    operation_of: Callable[[str, str], str | None] | None = None,
    body_limit_of: Callable[[str], int] | None = None,
    hot: HotApp | None = None,
    admission: Admission | None = None,
    complete_health: CompleteHealth | None = None,
    health_model: type[Health] = Health,
    description: str = "",
) -> "ModuleApp":
    """A service's app.

    `routers` hold paths without the module's name. `lifespan` receives the Ground and puts the service on `app.state`. `checks` tells the
    module's health. `operation_of(method, path)` names the operation a request needs when it is not `read` (safe methods) or `write`; None
    leaves the decision to the route (a `Gate`). `body_limit_of(path)` gives a path's body limit in bytes when it is not the fleet's.
    `hot(path)` gives an ASGI app that answers a path behind the same checks without FastAPI's cost, or None for FastAPI's routes; it may
    set `scope["state"]["route"]`, the name under which its requests are counted. `admission` counts who comes in. `complete_health` adds
    to what `/health` tells a caller with a token, in the shape of `health_model`.
    """
    logs.configure(settings.log_level)
    secrets = load_secrets(settings)

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        logs.service.set(service)
        app.state.started = time.monotonic()
        await asyncio.to_thread(require_current, settings)
        db = Database(settings.sqlalchemy_url(), service)
        trail = Trail(service, settings.state_dir)
        await trail.catch_up(db)
        authenticator = Authenticator(secrets, db)
        ground = Ground(app, service, settings, secrets, db, trail, Gate(service, secrets, db, trail), authenticator)
        app.state.ground, app.state.authenticator = ground, authenticator
        app.door.authenticator = authenticator
        try:
            if lifespan is None:
                yield
            else:
                async with lifespan(ground):
                    yield
        finally:
            app.state.stopping.set()
            await db.close()

    app = ModuleApp(
        title=f"VX11 {service}",
        version=VERSION,
        description=description,
        lifespan=run,
        docs_url=f"/{service}/docs",
        redoc_url=None,
        openapi_url=f"/{service}/openapi.json",
        telemetry=NO_TELEMETRY,
        responses=documented(MalformedRequest, Unauthorized, Forbidden, InvalidRequest),
        dependencies=[Depends(require_readable)],
    )
    app.state.stopping = asyncio.Event()
    app.state.metrics = Metrics()
    for router in routers:
        app.include_router(router, prefix=f"/{service}")
    app.include_router(_common_routes(service, checks, complete_health, health_model))
    _handle_errors(app, service)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.door = _Door(
        service=service,
        metrics=app.state.metrics,
        limit_of=body_limit_of or (lambda _path: settings.body_limit_bytes),
        operation_of=operation_of or (lambda _method, _path: ""),
        hot=hot or (lambda _path: None),
        admission=admission,
    )
    app.add_middleware(_BehindTheDoor, door=app.door)
    return app


def _common_routes(
    service: str,
    checks: HealthCheck | None,
    complete_health: CompleteHealth | None,
    health_model: type[Health],
) -> APIRouter:
    router = APIRouter()

    async def health(request: Request) -> Health:
        """Whether the service does its work. Without a token only that it lives; with one, what was looked at."""
        if getattr(request.state, "caller", None) is None:
            return Health(status=HealthState.OK, service=service)
        found = {"database": await _database_check(request.app.state.ground.db)}
        if checks is not None:
            found |= await checks()
        states = {check.status for check in found.values()}
        worst = HealthState.OK if states == {HealthState.OK} else HealthState.DEGRADED
        if found["database"].status is HealthState.DOWN:
            worst = HealthState.DOWN
        own = Health(
            status=worst,
            service=service,
            version=VERSION,
            uptime_seconds=round(time.monotonic() - request.app.state.started, 3),
            checks=found,
        )
        return own if complete_health is None else await complete_health(own)

    for path, summary in (("/health", "Is the service alive?"), (f"/{service}/health", "The same, by its full name")):
        router.add_api_route(
            path, health, methods=["GET"], response_model=health_model, summary=summary, tags=["common"]
        )

    async def metrics(request: Request) -> Response:
        """Counters in the Prometheus text format."""
        return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    router.add_api_route(
        f"/{service}/metrics",
        metrics,
        methods=["GET"],
        response_class=Response,
        summary="Prometheus metrics",
        tags=["common"],
    )
    return router


async def _database_check(db: Database) -> Check:
    try:
        await db.ping()
    except Exception as exc:  # noqa: BLE001 - whatever the driver raises: health must tell it, not fail on it
        log.warning("database_unwell", error=repr(exc))
        return Check(status=HealthState.DOWN, detail=type(exc).__name__)
    return Check(status=HealthState.OK, detail="sqlite" if db.is_sqlite else "postgresql")


class ModuleApp(FastAPI):
    """FastAPI, but what a hot app answers goes through the door to it and through nothing else.

    FastAPI's own layers, which are for routes, take 15 us of a request of the router. They are used where more was put in
    front of the door, such as CORS.
    """

    door: "_Door"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and len(self.user_middleware) == 1
            and (hot := self.door.hot(scope["path"])) is not None
        ):
            await self.door.let_in(hot, scope, receive, send, is_hot=True)
        else:
            await super().__call__(scope, receive, send)


class _BehindTheDoor:
    """The door as a middleware of FastAPI's."""

    def __init__(self, app: ASGIApp, *, door: "_Door") -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hot = self._door.hot(scope["path"])
        await self._door.let_in(hot or self._app, scope, receive, send, is_hot=hot is not None)


class _Door:
    """What every request goes through, whoever answers it: alias, request id, token, scope, body limit, one log line, metrics."""

    authenticator: Authenticator
    """Set when the service starts."""

    def __init__(
        self,
        *,
        service: str,
        metrics: Metrics,
        limit_of: Callable[[str], int],
        operation_of: Callable[[str, str], str | None],
        hot: HotApp,
        admission: Admission | None,
    ) -> None:
        self._service, self._metrics, self.hot = service, metrics, hot
        self._admission = admission
        self._limit_of, self._operation_of = limit_of, operation_of
        self._own_paths = (f"/{service}/", "/v1/")
        self._public = frozenset({"/health", f"/{service}/health"})  # liveness only; the details need a token
        self._reading, self._writing = f"{service}:read", f"{service}:write"

    async def let_in(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, is_hot: bool) -> None:
        headers = _first_values(scope["headers"])
        path = scope["path"]
        if "x-api-key" in headers and "authorization" not in headers and path.startswith("/v1/"):
            headers["authorization"] = (
                f"Bearer {headers['x-api-key']}"  # where clients of Anthropic's API have the token
            )
        rid = _request_id(headers.get("x-request-id"))
        logs.request_id.set(rid)
        logs.service.set(self._service)
        if not is_hot and path != "/health" and not path.startswith(self._own_paths):
            scope["path"] = path = f"/{self._service}{path}"  # the bare path of the original documents
            scope["raw_path"] = path.encode()
        started, status, begun = time.perf_counter(), 500, False

        def answer(message: Message) -> Awaitable[None]:  # a plain function: it costs no coroutine of its own
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", rid.encode())]
            return send(message)

        state: dict[str, Any] = dict(scope.get("state", ()))  # its own: a server may give the same one to all
        scope["state"] = state
        try:
            state["caller"] = await self._caller(scope, headers, path)
            if "\x00" in path or b"%00" in scope.get("query_string", b""):
                raise MalformedRequest("neither path nor query may contain NUL")
            limit = self._limit_of(path)
            declared = headers.get("content-length", "")
            if not declared.isdecimal():
                receive = _Limited(receive, limit)
            elif int(declared) > limit:
                raise BodyTooLarge(f"the body may have {limit} bytes, this one has {declared}")
            await app(scope, receive, answer)
        except FleetError as error:
            if begun:
                raise  # half an answer is out: only breaking the connection is still honest
            await problem_response(error, self._service, rid, path)(scope, receive, answer)
        except Exception:
            log.exception("unexpected", method=scope["method"], path=path)
            if begun:
                raise
            unexpected = FleetError("an unexpected error; the log of this service has it under this request id")
            await problem_response(unexpected, self._service, rid, path)(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - started
            route = str(state.get("route") or getattr(scope.get("route"), "path", "unmatched"))
            self._metrics.answered(self._service, scope["method"], route, status, seconds)
            if status >= 500 or (not is_hot and scope["method"] not in SAFE_METHODS):
                log.info("request", method=scope["method"], path=path, status=status, ms=round(seconds * 1000, 1))

    async def _caller(self, scope: Scope, headers: Mapping[str, str], path: str) -> Caller | None:
        method = scope["method"]
        try:
            caller = await self._admitted(scope, headers)
        except (Unauthorized, TooManyRequests):
            if path in self._public and method in SAFE_METHODS:
                return None
            raise
        needed = self._operation_of(method, path)
        if needed == "":
            needed = self._reading if method in SAFE_METHODS else self._writing
        if needed is not None and path not in self._public:
            caller.require(needed)
        return caller

    async def _admitted(self, scope: Scope, headers: Mapping[str, str]) -> Caller:
        authenticator, token = self.authenticator, token_in(headers)
        if self._admission is None or token is None:
            if token is None:
                raise Unauthorized()
            return authenticator.at_once(token, headers) or await authenticator.client(token)
        address = scope["client"][0] if scope.get("client") else ""
        self._admission.arriving(address, token)
        try:
            caller = authenticator.at_once(token, headers) or await authenticator.client(token)
        except Unauthorized:
            self._admission.refused(address)
            raise
        self._admission.admitted(address, token, caller)
        return caller


class _Limited:
    """Counts the bytes of a body that did not say its length, to which the server would hold it; raises BodyTooLarge past the limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit, self._seen = receive, limit, 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            if self._seen > self._limit:
                raise BodyTooLarge(f"the body may have {self._limit} bytes")
        return message


LOOKED_AT = {
    name.encode(): name
    for name in (
        *("authorization", "content-length", "x-api-key", "x-request-id"),
        *("x-vx11-caller", "x-vx11-scopes", "x-vx11-token"),
    )
}
"""Headers that the door looks at; a request has a dozen others."""


def _first_values(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers that the door looks at; of a repeated one the first."""
    return {LOOKED_AT[name]: value.decode("latin-1") for name, value in reversed(headers) if name in LOOKED_AT}


def _request_id(sent: str | None) -> str:
    acceptable = sent and len(sent) <= REQUEST_ID_LONGEST and sent.isascii() and sent.isprintable()
    return sent if acceptable and sent else new_id("req")


def problem_response(error: FleetError, service: str, rid: str, path: str = "") -> JSONResponse:
    """The error as the wire wants it: problem+json, or under `/v1` the shape of the API whose path it is, OpenAI's or Anthropic's."""
    if is_anthropics(path):
        content = anthropic_error(error.status, error.detail, rid)
        return JSONResponse(content, error.status, headers={**error.headers, "request-id": rid})
    if path.startswith("/v1/"):
        kind = "invalid_request_error" if error.status < 500 else "api_error"
        body = {"error": {"message": error.detail, "type": kind, "code": error.code, "param": error.extra.get("param")}}
        return JSONResponse(body, error.status, headers=error.headers)
    return JSONResponse(error.problem(service, rid), error.status, headers=error.headers, media_type=PROBLEM)


def _handle_errors(app: FastAPI, service: str) -> None:
    def render(error: FleetError, request: Request) -> JSONResponse:
        return problem_response(error, service, logs.request_id.get(), request.url.path)

    @app.exception_handler(FleetError)
    async def _fleet(request: Request, error: FleetError) -> JSONResponse:
        return render(error, request)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()
        errors = [{"field": ".".join(str(part) for part in one["loc"]), "message": one["msg"]} for one in found]
        if any(one["type"] == "json_invalid" for one in found):
            return render(
                MalformedRequest(f"the body is not JSON: {found[0].get('ctx', {}).get('error', 'cannot be read')}"),
                request,
            )
        return render(
            InvalidRequest("; ".join(f"{one['field']}: {one['message']}" for one in errors), errors=errors), request
        )

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(
            error.__cause__, FleetError
        ):  # raised while FastAPI read the body, and wrapped by it: a body too large
            return render(error.__cause__, request)
        by_status = {404: NotFound, 405: MethodNotAllowed, 413: BodyTooLarge}
        kind = by_status.get(error.status_code, MalformedRequest)
        detail = {404: f"no such path: {request.url.path}", 405: f"{request.method} is not taken here"}.get(
            error.status_code, str(error.detail)
        )
        return render(kind(detail, headers=dict(error.headers or {})), request)

    @app.exception_handler(PoolTimeout)
    @app.exception_handler(OperationalError)
    async def _busy(request: Request, error: PoolTimeout | OperationalError) -> JSONResponse:
        if isinstance(error, OperationalError):
            if isinstance(error.orig, sqlite3.OperationalError) and "locked" not in str(error.orig):
                raise error  # a wrong statement or a broken file: someone must look
            log.warning("database_unwell", error=str(error.orig))
        return render(DatabaseBusy(headers={"Retry-After": "1"}), request)


class DatabaseBusy(FleetError):
    """Every connection to the database stayed in use for too long, or the database cannot be reached."""

    code, status, title = "database_busy", 503, "The database is busy or down"


def _openapi(app: FastAPI) -> dict[str, Any]:
    """OpenAPI of the app, with our problem shape where FastAPI would write its own, and the token that every route needs."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = schema.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schemas["Problem"].pop("$defs", {}))
        components["securitySchemes"] = {
            "token": {"type": "apiKey", "in": "header", "name": "X-VX11-Token"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        schema["security"] = [{"token": []}, {"bearer": []}]
        app.openapi_schema = schema
    return app.openapi_schema


__all__ = ["SERVICES", "VERSION", "Ground", "create_module_app", "problem_response"]
