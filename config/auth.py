"""Who is asking, and how far they may reach.

Three kinds of token are taken, in `X-VX11-Token` or `Authorization: Bearer` (under `/v1` also in `X-Api-Key`): the fleet token (services
among themselves; then `X-VX11-Caller` and `X-VX11-Scopes` are believed), the owner's token, and client tokens, kept hashed in
`access_tokens`.

Scopes are `<module>:<operation>`, `<module>:*` and `*`. Reading needs `<module>:read`, changing `<module>:write`. Dangerous operations
(`DANGEROUS`) are never included in a star: they need a scope that names them, or a grant (`grants.py`).
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import select

from config.clock import utc_now
from config.database import Database
from config.db_schema import AccessTokenRow
from config.errors import Forbidden, Unauthorized
from config.secrets import FleetSecrets, token_hash

DANGEROUS = frozenset(
    {
        "shub:delete",
        "hermes:delete_model",
        "hermes:maintenance",
        "hermes_db:delete",
        "spawner:network",
        "manifestator:apply",
        "switch:overspend",
    }
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CACHED_SECONDS = 2.0
"""How long a verified client token is believed without asking the database: the longest a revoked token still works."""
MOST_CACHED = 10_000
LONGEST_CALLER = 200  # characters that the columns named `caller` hold


@dataclass(frozen=True)
class Caller:
    """Who a request comes from. `is_service` tells a neighbour from a person or client."""

    id: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    is_service: bool = False

    def may(self, operation: str) -> bool:
        """Whether the scopes reach `<module>:<operation>`; a star never reaches a dangerous one."""
        if operation in self.scopes:
            return True
        if operation in DANGEROUS:
            return False
        return "*" in self.scopes or f"{operation.partition(':')[0]}:*" in self.scopes

    def reaches(self, module: str) -> bool:
        """Whether any scope has to do with `module` at all."""
        return "*" in self.scopes or any(scope.partition(":")[0] == module for scope in self.scopes)

    def require(self, operation: str) -> None:
        """Raises Forbidden when the scopes do not reach the operation."""
        if not self.may(operation):
            raise Forbidden(
                f"this needs a token with the scope {operation}; this one has {' '.join(sorted(self.scopes)) or 'none'}"
            )


OWNER = Caller("owner", frozenset({"*"}))


@lru_cache(maxsize=1024)  # the same few callers, with every request
def _on_behalf(caller: str, scopes: str | None) -> Caller:
    """A service of the fleet, or whoever it says that it asks for."""
    reach = frozenset(("*" if scopes is None else scopes).split())
    return Caller(caller[:LONGEST_CALLER] or "fleet", reach, is_service=scopes is None)


class Authenticator:
    """Tells whose token a request carries."""

    def __init__(self, secrets: FleetSecrets, db: Database) -> None:
        self._secrets, self._db = secrets, db
        self._known: dict[str, tuple[float, Caller]] = {}
        self._times_forgotten = 0

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """The caller behind the headers (lower-case names). Raises Unauthorized, saying what is wrong with the token."""
        token = token_in(headers)
        if token is None:
            raise Unauthorized()
        return self.at_once(token, headers) or await self.client(token)

    def at_once(self, token: str, headers: Mapping[str, str]) -> Caller | None:
        """The caller, where that is known without asking the database; None where it is not, or the token is nobody's."""
        if self._secrets.is_fleet(token):
            return _on_behalf(headers.get("x-vx11-caller", ""), headers.get("x-vx11-scopes"))
        if self._secrets.is_owner(token):
            return OWNER
        return None

    def forget(self, hashed: str | None = None) -> None:
        """Believe nothing that was verified before; for the service that revokes tokens."""
        self._times_forgotten += 1
        self._known.clear() if hashed is None else self._known.pop(hashed, None)

    async def client(self, token: str) -> Caller:
        """Whoever has this client token. Raises Unauthorized."""
        hashed = token_hash(token)
        until, caller = self._known.get(hashed, (0.0, None))
        if caller is not None and time.monotonic() < until:
            return caller
        times_forgotten = self._times_forgotten
        async with self._db.read() as session:
            row = (
                await session.execute(select(AccessTokenRow).where(AccessTokenRow.token_hash == hashed))
            ).scalar_one_or_none()
        if row is None:
            raise Unauthorized("this token is not known here")
        if row.revoked_at is not None:
            raise Unauthorized("this token was revoked")
        left_seconds = CACHED_SECONDS
        if row.expires_at is not None:
            left_seconds = min(left_seconds, (row.expires_at - utc_now()).total_seconds())
            if left_seconds <= 0:
                raise Unauthorized("this token has expired")
        caller = Caller(f"token:{row.id}", frozenset(row.scopes))
        if times_forgotten != self._times_forgotten:
            return caller  # a token was revoked while we read, perhaps this one: do not believe it beyond this request
        if len(self._known) >= MOST_CACHED:
            self._known.clear()
        self._known[hashed] = (time.monotonic() + left_seconds, caller)
        return caller


def token_in(headers: Mapping[str, str]) -> str | None:
    """The token that the headers carry, or None."""
    if found := headers.get("x-vx11-token", "").strip():
        return found
    kind, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() or None if kind.lower() == "bearer" else None


def valid_scopes(scopes: Iterable[str], modules: Iterable[str]) -> list[str]:
    """The scopes, sorted. Raises ValueError naming the first that is not `*`, `<module>:*` or `<module>:<operation>`."""
    known = set(modules)
    for scope in scopes:
        module, separator, operation = scope.partition(":")
        if scope != "*" and (
            not separator or module not in known or not (operation == "*" or operation.isidentifier())
        ):
            raise ValueError(f"{scope!r} is not a scope: write *, <module>:* or <module>:<operation>")
    return sorted(set(scopes))


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]
"""Who the request comes from; the app's middleware has verified it."""
