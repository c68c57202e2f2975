"""SQL of the keys of outside services: takes a session, answers with contract objects, never commits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import RowMapping, Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.hermes_db import TokenFacts
from config.db_schema import ExternalTokenRow
from hermes_db.repository import Window

TOKENS = cast(Table, ExternalTokenRow.__table__)


@dataclass(frozen=True)
class StoredToken:
    """What is known of a key, and the key as it is stored: encrypted."""

    facts: TokenFacts
    sealed: str


async def tokens(session: AsyncSession, window: Window, today: str) -> list[TokenFacts]:
    query = select(TOKENS).where(TOKENS.c.id > window.after).order_by(TOKENS.c.id).limit(window.most)
    return [_facts(row, today) for row in (await session.execute(query)).mappings()]


async def token(session: AsyncSession, service: str, today: str) -> StoredToken | None:
    row = (await session.execute(select(TOKENS).where(TOKENS.c.service == service))).mappings().one_or_none()
    return None if row is None else StoredToken(_facts(row, today), row["value"])


async def due(session: AsyncSession, before: datetime, window: Window, today: str) -> list[TokenFacts]:
    """Active keys that are to be renewed before a time, the most urgent first; `window.after` is how many to leave out."""
    query = (
        select(TOKENS)
        .where(TOKENS.c.renew_at < before, TOKENS.c.is_active.is_(True))
        .order_by(TOKENS.c.renew_at, TOKENS.c.id)
        .offset(window.after)
        .limit(window.most)
    )
    return [_facts(row, today) for row in (await session.execute(query)).mappings()]


async def count(session: AsyncSession) -> int:
    return int(await session.scalar(select(func.count()).select_from(TOKENS)) or 0)


async def all_sealed(session: AsyncSession) -> dict[str, str]:
    """Every value as it is stored, by service."""
    return {row.service: row.value for row in await session.execute(select(TOKENS.c.service, TOKENS.c.value))}


async def add(session: AsyncSession, values: Mapping[str, Any]) -> None:
    await session.execute(insert(TOKENS).values(dict(values)))


async def change(session: AsyncSession, service: str, values: Mapping[str, Any]) -> None:
    await session.execute(update(TOKENS).where(TOKENS.c.service == service).values(dict(values)))


async def remove(session: AsyncSession, service: str) -> None:
    await session.execute(delete(TOKENS).where(TOKENS.c.service == service))


async def seal_again(session: AsyncSession, again: Callable[[str], str]) -> int:
    """Put `again(value)` in the place of every value; returns how many there are."""
    sealed = await all_sealed(session)
    for service, value in sealed.items():
        await change(session, service, {"value": again(value)})
    return len(sealed)


def _facts(row: RowMapping, today: str) -> TokenFacts:
    used_today = row["used_today"] if row["used_on"] == today else 0
    return TokenFacts.model_validate({**row, "used_today": used_today})
