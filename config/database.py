"""One service's way to the database: many readers, one writer, and no writing to what others own.

Measured before it was decided: BEGIN IMMEDIATE for writers (deferred ones lost half of their read-then-write transactions to
"locked"), WAL with synchronous NORMAL, busy_timeout 30 s, short transactions, never an HTTP call inside one.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import structlog
from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from config.db_schema import OWNERS
from config.errors import StorageFull
from config.lanes import ROLLED_BACK, DirectStatements, Lane, Statements

READERS = 4
"""Connections that are kept for reading; more are opened while more read at once."""

AfterCommit = Callable[[], Awaitable[None]]

log = structlog.get_logger()


class Database:
    """`read()` never locks; `write()` waits its turn (BEGIN IMMEDIATE; on Postgres a lock per service) and never fails half way.

    One writer per process; a service that is not the owner of a table gets DatabaseError when it writes there.
    """

    def __init__(self, url: str, service: str) -> None:
        self.service, self.url = service, url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            self._turn = asyncio.Lock()
            self._writing_lane = self._lane(write=True)
            self._free_lanes: list[Lane] = []
        else:
            self._reader, self._writer = self._postgres(READERS), self._postgres(1, write=True)
            self._read_sessions = async_sessionmaker(self._reader, expire_on_commit=False, autoflush=False)
            self._write_sessions = async_sessionmaker(self._writer, expire_on_commit=False)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session on one consistent snapshot; it must not change anything."""
        if not self.is_sqlite:
            async with self._read_sessions() as session:
                yield session
            return
        lane = self._free_lanes.pop() if self._free_lanes else self._lane(write=False)
        try:
            async with lane.session() as session:
                yield session
        finally:
            if len(self._free_lanes) < READERS:
                self._free_lanes.append(lane)
            else:
                await lane.close()

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncSession]:
        """A session in one transaction that commits at the end of the block, or rolls back if the block raises.

        `durable` waits until the disk has it (synchronous FULL): for confirmations. What `on_commit` was given runs after the commit.
        Raises StorageFull when the disk is full.
        """
        try:
            async with self._transaction(durable) as session:
                session.info["database"] = self
                yield session
        except (OperationalError, sqlite3.OperationalError) as exc:
            if "disk is full" in str(exc) or "No space left" in str(exc):
                raise StorageFull("the disk is full; nothing was changed") from exc
            raise
        for then in session.info.get("on_commit", ()):
            try:
                await then()
            except (OSError, SQLAlchemyError):  # what was committed stands: the answer must not deny it
                log.exception("after_commit_failed")

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        if self.is_sqlite:
            for lane in (*self._free_lanes, self._writing_lane):
                await lane.close()
        else:
            await self._reader.dispose()
            await self._writer.dispose()

    @property
    def _path(self) -> str:
        return self.url.partition("///")[2]

    def _lane(self, *, write: bool) -> Lane:
        return Lane(self.url, self._path, authorizer(self.service), is_writer=write)

    @asynccontextmanager
    async def _transaction(self, durable: bool) -> AsyncIterator[AsyncSession]:
        if self.is_sqlite:
            async with self._turn, self._writing_lane.session() as session:
                await self._writing_lane.begin(durable=durable)
                yield session
                await self._writing_lane.commit(session)
        else:
            async with self._write_sessions() as session, session.begin():
                yield session
                if not session.is_active:
                    raise PendingRollbackError(ROLLED_BACK)

    def _postgres(self, connections: int, *, write: bool = False) -> AsyncEngine:
        # One snapshot per read, as SQLite gives it. A write takes its service's turn first, as BEGIN IMMEDIATE does, also between
        # processes and hosts; then it reads anew in each statement, so that it sees what it has waited for.
        isolation = "READ COMMITTED" if write else "REPEATABLE READ"
        engine = create_async_engine(
            self.url,
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            isolation_level=isolation,
            execution_options={"postgresql_readonly": not write},
        )

        @event.listens_for(engine.sync_engine, "connect")
        def _connect(adapted: Any, _record: Any) -> None:
            cursor = adapted.cursor()
            cursor.execute(f'SET ROLE "{role_of(self.service)}"')
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.close()
            adapted.commit()

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Connection) -> None:
            if write:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock(hashtext('{role_of(self.service)}'))")

        return engine


async def connection_of(session: AsyncSession) -> Statements:
    """Where statements that are built once run at a fraction of what they cost through the session, in its transaction."""
    found: Statements | None = session.info.get("statements")
    if found is None:
        lane: Lane | None = session.info.get("lane")
        found = DirectStatements(lane) if lane is not None else cast(Statements, await session.connection())
        session.info["statements"] = found
    return found


def role_of(service: str) -> str:
    """The Postgres role as which a service works; `config/roles.py` makes it."""
    return f"vx11_{service}"


def on_commit(session: AsyncSession, then: AfterCommit) -> None:
    """Await `then` once the transaction of `session` has committed. What fails there is logged: the commit stands."""
    session.info.setdefault("on_commit", []).append(then)


_WRITES = {sqlite3.SQLITE_INSERT: "insert", sqlite3.SQLITE_UPDATE: "update", sqlite3.SQLITE_DELETE: "delete"}
_SCHEMA_CHANGES = frozenset(
    getattr(sqlite3, f"SQLITE_{verb}_{thing}")
    for verb in ("CREATE", "DROP")
    for thing in (
        "INDEX",
        "TABLE",
        "TRIGGER",
        "VIEW",
        "VTABLE",
        "TEMP_TABLE",
        "TEMP_TRIGGER",
        "TEMP_VIEW",
        "TEMP_INDEX",
    )
) | {sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH}


def authorizer(service: str) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    """What SQLite asks before it prepares a statement: may `service` do this? It guards against bugs, not against malice."""

    def ask(action: int, subject: str | None, _detail: str | None, _schema: str | None, trigger: str | None) -> int:
        verb = _WRITES.get(action)
        if verb is not None:
            owners = OWNERS.get(subject or "")
            allowed = trigger is not None or (owners is not None and service in getattr(owners, verb))
            # A table-valued function such as json_each says it updates sqlite_master; changes of the schema also insert or delete there.
            allowed = allowed or (verb == "update" and subject == "sqlite_master")
            return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
        forbidden = action in _SCHEMA_CHANGES or (action == sqlite3.SQLITE_PRAGMA and subject == "writable_schema")
        return sqlite3.SQLITE_DENY if forbidden else sqlite3.SQLITE_OK

    return ask
