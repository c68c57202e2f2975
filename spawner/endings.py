"""Writes down how jobs went: those that end at the same time in one transaction, because each transaction has its price."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.spawner import RuntimeSample, SpawnRequest
from config.database import Database
from config.errors import StorageFull
from spawner import repository
from spawner.ended import Ended


@dataclass(frozen=True)
class _Ending:
    spawn_id: str
    ended: Ended
    asked: SpawnRequest | None
    samples: list[tuple[str, RuntimeSample]]
    written: "asyncio.Future[datetime | None]"

    def tell(self, expires_at: datetime | None) -> None:
        if not self.written.done():
            self.written.set_result(expires_at)


class Endings:
    """What ends while a transaction is being committed is written together in the next one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[_Ending] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(
        self, spawn_id: str, ended: Ended, asked: SpawnRequest | None, samples: list[tuple[str, RuntimeSample]]
    ) -> datetime | None:
        """As `repository.end` says it, once that has been committed. Raises what the database raises; then nothing was written."""
        written: asyncio.Future[datetime | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Ending(spawn_id, ended, asked, samples, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await written

    async def _write(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                await self._write_together(together)
        finally:
            self._writing = None

    async def _write_together(self, together: list[_Ending]) -> None:
        try:
            async with self._db.write() as session:
                together += self._waiting  # what came while we waited for our turn
                self._waiting = []
                found = await _written(session, together)
        except (StorageFull, OperationalError) as error:
            _tell_all(together, error)
        except Exception:  # noqa: BLE001 - of one of them: the others must not suffer, and who it is learns it below
            for one in together:
                await self._write_alone(one)
        else:
            for one, expires_at in zip(together, found, strict=True):
                one.tell(expires_at)

    async def _write_alone(self, one: _Ending) -> None:
        try:
            async with self._db.write() as session:
                [expires_at] = await _written(session, [one])
        except Exception as error:  # noqa: BLE001 - it is raised where the end is to be written
            _tell_all([one], error)
        else:
            one.tell(expires_at)


async def _written(session: AsyncSession, together: list[_Ending]) -> list[datetime | None]:
    found = [await repository.end(session, one.spawn_id, one.ended, asked=one.asked) for one in together]
    if samples := [sample for one in together for sample in one.samples]:
        await repository.add_samples(session, samples)
    return found


def _tell_all(together: list[_Ending], error: Exception) -> None:
    for one in together:
        if not one.written.done():
            one.written.set_exception(error)
