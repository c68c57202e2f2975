"""A lane: one SQLite connection, the sessions that use it in turn, and statements that go straight to it.

SQLAlchemy's way through pool, session and greenlets costs a multiple of what SQLite takes for a short statement. So a lane begins and
ends transactions itself, and runs statements that were built once (`Statements`) on the driver; a session joins in when ORM work asks
for one, on the same connection and in the same transaction.
"""

import sqlite3
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Protocol

from pydantic_core import to_json
from sqlalchemy import JSON, Dialect, Executable, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, MultipleResultsFound, NoResultFound, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from config.db_schema import UtcDateTime
from config.sqlite_driver import InlineConnection

BUSY_TIMEOUT_MS = 30_000
ROLLED_BACK = "this transaction was rolled back when something in it failed; nothing of it is kept"

Authorizer = Callable[[int, str | None, str | None, str | None, str | None], int]
Values = Mapping[str, Any]
Convert = Callable[[Any], Any]


class Lane:
    """One connection; used by one task at a time. The writer's begins at once, a reader's with its first statement."""

    def __init__(self, url: str, path: str, ask: Authorizer, *, is_writer: bool) -> None:
        self._path, self._ask, self._is_writer = path, ask, is_writer
        self._driver: InlineConnection | None = None
        self._is_durable = False
        # hide_parameters: an error goes to the log, and its values may be secrets
        self._engine = create_async_engine(
            url, async_creator=self._open, pool_size=1, max_overflow=0, hide_parameters=True
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False, autoflush=is_writer)

        @event.listens_for(self._engine.sync_engine, "begin")
        def _begin(_connection: Connection) -> None:
            self.join()

    @property
    def dialect(self) -> Dialect:
        return self._engine.sync_engine.dialect

    @property
    def driver(self) -> InlineConnection:
        assert self._driver is not None, "session() opens it"
        return self._driver

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session on this lane. What is not committed when the block ends is rolled back."""
        if self._driver is None or not self._driver.is_open:
            with _as_sqlalchemy("open"):
                self._driver = self._connected()
            async with self._engine.connect():
                pass  # the dialect looks at its first connection and rolls back: not in the middle of a transaction
        session = self._sessions()
        session.info["lane"] = self
        try:
            yield session
        finally:
            if session.in_transaction():
                await session.close()
            self.driver.raw.rollback()

    async def begin(self, *, durable: bool) -> None:
        """Take the write lock. Raises OperationalError when another process keeps it for longer than the busy time-out."""
        driver = self.driver
        if durable is not self._is_durable:  # can only be said outside a transaction
            driver.raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._is_durable = durable
        with _as_sqlalchemy("BEGIN IMMEDIATE"):
            await driver.begin_write()

    async def commit(self, session: AsyncSession) -> None:
        if session.in_transaction():
            await session.flush()
        self._expect_transaction()
        with _as_sqlalchemy("COMMIT"):
            await self.driver.commit(waits=self._is_durable)

    def join(self) -> sqlite3.Connection:
        """The connection, inside a transaction."""
        raw = self.driver.raw
        if self._is_writer:
            self._expect_transaction()
        elif not raw.in_transaction:
            with _as_sqlalchemy("BEGIN"):
                raw.execute("BEGIN")
        return raw

    def _expect_transaction(self) -> None:
        """Raise where the writer's transaction is over before its block: what the block still does must not be kept without the rest."""
        if not self.driver.raw.in_transaction:
            raise PendingRollbackError(ROLLED_BACK)

    async def close(self) -> None:
        await self._engine.dispose()
        if self._driver is not None:
            await self._driver.close()

    async def _open(self) -> InlineConnection:
        return self.driver

    def _connected(self) -> InlineConnection:
        driver = InlineConnection(self._path, busy_timeout_ms=BUSY_TIMEOUT_MS)
        try:
            for pragma in (
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "foreign_keys=ON",
                "recursive_triggers=ON",  # so that INSERT OR REPLACE meets the delete triggers too
                f"query_only={'OFF' if self._is_writer else 'ON'}",
            ):
                driver.raw.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            driver.stop()
            raise
        driver.raw.set_authorizer(self._ask)
        self._is_durable = False
        return driver


class Found(Protocol):
    """What a statement gave, as SQLAlchemy's results give it."""

    @property
    def rowcount(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def mappings(self) -> Iterable[Mapping[str, Any]]: ...
    def first(self) -> Any: ...
    def one(self) -> Any: ...
    def one_or_none(self) -> Any: ...
    def scalar_one_or_none(self) -> Any: ...


class Statements(Protocol):
    """Runs statements that are built once and kept: what was prepared for one is kept with it."""

    async def execute(self, statement: Executable, parameters: Values | Sequence[Values] | None = None, /) -> Found: ...


class DirectStatements:
    """Statements on the driver of a lane, in its transaction. Raises what SQLAlchemy raises."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def execute(self, statement: Executable, parameters: Values | Sequence[Values] | None = None, /) -> Found:
        many = parameters if isinstance(parameters, Sequence) else [parameters or {}]
        prepared = _prepared(statement, tuple(sorted(many[0])), self._lane.dialect)
        raw = self._lane.join()
        with _as_sqlalchemy(prepared.sql):
            if len(many) > 1:
                done = raw.executemany(prepared.sql, [prepared.bound(one) for one in many])
                return _Rows(prepared, [], done.rowcount)
            cursor = raw.execute(prepared.sql, prepared.bound(many[0]))
            return _Rows(prepared, [prepared.converted(one) for one in cursor], cursor.rowcount)


class _Rows:
    """All rows of a result, in memory."""

    def __init__(self, prepared: "_Prepared", rows: list[list[Any]], rowcount: int) -> None:
        self._prepared, self._rows, self.rowcount = prepared, rows, rowcount

    def __iter__(self) -> Iterator[Any]:
        return map(self._prepared.as_row, self._rows)

    def mappings(self) -> Iterator[dict[str, Any]]:
        names = self._prepared.names
        return (dict(zip(names, row, strict=True)) for row in self._rows)

    def first(self) -> Any:
        return self._prepared.as_row(self._rows[0]) if self._rows else None

    def one(self) -> Any:
        if not self._rows:
            raise NoResultFound("no row was found when one was required")
        return self.one_or_none()

    def one_or_none(self) -> Any:
        if len(self._rows) > 1:
            raise MultipleResultsFound("several rows were found when one or none was required")
        return self.first()

    def scalar_one_or_none(self) -> Any:
        row = self.one_or_none()
        return None if row is None else row[0]


class _Prepared:
    """A statement as SQLite takes it: its text, how each value goes in, and how a row comes out.

    The same text and the same conversions that SQLAlchemy uses, taken from its compiled form.
    """

    def __init__(self, statement: Any, names: tuple[str, ...], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        # what is known only when it runs would be left out without a word: a list to look in, a default that is worked out
        made = [*(compiled.insert_prefetch or ()), *(compiled.update_prefetch or ())]
        if any(bind.expanding and bind.key in names for bind in compiled.binds.values()) or not all(
            column.default is not None and column.default.is_scalar and column.onupdate is None for column in made
        ):
            raise ArgumentError(
                "this statement is to be run through the session: its text or values are made each time"
            )
        # `in_()` with the values it was built with becomes part of the text
        expanded = compiled._process_parameters_for_postcompile(compiled.construct_params(dict.fromkeys(names)))
        self.sql = expanded.statement
        defaults = {column.key: column.default for column in compiled.insert_prefetch or ()}
        keys = list[str]()
        self._usual, self._converted = dict[str, Any](), list[tuple[int, Convert]]()
        for place, name in enumerate(expanded.positiontup or ()):
            if name in compiled.binds:
                bind, convert = compiled.binds[name], compiled._bind_processors.get(name)
                keys.append(bind.key)
                default = defaults.get(bind.key)
                if default is not None or not bind.required:
                    self._usual[bind.key] = bind.value if default is None else default.arg
                convert = None if convert is None else _quick(bind.type, convert)
            else:
                convert = expanded.processors.get(name)
                keys.append(name)
                self._usual[name] = expanded.additional_parameters[name]
            if convert is not None:
                self._converted.append((place, convert))
        self._take = _taker(keys)
        if self._usual.keys() <= set(names):
            self._usual = {}  # all of them are given each time
        columns = compiled._result_columns
        self._out = [
            (place, convert)
            for place, column in enumerate(columns)
            if (convert := column.type._cached_result_processor(dialect, None)) is not None
        ]
        self.names = tuple(column.keyname for column in columns)
        row: Any = namedtuple("Row", self.names, rename=True)  # type: ignore[misc]
        self.as_row = row._make

    def bound(self, values: Values) -> list[Any]:
        """The values in the order of the text. Raises KeyError for one that is missing.

        4 us for the 17 columns of a row of money; asking for each of them whether it is there, and how it goes in, took 17.
        """
        found = list(self._take(self._usual | dict(values) if self._usual else values))
        for place, convert in self._converted:
            found[place] = convert(found[place])
        return found

    def converted(self, raw: Sequence[Any]) -> list[Any]:
        """A row's values as they were put in."""
        values = list(raw)
        for place, convert in self._out:
            values[place] = convert(values[place])
        return values


def _taker(keys: list[str]) -> Callable[[Values], Sequence[Any]]:
    """What takes the values of these keys out of a mapping, all in one go."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda values: [values[key] for key in keys]


def _quick(kind: Any, convert: Convert) -> Convert:
    """What does the same as `convert` for a column of this type, in a fifth of the time where the value is an everyday one."""
    if isinstance(kind, UtcDateTime):

        def text_of(value: datetime | None) -> Any:
            if value is None or value.tzinfo is not UTC:
                return convert(value)
            return value.isoformat(" ", "microseconds")[:26]  # without the zone, as SQLAlchemy writes it for SQLite

        return text_of
    if isinstance(kind, JSON):

        def json_of(value: Any) -> Any:
            if value is None or value is JSON.NULL:
                return convert(value)
            try:
                return to_json(value).decode()
            except ValueError:  # such as half a surrogate pair
                return convert(value)

        return json_of
    return convert


@lru_cache(maxsize=512)
def _prepared(statement: Any, names: tuple[str, ...], dialect: Dialect) -> _Prepared:
    return _Prepared(statement, names, dialect)


class _as_sqlalchemy:
    """Errors of the driver become what SQLAlchemy makes of them; a class, since a generator costs more than a statement."""

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise DBAPIError.instance(self._sql, None, error, sqlite3.Error, hide_parameters=True) from error
