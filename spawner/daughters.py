"""Madre's daughters: taken from her table, run as jobs, and told back to her.

A lease says that a daughter is ours for a while, and a fence, counted up by each claim, that nobody has taken her since: every write
names it, so a worker that was thought dead and is only late changes nothing.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from config import halt
from config.clients.madre import MadreClient
from config.clock import utc_now
from config.contracts.common import StatusEnum
from config.contracts.spawner import DaughterRequest, DaughterResult, Limits, Reason, SpawnRecord
from config.database import Database
from config.db_schema import DaughterTaskRow
from config.errors import FleetError, GrantRefused, NotFound
from config.forensics import Trail
from spawner import daughter_rows as rows
from spawner import policy, repository
from spawner.admission import Admitted
from spawner.bells import Bells
from spawner.daughter_rows import Claim
from spawner.ended import Ended, broken, never_started
from spawner.errors import DaughterNotFound
from spawner.service import HALT_PATIENCE_SECONDS, Spawner, new_record, record_accepted
from spawner.settings import SpawnerSettings

RENEWALS_PER_LEASE = 3

log = structlog.get_logger()


class Cause(Enum):
    """Why we ended a daughter that ran."""

    CANCELLED = auto()
    PLAN_ENDED = auto()
    HALTED = auto()
    LATE = auto()
    """Somebody else has taken her, or closed her."""


WORDS = {
    Cause.CANCELLED: "cancelled by madre",
    Cause.PLAN_ENDED: "its plan has ended",
    Cause.HALTED: halt.WHY,
    Cause.LATE: "its daughter is another worker's by now",
}


@dataclass
class _Held:
    """A daughter that runs here, or is just being taken."""

    spawn_id: str
    claim: Claim | None = None
    cause: Cause | None = None


class Daughters:
    """Takes daughters when there is room for them, and sees to it that madre learns how each of them went."""

    def __init__(
        self,
        settings: SpawnerSettings,
        db: Database,
        trail: Trail,
        madre: MadreClient,
        *,
        spawner: Spawner,
        worker: str,
    ) -> None:
        """`worker`: our name in leases, the same after a restart."""
        self._lease, self._cycle_seconds = settings.spawner_lease, settings.spawner_cycle.total_seconds()
        self._db, self._trail, self._madre, self._worker = db, trail, madre, worker
        self._spawner = spawner
        self._admission, self._queue, self._runs = spawner.admission, spawner.queue, spawner.runs
        self._held: dict[str, _Held] = {}
        self._over = Bells()
        self._not_before: dict[str, float] = {}
        self._untold: dict[str, tuple[float, int]] = {}
        """Daughters that madre must be told of: when to try next, and how often it failed."""
        self._woken, self._news = asyncio.Event(), asyncio.Event()

    @property
    def untold(self) -> int:
        return len(self._untold)

    # --- at the start -----------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """See to the daughters that an earlier spawner of this name held: their processes are gone, and their leases ours."""
        async with self._db.read() as session:
            held = await rows.held_by(session, self._worker)
            untold = await rows.untold(session)
        for row in held:
            mine = Claim(row.id, row.fence, row.attempts)
            async with self._db.write() as session:
                if row.attempts < row.most_attempts:
                    await rows.give_back(session, mine, is_counted=True)
                else:
                    spawn = await repository.record(session, row.spawn_id) if row.spawn_id else None
                    if await rows.close(session, mine, StatusEnum.ERROR, spawn, _lost_for_good(row.attempts)):
                        untold.append(row.id)
            log.warning("daughter_lost", daughter_task_id=row.id, attempt=row.attempts)
        for daughter_id in untold:
            self._must_tell(daughter_id)

    # --- loops ------------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Top of the loop that finds daughters to run."""
        while True:
            self._woken.clear()
            try:
                await self._offer()
            except Exception:
                log.exception("looking_for_daughters_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._cycle_seconds):
                    await self._woken.wait()

    async def keep(self) -> None:
        """Top of the loop that renews leases, and notices what has changed about the daughters that run."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS_PER_LEASE)
            try:
                await self._renew()
            except Exception:
                log.exception("leases_not_renewed")

    async def tell(self) -> None:
        """Top of the loop that tells madre, again and again where she cannot be reached."""
        while True:
            self._news.clear()
            for daughter_id, (due, failures) in list(self._untold.items()):
                if due <= time.monotonic():
                    try:
                        await self._tell(daughter_id, failures)
                    except Exception:
                        log.exception("telling_failed", daughter_task_id=daughter_id)
                        self._untold[daughter_id] = (time.monotonic() + policy.retry_delay(failures + 1), failures + 1)
            wait = min((due - time.monotonic() for due, _ in self._untold.values()), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait is None else max(0.0, wait)):
                    await self._news.wait()

    # --- what madre asks for ----------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be a new daughter."""
        self._woken.set()

    async def cancel(self, daughter_id: str) -> None:
        """End a daughter, waiting or running; one that has ended stays as she is. Raises DaughterNotFound."""
        deadline = time.monotonic() + HALT_PATIENCE_SECONDS
        while True:
            over = self._over.of(daughter_id)
            async with self._db.read() as session:
                row = await rows.get(session, daughter_id)
            if row is None:
                self._over.forget(daughter_id)
                raise DaughterNotFound(f"no daughter {daughter_id}")
            if StatusEnum(row.status).is_final:
                self._over.forget(daughter_id)
                return
            if self._end(daughter_id, Cause.CANCELLED):
                try:
                    async with asyncio.timeout(deadline - time.monotonic()):
                        await over.wait()
                except TimeoutError:  # it goes on ending, and its row will say so
                    log.warning("cancel_takes_long", daughter_task_id=daughter_id)
                    return
            else:
                await self._close_waiting(row, StatusEnum.CANCELLED, "cancelled before she ran")

    async def halt(self) -> int:
        """End every daughter that runs; they wait again, for the resume. Returns how many those were."""
        held = list(self._held)
        bells = [self._over.of(daughter_id) for daughter_id in held]
        for daughter_id in held:
            self._end(daughter_id, Cause.HALTED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HALT_PATIENCE_SECONDS):
                await asyncio.gather(*(bell.wait() for bell in bells))
        return len(held)

    async def close(self) -> None:
        """The service stops, and with it what ran: those daughters wait for the next one, which is none of their attempts."""
        for daughter_id, held in list(self._held.items()):
            if held.claim is not None:
                async with self._db.write() as session:
                    await rows.give_back(session, held.claim, is_counted=False)
            del self._held[daughter_id]

    # --- taking and running -----------------------------------------------------------------------------------------

    async def _offer(self) -> None:
        now = utc_now()
        async with self._db.read() as session:
            abandoned = await rows.abandoned(session, now)
            halted = await halt.state(session)
            found = [] if halted.halted else await rows.waiting(session, now)
        self._spawner.heed(halted)
        for daughter_id in abandoned:
            async with self._db.read() as session:
                row = await rows.get(session, daughter_id)
            if row is not None and daughter_id not in self._held:
                await self._close_waiting(row, StatusEnum.CANCELLED, "her plan ended before she ran")
        for one in found:
            if self._not_before.get(one.id, 0.0) <= time.monotonic():
                self._put(one)

    def _put(self, one: Any) -> None:
        async def start(place: int) -> bool:
            await self._work(one.id, place)
            return True

        self._queue.put(f"daughter:{one.id}", start, priority=one.priority, since=one.created_at)

    async def _work(self, daughter_id: str, place: int) -> None:
        """One attempt at a daughter whose turn it is."""
        self._not_before.pop(daughter_id, None)
        async with self._db.read() as session:
            row = await rows.get(session, daughter_id)
        if row is None:
            return
        if row.attempts >= row.most_attempts:
            await self._close_waiting(row, StatusEnum.ERROR, _lost_for_good(row.attempts))
            return
        try:
            asked = DaughterRequest.model_validate(row.request)
        except ValidationError as exc:
            await self._close_waiting(row, StatusEnum.ERROR, f"her request cannot be read: {exc.error_count()} fields")
            return
        try:
            admitted = await self._admitted(asked, row)
        except FleetError as refusal:
            await self._refuse(row, asked, refusal)
            return
        record = new_record(asked.spawn, admitted, row.caller).model_copy(
            update={
                "daughter_task_id": row.id,
                "attempt": row.attempts + 1,
                "status": StatusEnum.RUNNING,
                "started_at": utc_now(),
                "protections": admitted.protections,
            }
        )
        held = self._held[daughter_id] = _Held(record.spawn_id)
        self._runs.expect(record.spawn_id)
        try:
            held.claim = await self._claim(record, asked, admitted)
            if held.claim is not None:
                await self._run(row, held, held.claim, asked, admitted, place)
        finally:
            self._runs.over(record.spawn_id)
            if not self._is_stopping():
                self._held.pop(daughter_id, None)
                self._over.ring(daughter_id)

    async def _admitted(self, asked: DaughterRequest, row: DaughterTaskRow) -> Admitted:
        admitted = self._admission.admit(asked.spawn, row.caller)
        if admitted.asks_for_network and not asked.is_confirmed:
            async with self._db.write() as session:
                details = {"operation": "spawner:network", "why": "the plan was not confirmed"}
                await self._trail.record(session, "grant_refused", f"daughter:{row.id}", row.caller, **details)
            raise GrantRefused("a daughter has network only in a plan that a person confirmed")
        return admitted

    async def _claim(self, record: SpawnRecord, asked: DaughterRequest, admitted: Admitted) -> Claim | None:
        assert record.daughter_task_id is not None
        async with self._db.write() as session:
            mine = await rows.claim(session, record.daughter_task_id, self._worker, utc_now() + self._lease)
            if mine is None:
                return None
            await repository.add(session, record, asked.spawn, mine.fence)
            await rows.name_spawn(session, mine, record.spawn_id)
            await record_accepted(self._trail, session, record, admitted)
        log.info("daughter_taken", daughter_task_id=mine.id, fence=mine.fence, attempt=mine.attempt)
        return mine

    async def _run(
        self, row: DaughterTaskRow, held: _Held, mine: Claim, asked: DaughterRequest, admitted: Admitted, place: int
    ) -> None:
        try:
            ended = await self._runs.run(held.spawn_id, asked.spawn, admitted, place)
        except Exception:  # the top of this daughter's own work: whatever happens, she gets an end
            log.exception("daughter_broke", daughter_task_id=mine.id)
            ended = broken()
        await self._spawner.apart(self._finish(row.most_attempts, held, mine, ended))

    async def _finish(self, most_attempts: int, held: _Held, mine: Claim, ended: Ended) -> None:
        """The end of the job and what it means for the daughter, in one transaction."""
        cause = held.cause if ended.reason is Reason.KILLED else None
        if cause is not None:
            ended = replace(ended, detail=WORDS[cause])
        is_closed = False

        async def write(session: AsyncSession, spawn: SpawnRecord) -> None:
            nonlocal is_closed
            if cause is Cause.LATE:
                return
            if cause is Cause.HALTED:
                await rows.give_back(session, mine, is_counted=False)
            elif cause is None and ended.may_run_again and mine.attempt < most_attempts:
                self._not_before[mine.id] = time.monotonic() + policy.retry_delay(mine.attempt)
                await rows.give_back(session, mine, is_counted=True)
            else:
                is_closed = await rows.close(session, mine, ended.status, spawn, error_of(ended))

        await self._spawner.close_job(held.spawn_id, ended, write)
        if is_closed:
            self._must_tell(mine.id)

    async def _refuse(self, row: DaughterTaskRow, asked: DaughterRequest, refusal: FleetError) -> None:
        """She cannot be run as she is asked for, now or later."""
        admitted = Admitted(
            command=policy.NO_PROGRAM,
            limits=Limits.model_validate(asked.spawn.model_dump()),
            env={},
            mounts=(),
            copies=None,
            has_network=False,
            asks_for_network=False,
            protections=self._runs.protections,
        )
        record = new_record(asked.spawn, admitted, row.caller).model_copy(
            update={"daughter_task_id": row.id, "attempt": row.attempts + 1}
        )
        async with self._db.write() as session:
            mine = await rows.claim(session, row.id, self._worker, utc_now() + self._lease)
            if mine is None:
                return
            await repository.add(session, record, asked.spawn, mine.fence)
            await rows.name_spawn(session, mine, record.spawn_id)
            await repository.end(session, record.spawn_id, never_started(refusal.detail))
            spawn = await repository.record(session, record.spawn_id)
            await rows.close(session, mine, StatusEnum.ERROR, spawn, f"{refusal.title}: {refusal.detail}")
        log.info("daughter_refused", daughter_task_id=row.id, code=refusal.code)
        self._must_tell(row.id)

    async def _close_waiting(self, row: DaughterTaskRow, status: StatusEnum, error: str) -> None:
        async with self._db.write() as session:
            is_closed = await rows.close_waiting(session, row, status, error)
        if is_closed:
            self._queue.remove(f"daughter:{row.id}")
            self._must_tell(row.id)

    # --- while they run ---------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        held = {daughter_id: one for daughter_id, one in self._held.items() if one.claim is not None}
        if not held:
            return
        async with self._db.write() as session:
            is_halted = await halt.is_halted(session)
            ended = await rows.ended_plans(session, list(held))
            until = utc_now() + self._lease
            late = [one for one, its in held.items() if its.claim and not await rows.renew(session, its.claim, until)]
        for daughter_id, one in held.items():
            if self._held.get(daughter_id) is not one:
                continue  # ended meanwhile
            if daughter_id in late:
                self._end(daughter_id, Cause.LATE)
            elif daughter_id in ended:
                self._end(daughter_id, Cause.PLAN_ENDED)
            elif is_halted:
                self._end(daughter_id, Cause.HALTED)

    def _end(self, daughter_id: str, cause: Cause) -> bool:
        """End a daughter that runs here; False when she does not. The first cause counts."""
        held = self._held.get(daughter_id)
        if held is None:
            return False
        held.cause = held.cause or cause
        if cause is Cause.CANCELLED and held.cause is Cause.HALTED:
            held.cause = cause  # a halt gives her back, and a cancellation is for good
        return self._runs.kill(held.spawn_id, WORDS[held.cause])

    # --- telling madre ----------------------------------------------------------------------------------------------

    def _must_tell(self, daughter_id: str) -> None:
        self._untold[daughter_id] = (time.monotonic(), 0)
        self._news.set()

    async def _tell(self, daughter_id: str, failures: int) -> None:
        async with self._db.read() as session:
            row = await rows.get(session, daughter_id)
        if row is not None and row.result is not None and row.reported_at is None:
            try:
                await self._madre.daughter_ended(DaughterResult.model_validate(row.result))
            except FleetError as error:
                if error.status != NotFound.status:  # else the plan is gone, and nobody waits for it
                    self._untold[daughter_id] = (time.monotonic() + policy.retry_delay(failures + 1), failures + 1)
                    log.warning("madre_not_told", daughter_task_id=daughter_id, failures=failures + 1, why=error.detail)
                    return
            async with self._db.write() as session:
                await rows.told(session, daughter_id)
        self._untold.pop(daughter_id, None)

    def _is_stopping(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0


def error_of(ended: Ended) -> str | None:
    """What went wrong, for people; None where nothing did."""
    if ended.status is StatusEnum.DONE:
        return None
    if ended.reason is not Reason.EXITED:
        return f"{ended.reason}: {ended.detail}" if ended.detail else str(ended.reason)
    if ended.signal is not None:
        return f"it was ended by signal {ended.signal}"
    return f"it ended with exit code {ended.exit_code}"


def _lost_for_good(attempts: int) -> str:
    return f"lost: she was begun {attempts} times and never came to an end"
