"""What is kept for so long and no longer: decisions, what calls cost, how models did that nobody asks any more.

A few rows at a time, with a pause after each few: whoever answers a request writes to the same tables.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import and_, delete, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import Clock, utc_now
from config.database import Database
from config.db_schema import ProviderStatRow, RouteDecisionRow, SpendRow
from switch.settings import SwitchSettings

FIRST_SECONDS = 120.0  # after the start, which has enough to do
EVERY_SECONDS = 3600.0
ROWS_AT_ONCE = 500
PAUSE_SECONDS = 0.2
LEAST_SPEND_DAYS = 2
"""Budgets are of one UTC day; a switch on another machine, whose clock is behind, may still be in the day before."""

log = structlog.get_logger()


class Retention:
    """`run` in the background. Zero days in the settings is for ever."""

    def __init__(self, settings: SwitchSettings, db: Database, *, clock: Clock = utc_now) -> None:
        self._db, self._clock = db, clock
        self._days, self._spend_days = settings.switch_keep_days, settings.switch_keep_spend_days

    async def run(self) -> None:
        """Remove what is past its time, every hour, until cancelled."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.prune()
            except Exception:
                log.exception("retention")
            await asyncio.sleep(EVERY_SECONDS)

    async def prune(self) -> None:
        """Remove all that is past its time by now. Raises what the database raises; what was removed before stays so."""
        now = self._clock()
        statements: dict[str, Any] = {}
        if self._days:
            before = now - timedelta(days=self._days)
            statements |= {"route_decisions": _decisions(before), "provider_stats": _stats(before)}
        if self._spend_days:
            first_kept = now - timedelta(days=max(self._spend_days, LEAST_SPEND_DAYS))
            statements["spend_ledger"] = _spend(first_kept.date().isoformat())
        for table, statement in statements.items():
            removed = 0
            while rows := await self._remove(statement):
                removed += rows
                await asyncio.sleep(PAUSE_SECONDS)
            if removed:
                log.info("old_rows_removed", table=table, rows=removed)

    async def _remove(self, statement: Any) -> int:
        async with self._db.write() as session:
            return await _rows(session, statement)


async def _rows(session: AsyncSession, statement: Any) -> int:
    return cast(Any, await session.execute(statement.execution_options(synchronize_session=False))).rowcount or 0


def _decisions(before: datetime) -> Any:
    row = RouteDecisionRow
    old = select(row.id).where(row.created_at < before).order_by(row.created_at).limit(ROWS_AT_ONCE)
    return delete(row).where(row.id.in_(old))


def _stats(before: datetime) -> Any:
    """Of models that neither answered nor failed since: some servers answer to any name, so there is no end to them."""
    row = ProviderStatRow
    both = (row.last_answered_at, row.last_failed_at)
    is_old = and_(or_(*(one.is_not(None) for one in both)), *(or_(one.is_(None), one < before) for one in both))
    old = select(row.provider, row.model).where(is_old).limit(ROWS_AT_ONCE)
    return delete(row).where(tuple_(row.provider, row.model).in_(old))


def _spend(first_kept: str) -> Any:
    """The oldest days first, and no block that is open: somebody may still draw on it."""
    row = SpendRow
    is_old = (row.day < first_kept) & (row.state != "open")
    old = select(row.id).where(is_old).order_by(row.day).limit(ROWS_AT_ONCE)
    return delete(row).where(row.id.in_(old))
