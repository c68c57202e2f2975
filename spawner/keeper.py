"""Removes the folders of jobs when their time is over."""

import asyncio
import contextlib
import heapq
from datetime import datetime, timedelta

import structlog

from config.clock import utc_now
from config.database import Database
from spawner import repository
from spawner.folders import Folders
from spawner.slow_work import SlowWork

MOST_AT_ONCE = 50
RETRIED_AFTER_SECONDS = 30.0

log = structlog.get_logger()


class Keeper:
    """Knows when which folder goes."""

    def __init__(self, db: Database, folders: Folders, slow: SlowWork) -> None:
        self._db, self._folders, self._slow = db, folders, slow
        self._expiring: list[tuple[datetime, str]] = []
        self._news = asyncio.Event()

    async def open(self) -> None:
        """Learn what is kept, and remove folders that belong to no job."""
        async with self._db.read() as session:
            expiring = await repository.expiring(session)
            kept = {spawn_id for _, spawn_id in expiring} | {row.id for row in await repository.open_jobs(session)}
        self._expiring = expiring
        heapq.heapify(self._expiring)
        orphans = [one for one in await asyncio.to_thread(self._folders.ids) if one not in kept]
        for orphan in orphans:
            await self._remove(orphan)
        if orphans:
            log.info("orphans_removed", folders=len(orphans))

    def add(self, expires_at: datetime, spawn_id: str) -> None:
        heapq.heappush(self._expiring, (expires_at, spawn_id))
        self._news.set()

    async def run(self) -> None:
        """Top of the loop; ends by being cancelled."""
        while True:
            self._news.clear()
            try:
                wait = await self._sweep()
            except Exception:
                log.exception("sweep_failed")
                wait = RETRIED_AFTER_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    async def _sweep(self) -> float | None:
        """Remove what is past its time; the seconds until there is more to do, None while there is nothing."""
        due: list[tuple[datetime, str]] = []
        while self._expiring and self._expiring[0][0] <= utc_now() and len(due) < MOST_AT_ONCE:
            due.append(heapq.heappop(self._expiring))
        gone = list[str]()
        for _, spawn_id in due:
            if await self._remove(spawn_id):
                gone.append(spawn_id)
            else:
                later = utc_now() + timedelta(seconds=RETRIED_AFTER_SECONDS)
                heapq.heappush(self._expiring, (later, spawn_id))
        if gone:
            try:
                async with self._db.write() as session:
                    await repository.removed(session, gone)
            except Exception:
                for one in due:
                    if one[1] in gone:  # the others wait again already
                        heapq.heappush(self._expiring, one)
                raise
        if not self._expiring:
            return None
        return max(0.0, (self._expiring[0][0] - utc_now()).total_seconds())

    async def _remove(self, spawn_id: str) -> bool:
        try:
            await self._slow.do(self._folders.remove, spawn_id)
        except OSError as error:  # tried again later, and by the next start
            log.warning("folder_not_removed", spawn_id=spawn_id, error=repr(error))
            return False
        return True
