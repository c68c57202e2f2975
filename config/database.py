"""One service's way to the database: many readers, one writer, and no writing to what others own.

Measured before it was decided: BEGIN IMMEDIATE for writers (deferred ones lost half of their read-then-write transactions to
"locked"), WAL with synchronous NORMAL, busy_timeout 30 s, short transactions, never an HTTP call inside one.
"""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from config.db_schema import OWNERS
from config.errors import StorageFull
from config.sqlite_driver import BEGIN_WRITE, InlineConnection

BUSY_TIMEOUT_MS = 30_000
READERS = 4

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
                session.info["database"] = self
                async with session.begin():
                    if durable:
                        await session.connection(execution_options={"durable": True})
                    yield session
                for then in session.info.get("on_commit", ()):
                    try:
                        await then()
                    except (OSError, SQLAlchemyError):  # what was committed stands: the answer must not deny it
                        log.exception("after_commit_failed")
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
        return self._sqlite(connections, write) if self.is_sqlite else self._postgres(connections, write)

    def _sqlite(self, connections: int, write: bool) -> AsyncEngine:
        path = self.url.partition("///")[2]

        async def open_connection() -> InlineConnection:
            return InlineConnection(path, busy_timeout_ms=BUSY_TIMEOUT_MS)

        engine = create_async_engine(
            self.url,
            async_creator=open_connection,
            pool_size=connections,
            max_overflow=0 if write else 4,
            hide_parameters=True,  # an error goes to the log, and its values may be secrets
        )

        @event.listens_for(engine.sync_engine, "connect")
        def _connect(adapted: Any, _record: Any) -> None:
            cursor = adapted.cursor()
            for pragma in (
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "foreign_keys=ON",
                "recursive_triggers=ON",  # so that INSERT OR REPLACE meets the delete triggers too
                f"query_only={'OFF' if write else 'ON'}",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
            adapted.run_async(lambda driver: driver.set_authorizer(authorizer(self.service)))

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Connection) -> None:
            # Straight to the driver: as statements of SQLAlchemy's these cost a fifth of a short transaction.
            adapted: Any = connection.connection.dbapi_connection
            driver: InlineConnection = adapted.driver_connection
            try:
                if not write:
                    driver.raw.execute("BEGIN")
                    return
                wanted = "FULL" if connection.get_execution_options().get("durable") else "NORMAL"
                if connection.info.get("synchronous", "NORMAL") != wanted:  # can only be said outside a transaction
                    driver.raw.execute(f"PRAGMA synchronous={wanted}")
                    connection.info["synchronous"] = wanted
                adapted.run_async(lambda one: one.begin_write())
            except sqlite3.OperationalError as exc:
                raise OperationalError(BEGIN_WRITE if write else "BEGIN", None, exc) from exc

        return engine

    def _postgres(self, connections: int, write: bool) -> AsyncEngine:
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


async def connection_of(session: AsyncSession) -> AsyncConnection:
    """The connection of a session of ours: a statement on tables runs there at half of what it costs through the session."""
    connection: AsyncConnection | None = session.info.get("connection")
    if connection is None:
        connection = session.info["connection"] = await session.connection()
    return connection


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
