"""A change that is made once per Idempotency-Key; change, key and answer are one transaction."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.contracts.common import Wire
from config.database import Database
from config.idempotency import Idempotency

SERVICE = "hermes_db"

Reply = TypeVar("Reply", bound=Wire)
Change = Callable[[AsyncSession], Awaitable[Reply]]


def module_of(caller: Caller) -> str:
    """Under which name uses are counted that do not say whose they are."""
    return caller.id[:50] if caller.is_service else "client"


async def once(
    db: Database, caller: Caller, key: str | None, operation: str, sent: Any, reply: type[Reply], change: Change[Reply]
) -> Reply:
    """The answer of `change`, or of the first request with this key. `sent` is what tells a repeat from another request; no secret.

    Raises what `change` raises, then nothing is kept; IdempotencyConflict when the key came with something else.
    """
    keyed = Idempotency.of(SERVICE, caller.id, key, operation, sent)
    async with db.write() as session:
        earlier = await keyed.earlier(session)
        if earlier is not None:
            return reply.model_validate(earlier.answer)
        await keyed.claim(session, None)
        made = await change(session)
        await keyed.keep(session, 200, made.model_dump(mode="json"))
        return made
