"""SQL of the client tokens."""

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.gateway import TokenInfo
from config.db_schema import AccessTokenRow as Row
from config.pages import PageQuery


async def add_token(session: AsyncSession, token: TokenInfo, token_hash: str) -> None:
    session.add(Row(token_hash=token_hash, **token.model_dump()))
    await session.flush()


async def find_token(session: AsyncSession, token_id: str) -> tuple[TokenInfo, str] | None:
    """The token with this id and its hash, or None."""
    row = await session.get(Row, token_id)
    return None if row is None else (_info(row), row.token_hash)


async def list_tokens(
    session: AsyncSession, page: PageQuery, *, is_active: bool | None, now: datetime
) -> list[TokenInfo]:
    """Newest first; up to one more than the page holds. `is_active` tells the good ones from the revoked and expired."""
    query = select(Row).order_by(Row.id.desc()).limit(page.limit + 1)
    if page.cursor is not None:
        query = query.where(Row.id < page.cursor)
    if is_active is True:
        query = query.where(Row.revoked_at.is_(None), or_(Row.expires_at.is_(None), Row.expires_at > now))
    elif is_active is False:
        query = query.where(or_(Row.revoked_at.is_not(None), Row.expires_at <= now))
    return [_info(row) for row in await session.scalars(query)]


async def revoke_token(session: AsyncSession, token_id: str, at: datetime) -> None:
    row = await session.get_one(Row, token_id)
    row.revoked_at = at
    await session.flush()


def _info(row: Row) -> TokenInfo:
    return TokenInfo(
        id=row.id,
        name=row.name,
        scopes=row.scopes,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
