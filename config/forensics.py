"""The audit trail: append-only, hash-chained, written in the transaction of the change it tells of.

`record()` adds a row to a chain. Each row holds the SHA-256 of the row before and of its own content, so an edited, missing or
inserted row breaks the chain; triggers in the database refuse UPDATE and DELETE to begin with. After the commit the row is appended
to `<state>/forensic/<service>/logs/<table>.jsonl`, so that rewriting the whole table is found as well; `catch_up()` at the start of a
service appends what a kill kept from the file. `verify()` reads both and says where they differ.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.database import Database, on_commit
from config.db_schema import AuditRow, MadreActionRow

GENESIS = "0" * 64
COLUMNS = ("service", "seq", "event", "subject", "caller", "details", "at", "prev_hash")
TABLES: dict[str, Table] = {
    "audit_log": cast(Table, AuditRow.__table__),
    "madre_actions": cast(Table, MadreActionRow.__table__),
}


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
        """Add a row in the transaction of `session`, which must be a write. Never give it a secret."""
        rows = TABLES[table]
        if session.get_bind().dialect.name == "postgresql":  # BEGIN IMMEDIATE has no like there: one chain, one writer
            await session.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:chain))"), {"chain": f"{table}:{self.service}"}
            )
        last = (
            await session.execute(
                self._mine(select(rows.c.seq, rows.c.hash), table).order_by(rows.c.seq.desc()).limit(1)
            )
        ).first()
        row = {
            "service": self.service,
            "seq": (last.seq if last else 0) + 1,
            "event": event,
            "subject": subject,
            "caller": caller,
            "details": json.dumps(details, sort_keys=True, ensure_ascii=False, default=str),
            "at": utc_now().isoformat().replace("+00:00", "Z"),
            "prev_hash": last.hash if last else GENESIS,
        }
        row["hash"] = chained_hash(row)
        await session.execute(rows.insert().values({name: value for name, value in row.items() if name in rows.c}))
        on_commit(session, lambda: self._append(table, [row]))

    async def catch_up(self, db: Database) -> int:
        """Append to the files what was committed but not yet written there; returns how many rows that was."""
        added = 0
        for table, rows in TABLES.items():
            if table == "madre_actions" and self.service != "madre":
                continue
            written = _last_seq(self._file(table))
            async with db.read() as session:
                missing = (
                    (
                        await session.execute(
                            self._mine(select(rows), table).where(rows.c.seq > written).order_by(rows.c.seq)
                        )
                    )
                    .mappings()
                    .all()
                )
            self._append(table, [{"service": self.service, **row} for row in missing])
            added += len(missing)
        return added

    def _mine(self, query: Any, table: str) -> Any:
        return query.where(AuditRow.service == self.service) if table == "audit_log" else query

    def _file(self, table: str) -> Path:
        return self._folder / f"{table}.jsonl"

    def _append(self, table: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file(table).open("ab+") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            written = _last_seq(self._file(table))  # two transactions may finish in either order; catch_up may be first
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows if row["seq"] > written]
            out.write("".join(lines).encode())


def chained_hash(row: dict[str, Any]) -> str:
    """SHA-256 over the row's columns and, through `prev_hash`, over all rows before it."""
    content = json.dumps([row[name] for name in COLUMNS], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def verify(connection: Connection, state_dir: Path) -> tuple[int, list[Finding]]:
    """Read every chain and its file. Returns how many rows were read, and every place where something was changed."""
    checked, findings = 0, list[Finding]()
    for table, rows in TABLES.items():
        services = connection.scalars(select(AuditRow.service).distinct()).all() if table == "audit_log" else ["madre"]
        known = {folder.parent.parent.name for folder in (state_dir / "forensic").glob(f"*/logs/{table}.jsonl")}
        for service in sorted({*services, *known}):
            query = select(rows).order_by(rows.c.seq)
            if table == "audit_log":
                query = query.where(rows.c.service == service)
            stored = [{"service": service, **row} for row in connection.execute(query).mappings()]
            checked += len(stored)
            findings += [Finding(service, table, seq, problem) for seq, problem in _broken(stored)]
            file = state_dir / "forensic" / service / "logs" / f"{table}.jsonl"
            findings += [Finding(service, table, seq, problem) for seq, problem in _differs(stored, file)]
    return checked, findings


def _broken(rows: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    before, expected = GENESIS, 1
    for row in rows:
        if row["seq"] != expected:
            yield row["seq"], f"rows {expected} to {row['seq'] - 1} are missing from the table"
        elif row["prev_hash"] != before:
            yield row["seq"], "does not follow from the row before it"
        if chained_hash(row) != row["hash"]:
            yield row["seq"], "was changed after it was written"
        before, expected = row["hash"], row["seq"] + 1


def _differs(rows: list[dict[str, Any]], file: Path) -> Iterator[tuple[int, str]]:
    by_seq = {row["seq"]: row["hash"] for row in rows}
    if not file.exists():
        if rows:
            yield rows[0]["seq"], f"{file} is missing"
        return
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        try:
            row = json.loads(line)
            seq, content, told = row["seq"], chained_hash(row), row["hash"]
        except (ValueError, KeyError, TypeError):
            yield number, f"line {number} of {file.name} cannot be read"
            continue
        if content != told:
            yield seq, f"line {number} of {file.name} was changed after it was written"
        elif by_seq.get(seq) is None:
            yield seq, f"is in {file.name} and no longer in the table"
        elif by_seq[seq] != told:
            yield seq, f"is not the row that {file.name} holds"


def _last_seq(file: Path) -> int:
    """Number of the last whole row in the file; 0 for none. A half-written last line (a kill, a full disk) does not count."""
    if not file.exists():
        return 0
    size = file.stat().st_size
    for tail in (8_192, 1_000_000, size):
        with file.open("rb") as content:
            content.seek(max(0, size - tail))
            lines = content.read().splitlines()
        for line in reversed(lines):
            try:
                return int(json.loads(line)["seq"])
            except (ValueError, KeyError):
                continue
    return 0
