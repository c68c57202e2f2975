"""One service's way to the database: many readers, one writer, and no writing to what others own.

Measured before it was decided: BEGIN IMMEDIATE for writers (deferred ones lost half of their read-then-write transactions to
"locked"), WAL with synchronous NORMAL, busy_timeout 30 s, short transactions, never an HTTP call inside one.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from config.db_schema import OWNERS
from config.errors import StorageFull

BUSY_TIMEOUT_MS = 30_000
READERS = 4

AfterCommit = Callable[[], None]


class Database:
    """`read()` never locks; `write()` waits its turn with BEGIN IMMEDIATE and never fails half way.

    One writer per process; a service that is not the owner of a table gets DatabaseError when it writes there.
    """

    def __init__(self, url: str, service: str) -> None:
        self.service, self.url = service, url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            path = url.partition("///")[2]
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._reader = self._engine(READERS)
        self._writer = self._engine(1, write=True)
        self._read_sessions = async_sessionmaker(self._reader, expire_on_commit=False, autoflush=False)
        self._write_sessions = async_sessionmaker(self._writer, expire_on_commit=False)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session on one consistent snapshot; it must not change anything."""
        async with self._read_sessions() as session:
            yield session

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncSession]:
        """A session in one transaction that commits at the end of the block, or rolls back if the block raises.

        `durable` waits until the disk has it (synchronous FULL): for confirmations. What `on_commit` was given runs after the commit.
        Raises StorageFull when the disk is full.
        """
        try:
            async with self._write_sessions() as session:
                if durable and self.is_sqlite:
                    await self._synchronous(session, "FULL")
                try:
                    async with session.begin():
                        yield session
                finally:
                    if durable and self.is_sqlite:
                        await self._synchronous(session, "NORMAL")
                for then in session.info.get("on_commit", ()):
                    await asyncio.to_thread(then)
        except OperationalError as exc:
            if "disk is full" in str(exc) or "No space left" in str(exc):
                raise StorageFull("the disk is full; nothing was changed") from exc
            raise

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._reader.dispose()
        await self._writer.dispose()

    def _engine(self, connections: int, *, write: bool = False) -> AsyncEngine:
        if not self.is_sqlite:
            engine = create_async_engine(self.url, pool_size=connections, max_overflow=0, pool_pre_ping=True)
            event.listen(engine.sync_engine, "connect", self._become_postgres_role)
            return engine
        engine = create_async_engine(self.url, pool_size=connections, max_overflow=0 if write else 4)
        event.listen(engine.sync_engine, "connect", self._prepare_sqlite)

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine

    def _prepare_sqlite(self, adapted: Any, _record: Any) -> None:
        adapted.isolation_level = None  # the driver must not open transactions of its own
        cursor = adapted.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "foreign_keys=ON",
            "recursive_triggers=ON",  # so that INSERT OR REPLACE meets the delete triggers too
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        adapted.run_async(lambda driver: driver.set_authorizer(authorizer(self.service)))

    def _become_postgres_role(self, adapted: Any, _record: Any) -> None:
        cursor = adapted.cursor()
        cursor.execute(f'SET ROLE "vx11_{self.service}"')
        cursor.close()
        adapted.commit()

    async def _synchronous(self, session: AsyncSession, level: str) -> None:
        connection = await session.connection()
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute(f"PRAGMA synchronous={level}")  # type: ignore[union-attr]


def on_commit(session: AsyncSession, then: AfterCommit) -> None:
    """Run `then` in a thread once the transaction of `session` has committed."""
    session.info.setdefault("on_commit", []).append(then)


_WRITES = {sqlite3.SQLITE_INSERT: "insert", sqlite3.SQLITE_UPDATE: "update", sqlite3.SQLITE_DELETE: "delete"}
_SCHEMA_CHANGES = frozenset(
    getattr(sqlite3, f"SQLITE_{verb}_{thing}")
    for verb in ("CREATE", "DROP")
    for thing in ("INDEX", "TABLE", "TRIGGER", "VIEW", "TEMP_TABLE", "TEMP_TRIGGER", "TEMP_VIEW", "TEMP_INDEX")
) | {sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH}


def authorizer(service: str) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    """What SQLite asks before it prepares a statement: may `service` do this? It guards against bugs, not against malice."""

    def ask(action: int, table: str | None, _column: str | None, _schema: str | None, trigger: str | None) -> int:
        verb = _WRITES.get(action)
        if verb is not None:
            owners = OWNERS.get(table or "")
            allowed = trigger is not None or (owners is not None and service in getattr(owners, verb))
            return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_DENY if action in _SCHEMA_CHANGES else sqlite3.SQLITE_OK

    return ask
