"""SQLite under asyncio without a thread per statement, in the shape that SQLAlchemy's `aiosqlite` dialect expects.

aiosqlite sends every cursor, statement, fetch and close to a thread and back: some 160 hops for one chat, dearer than all else in it.
A statement on a local WAL database takes some 20 to 100 microseconds, less than one hop, so it runs where it is called. Only what may
wait runs in a thread: BEGIN IMMEDIATE when another process is writing, and those COMMITs that wait for the disk.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

BEGIN_WRITE = "BEGIN IMMEDIATE"
CACHED_STATEMENTS = 512
ROWS_TO_CHECKPOINT = 300
"""Changed rows after which what lies in the WAL goes to the database file: some 1,000 pages, which is SQLite's own measure."""
MOST_PAGES_IN_WAL = 8_000
"""Pages at which SQLite does it by itself, inside a COMMIT: reached only by few and large rows."""

Value = TypeVar("Value")

log = structlog.get_logger()


class InlineCursor:
    """A cursor whose coroutines never wait."""

    def __init__(self, connection: "InlineConnection") -> None:
        self._cursor = connection.raw.cursor()

    async def __aenter__(self) -> "InlineCursor":
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> "InlineCursor":
        self._cursor.execute(sql, parameters or ())
        return self

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> "InlineCursor":
        self._cursor.executemany(sql, parameters)
        return self

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        return self._cursor.fetchmany(self.arraysize if size is None else size)

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    @property
    def arraysize(self) -> int:
        return self._cursor.arraysize

    @arraysize.setter
    def arraysize(self, size: int) -> None:
        self._cursor.arraysize = size


class InlineConnection:
    """One connection, used by one task at a time. `busy_timeout_ms` is how long BEGIN IMMEDIATE waits for another writer."""

    def __init__(self, path: str, *, busy_timeout_ms: int) -> None:
        self.raw = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS
        )
        self._busy_timeout_ms = busy_timeout_ms
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = self.raw  # the dialect looks here whether we are open
        self._checkpointed = 0
        self.raw.execute(f"PRAGMA busy_timeout={busy_timeout_ms}")
        self.raw.execute(f"PRAGMA wal_autocheckpoint={MOST_PAGES_IN_WAL}")

    def cursor(self) -> InlineCursor:
        return InlineCursor(self)

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> InlineCursor:
        return await self.cursor().execute(sql, parameters)

    async def begin_write(self) -> None:
        """Take the write lock: at once where it is free, else in a thread for as long as the busy time-out."""
        self.raw.execute("PRAGMA busy_timeout=0")
        try:
            self.raw.execute(BEGIN_WRITE)
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            self.raw.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")
            await self._aside(lambda: self.raw.execute(BEGIN_WRITE))
        finally:
            self.raw.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    async def commit(self, *, waits: bool = False) -> None:
        """Commit where we are, which only hands pages to the system; in a thread where it waits for the disk, as each
        `ROWS_TO_CHECKPOINT` changed rows do, and as it does when the caller says that it `waits`."""
        if not self.raw.in_transaction:
            return
        is_due = self.raw.total_changes >= self._checkpointed + ROWS_TO_CHECKPOINT
        if is_due:
            self._checkpointed = self.raw.total_changes
            await self._aside(self._commit_and_checkpoint)
        elif waits:
            await self._aside(self.raw.commit)
        else:
            self.raw.commit()

    def _commit_and_checkpoint(self) -> None:
        self.raw.commit()
        try:
            self.raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except (
            sqlite3.Error
        ) as exc:  # such as a full disk: what was committed stands, in the WAL, and a later checkpoint moves it
            log.warning("wal_not_checkpointed", error=str(exc))

    async def rollback(self) -> None:
        self.raw.rollback()

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        self._connection = None
        self.raw.close()
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def create_function(self, *args: Any, **options: Any) -> None:
        self.raw.create_function(*args, **options)

    async def set_authorizer(self, ask: Callable[..., int] | None) -> None:
        self.raw.set_authorizer(ask)

    async def _aside(self, work: Callable[[], Value]) -> Value:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            while not running.done():  # never leave a thread inside a connection that somebody else will use
                with contextlib.suppress(asyncio.CancelledError):  # who cancels twice waits all the same
                    await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # nobody else will look at it
            raise
