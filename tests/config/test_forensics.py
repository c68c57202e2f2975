"""The audit trail: nothing in it can be changed, dropped or slipped in without being found, and a kill loses none of it."""

import asyncio
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import create_engine, text

from config import forensics
from config.forensics import GENESIS, Trail, chained_hash, verify
from config.settings import FleetSettings


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(forensics, "APPEND_SECONDS", 0.0)


Check = Callable[[], tuple[int, list[str]]]


def checking(settings: FleetSettings) -> Iterator[Check]:
    engine = create_engine(settings.sqlalchemy_url(driver="sync"))

    def run() -> tuple[int, list[str]]:
        with engine.connect() as connection:
            checked, findings = verify(connection, settings.state_dir)
        return checked, [f"{finding.table} {finding.seq}: {finding.problem}" for finding in findings]

    yield run
    engine.dispose()


@pytest.fixture
def check(settings) -> Iterator[Check]:
    """Rows read and problems found, as `vx11 audit verify` tells them."""
    yield from checking(settings)


@pytest.fixture
def check_sqlite(sqlite_settings) -> Iterator[Check]:
    yield from checking(sqlite_settings)


def file_of(settings, service: str = "madre", table: str = "audit_log"):
    return settings.state_dir / "forensic" / service / "logs" / f"{table}.jsonl"


async def record(db, trail: Trail, many: int = 3, **options) -> None:
    for number in range(many):
        async with db.write() as session:
            await trail.record(session, "thing_done", f"thing:{number}", "owner ñ", number=number, **options)


def tamper(settings, *statements: str) -> None:
    """Change the table as someone who holds the file can: triggers dropped, no authorizer."""
    connection = sqlite3.connect(settings.state_dir / "vx11.db", isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def test_what_is_recorded_is_in_table_and_file_and_verifies(open_as, settings, check):
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    await record(db, trail)
    await record(db, trail, 2, table="madre_actions")
    other = open_as("shub")
    await record(other, Trail("shub", settings.state_dir), 1)
    assert check() == (6, [])
    lines = [json.loads(line) for line in file_of(settings).read_text().splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert lines[0]["prev_hash"] == GENESIS
    assert lines[2]["prev_hash"] == lines[1]["hash"] == chained_hash(lines[1])
    assert json.loads(lines[1]["details"]) == {"number": 1}


async def test_a_change_that_rolls_back_leaves_no_trail(open_as, settings, check):
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)

    async def fail() -> None:
        async with db.write() as session:
            await trail.record(session, "thing_done", "thing", "owner")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert not file_of(settings).exists()
    await record(db, trail, 1)
    assert check() == (1, [])


async def test_rows_refuse_to_be_changed_whoever_asks(open_sqlite_as, sqlite_settings):
    db, trail = open_sqlite_as("madre"), Trail("madre", sqlite_settings.state_dir)
    await record(db, trail)
    await record(db, trail, table="madre_actions")
    raw = sqlite3.connect(
        sqlite_settings.state_dir / "vx11.db", isolation_level=None
    )  # no authorizer, no recursive triggers
    for table in ("audit_log", "madre_actions"):
        for statement in (
            f"UPDATE {table} SET event = 'other' WHERE seq = 2",
            f"UPDATE {table} SET seq = 9 WHERE seq = 2",
            f"DELETE FROM {table} WHERE seq = 3",
            f"DELETE FROM {table}",
            f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE seq = 2",
            f"REPLACE INTO {table} SELECT * FROM {table} WHERE seq = 2",
        ):
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                raw.execute(statement)
    raw.close()


async def test_rows_refuse_to_be_changed_by_the_owner_of_a_postgres_database(postgres_url, state_dir):
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    for statement in ("UPDATE audit_log SET event = 'x'", "DELETE FROM audit_log", "TRUNCATE madre_actions"):
        with engine.connect() as connection, pytest.raises(Exception, match="append-only"):
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE audit_log SET event = 'thing_dona' WHERE seq = 2", "2: was changed"),
        ("UPDATE audit_log SET subject = 'thing:9' WHERE seq = 2", "2: was changed"),
        ("UPDATE audit_log SET caller = 'owner n' WHERE seq = 2", "2: was changed"),
        ("""UPDATE audit_log SET details = '{"number": 2}' WHERE seq = 2""", "2: was changed"),
        ("""UPDATE audit_log SET details = details || ' ' WHERE seq = 2""", "2: was changed"),
        ("UPDATE audit_log SET at = replace(at, '20', '19') WHERE seq = 2", "2: was changed"),
        ("UPDATE audit_log SET hash = replace(hash, 'a', 'b') WHERE seq = 2", "2: was changed"),
        ("UPDATE audit_log SET prev_hash = hash WHERE seq = 2", "2: does not follow"),
        ("UPDATE audit_log SET seq = 7 WHERE seq = 3", "rows 3 to 6 are missing"),
        ("UPDATE audit_log SET seq = 'x' WHERE seq = 3", "holds a row with the number 'x'"),
        ("UPDATE audit_log SET service = 'shub' WHERE seq = 3", "is in line 3"),
        ("UPDATE audit_log SET details = x'ff' WHERE seq = 2", "2: was changed"),
        ("UPDATE audit_log SET details = CAST(x'ff' AS TEXT) WHERE seq = 2", "cannot be read"),
        ("DELETE FROM audit_log WHERE seq = 1", "rows 1 to 1 are missing"),
        ("DELETE FROM audit_log WHERE seq = 2", "rows 2 to 2 are missing"),
        ("DELETE FROM audit_log WHERE seq = 3", "is in line 3"),
        ("DELETE FROM audit_log", "is in line 1"),
    ],
)
async def test_what_is_changed_in_the_table_is_found(open_sqlite_as, sqlite_settings, check_sqlite, change, told):
    await record(open_sqlite_as("madre"), Trail("madre", sqlite_settings.state_dir))
    assert check_sqlite() == (3, [])
    tamper(sqlite_settings, change)
    assert any(told in problem for problem in check_sqlite()[1]), check_sqlite()


async def test_a_whole_table_written_anew_with_a_sound_chain_is_found(open_sqlite_as, sqlite_settings, check_sqlite):
    await record(open_sqlite_as("madre"), Trail("madre", sqlite_settings.state_dir))
    rows = [json.loads(line) for line in file_of(sqlite_settings).read_text().splitlines()]
    before = GENESIS
    changes = []
    for row in rows:
        row |= {"caller": "someone else", "prev_hash": before}
        row["hash"] = before = chained_hash(row)
        changes.append(
            f"UPDATE audit_log SET caller = 'someone else', prev_hash = '{row['prev_hash']}', hash = '{row['hash']}' "
            f"WHERE seq = {row['seq']}"
        )
    tamper(sqlite_settings, *changes)
    assert [problem.split(":")[0] for problem in check_sqlite()[1]] == ["audit_log 1", "audit_log 2", "audit_log 3"]


async def test_a_row_slipped_in_at_the_end_with_a_sound_chain_is_found(open_sqlite_as, sqlite_settings, check_sqlite):
    await record(open_sqlite_as("madre"), Trail("madre", sqlite_settings.state_dir))
    last = json.loads(file_of(sqlite_settings).read_text().splitlines()[-1])
    new = last | {"seq": 4, "prev_hash": last["hash"]}
    new["hash"] = chained_hash(new)
    values = ", ".join(f"'{new[name]}'" for name in (*forensics.COLUMNS, "hash"))
    tamper(sqlite_settings, f"INSERT INTO audit_log ({', '.join((*forensics.COLUMNS, 'hash'))}) VALUES ({values})")
    checked, (problem,) = check_sqlite()
    assert checked == 4
    assert problem.startswith("audit_log 4: row 4 is in the table and not in ")


async def test_every_byte_of_the_file_counts(open_sqlite_as, sqlite_settings, check_sqlite):
    await record(open_sqlite_as("madre"), Trail("madre", sqlite_settings.state_dir))
    file = file_of(sqlite_settings)
    whole = file.read_bytes()
    others = itertools.cycle((b"\n", b" ", b"0", b"\xff"))
    for position in range(0, len(whole), 3):
        if whole[position : position + 1] != (other := next(others)):
            file.write_bytes(whole[:position] + other + whole[position + 1 :])
            assert check_sqlite()[1], (position, other)
    file.write_bytes(whole)
    assert check_sqlite() == (3, [])


async def test_lines_dropped_doubled_moved_or_added_are_found(open_sqlite_as, sqlite_settings, check_sqlite):
    await record(open_sqlite_as("madre"), Trail("madre", sqlite_settings.state_dir))
    file = file_of(sqlite_settings)
    a, b, c = file.read_bytes().splitlines(keepends=True)
    invented = json.loads(c) | {"seq": 4, "prev_hash": json.loads(c)["hash"]}
    invented["hash"] = chained_hash(invented)
    added = (json.dumps(invented, ensure_ascii=False) + "\n").encode()
    for lines, told in (
        ([b, c], "row 1 is in the table and not in"),
        ([a, c], "row 2 is in the table and not in"),
        ([a, b], "row 3 is in the table and not in"),
        ([], "rows 1 to 3 are in the table and not in"),
        ([a, b, b, c], "line 3 of audit_log.jsonl holds a row that is not in the table there"),
        ([b, a, c], "row 1 is in the table and not in"),
        ([a, b, c, added], "is in line 4 of audit_log.jsonl and not in the table"),
        ([a, b, c, b"\n"], "line 4 of audit_log.jsonl cannot be read"),
        ([a, b, c[:-20]], "line 3 of audit_log.jsonl cannot be read"),
        ([a, b, c, c[:20]], "line 4 of audit_log.jsonl cannot be read"),
    ):
        file.write_bytes(b"".join(lines))
        assert any(told in problem for problem in check_sqlite()[1]), (lines, check_sqlite())
    file.unlink()
    assert "rows 1 to 3 are in the table" in check_sqlite()[1][0]


async def test_the_file_of_a_service_without_rows_is_found(sqlite_settings, check_sqlite):
    file = file_of(sqlite_settings, "shub")
    file.parent.mkdir(parents=True)
    file.write_text('{"seq": 1}\n')
    assert "cannot be read" in check_sqlite()[1][0]


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from config import forensics
from config.database import Database
from config.forensics import Trail

async def main(url, folder, kill_at):
    db, trail = Database(url, "madre"), Trail("madre", Path(folder))
    append = trail._append

    def append_or_die(table, rows, **options):
        if rows[0]["seq"] == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)
        return append(table, rows, **options)

    trail._append = append_or_die
    for number in range(5):
        async with db.write() as session:
            await trail.record(session, "thing_done", str(number), "owner")

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_kill_between_commit_and_file_is_made_good_at_the_next_start(open_as, settings, check, forks):
    killed = forks.start(KILLED, settings.sqlalchemy_url(), str(settings.state_dir), "3")
    assert await asyncio.to_thread(killed.wait) == -9
    assert "row 3 is in the table and not in" in check()[1][0]
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    assert await trail.catch_up(db) == 1
    assert check() == (3, [])
    assert await trail.catch_up(db) == 0


async def test_a_kill_between_commit_and_file_is_made_good_by_the_next_row(open_as, settings, check, forks):
    killed = forks.start(KILLED, settings.sqlalchemy_url(), str(settings.state_dir), "2")
    assert await asyncio.to_thread(killed.wait) == -9
    await record(open_as("madre"), Trail("madre", settings.state_dir), 1)
    assert check() == (3, [])


async def test_a_line_half_written_is_written_again(open_as, settings, check):
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    await record(db, trail)
    whole = file_of(settings).read_bytes()
    file_of(settings).write_bytes(whole[:-30])
    await record(db, trail, 1)
    assert check() == (4, [])
    assert file_of(settings).read_bytes().startswith(whole)


async def test_a_file_that_cannot_be_written_neither_denies_the_change_nor_loses_the_row(open_as, settings, check):
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    (settings.state_dir / "forensic").write_text("in the way")
    await record(db, trail, 2)
    (settings.state_dir / "forensic").unlink()
    await record(db, trail, 1)
    assert check() == (3, [])


async def test_rows_recorded_at_once_stand_in_the_file_in_order(open_as, settings, check):
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    await asyncio.gather(*(record(db, trail, 3) for _ in range(15)))
    assert check() == (45, [])
    lines = file_of(settings).read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, 46))


async def test_two_processes_of_one_service_share_a_chain(open_as, settings, check, forks):
    others = [forks.start(KILLED, settings.sqlalchemy_url(), str(settings.state_dir), "-1") for _ in range(2)]
    await record(open_as("madre"), Trail("madre", settings.state_dir), 10)
    assert [await asyncio.to_thread(other.wait) for other in others] == [0, 0]
    assert check() == (20, [])


async def test_verifying_while_rows_are_written_finds_nothing_wrong(open_as, settings, check, monkeypatch):
    monkeypatch.setattr(forensics, "APPEND_SECONDS", 10.0)
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    writing = asyncio.create_task(record(db, trail, 60))
    while not writing.done():
        assert (await asyncio.to_thread(check))[1] == []
    await writing
    assert check() == (60, [])


async def test_the_first_row_of_all_may_still_be_on_its_way(open_as, settings, check, monkeypatch):
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    await record(db, trail, 1)
    file = file_of(settings)
    line = file.read_bytes()
    file.unlink()
    checking_begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(forensics, "APPEND_SECONDS", 30.0)
    monkeypatch.setattr(forensics.time, "sleep", lambda _seconds: loop.call_soon_threadsafe(checking_begun.set))
    checked = asyncio.create_task(asyncio.to_thread(check))
    await checking_begun.wait()
    file.write_bytes(line)
    assert await checked == (1, [])


async def test_text_that_no_database_takes_is_spelled_out(open_as, settings, check):
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    async with db.write() as session:
        await trail.record(
            session, "e" * 100, "s\ud800\x00" + "x" * 500, "c" * 500, odd="\ud800 \x00 \u2028 \x85 ñ", nan=float("nan")
        )
    await record(db, trail, 1)
    assert check() == (2, [])


async def test_a_row_larger_than_any_block_is_found_again(open_as, settings, check):
    db, trail = open_as("madre"), Trail("madre", settings.state_dir)
    await record(db, trail, 2, much="x" * 300_000)
    await record(db, trail, 1)
    assert check() == (3, [])
