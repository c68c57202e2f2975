"""What happened, written down behind the requests' backs: decisions to the database, uses to hermes_db, both in batches.

Nothing here may slow a request down or make it fail. Both buffers are bounded; what does not fit any more is counted, not hidden.
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import new_id
from config.contracts.hermes_db import Use, UsesRecorded
from config.database import Database
from config.errors import FleetError
from switch import repository
from switch.calls import Choice, Tried
from switch.clis.tool import CLI
from switch.failures import FailureKind
from switch.flight import Flight
from switch.meters import Meters
from switch.money.usage import Usage
from switch.registry import Registry
from switch.repository import Record

FLUSH_SECONDS = 0.5
MOST_WAITING = 10_000
ROWS_PER_TRANSACTION = 1000
USES_PER_BATCH = 500
LONGEST_ERROR = 300  # characters
LONGEST_PAUSE_SECONDS = 60.0
LAST_WORDS_SECONDS = 3.0

NOTHING_USED = Usage()

log = structlog.get_logger()


class TakesUses(Protocol):
    """hermes_db, as far as it matters here."""

    async def record_uses(self, uses: list[Use], *, idempotency_key: str | None = None) -> UsesRecorded: ...


class _Noted(NamedTuple):
    """A use as it is noted in passing; it becomes a `Use` when there is time."""

    name: str
    duration_ms: float
    error: str | None
    at: datetime
    action_type: str = "chat"


class Learns(Protocol):
    """Whoever chooses, as far as it matters here."""

    @property
    def has_news(self) -> bool: ...

    def learn(
        self,
        choice: Choice,
        task_type: str,
        *,
        success: bool,
        latency_ms: float,
        cost_usd: float | None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        failure: str = "",
    ) -> None: ...

    async def save(self, session: AsyncSession) -> None: ...


class Ledger:
    """`landed` notes a flight, `run` writes."""

    def __init__(self, db: Database, hermes_db: TakesUses, registry: Registry, chooser: Learns, meters: Meters) -> None:
        self._db, self._hermes_db, self._registry = db, hermes_db, registry
        self._chooser, self._meters = chooser, meters
        self._records: deque[Record] = deque()
        self._noted: deque[_Noted] = deque()
        self._batch: list[Use] = []
        self._batch_key = ""
        self._next_report_at = 0.0
        self._failed_reports = 0
        self._saving = asyncio.Lock()
        self._something, self._much = asyncio.Event(), asyncio.Event()
        self.lost = 0
        self.total = self.answered = self.errors = self.failed_over = 0
        self._total_ms = 0.0

    @property
    def unreported(self) -> int:
        return len(self._noted) + len(self._batch)

    @property
    def mean_ms(self) -> float:
        return self._total_ms / self.total if self.total else 0.0

    def landed(self, flight: Flight) -> None:
        self.total += 1
        self._total_ms += flight.latency_ms
        if flight.outcome == "answered":
            self.answered += 1
            for one in flight.trail.tried:
                if one.asked:  # the first who was
                    if one is not flight.answered:
                        self.failed_over += 1
                        self._meters.failed_over.inc()
                    break
        elif flight.outcome != "cancelled":
            self.errors += 1
        self._meters.landed(flight)
        if not flight.is_saved:
            self._note(self._records, flight.record())
        for one in flight.trail.tried:
            if one.asked and one.outcome != FailureKind.UNSUPPORTED:
                self._learn(one, flight)
        self._something.set()
        if len(self._records) == ROWS_PER_TRANSACTION:
            self._much.set()

    def _learn(self, tried: Tried, flight: Flight) -> None:
        """Tell whoever chooses, and hermes_db, how a model did. One that was left alone by its client did neither well nor badly."""
        is_answered = tried.outcome == "answered"
        duration_ms = flight.latency_ms if is_answered else tried.duration_ms
        error = "" if is_answered else (tried.detail or tried.outcome)[:LONGEST_ERROR].replace("\0", "")
        if tried.outcome not in ("refused", "cancelled"):
            usage = flight.usage if is_answered and flight.usage is not None else NOTHING_USED
            others_ms = 0.0
            if is_answered:
                for one in flight.trail.tried:
                    others_ms += one.duration_ms
                others_ms -= tried.duration_ms
            self._chooser.learn(
                tried.choice,
                flight.call.task_type,
                success=is_answered,
                latency_ms=max(0.0, duration_ms - others_ms - flight.call.queue_ms),
                cost_usd=flight.cost_usd if is_answered else None,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                failure=error,
            )
        if tried.choice.backend.name != CLI:  # hermes_db counts a tool's use when its turn is given back
            self._note(self._noted, _Noted(tried.choice.name, duration_ms, error or None, flight.created_at))

    def keep(self, record: Record, model_name: str, *, action_type: str, error: str | None) -> None:
        """Note a decision and a use that no flight stands for."""
        self._note(self._records, record)
        about = None if error is None else error[:LONGEST_ERROR]
        self._note(self._noted, _Noted(model_name, record["latency_ms"], about, record["created_at"], action_type))
        self._something.set()

    async def run(self) -> None:
        """Write until cancelled, at most a moment late; then what is left, once. Sleeps while there is nothing to write."""
        try:
            while True:
                await self._something.wait()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._much.wait(), FLUSH_SECONDS)
                self._something.clear()
                self._much.clear()
                try:
                    await self.flush()
                except Exception:
                    log.exception("ledger")
                if self._records or self.unreported:  # somebody did not take it: again later
                    pause = max(FLUSH_SECONDS, self._next_report_at - time.monotonic())
                    asyncio.get_running_loop().call_later(pause, self._something.set)
        finally:
            self._next_report_at = 0.0
            try:
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await self.flush()
            except TimeoutError:
                log.warning("ledger_left_behind", decisions=len(self._records), uses=self.unreported)

    async def flush(self) -> None:
        """Write and report what is there. What cannot be delivered now stays for the next time."""
        try:
            await self.save()
        except (SQLAlchemyError, FleetError) as exc:
            log.warning("decisions_not_saved", waiting=len(self._records), error=repr(exc))
        # Here and in `save`: what comes meanwhile waits for its batch, or each would have one of its own.
        noted = len(self._noted)
        while (noted > 0 or self._batch) and time.monotonic() >= self._next_report_at:
            noted -= USES_PER_BATCH
            await self._report()

    async def save(self) -> None:
        """Write the decisions that were noted, and what was learned. Raises what the database raises; both stay noted then."""
        async with self._saving:
            waiting, has_news = len(self._records), self._chooser.has_news
            while waiting or has_news:
                batch = [self._records[n] for n in range(min(ROWS_PER_TRANSACTION, waiting))]
                async with self._db.write() as session:
                    await repository.save(session, batch)
                    if has_news:
                        await self._chooser.save(session)
                waiting, has_news = waiting - len(batch), False
                for _ in batch:
                    self._records.popleft()

    async def _report(self) -> None:
        """Send one batch. It keeps its key until it is taken, so that an answer that got lost does not count it twice."""
        try:
            if not self._batch:
                ids = (await self._registry.known()).model_ids
                noted = [self._noted.popleft() for _ in range(min(USES_PER_BATCH, len(self._noted)))]
                self._batch, self._batch_key = [_as_use(one, ids) for one in noted], new_id("uses")
            await self._hermes_db.record_uses(self._batch, idempotency_key=self._batch_key)
        except (FleetError, SQLAlchemyError) as exc:
            if isinstance(exc, FleetError) and exc.status in (400, 404, 409, 413, 422):  # it will never be taken
                log.warning("uses_refused", uses=len(self._batch), error=str(exc))
                self.lost += len(self._batch)
                self._batch = []
                self._registry.forget()
                return
            self._failed_reports += 1
            pause = min(LONGEST_PAUSE_SECONDS, 2.0**self._failed_reports)
            self._next_report_at = time.monotonic() + pause
            log.info("uses_not_reported", waiting=self.unreported, again_in_seconds=pause, error=str(exc))
            return
        self._failed_reports, self._batch = 0, []

    def _note(self, buffer: deque[Any], entry: Any) -> None:
        if len(buffer) >= MOST_WAITING:
            self.lost += 1  # the newest goes: the front is what is being written at this moment
        else:
            buffer.append(entry)


def _as_use(noted: _Noted, ids: dict[str, int]) -> Use:
    return Use(
        module="switch",
        action_type=noted.action_type,
        model_id=ids.get(noted.name),
        duration_ms=round(noted.duration_ms, 3),
        success=noted.error is None,
        error_message=noted.error,
        at=noted.at,
    )
