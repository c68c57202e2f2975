"""Grants: madre's signed word that a person confirmed one dangerous step with exactly these parameters.

A module that does harm asks for one where the harm is done (`Gate.require`), whatever madre has checked before. A grant names plan,
step, operation and a hash of the parameters, expires, and opens its door once. It travels in `X-VX11-Grant` and is signed by
HMAC-SHA256 with a key derived from the fleet secret.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import DANGEROUS, Caller
from config.database import Database
from config.errors import GrantRefused, IdempotencyInProgress
from config.forensics import Trail
from config.idempotency import Idempotency
from config.secrets import FleetSecrets

HEADER = "X-VX11-Grant"
LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True)
class Grant:
    """What is granted: `operation` of step `step_id` of plan `plan_id`, with parameters that have this hash."""

    plan_id: str
    step_id: str
    operation: str
    params_hash: str
    expires_at: float
    nonce: str


def params_hash(params: dict[str, Any]) -> str:
    """SHA-256 of the parameters in canonical JSON (sorted keys)."""
    return hashlib.sha256(json.dumps(params, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def issue(secrets_: FleetSecrets, *, plan_id: str, step_id: str, operation: str, params: dict[str, Any]) -> str:
    """A grant as it travels. Only madre calls this, for a plan that was confirmed."""
    grant = Grant(
        plan_id, step_id, operation, params_hash(params), time.time() + LIFETIME.total_seconds(), secrets.token_hex(16)
    )
    content = base64.urlsafe_b64encode(json.dumps(asdict(grant)).encode())
    return f"{content.decode()}.{_signature(secrets_, content)}"


def read(secrets_: FleetSecrets, text: str) -> Grant:
    """The grant in `text`. Raises GrantRefused when it was not signed by this fleet, is broken or has expired."""
    content, _, signature = text.partition(".")
    if not hmac.compare_digest(_bytes(signature), _signature(secrets_, _bytes(content)).encode()):
        raise GrantRefused("this grant was not signed by this fleet")
    try:
        grant = Grant(**json.loads(base64.urlsafe_b64decode(content)))
        has_expired = grant.expires_at < time.time()
    except (ValueError, TypeError) as exc:  # ours, but of another version
        raise GrantRefused("this grant cannot be read") from exc
    if has_expired:
        raise GrantRefused("this grant has expired")
    return grant


class Gate:
    """Stands before the dangerous operations of one service."""

    def __init__(self, service: str, secrets_: FleetSecrets, db: Database, trail: Trail) -> None:
        self._service, self._secrets, self._db, self._trail = service, secrets_, db, trail

    async def check(
        self, caller: Caller, operation: str, params: dict[str, Any], grant: str | None, *, subject: str
    ) -> Grant | None:
        """Let the caller through with a scope that names the operation (then None comes back) or with a grant for these parameters.

        Raises GrantRefused otherwise, after writing the refusal to the audit trail. Does not use the grant up: see `use`.
        """
        try:
            if grant is not None:
                found = read(self._secrets, grant)
                if found.operation != operation:
                    raise GrantRefused(f"this grant is for {found.operation}, not for {operation}")
                if not hmac.compare_digest(found.params_hash, params_hash(params)):
                    raise GrantRefused("this grant is for other parameters")
                return found
            if operation in DANGEROUS and operation in caller.scopes:
                return None
            raise GrantRefused(
                f"{operation} needs a confirmed plan (POST /madre/control) or a token with the scope {operation}"
            )
        except GrantRefused as refusal:
            async with self._db.write() as session:
                await self._trail.record(
                    session, "grant_refused", subject, caller.id, operation=operation, params=params, why=refusal.detail
                )
            raise

    async def use(self, session: AsyncSession, grant: Grant | None) -> None:
        """Use the grant up, in the transaction of what it allows. Raises GrantRefused if it was used before."""
        if grant is None:
            return
        once = Idempotency(self._service, "grant", grant.nonce, grant.params_hash)
        try:
            await once.claim(session, grant.plan_id)
        except IdempotencyInProgress as exc:
            raise GrantRefused("this grant was used before") from exc


def _bytes(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _signature(secrets_: FleetSecrets, content: bytes) -> str:
    return hmac.new(secrets_.key_for("grants"), content, "sha256").hexdigest()
