"""The audit trail: append-only, hash-chained, written in the transaction of the change it tells of.

`record()` adds a row to a chain. Each row holds the SHA-256 of the row before and of its own content, so an edited, missing or
inserted row breaks the chain; triggers in the database refuse UPDATE and DELETE to begin with. After the commit the row is appended
to `<state>/forensic/<service>/logs/<table>.jsonl`, so that rewriting the whole table is found as well. The file holds every row once and
in order, whoever commits first: a row that would leave a gap takes the rows before it along. What a kill kept from the file is appended
with the next row, at the latest by `catch_up()` at the start of the service. `verify()` reads both and says where they differ.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import structlog
from sqlalchemy import Connection, Table, bindparam, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.database import Database, connection_of, on_commit
from config.db_schema import AuditRow, MadreActionRow

GENESIS = "0" * 64
COLUMNS = ("service", "seq", "event", "subject", "caller", "details", "at", "prev_hash")
LONGEST = {"event": 64, "subject": 200, "caller": 200}
"""Characters that the columns hold; longer names are cut."""
BLOCK_BYTES = 4 * 1024
APPEND_SECONDS = 2.0
"""How long `verify` waits for a running service to append what it has just committed."""
TABLES: dict[str, Table] = {
    "audit_log": cast(Table, AuditRow.__table__),
    "madre_actions": cast(Table, MadreActionRow.__table__),
}
INSERT = {name: rows.insert() for name, rows in TABLES.items()}
LAST = {name: select(rows.c.seq, rows.c.hash).order_by(rows.c.seq.desc()).limit(1) for name, rows in TABLES.items()}
LAST["audit_log"] = LAST["audit_log"].where(AuditRow.service == bindparam("service"))

log = structlog.get_logger()


@dataclass(frozen=True)
class Finding:
    """One place where the trail is not what was written."""

    service: str
    table: str
    seq: int
    problem: str


class Trail:
    """Where a service writes what must be provable later."""

    def __init__(self, service: str, state_dir: Path) -> None:
        self.service, self._folder = service, state_dir / "forensic" / service / "logs"

    async def record(
        self, session: AsyncSession, event: str, subject: str, caller: str, *, table: str = "audit_log", **details: Any
    ) -> None:
        """Add a row in the transaction of `session`, which must be one of `Database.write()`. Never give it a secret."""
        rows, connection = TABLES[table], await connection_of(session)
        last = (await connection.execute(LAST[table], {"service": self.service})).first()
        row = {
            "service": self.service,
            "seq": (last.seq if last else 0) + 1,
            "event": _storable(event)[: LONGEST["event"]],
            "subject": _storable(subject)[: LONGEST["subject"]],
            "caller": _storable(caller)[: LONGEST["caller"]],
            "details": _storable(json.dumps(details, sort_keys=True, ensure_ascii=False, default=str)),
            "at": utc_now().isoformat().replace("+00:00", "Z"),
            "prev_hash": last.hash if last else GENESIS,
        }
        row["hash"] = chained_hash(row)
        await connection.execute(INSERT[table], {name: value for name, value in row.items() if name in rows.c})
        db: Database = session.info["database"]
        on_commit(session, lambda: self._follow(db, table, row))

    async def catch_up(self, db: Database) -> int:
        """Append to the files what was committed but not yet written there; returns how many rows that was."""
        added = 0
        for table in TABLES:
            if table == "audit_log" or self.service == "madre":
                added += await self._catch_up(db, table)
        if added:
            log.warning("forensic_catch_up", rows=added)
        return added

    async def _follow(self, db: Database, table: str, row: dict[str, Any]) -> None:
        if not await asyncio.to_thread(self._append, table, [row]):
            await self._catch_up(
                db, table
            )  # a row before it is not in the file yet: another transaction's or process's

    async def _catch_up(self, db: Database, table: str) -> int:
        written = await asyncio.to_thread(_last_seq, self._file(table))
        rows = TABLES[table]
        async with db.read() as session:
            query = self._mine(select(rows), table).where(rows.c.seq > written).order_by(rows.c.seq)
            missing = [{"service": self.service, **row} for row in (await session.execute(query)).mappings()]
        await asyncio.to_thread(self._append, table, missing, gaps=True)
        return len(missing)

    def _mine(self, query: Any, table: str) -> Any:
        return query.where(AuditRow.service == self.service) if table == "audit_log" else query

    def _file(self, table: str) -> Path:
        return self._folder / f"{table}.jsonl"

    def _append(self, table: str, rows: list[dict[str, Any]], *, gaps: bool = False) -> bool:
        """Append those rows that the file does not hold; False, and nothing done, if that would leave a gap before them."""
        if not rows:
            return True
        try:
            file = self._file(table).open("ab+")
        except FileNotFoundError:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._file(table).open("ab+")
        with file as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            _cut_half_line(out)
            written = _last_seq_in(out)
            rows = [row for row in rows if row["seq"] > written]
            if rows and rows[0]["seq"] != written + 1 and not gaps:
                return False
            out.write("".join(_line(row) + "\n" for row in rows).encode())
        return True


def chained_hash(row: dict[str, Any]) -> str:
    """SHA-256 over the row's columns and, through `prev_hash`, over all rows before it."""
    content = json.dumps([row[name] for name in COLUMNS], ensure_ascii=False, separators=(",", ":"), default=repr)
    return hashlib.sha256(content.encode(errors="backslashreplace")).hexdigest()


def verify(connection: Connection, state_dir: Path) -> tuple[int, list[Finding]]:
    """Read every chain and its file. Returns how many rows were read, and every place where something was changed.

    A row that is committed and not yet in the file is given two seconds; after a kill it stays a finding until the service starts again.
    """
    checked, findings = 0, list[Finding]()
    for table, rows in TABLES.items():
        services = connection.scalars(select(AuditRow.service).distinct()).all() if table == "audit_log" else ["madre"]
        known = {folder.parent.parent.name for folder in (state_dir / "forensic").glob(f"*/logs/{table}.jsonl")}
        for service in sorted({*map(str, services), *known}):
            query = select(rows).order_by(rows.c.seq)
            if table == "audit_log":
                query = query.where(rows.c.service == service)
            check = _Check(state_dir / "forensic" / service / "logs" / f"{table}.jsonl")
            try:
                stored = connection.execute(query, execution_options={"yield_per": 1000}).mappings()
                for seq, problem in check.problems({"service": service, **row} for row in stored):
                    findings.append(Finding(service, table, seq, problem))
            except DBAPIError as exc:
                findings.append(Finding(service, table, check.rows + 1, f"the table cannot be read: {exc.orig}"))
            checked += check.rows
    return checked, findings


class _Check:
    """Reads one chain and its file side by side, in order of `seq`."""

    def __init__(self, file: Path) -> None:
        self.rows = 0
        self._lines = _Lines(file)

    def problems(self, stored: Iterable[dict[str, Any]]) -> Iterator[tuple[int, str]]:
        before, expected, missing = GENESIS, 1, list[int]()
        for row in stored:
            self.rows += 1
            seq = row["seq"]
            if not isinstance(seq, int):
                yield expected, f"the table holds a row with the number {seq!r}"
                continue
            if seq != expected:
                yield seq, f"rows {expected} to {seq - 1} are missing from the table"
            elif row["prev_hash"] != before:
                yield seq, "does not follow from the row before it"
            if chained_hash(row) != row["hash"]:
                yield seq, "was changed after it was written"
            before, expected = row["hash"], seq + 1
            found = yield from self._in_file(row)
            if not found:
                missing.append(seq)
        yield from self._lines.missing(missing)
        yield from self._leftover()

    def _in_file(self, row: dict[str, Any]) -> "Iterator[tuple[int, str]] | Any":
        while (line := self._lines.current(wait=True)) is not None:
            seq, is_sound = _read(line)
            name = f"line {self._lines.number} of {self._lines.file.name}"
            if not is_sound:  # it may be this row's own line: then the row is accounted for
                self._lines.take()
                yield row["seq"], f"{name} was changed after it was written, or never was a row"
                return True
            if seq > row["seq"]:
                return False
            self._lines.take()
            if seq < row["seq"]:
                yield seq, f"{name} holds a row that is not in the table there"
            elif line != _line(row).encode(errors="backslashreplace"):
                yield seq, f"is not the row that {name} holds"
                return True
            else:
                return True
        return False

    def _leftover(self) -> Iterator[tuple[int, str]]:
        while (line := self._lines.current(wait=False)) is not None:
            seq, is_sound = _read(line)
            name = f"line {self._lines.number} of {self._lines.file.name}"
            self._lines.take()
            yield seq, f"is in {name} and not in the table" if is_sound else f"{name} cannot be read"


class _Lines:
    """The lines of a file that may still grow.

    `current(wait=False)` stops where the file ended when the check began: rows that came later are not in the table as it is read.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.number = file, 1
        self._open = file.open("rb") if file.exists() else None
        self._end = os.fstat(self._open.fileno()).st_size if self._open else 0
        self._line: bytes | None = None
        self._until: float | None = None

    def current(self, *, wait: bool) -> bytes | None:
        """The line that `take` has not taken yet, without its end; None at the end of the file."""
        while self._line is None:
            start = self._open.tell() if self._open else 0
            if not wait and start >= self._end:
                return None
            line = self._open.readline() if self._open else b""
            if line.endswith(b"\n"):
                self._line = line[:-1]
            elif not wait:
                self._line = line  # cut off in the middle
            else:
                self._look_again_from(start)
                if not self._may_still_come():
                    return None
        return self._line

    def _may_still_come(self) -> bool:
        self._until = self._until or time.monotonic() + APPEND_SECONDS
        if time.monotonic() > self._until:
            return False
        time.sleep(0.02)
        return True

    def _look_again_from(self, position: int) -> None:
        """The file of a young service may have been made meanwhile."""
        if self._open is None and self.file.exists():
            self._open = self.file.open("rb")
        if self._open is not None:
            self._open.seek(position)

    def take(self) -> None:
        self._line = None
        self.number += 1

    def missing(self, seqs: list[int]) -> Iterator[tuple[int, str]]:
        """One finding for every unbroken run of rows that the file does not hold."""
        runs = list[tuple[int, int]]()
        for seq in seqs:
            if runs and runs[-1][1] == seq - 1:
                runs[-1] = (runs[-1][0], seq)
            else:
                runs.append((seq, seq))
        for first, last in runs:
            rows = f"row {first} is" if first == last else f"rows {first} to {last} are"
            yield first, f"{rows} in the table and not in {self.file}"


def _read(line: bytes) -> tuple[int, bool]:
    """Number of the row in a line, and whether its hash fits its content."""
    try:
        row = json.loads(line)
        return int(row["seq"]), chained_hash(row) == row["hash"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0, False


def _line(row: dict[str, Any]) -> str:
    return json.dumps({name: row[name] for name in (*COLUMNS, "hash")}, ensure_ascii=False, default=repr)


def _storable(text: str) -> str:
    """The text with what no database takes (lone surrogates, NUL) spelled out."""
    return text.encode(errors="backslashreplace").decode().replace("\x00", "\\x00")


def _cut_half_line(out: BinaryIO) -> None:
    """Drop what follows the last whole line: a kill or a full disk stopped its writing, and the table still has the row."""
    end = out.seek(0, os.SEEK_END)
    whole = end
    while whole > 0:
        start = max(0, whole - BLOCK_BYTES)
        out.seek(start)
        found = out.read(whole - start).rfind(b"\n")
        if found >= 0:
            whole = start + found + 1
            break
        whole = start
    if whole < end:
        out.truncate(whole)
    out.seek(0, os.SEEK_END)


def _last_seq(file: Path) -> int:
    """Number of the last row in the file; 0 for none. Lines that cannot be read, such as one half written, do not count."""
    if not file.exists():
        return 0
    with file.open("rb") as content:
        return _last_seq_in(content)


def _last_seq_in(content: BinaryIO) -> int:
    for line in _backwards(content):
        try:
            return int(json.loads(line)["seq"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def _backwards(content: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, last one first; what follows the last line end is left out."""
    start = content.seek(0, os.SEEK_END)
    rest: bytes | None = (
        None  # the end of a line that begins in an earlier block; None before the first line end was met
    )
    while start > 0:
        size = min(BLOCK_BYTES, start)
        start -= size
        content.seek(start)
        first, *lines = content.read(size).split(b"\n")
        if lines:
            last = lines.pop()
            if rest is not None:
                yield last + rest
            yield from reversed(lines)
            rest = first
        elif rest is not None:
            rest = first + rest
    if rest is not None:
        yield rest
