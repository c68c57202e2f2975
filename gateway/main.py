"""The gateway's app: wiring and lifespan, no rules."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from config.contracts.gateway import FleetHealth
from config.contracts.spawner import LARGEST_REQUEST_BYTES
from config.idempotency import forget_old
from config.module_template import Ground, create_module_app
from config.secrets import load_secrets
from gateway import routing
from gateway.forward import Forwarder
from gateway.health import FleetHealthCheck
from gateway.limits import DoorLimits
from gateway.routes import router
from gateway.routing import Kind
from gateway.service import Tokens
from gateway.settings import GatewaySettings
from gateway.upstream import neighbour


def create_app(settings: GatewaySettings | None = None) -> FastAPI:
    """The gateway. Without settings they are read from the environment."""
    settings = settings or GatewaySettings()
    secrets = load_secrets(settings)
    neighbours = {
        service: neighbour(service, settings.url_of(service), connect_seconds=settings.connect_timeout.total_seconds())
        for service in sorted(routing.BEHIND_THE_DOOR)
    }
    forwarder = Forwarder(settings, secrets, neighbours)
    fleet = FleetHealthCheck(neighbours, secrets, limit_seconds=settings.gateway_health_timeout.total_seconds())

    @asynccontextmanager
    async def run(ground: Ground) -> AsyncIterator[None]:
        ground.app.state.tokens = Tokens(ground.db, ground.trail, ground.secrets, ground.authenticator)
        async with ground.db.write() as session:
            await forget_old(session, "gateway")
        ending = asyncio.create_task(forwarder.end_streams(ground.app.state.stopping))
        try:
            yield
        finally:
            ending.cancel()
            for one in neighbours.values():
                one.close()

    app = create_module_app(
        "gateway",
        settings,
        routers=[router],
        lifespan=run,
        operation_of=operation_of,
        body_limit_of=_body_limits(settings),
        hot=lambda path: None if routing.is_own(path) else forwarder,
        admission=DoorLimits(settings.gateway_requests_per_minute, settings.gateway_failures_per_minute),
        complete_health=fleet.complete,
        health_model=FleetHealth,
        description="The only door of the fleet: tokens, limits, and everything under `/{module}/…` and `/v1/…` passed on.",
    )
    if settings.gateway_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.gateway_cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "Last-Event-ID",
                "X-Request-ID",
                "X-VX11-Token",
            ],
            expose_headers=["Content-Disposition", "Retry-After", "X-Request-ID"],
        )
    return app


def operation_of(method: str, path: str) -> str | None:
    """What a request needs. What is forwarded is judged by the forwarder, and finally by the module."""
    if not routing.is_own(path):
        return None
    return "gateway:tokens" if path.startswith("/gateway/tokens") else ""


def _body_limits(settings: GatewaySettings) -> Callable[[str], int]:
    def limit_of(path: str) -> int:
        if routing.kind_of(path) is Kind.UPLOAD:
            return settings.gateway_upload_limit_bytes
        if path == "/spawner/spawn":
            return max(LARGEST_REQUEST_BYTES, settings.body_limit_bytes)
        return settings.gateway_v1_limit_bytes if path.startswith("/v1/") else settings.body_limit_bytes

    return limit_of
