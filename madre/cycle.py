"""Madre's upkeep, in the background."""

import asyncio

import structlog

from madre.service import Madre

log = structlog.get_logger()


async def upkeep(madre: Madre, period_seconds: float) -> None:
    """Tidy up once per period, for ever; a failure is logged and the next period tries again."""
    while True:
        await asyncio.sleep(period_seconds)  # the period itself
        try:
            await madre.upkeep()
        except Exception:
            log.exception("upkeep_failed")
