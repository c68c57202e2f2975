"""`Idempotency-Key`: the same key and request get the same answer, and the work is done once.

A service claims the key in the transaction that makes its change, together with the id of what it made, and keeps the answer when it
has one. A repeat then finds the answer; or, after a kill between the two, the id from which the answer can be made again.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Header
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.db_schema import IdempotencyKeyRow as Row
from config.errors import IdempotencyConflict, IdempotencyInProgress

KEPT = timedelta(hours=24)


async def _key(
    value: Annotated[
        str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")
    ] = None,
) -> str | None:
    return value


KeyDep = Annotated[str | None, Depends(_key)]
"""The request's Idempotency-Key: 1 to 255 visible ASCII characters, or None."""


@dataclass(frozen=True)
class Earlier:
    """What an earlier request with this key left: its answer, or at least what it made."""

    resource_id: str | None
    status: int | None
    answer: Any


@dataclass(frozen=True)
class Idempotency:
    """One request's key in one service. A request without a key has `key=None`, and everything here does nothing."""

    service: str
    caller: str
    key: str | None
    fingerprint: str

    @classmethod
    def of(cls, service: str, caller: str, key: str | None, operation: str, body: Any) -> "Idempotency":
        """`operation` and `body` (JSON-like) make the fingerprint that tells a repeat from another request."""
        content = json.dumps([operation, body], sort_keys=True, default=str)
        return cls(service, caller, key, hashlib.sha256(content.encode()).hexdigest())

    async def earlier(self, session: AsyncSession) -> Earlier | None:
        """What the first request with this key left, or None if this is the first.

        Raises IdempotencyConflict if the key came with another request.
        """
        if self.key is None:
            return None
        row = (await session.execute(select(Row).where(*self._mine()))).scalar_one_or_none()
        if row is None or row.created_at < utc_now() - KEPT:
            return None
        if row.fingerprint != self.fingerprint:
            raise IdempotencyConflict(
                "this Idempotency-Key was used within 24 hours for a request with another body or route"
            )
        return Earlier(row.resource_id, row.status, None if row.answer is None else json.loads(row.answer))

    async def claim(self, session: AsyncSession, resource_id: str | None) -> None:
        """Take the key, in the transaction of the change; keys that are past their time go.

        Raises IdempotencyInProgress if another request took it meanwhile.
        """
        if self.key is None:
            return
        await forget_old(session, self.service)
        session.add(
            Row(
                service=self.service,
                caller=self.caller,
                key=self.key,
                fingerprint=self.fingerprint,
                resource_id=resource_id,
                created_at=utc_now(),
            )
        )
        try:
            await session.flush()
        except IntegrityError as exc:
            raise IdempotencyInProgress("ask again in a moment", headers={"Retry-After": "1"}) from exc

    async def keep(self, session: AsyncSession, status: int, answer: Any) -> None:
        """Keep the answer (JSON-like) for repeats."""
        if self.key is not None:
            await session.execute(
                update(Row).where(*self._mine()).values(status=status, answer=json.dumps(answer, default=str))
            )

    def _mine(self) -> tuple[Any, ...]:
        return Row.service == self.service, Row.caller == self.caller, Row.key == self.key


async def forget_old(session: AsyncSession, service: str) -> None:
    """Drop the keys of one service that are older than 24 hours."""
    await session.execute(delete(Row).where(Row.service == service, Row.created_at < utc_now() - KEPT))
