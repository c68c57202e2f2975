"""The one way to the database: who may write what, and that nothing written is lost."""

import asyncio
import resource
import sqlite3
from datetime import timedelta, timezone
from typing import cast

import pytest
from sqlalchemy import Column, MetaData, Table, bindparam, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from config.clock import utc_now
from config.database import Database, connection_of, on_commit
from config.db_schema import EVERYONE, OWNERS, Base, ContextRow, SpecialtyRow
from config.errors import StorageFull
from config.sqlite_driver import ROWS_TO_CHECKPOINT

ADD_CONTEXT = cast(Table, ContextRow.__table__).insert()
REFUSED = ("not authorized", "prohibited", "permission denied", "must be owner")


def row(key: str, value: int = 0) -> ContextRow:
    return ContextRow(scope="test", key=key, value={"value": value}, updated_at=utc_now())


async def count(db, table: str = "context") -> int:
    async with db.read() as session:
        return (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


async def is_allowed(db, statement: str) -> bool:
    try:
        async with db.write() as session:
            await session.execute(text(statement))
    except DBAPIError as exc:
        if not any(words in str(exc.orig) for words in REFUSED):
            raise
        return False
    return True


def test_every_table_has_an_owner():
    assert set(OWNERS) == set(Base.metadata.tables)


@pytest.mark.parametrize("service", sorted(EVERYONE))
async def test_each_service_writes_what_it_owns_and_nothing_else(open_as, service):
    db = open_as(service)
    for name, owners in OWNERS.items():
        column = next(iter(Base.metadata.tables[name].columns)).name
        found = {
            "insert": await is_allowed(db, f"INSERT INTO {name} SELECT * FROM {name} WHERE 1 = 0"),
            "update": await is_allowed(db, f"UPDATE {name} SET {column} = {column} WHERE 1 = 0"),
            "delete": await is_allowed(db, f"DELETE FROM {name} WHERE 1 = 0"),
        }
        assert found == {verb: service in getattr(owners, verb) for verb in found}, name
        assert await count(db, name) == 0


async def test_no_service_changes_the_schema(open_as):
    db = open_as("madre")
    for statement in (
        "CREATE TABLE mine (id INTEGER)",
        "CREATE INDEX mine ON context (key)",
        "CREATE VIEW mine AS SELECT 1",
        "DROP TABLE context",
        "ALTER TABLE context ADD COLUMN mine INTEGER",
        "DELETE FROM alembic_version",
        "UPDATE alembic_version SET version_num = '9'",
    ):
        assert not await is_allowed(db, statement), statement


async def test_sqlite_refuses_the_side_doors_to_the_schema(open_sqlite_as, tmp_path):
    db = open_sqlite_as("madre")
    for statement in (
        "CREATE TRIGGER mine AFTER INSERT ON context BEGIN DELETE FROM tasks; END",
        "DROP TRIGGER audit_log_refuses_update",
        "CREATE TEMP TABLE mine (id INTEGER)",
        "CREATE VIRTUAL TABLE mine USING fts5(a)",
        f"ATTACH '{tmp_path / 'other.db'}' AS other",
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_master VALUES ('table', 'mine', 'mine', 2, 'CREATE TABLE mine (id)')",
    ):
        assert not await is_allowed(db, statement), statement


async def test_a_reader_changes_nothing_even_of_its_own(open_as):
    db = open_as("madre")
    async with db.read() as session:
        session.add(row("a"))
        with pytest.raises(DBAPIError, match=r"readonly|read-only"):
            await session.commit()
    assert await count(db) == 0


async def test_a_block_that_raises_leaves_nothing_behind(open_as):
    db, committed = open_as("madre"), []

    async def note() -> None:
        committed.append(True)

    async def fail() -> None:
        async with db.write() as session:
            session.add(row("a"))
            await session.flush()
            on_commit(session, note)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert (await count(db), committed) == (0, [])


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_block_that_goes_on_after_a_failed_flush_keeps_nothing(open_as, goes_on):
    db = open_as("madre")
    async with db.write() as session:
        session.add(row("a"))

    async def fail() -> None:
        async with db.write() as session:
            session.add(row("b"))
            await session.flush()
            session.add(row("a"))
            with pytest.raises(IntegrityError):
                await session.flush()
            if goes_on:
                values = {"scope": "test", "key": "c", "value": {}, "updated_at": utc_now()}
                await (await connection_of(session)).execute(ADD_CONTEXT, values)

    with pytest.raises(SQLAlchemyError):
        await fail()
    assert await count(db) == 1
    async with db.write() as session:
        session.add(row("d"))
    assert await count(db) == 2


@pytest.mark.parametrize("way", ["read", "write"])
async def test_a_file_that_cannot_be_opened_is_an_error_of_the_database(tmp_path, way):
    db = Database(f"sqlite+aiosqlite:///{tmp_path}", "madre")
    with pytest.raises(OperationalError, match="unable to open"):
        async with getattr(db, way)():
            pass
    await db.close()


async def test_what_follows_a_commit_runs_after_it_and_cannot_undo_it(open_as):
    db, seen = open_as("madre"), []

    async def look() -> None:
        seen.append(await count(db))

    async def fail() -> None:
        raise OSError("no room")

    async with db.write() as session:
        session.add(row("a"))
        for then in (fail, look):
            on_commit(session, then)
    assert seen == [1]


async def test_a_statement_whose_text_or_values_are_made_each_time_is_not_run_without_them(open_sqlite_as):
    table = cast(Table, ContextRow.__table__)
    columns = [Column(one.name, one.type, default=str if one.name == "key" else None) for one in table.columns]
    like_it = Table("context", MetaData(), *columns)
    among = select(table).where(table.c.key.in_(bindparam("keys", expanding=True)))
    db = open_sqlite_as("madre")
    async with db.write() as session:
        session.add(row("a"))
        await session.flush()
        run = await connection_of(session)
        with pytest.raises(ArgumentError, match="through the session"):
            await run.execute(among, {"keys": ["a"]})
        with pytest.raises(ArgumentError, match="through the session"):
            await run.execute(like_it.insert(), {"scope": "test", "value": {}, "updated_at": utc_now()})
        assert len(list(await run.execute(select(table).where(table.c.key.in_(["a", "b"]))))) == 1


async def test_a_read_sees_one_moment_while_others_write(open_as):
    reader, writer = open_as("shub"), open_as("madre")
    async with reader.read() as session:
        before = (await session.execute(text("SELECT count(*) FROM context"))).scalar_one()
        async with writer.write() as writing:
            writing.add(row("a"))
        assert (await session.execute(text("SELECT count(*) FROM context"))).scalar_one() == before == 0
    assert await count(reader) == 1


async def test_a_durable_write_waits_for_the_disk_and_the_next_does_not(open_sqlite_as):
    db, levels = open_sqlite_as("madre"), []
    for number, durable in enumerate((False, True, True, False)):
        async with db.write(durable=durable) as session:
            session.add(row(str(number)))
            await session.flush()
            levels.append((await session.execute(text("PRAGMA synchronous"))).scalar_one())
    assert levels == [1, 2, 2, 1]
    assert await count(db) == 4


async def test_a_durable_write_commits_on_both_databases(open_as):
    db = open_as("madre")
    async with db.write(durable=True) as session:
        session.add(row("a"))
    assert await count(db) == 1


async def test_writers_in_one_process_lose_no_update(open_as):
    db = open_as("madre")
    async with db.write() as session:
        session.add(row("counter"))

    async def add() -> None:
        async with db.write() as session:
            found = await session.get_one(ContextRow, ("test", "counter"))
            found.value = {"value": found.value["value"] + 1}

    await asyncio.gather(*(add() for _ in range(50)))
    async with db.read() as session:
        assert (await session.get_one(ContextRow, ("test", "counter"))).value == {"value": 50}


WRITER = """
import asyncio, sys
from config.clock import utc_now
from config.database import Database
from config.db_schema import ContextRow

async def main(url, name):
    db = Database(url, "madre")
    for number in range(50):
        async with db.write() as session:
            counter = await session.get_one(ContextRow, ("test", "counter"))
            counter.value = {"value": counter.value["value"] + 1}
            session.add(ContextRow(scope=name, key=str(number), value={}, updated_at=utc_now()))
    await db.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_four_processes_that_read_and_write_at_once_lose_nothing(open_as, settings, forks):
    db = open_as("madre")
    async with db.write() as session:
        session.add(row("counter"))
    writers = [forks.start(WRITER, settings.sqlalchemy_url(), f"p{number}") for number in range(4)]
    assert await asyncio.gather(*(asyncio.to_thread(writer.wait) for writer in writers)) == [0, 0, 0, 0]
    async with db.read() as session:
        assert (await session.get_one(ContextRow, ("test", "counter"))).value == {"value": 200}
    assert await count(db) == 201


KILLED = """
import asyncio, os, signal, sys
from config.clock import utc_now
from config.database import Database
from config.db_schema import ContextRow

async def main(url):
    db = Database(url, "madre")
    for number in range(3):
        async with db.write() as session:
            session.add(ContextRow(scope="test", key=str(number), value={}, updated_at=utc_now()))
    async with db.write() as session:
        session.add(ContextRow(scope="test", key="half", value={}, updated_at=utc_now()))
        await session.flush()
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_kill_keeps_what_was_committed_and_drops_what_was_not(open_as, settings, forks):
    assert await asyncio.to_thread(forks.start(KILLED, settings.sqlalchemy_url()).wait) == -9
    db = open_as("madre")
    async with db.write() as session:  # the lock of the killed process is gone
        session.add(row("after"))
    async with db.read() as session:
        keys = (await session.execute(text("SELECT key FROM context ORDER BY key"))).scalars().all()
    assert keys == ["0", "1", "2", "after"]


async def test_a_full_disk_is_told_and_nothing_is_changed(open_sqlite_as):
    db = open_sqlite_as("madre")
    async with db.write() as session:
        pages = (await session.execute(text("PRAGMA page_count"))).scalar_one()
        await session.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StorageFull):
        async with db.write() as session:
            session.add(ContextRow(scope="test", key="a", value={"much": "x" * 1_000_000}, updated_at=utc_now()))
    assert await count(db) == 0


async def test_a_commit_stands_although_the_database_file_cannot_grow(open_sqlite_as, state_dir):
    db, told = open_sqlite_as("madre"), []

    async def note() -> None:
        told.append(True)

    async def fill(rows: int, key: str, letters: int) -> None:
        async with db.write() as session:
            on_commit(session, note)
            session.add_all(row(f"{key}{number}") for number in range(rows))
            session.add(ContextRow(scope="test", key=key, value={"much": "x" * letters}, updated_at=utc_now()))

    await fill(ROWS_TO_CHECKPOINT, "large", 1_000_000)  # a WAL that is larger than what comes next
    size = (state_dir / "vx11.db").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        await fill(ROWS_TO_CHECKPOINT, "next", 500_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (await count(db), len(told)) == (2 * ROWS_TO_CHECKPOINT + 2, 2)
    assert (state_dir / "vx11.db").stat().st_size == size  # it was tried, and did not work
    await fill(ROWS_TO_CHECKPOINT, "last", 1)
    assert (state_dir / "vx11.db").stat().st_size > size


async def test_who_is_cancelled_twice_while_it_waits_for_its_turn_leaves_the_connection_to_the_next(
    open_sqlite_as, state_dir
):
    db = open_sqlite_as("madre")
    async with db.write():
        pass
    other = sqlite3.connect(state_dir / "vx11.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with db.write() as session:
            session.add(row("a"))

    waiting = asyncio.create_task(write())
    while db._writing_lane.driver._thread is None:  # it waits there
        await asyncio.sleep(0.001)
    for _ in range(2):
        waiting.cancel()
        for _ in range(5):  # turns of the loop, for the cancel to come through
            await asyncio.sleep(0)
    assert not waiting.done()  # the thread is still inside
    other.execute("ROLLBACK")
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await write()
    assert await count(db) == 1
    other.close()


async def test_a_lock_that_is_never_given_back_ends_the_waiting(open_sqlite_as, state_dir, monkeypatch):
    monkeypatch.setattr("config.lanes.BUSY_TIMEOUT_MS", 50)
    db = open_sqlite_as("madre")
    other = sqlite3.connect(state_dir / "vx11.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        async with db.write() as session:
            session.add(row("a"))
    assert await count(db) == 0  # readers never wait
    other.close()
    async with db.write() as session:
        session.add(row("a"))


async def test_times_and_json_come_back_as_they_went_in(open_as):
    db, now = open_as("hermes_db"), utc_now()
    async with db.write() as session:
        session.add(SpecialtyRow(name="a", related_fields=["ñ", "💽", "a'b"]))
        await session.flush()
    madre = open_as("madre")
    async with madre.write() as session:
        session.add(ContextRow(scope="test", key="t", value={"ñ": [1, None, 1.5]}, updated_at=now))
    async with db.read() as session:
        found = await session.get_one(ContextRow, ("test", "t"))
        specialty = await session.get_one(SpecialtyRow, 1)
    assert (found.updated_at, found.value) == (now, {"ñ": [1, None, 1.5]})
    assert found.updated_at.utcoffset().total_seconds() == 0
    assert specialty.related_fields == ["ñ", "💽", "a'b"]


async def test_a_statement_that_is_built_once_writes_what_a_session_would(open_as):
    db, now = open_as("madre"), utc_now()
    given = {
        "plain": ({"ñ": ["💽", None, 1.5, True], "1": {}}, now),
        "elsewhere": ([], now.astimezone(timezone(timedelta(hours=5)))),
        "whole_seconds": ("text", now.replace(microsecond=0)),
        "nothing": (None, now),
    }
    if db.is_sqlite:  # Postgres takes no half of a surrogate pair
        given["half"] = ({"name": "\ud800"}, now)
    async with db.write() as session:
        rows = [{"scope": "once", "key": key, "value": value, "updated_at": at} for key, (value, at) in given.items()]
        await (await connection_of(session)).execute(ADD_CONTEXT, rows)
        for key, (value, at) in given.items():
            session.add(ContextRow(scope="session", key=key, value=value, updated_at=at))
    async with db.read() as session:
        for key, (value, at) in given.items():
            once, usual = [await session.get_one(ContextRow, (scope, key)) for scope in ("once", "session")]
            assert (once.value, once.updated_at) == (usual.value, usual.updated_at) == (value, at)
        if db.is_sqlite:
            texts = await session.execute(text("SELECT key, updated_at FROM context GROUP BY key, updated_at"))
            assert len(texts.all()) == len(given)  # times are looked for as text: both ways write the same
    with pytest.raises((KeyError, SQLAlchemyError)):
        async with db.write() as session:
            await (await connection_of(session)).execute(
                ADD_CONTEXT, [rows[0] | {"key": "a"}, {"scope": "once", "key": "b"}]
            )


async def test_an_error_does_not_tell_the_values_of_its_statement(open_as):
    db = open_as("madre")
    with pytest.raises(DBAPIError) as caught:
        async with db.write() as session:
            await session.execute(text("INSERT INTO nowhere VALUES (:token)"), {"token": "vx11_secret"})
    assert "vx11_secret" not in str(caught.value)
