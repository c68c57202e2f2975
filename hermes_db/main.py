"""hermes_db: the registry of models, command-line tools, specialties, keys of outside services, and usage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import structlog
from fastapi import FastAPI
from pydantic import SecretStr

from config.auth import Caller
from config.clock import Clock, utc_now
from config.contracts.common import Check, HealthState
from config.default_model import ModelUnusable, ensure_default_model
from config.module_template import Ground, create_module_app
from hermes_db import lease_routes, routes, specialty_routes, token_routes
from hermes_db.default_model import facts_of
from hermes_db.github import GITHUB, GithubSignIn, Pause
from hermes_db.leases import Leases
from hermes_db.service import OWN_CALLER, Registry
from hermes_db.settings import HermesDbSettings
from hermes_db.specialties import Specialties
from hermes_db.tokens import Tokens
from hermes_db.vault import Vault

log = structlog.get_logger()


def create_app(
    settings: HermesDbSettings | None = None, *, clock: Clock = utc_now, pause: Pause = asyncio.sleep
) -> FastAPI:
    """The service; settings come from the environment when none are given. `clock` and `pause` are for tests of days and of waiting."""
    settings = settings or HermesDbSettings()
    default_model = Check(status=HealthState.OK, detail="not asked for")
    tokens: Tokens

    @asynccontextmanager
    async def lifespan(ground: Ground) -> AsyncIterator[None]:
        nonlocal default_model, tokens
        registry, specialties = Registry(ground.db, ground.trail), Specialties(ground.db, ground.trail)
        tokens = Tokens(
            ground.db,
            ground.trail,
            ground.gate,
            Vault(settings.secrets_dir / "tokens.key"),
            renew_after=settings.hermes_db_renew_after,
            fingerprint_key=ground.secrets.key_for("token-fingerprints"),
            clock=clock,
        )

        async def keep_github_key(value: SecretStr, expires_at: datetime | None, caller: Caller) -> None:
            await tokens.renew(GITHUB, value, expires_at, caller)

        github = GithubSignIn(settings, keep_github_key, clock=clock, pause=pause)
        await specialties.seed()
        if settings.hermes_db_default_model:
            default_model = await _keep_default_model(registry, settings)
        state = ground.app.state
        state.registry, state.specialties, state.tokens, state.github = registry, specialties, tokens, github
        state.leases = Leases(ground.db, clock)
        try:
            yield
        finally:
            await github.disconnect()

    async def checks() -> dict[str, Check]:
        return {"default_model": default_model, "tokens": await tokens.check()}

    def operation_of(method: str, path: str) -> str | None:
        # Deleting a key is decided at its gate: by a grant, or by a scope that names it.
        return None if method == "DELETE" and path.startswith("/hermes_db/tokens/") else ""

    return create_module_app(
        "hermes_db",
        settings,
        routers=[routes.router, lease_routes.router, specialty_routes.router, token_routes.router],
        lifespan=lifespan,
        checks=checks,
        operation_of=operation_of,
        description="The registry of models, command-line tools, specialties, keys of outside services, and usage.",
    )


async def _keep_default_model(registry: Registry, settings: HermesDbSettings) -> Check:
    """Register the local model from what its file holds. A box without it still has a registry."""
    try:
        verified = await asyncio.to_thread(ensure_default_model, settings)
        facts = await asyncio.to_thread(facts_of, verified)
    except ModelUnusable as exc:
        log.warning("default_model_unusable", reason=str(exc))
        return Check(status=HealthState.DEGRADED, detail=str(exc))
    model, _ = await registry.keep_model(facts, OWN_CALLER)
    return Check(status=HealthState.OK, detail=f"model {model.id}: {model.name}")
