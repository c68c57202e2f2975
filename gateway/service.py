"""Client tokens: made, listed, revoked."""

import base64
import hmac
import secrets
from datetime import datetime, timedelta

from config.auth import Authenticator, Caller, valid_scopes
from config.clock import new_id, utc_now
from config.contracts.common import Page
from config.contracts.gateway import TokenInfo, TokenMade, TokenRequest
from config.database import Database
from config.errors import Conflict, Forbidden, InvalidRequest, NotFound
from config.forensics import Trail
from config.idempotency import Idempotency
from config.pages import PageQuery, page_of
from config.secrets import FleetSecrets, token_hash
from config.settings import SERVICES
from gateway import policy, repository

PREFIX = "vx11_"  # so that logs and scanners know one when they see it


class Tokens:
    """The client tokens of the fleet."""

    def __init__(self, db: Database, trail: Trail, fleet: FleetSecrets, authenticator: Authenticator) -> None:
        self._db, self._trail, self._fleet, self._authenticator = db, trail, fleet, authenticator

    async def make(self, asked: TokenRequest, caller: Caller, key: str | None) -> TokenMade:
        """A new token; this is the only time it is shown.

        Kept is only its hash. So that a repeat with the same Idempotency-Key can show it again without its being kept anywhere, the
        token of a request with a key is derived from the fleet secret, the key and its own id (HMAC-SHA256, 256 bits like the others).

        Raises InvalidRequest for scopes or an expiry that make no sense, Forbidden for scopes the caller cannot give.
        """
        scopes = self._checked_scopes(asked, caller)
        now = utc_now()
        expires_at = _expiry(asked, now)
        once = Idempotency.of("gateway", caller.id, key, "POST /gateway/tokens", asked.model_dump(mode="json"))
        async with self._db.write(durable=True) as session:
            if (earlier := await once.earlier(session)) is not None:
                found = await repository.find_token(session, earlier.resource_id or "")
                return self._shown_again(found, once)
            maker = await repository.find_token(session, caller.id.removeprefix("token:"))
            if maker is not None:
                expires_at = _within(maker[0].expires_at, expires_at)
            token_id = new_id("tok")
            token = secrets.token_urlsafe(32) if key is None else self._derived(once, token_id)
            token = PREFIX + token.removeprefix(PREFIX)
            made = TokenInfo(
                id=token_id,
                name=asked.name,
                scopes=scopes,
                created_by=caller.id,
                created_at=now,
                expires_at=expires_at,
                revoked_at=None,
            )
            await repository.add_token(session, made, token_hash(token))
            await once.claim(session, token_id)
            await self._trail.record(
                session, "token_made", token_id, caller.id, name=made.name, scopes=scopes, expires_at=expires_at
            )
        return TokenMade(**made.model_dump(), token=token)

    async def page(self, query: PageQuery, *, is_active: bool | None) -> Page[TokenInfo]:
        async with self._db.read() as session:
            found = await repository.list_tokens(session, query, is_active=is_active, now=utc_now())
        return page_of(found, query, cursor="id")

    async def revoke(self, token_id: str, caller: Caller) -> TokenInfo:
        """Make a token worthless: here at once, on the modules' own ports within two seconds. Raises NotFound.

        A second time changes nothing and answers the same.
        """
        async with self._db.write(durable=True) as session:
            found = await repository.find_token(session, token_id)
            if found is None:
                raise NotFound(f"there is no token {token_id}")
            token, hashed = found
            if token.revoked_at is None:
                now = utc_now()
                token = token.model_copy(update={"revoked_at": now})
                await repository.revoke_token(session, token_id, now)
                await self._trail.record(session, "token_revoked", token_id, caller.id, name=token.name)
        self._authenticator.forget(hashed)
        return token

    def _checked_scopes(self, asked: TokenRequest, caller: Caller) -> list[str]:
        try:
            scopes = valid_scopes(asked.scopes, SERVICES)
        except ValueError as exc:
            raise InvalidRequest(f"body.scopes: {exc}", errors=[{"field": "body.scopes", "message": str(exc)}]) from exc
        refused = [scope for scope in scopes if not policy.grantable(caller, scope)]
        if refused:
            raise Forbidden(f"a token cannot be given what its maker does not have: {' '.join(refused)}")
        return scopes

    def _derived(self, once: Idempotency, token_id: str) -> str:
        content = "\0".join((once.caller, once.key or "", once.fingerprint, token_id))
        digest = hmac.digest(self._fleet.key_for("client-tokens"), content.encode(), "sha256")
        return PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _shown_again(self, found: tuple[TokenInfo, str] | None, once: Idempotency) -> TokenMade:
        if found is not None:
            made, hashed = found
            token = self._derived(once, made.id)
            if hmac.compare_digest(token_hash(token), hashed):
                return TokenMade(**made.model_dump(), token=token)
        raise Conflict("this Idempotency-Key made a token that cannot be shown any more: revoke it and make another")


def _expiry(asked: TokenRequest, now: datetime) -> datetime | None:
    if asked.expires_in_seconds is not None:
        return now + timedelta(seconds=asked.expires_in_seconds)
    if asked.expires_at is not None and asked.expires_at <= now:
        message = "is in the past"
        raise InvalidRequest(f"body.expires_at: {message}", errors=[{"field": "body.expires_at", "message": message}])
    return asked.expires_at


def _within(makers: datetime | None, asked: datetime | None) -> datetime | None:
    """The expiry of a token made with another: the one asked for, else its maker's. Raises Forbidden if it would outlive its maker."""
    if makers is not None and asked is not None and asked > makers:
        raise Forbidden(f"a token cannot outlive the one it is made with, which expires at {makers.isoformat()}")
    return asked if asked is not None else makers
