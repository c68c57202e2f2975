"""Keys of outside services: kept encrypted, told about without their values, and handed to services alone.

A value goes to a service that asks on hermes_db's own port, in its own name: not to a client's token, and not to what the gateway sent.
The address that `addresses` speaks of is that of the connection: a service may not name another one for whoever it works for.
"""

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NoReturn

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.clock import Clock
from config.contracts.common import Check, HealthState, Page
from config.contracts.hermes_db import (
    TokenChange,
    TokenDeleted,
    TokenFacts,
    TokenNew,
    TokenRenewal,
    TokensRotated,
    TokenValue,
)
from config.database import Database
from config.errors import FleetError, Forbidden, InvalidRequest, NotFound
from config.forensics import Trail
from config.grants import Gate
from config.pages import PageQuery, page_of
from hermes_db import policy
from hermes_db import token_repository as repository
from hermes_db.errors import TokenKeyUnusable
from hermes_db.once import once
from hermes_db.pages import window_of
from hermes_db.token_repository import StoredToken
from hermes_db.vault import Vault

DELETE = "hermes_db:delete"
"""What a caller needs to delete a key: no one can bring it back. Deactivating it can be undone and needs no more than to write."""


class Tokens:
    """The keys of outside services."""

    def __init__(
        self,
        db: Database,
        trail: Trail,
        gate: Gate,
        vault: Vault,
        *,
        renew_after: timedelta,
        fingerprint_key: bytes,
        clock: Clock,
    ) -> None:
        self._db, self._trail, self._gate, self._vault, self._clock = db, trail, gate, vault, clock
        self._renew_after, self._fingerprint_key = renew_after, fingerprint_key

    # --- telling ---------------------------------------------------------------------------------------------------

    async def page(self, page: PageQuery) -> Page[TokenFacts]:
        async with self._db.read() as session:
            found = await repository.tokens(session, window_of(page), policy.day_of(self._clock()))
        return page_of(found, page, cursor="id")

    async def token(self, service: str) -> TokenFacts:
        """Raises NotFound."""
        async with self._db.read() as session:
            return (await self._found(session, service)).facts

    async def renewals(self, days: int, page: PageQuery) -> Page[TokenRenewal]:
        """Active keys that are due within so many times 24 hours, those that are late included, the most urgent first."""
        now, window = self._clock(), window_of(page)
        async with self._db.read() as session:
            found = await repository.due(session, now + timedelta(days=days), window, policy.day_of(now))
        items = [
            TokenRenewal(
                service=token.service,
                renew_at=token.renew_at,
                expires_at=token.expires_at,
                days_left=round((token.renew_at - now) / timedelta(days=1), 2) + 0.0,  # a moment late is no -0.0
                is_expired=token.expires_at is not None and token.expires_at <= now,
            )
            for token in found[: page.limit]
        ]
        return Page(items=items, next_cursor=str(window.after + page.limit) if len(found) > page.limit else None)

    # --- changing --------------------------------------------------------------------------------------------------

    async def put(self, new: TokenNew, caller: Caller, key: str | None) -> TokenFacts:
        """Store a key, or put it in the place of the one there is; how often that was read today still counts.

        Raises InvalidRequest for one that has expired, TokenKeyUnusable.
        """
        sent = new.model_dump(mode="json", exclude={"token"}) | {"token": self._fingerprint(new.token)}

        async def change(session: AsyncSession) -> TokenFacts:
            return await self._put(session, new, caller)

        return await once(self._db, caller, key, "put_token", sent, TokenFacts, change)

    async def change(self, service: str, change: TokenChange, caller: Caller) -> TokenFacts:
        """Change what was sent. Raises NotFound, InvalidRequest for a time of expiry that is past, TokenKeyUnusable."""
        values = change.model_dump(exclude_unset=True, exclude={"token"})
        async with self._db.write() as session:
            before = (await self._found(session, service)).facts
            self._require_to_come(values.get("expires_at"))
            told = {name: value for name, value in values.items() if value != getattr(before, name)}
            if change.token is not None:
                values |= await self._sealed(session, change.token)
                values.setdefault("renew_at", self._due(values.get("expires_at", before.expires_at)))
            if not told and change.token is None:
                return before
            await repository.change(session, service, values)
            await self._record(
                session, "token_changed", service, caller, has_new_value=change.token is not None, **told
            )
            return (await self._found(session, service)).facts

    async def renew(self, service: str, token: SecretStr, expires_at: datetime | None, caller: Caller) -> TokenFacts:
        """Store a value that the service itself gave; what people decided about the key stays. Raises as `put` does."""
        try:
            change = TokenChange(token=token, expires_at=expires_at, is_active=True)
            return await self.change(service, change, caller)
        except NotFound:
            return await self.put(TokenNew(service=service, token=token, expires_at=expires_at), caller, None)

    async def delete(self, service: str, caller: Caller, grant: str | None) -> TokenDeleted:
        """Forget a key. Raises NotFound, and GrantRefused without a grant for `hermes_db:delete` with exactly `{"service": service}` or a
        scope that names it."""
        opened = await self._gate.check(caller, DELETE, {"service": service}, grant, subject=f"token:{service}")
        async with self._db.write() as session:
            await self._found(session, service)
            await self._gate.use(session, opened)
            await repository.remove(session, service)
            await self._record(session, "token_deleted", service, caller)
        return TokenDeleted(service=service)

    async def rotate(self, caller: Caller) -> TokensRotated:
        """Encrypt every key anew, with a new key that stands before the others in the file. Raises TokenKeyUnusable, then nothing changed.

        The older ones stay in the file, for backups of the database; whoever wants them gone deletes their lines.
        """
        async with self._db.write(durable=True) as session:
            open_ = await self._opener(session)
            for sealed in (await repository.all_sealed(session)).values():
                open_(sealed)  # all of them, before anything is touched
            keys = self._vault.add_key()
            seal = self._vault.sealer(may_make=False)
            rotated = await repository.seal_again(session, lambda sealed: seal(open_(sealed)))
            await self._trail.record(session, "tokens_rotated", "tokens", caller.id, rotated=rotated, keys=keys)
        return TokensRotated(rotated=rotated, keys=keys)

    # --- handing out -----------------------------------------------------------------------------------------------

    async def value(self, service: str, caller: Caller, address: str | None) -> TokenValue:
        """The key itself, counted as one use of today (UTC).

        Raises NotFound; Forbidden when it is no service that asks in its own name, or not from an address the key is for; Conflict when the
        key is expired or inactive; TooManyRequests when its day is used up; TokenKeyUnusable.
        """
        if not caller.is_service:
            await self._refuse(
                service,
                caller,
                address,
                Forbidden("values can be read by services only, not by clients or through the gateway"),
            )
        now = self._clock()
        async with self._db.write() as session:
            stored = await self._found(session, service)
            refusal = policy.token_refusal(stored.facts, address, now)
            if refusal is None:
                value = self._vault.opener()(stored.sealed)
                used = {"used_today": stored.facts.used_today + 1, "used_on": policy.day_of(now), "last_used_at": now}
                await repository.change(session, service, used)
                await self._record(
                    session, "token_read", service, caller, address=address, used_today=used["used_today"]
                )
                return TokenValue(service=service, token=value, expires_at=stored.facts.expires_at)
        if isinstance(refusal, Forbidden):
            await self._refuse(service, caller, address, refusal)
        raise refusal

    async def check(self) -> Check:
        """Whether every key can be read."""
        async with self._db.read() as session:
            sealed = await repository.all_sealed(session)
        if not sealed:
            return Check(status=HealthState.OK, detail="none stored")
        unreadable = 0
        try:
            open_ = self._vault.opener()
            for value in sealed.values():
                try:
                    open_(value)
                except TokenKeyUnusable:
                    unreadable += 1
        except TokenKeyUnusable as problem:
            return Check(status=HealthState.DEGRADED, detail=problem.detail)
        if unreadable:
            return Check(
                status=HealthState.DEGRADED,
                detail=f"{unreadable} of {len(sealed)} cannot be decrypted with {self._vault.file}",
            )
        return Check(status=HealthState.OK, detail=f"{len(sealed)} stored")

    # --- how it is done --------------------------------------------------------------------------------------------

    async def _put(self, session: AsyncSession, new: TokenNew, caller: Caller) -> TokenFacts:
        self._require_to_come(new.expires_at)
        values = new.model_dump(exclude={"token", "service"}) | await self._sealed(session, new.token)
        values |= {"renew_at": new.renew_at or self._due(new.expires_at), "is_active": True}
        before = await repository.token(session, new.service, policy.day_of(self._clock()))
        if before is None:
            added = {"service": new.service, "added_at": values["changed_at"], "used_today": 0}
            await repository.add(session, values | added)
        else:
            await repository.change(session, new.service, values)
        told = new.model_dump(mode="json", exclude={"token", "service"}, exclude_none=True)
        event = "token_stored" if before is None else "token_replaced"
        await self._record(session, event, new.service, caller, **told)
        return (await self._found(session, new.service)).facts

    async def _sealed(self, session: AsyncSession, token: SecretStr) -> dict[str, Any]:
        seal = self._vault.sealer(may_make=await repository.count(session) == 0)
        return {"value": seal(token), "changed_at": self._clock()}

    async def _opener(self, session: AsyncSession) -> Callable[[str], SecretStr]:
        self._vault.sealer(may_make=await repository.count(session) == 0)
        return self._vault.opener()

    async def _found(self, session: AsyncSession, service: str) -> StoredToken:
        found = await repository.token(session, service, policy.day_of(self._clock()))
        if found is None:
            raise NotFound(f"no key is stored for {service!r}")
        return found

    def _due(self, expires_at: datetime | None) -> datetime:
        due = self._clock() + self._renew_after
        return due if expires_at is None else min(due, expires_at)

    def _require_to_come(self, expires_at: datetime | None) -> None:
        if expires_at is not None and expires_at <= self._clock():
            problem = {"field": "body.expires_at", "message": "is past"}
            raise InvalidRequest("body.expires_at: is past", errors=[problem])

    def _fingerprint(self, token: SecretStr) -> str:
        """What tells one value from another and does not tell the value, not even to whoever tries all short ones."""
        return hmac.new(self._fingerprint_key, token.get_secret_value().encode(), "sha256").hexdigest()

    async def _refuse(self, service: str, caller: Caller, address: str | None, refusal: FleetError) -> NoReturn:
        async with self._db.write() as session:
            await self._record(session, "token_refused", service, caller, address=address, why=refusal.detail)
        raise refusal

    async def _record(self, session: AsyncSession, event: str, service: str, caller: Caller, **details: Any) -> None:
        await self._trail.record(session, event, f"token:{service}", caller.id, **details)
