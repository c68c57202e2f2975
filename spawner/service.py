"""Spawner: takes jobs, sees them through, and tells how they went."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from config import halt
from config.auth import Caller
from config.clock import new_id, utc_now
from config.contracts.common import Page, StatusEnum
from config.contracts.madre import HaltState
from config.contracts.spawner import (
    Artifact,
    LogChunk,
    Logs,
    ProtectionsReport,
    RuntimeSample,
    SpawnRecord,
    SpawnRequest,
    SpawnSummary,
)
from config.database import Database
from config.db_schema import SpawnRow
from config.errors import FleetError, InvalidRequest, StorageFull
from config.forensics import Trail
from config.grants import Gate
from config.idempotency import Idempotency
from config.pages import PageQuery, page_of
from config.sse import Event
from spawner import policy, repository
from spawner.admission import Admission, Admitted
from spawner.artifacts import open_regular
from spawner.bells import Bells
from spawner.ended import Ended, broken, killed_in_the_queue, never_started
from spawner.endings import Endings
from spawner.errors import ArtifactNotFound, LogsGone, SpawnNotFound
from spawner.keeper import Keeper
from spawner.leftovers import kill_leftovers, lost
from spawner.queue import JobQueue
from spawner.repository import Turn
from spawner.runs import Runs
from spawner.spool import STREAMS, Piece, Stream, read_piece

SERVICE = "spawner"
NETWORK = "spawner:network"
KILL_PATIENCE_SECONDS = 10.0
HALT_PATIENCE_SECONDS = 4.0  # whoever asks us to end daughters, or everything, waits five
EVENT_BYTES = 64 * 1024
NOT_BEGUN = "spawner ended before it began; it was given another turn"
OFFSET_BITS = 30  # of a position in either stream: the largest that may be kept is smaller

Reply = TypeVar("Reply")
AlsoWrite = Callable[[AsyncSession, SpawnRecord], Awaitable[None]]
log = structlog.get_logger()


@dataclass(frozen=True)
class _AtOnce:
    """A job that runs from the moment it was let in."""

    record: SpawnRecord
    admitted: Admitted
    ended: "asyncio.Future[SpawnRecord | None]"
    """The job as it ended, when that has been written down; None where it has to be looked up."""


class Spawner:
    """What callers ask for; the work itself is done by `Runs`, in the places of the queue."""

    def __init__(
        self,
        db: Database,
        trail: Trail,
        gate: Gate,
        *,
        admission: Admission,
        queue: JobQueue,
        runs: Runs,
        keeper: Keeper,
        report: ProtectionsReport,
    ) -> None:
        self._db, self._trail, self._gate = db, trail, gate
        self._keeper = keeper
        self.admission, self.queue, self.runs, self.report = admission, queue, runs, report
        self._changed = runs.changed
        self._protections = {
            network: policy.protections_of(runs.protections, has_network=network == "full")
            for network in ("none", "full")
        }
        self._ended = Bells()
        self._endings = Endings(db)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._working: set[str] = set()
        """Direct jobs that run here, or are just being begun; those of daughters are not among them."""
        self.halt_state = HaltState(halted=False)
        """As it was seen last."""

    # --- taking jobs ------------------------------------------------------------------------------------------------

    async def spawn(self, request: SpawnRequest, caller: Caller, grant: str | None, key: str | None) -> SpawnRecord:
        """A new job, or the one that this key stands for already; waits for its end as long as was asked for.

        Raises CommandRefused, InputRefused, ProtectionUnmet, Forbidden (another's profile), GrantRefused (network), QueueFull and
        IdempotencyConflict, and FleetHalted for a new one while the fleet is halted: then nothing was kept.
        """
        # Its own task: a caller who goes away between the commit and the queue must not leave a job that nobody starts.
        accepted = await self.apart(self._accept(request, caller, grant, key))
        if isinstance(accepted, str):
            return await self._finished(accepted, request.wait_seconds)
        if not accepted.ended.done() and request.wait_seconds > 0:
            await asyncio.wait([accepted.ended], timeout=request.wait_seconds)
        if accepted.ended.done() and (record := accepted.ended.result()) is not None:
            return record
        return await self._finished(accepted.record.spawn_id, 0)

    async def _accept(
        self, request: SpawnRequest, caller: Caller, grant: str | None, key: str | None
    ) -> "str | _AtOnce":
        """The id of a job that was there already, or that waits for its turn; or one that runs at once."""
        body = None if key is None else request.model_dump(mode="json", exclude={"wait_seconds"})
        once = Idempotency.of(SERVICE, caller.id, key, "spawn", body)
        if key is not None:
            async with self._db.read() as session:
                earlier = await once.earlier(session)
            if earlier is not None and earlier.resource_id is not None:
                return earlier.resource_id
        if self.queue.is_paused:  # said before anything else is found amiss, such as a queue that a halt has left full
            async with self._db.read() as session:
                await halt.refuse_if_halted(session)
        admitted = self.admission.admit(request, caller.id)
        granted = None
        if admitted.asks_for_network:
            params = {"command": request.command, "args": request.args, "network": request.network}
            granted = await self._gate.check(caller, NETWORK, params, grant, subject=f"spawn:{request.name}")
        record = new_record(request, admitted, caller.id)
        spawn_id = record.spawn_id
        runs_at_once = self.queue.take(spawn_id)
        if runs_at_once:  # then it is written down as running, with one transaction less
            now = {"status": StatusEnum.RUNNING, "started_at": utc_now(), "protections": admitted.protections}
            record = record.model_copy(update=now)
            self._expect(spawn_id)
        else:
            self.queue.reserve()
        is_kept = False
        try:
            async with self._db.write() as session:
                earlier = await once.earlier(session)
                if earlier is not None and earlier.resource_id is not None:  # the same came twice at once
                    return earlier.resource_id
                await halt.refuse_if_halted(session)
                await self._gate.use(session, granted)
                await repository.add(session, record, request)
                await once.claim(session, spawn_id)
                await record_accepted(self._trail, session, record, admitted)
            is_kept = True
        finally:
            if not is_kept and runs_at_once:
                self._over(spawn_id)
                self._tell(spawn_id)
                self.queue.leave(spawn_id)
            elif not is_kept:
                self.queue.give_back()
        if not runs_at_once:
            self._enqueue(spawn_id, record.priority.rank, record.queued_at, is_reserved=True)
            return spawn_id
        at_once = _AtOnce(record, admitted, asyncio.get_running_loop().create_future())

        async def start(place: int) -> bool:
            turn = Turn(request, caller.id, record.attempt)
            await self._see_through(spawn_id, turn, place, at_once)
            return True

        if not self.queue.go(spawn_id, start):  # we are about to end; the next start gives it another turn
            self._over(spawn_id)
            at_once.ended.set_result(None)
        return at_once

    def _enqueue(self, spawn_id: str, priority: int, since: Any, *, is_reserved: bool = False) -> None:
        async def start(place: int) -> bool:
            return await self._work(spawn_id, place)

        self.queue.put(spawn_id, start, priority=priority, since=since, is_reserved=is_reserved)

    # --- working on them --------------------------------------------------------------------------------------------

    def _expect(self, spawn_id: str) -> None:
        """It runs now: from here on a kill or a halt reaches it. To be followed by `_over`."""
        self.runs.expect(spawn_id)
        self._working.add(spawn_id)

    def _over(self, spawn_id: str) -> None:
        self._working.discard(spawn_id)
        self.runs.over(spawn_id)

    async def _work(self, spawn_id: str, place: int) -> bool:
        """One attempt at a job whose turn it is; False when the fleet is halted, and it waits on."""
        self._expect(spawn_id)
        turn: Turn | None = None
        try:
            async with self._db.write() as session:
                if await halt.is_halted(session):  # before anybody told us
                    self.queue.pause()
                    return False
                turn = await repository.begin(session, spawn_id, utc_now(), self._protections)
        except Exception:  # as in `_see_through`
            log.exception("job_broke", spawn_id=spawn_id)
            await self.apart(self.close_job(spawn_id, broken()))
        finally:
            if turn is None:
                self._over(spawn_id)
                self._tell(spawn_id)
        if turn is not None:
            await self._see_through(spawn_id, turn, place)
        return True

    async def _see_through(self, spawn_id: str, turn: Turn, place: int, at_once: "_AtOnce | None" = None) -> None:
        """Run a job that is written down as running, and write down how it went."""
        self._changed.ring(spawn_id)
        record: SpawnRecord | None = None
        try:
            started = time.monotonic()
            ended = await self._attempt(spawn_id, turn, place, at_once.admitted if at_once else None)
            self.queue.took(time.monotonic() - started)
            may_run_again = ended.may_run_again and turn.attempt <= turn.request.retries
            if not (may_run_again and await self._again(spawn_id, turn.attempt, ended)):
                expires_at = await self.apart(self.close_job(spawn_id, ended, asked=turn.request))
                if at_once is not None and expires_at is not None:
                    record = repository.ended_record(at_once.record, ended, expires_at)
        except Exception:  # the top of this job's own work: whatever happens, its record gets an end
            log.exception("job_broke", spawn_id=spawn_id)
            await self.apart(self.close_job(spawn_id, broken()))
        finally:
            self._over(spawn_id)
            self._tell(spawn_id)
            if at_once is not None:
                at_once.ended.set_result(record)

    async def _attempt(self, spawn_id: str, turn: Turn, place: int, admitted: Admitted | None) -> Ended:
        """`admitted`: what was found a moment ago; who has waited is looked at anew."""
        try:
            admitted = admitted or self.admission.admit(turn.request, turn.caller)
        except FleetError as refusal:  # the machine has changed while it waited
            return never_started(refusal.detail)
        return await self.runs.run(spawn_id, turn.request, admitted, place)

    async def _again(self, spawn_id: str, attempt: int, ended: Ended) -> bool:
        """Let a job wait for another attempt; False when it was ended meanwhile."""
        detail = f"attempt {attempt} was {ended.reason}: {ended.detail}"
        async with self._db.write() as session:
            if not await repository.again(session, spawn_id, attempt + 1, detail):
                return False
            record = await repository.record(session, spawn_id)
        assert record is not None
        await asyncio.to_thread(self.runs.folders.remove, spawn_id)
        log.info("job_runs_again", spawn_id=spawn_id, attempt=record.attempt, why=detail)
        asyncio.get_running_loop().call_later(
            policy.retry_delay(attempt), self._enqueue, spawn_id, record.priority.rank, record.queued_at
        )
        return True

    async def close_job(
        self, spawn_id: str, ended: Ended, also: AlsoWrite | None = None, *, asked: SpawnRequest | None = None
    ) -> datetime | None:
        """Write down how a job went, and do not give up on that: nobody else knows. `also` writes in the same transaction.

        When its folder goes; None when it had ended before.
        """
        samples = self.runs.take_samples()
        failures = 0
        while True:
            try:
                if also is None:
                    expires_at = await self._endings.write(spawn_id, ended, asked, samples)
                    break
                async with self._db.write() as session:
                    expires_at = await repository.end(session, spawn_id, ended, asked=asked)
                    if samples:
                        await repository.add_samples(session, samples)
                    record = await repository.record(session, spawn_id)
                    if record is not None:
                        await also(session, record)
                break
            except (StorageFull, OperationalError) as error:
                failures += 1
                log.error("end_not_written", spawn_id=spawn_id, error=repr(error))
                await asyncio.sleep(policy.retry_delay(failures))
        if expires_at is not None:
            self._keeper.add(expires_at, spawn_id)
        self._tell(spawn_id)
        return expires_at

    def _tell(self, spawn_id: str) -> None:
        self._changed.ring(spawn_id)
        self._ended.ring(spawn_id)

    async def recover(self) -> None:
        """See to what an earlier spawner left open: what ran is lost, and runs again where its caller wanted that; what waited waits on.

        Jobs of daughters are closed; whether they run again is decided where their leases are.
        """
        async with self._db.read() as session:
            self.halt_state = await halt.state(session)
            rows = await repository.open_jobs(session)
        if self.halt_state.halted:
            self.queue.pause()
        for row in rows:
            if row.status == StatusEnum.PENDING and row.daughter_task_id is None:
                self._enqueue(row.id, row.priority, row.queued_at)
                continue
            if await self._never_began(row):
                # It was let in and given its place at once, but nothing of it ever ran: it waits for another.
                async with self._db.write() as session:
                    await repository.again(session, row.id, row.attempt, NOT_BEGUN)
                self._enqueue(row.id, row.priority, row.queued_at)
                continue
            await asyncio.to_thread(kill_leftovers, row, self.runs.job_uids)
            ended = await asyncio.to_thread(lost, row, self.runs.folders)
            retries = int(row.request.get("retries", 0)) if row.daughter_task_id is None else 0
            log.warning("job_lost", spawn_id=row.id, attempt=row.attempt, retries=retries)
            if not (row.attempt <= retries and await self._again(row.id, row.attempt, ended)):
                await asyncio.to_thread(self.runs.folders.seal, row.id)
                await self.close_job(row.id, ended)

    async def close(self) -> None:
        """Stop all work; jobs that run end with us, and their rows say so."""
        await self.queue.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with self._db.read() as session:
            running = [row for row in await repository.open_jobs(session) if row.status == StatusEnum.RUNNING]
        for row in running:
            if row.daughter_task_id is None and row.attempt <= int(row.request.get("retries", 0)):
                continue  # the next start sees to it
            if await self._never_began(row):
                continue
            await self.close_job(row.id, await asyncio.to_thread(lost, row, self.runs.folders))

    async def _never_began(self, row: SpawnRow) -> bool:
        """Whether a direct job that is written down as running was never started."""
        if row.daughter_task_id is not None or row.marker is not None:
            return False
        return not await asyncio.to_thread(self.runs.folders.has_begun, row.id)

    # --- telling about them -----------------------------------------------------------------------------------------

    async def record(self, spawn_id: str, caller: Caller) -> SpawnRecord:
        """Raises SpawnNotFound, also for another caller's."""
        async with self._db.read() as session:
            found = await repository.record(session, spawn_id)
        if found is None or not may_see(caller, found.caller):
            raise SpawnNotFound(f"no job {spawn_id}")
        return found

    async def page(
        self,
        query: PageQuery,
        asker: Caller,
        *,
        statuses: list[StatusEnum],
        name: str | None,
        caller: str | None,
        daughter_task_id: str | None,
    ) -> Page[SpawnSummary]:
        """Newest first; of those that the asker may see."""
        if not sees_all(asker):
            if caller not in (None, asker.id):
                return Page[SpawnSummary](items=[])
            caller = asker.id
        async with self._db.read() as session:
            found = await repository.page(
                session, query, statuses=statuses, name=name, caller=caller, daughter_task_id=daughter_task_id
            )
        return page_of(found, query, cursor="spawn_id")

    async def samples(self, spawn_id: str, query: PageQuery, caller: Caller) -> Page[RuntimeSample]:
        """What a job used while it ran, oldest first. Raises SpawnNotFound."""
        await self.record(spawn_id, caller)
        if query.cursor is not None and not query.cursor.isdecimal():
            raise InvalidRequest("cursor: this is not the next_cursor of a page before")
        async with self._db.read() as session:
            found = await repository.samples(session, spawn_id, query)
        shown = found[: query.limit]
        next_cursor = str(shown[-1][0]) if len(found) > query.limit else None
        return Page[RuntimeSample](items=[one for _, one in shown], next_cursor=next_cursor)

    async def logs(self, spawn_id: str, caller: Caller, offsets: dict[Stream, int], limit_bytes: int) -> Logs:
        """Both streams from their offsets on. Raises SpawnNotFound, and LogsGone when they were removed."""
        state = await self._visible(spawn_id, caller)
        if state.is_removed:
            raise LogsGone(f"the output of {spawn_id} was removed when its time was over")
        is_final = StatusEnum(state.status).is_final
        chunks = {}
        for stream in STREAMS:
            piece = await self._piece(spawn_id, stream, offsets[stream], limit_bytes, is_final=is_final)
            chunks[stream] = LogChunk(
                spawn_id=spawn_id,
                stream=stream,
                offset=piece.offset,
                text=piece.text,
                next_offset=piece.next_offset,
                total_bytes=piece.kept_bytes,
                is_complete=is_final and piece.next_offset >= piece.kept_bytes,
            )
        return Logs(spawn_id=spawn_id, stdout=chunks["stdout"], stderr=chunks["stderr"])

    async def events(self, spawn_id: str, caller: Caller, last_event_id: int) -> AsyncIterator[Event]:
        """What a job writes and where it stands, up to its end.

        An event's id holds how far both streams were told; who comes back with it is told the rest. Raises SpawnNotFound.
        """
        told: dict[Stream, int] = {
            "stdout": last_event_id >> OFFSET_BITS,
            "stderr": last_event_id & ((1 << OFFSET_BITS) - 1),
        }
        status: StatusEnum | None = None
        attempt: int | None = None
        while True:
            bell = self._changed.of(spawn_id)  # before looking: no change may slip between
            state = await self._visible(spawn_id, caller)
            is_final = StatusEnum(state.status).is_final
            if attempt is not None and state.attempt != attempt:
                told = {"stdout": 0, "stderr": 0}  # it begins anew, with empty streams
            attempt = state.attempt
            if state.status != status and not is_final:
                status = StatusEnum(state.status)
                yield await self._status_event(spawn_id, caller, told)
            has_more = False
            for stream in STREAMS:
                piece = await self._piece(spawn_id, stream, told[stream], EVENT_BYTES, is_final=is_final)
                told[stream] = piece.next_offset
                has_more = has_more or (bool(piece.text) and piece.next_offset < piece.kept_bytes)
                if piece.text:
                    yield Event(_event_id(told), stream, {"offset": piece.offset, "text": piece.text})
            if has_more:
                continue
            if is_final:
                yield await self._status_event(spawn_id, caller, told)
                self._changed.forget(spawn_id)
                return
            await bell.wait()

    async def artifact(self, spawn_id: str, path: str, caller: Caller) -> tuple[Artifact, int]:
        """One of the files a job left, and a descriptor of it. Raises SpawnNotFound, ArtifactNotFound."""
        record = await self.record(spawn_id, caller)
        found = next((one for one in record.artifacts if one.path == path), None)
        if found is None:
            raise ArtifactNotFound(f"job {spawn_id} left no artifact {path!r}")
        descriptor = await asyncio.to_thread(open_regular, self.runs.folders.job(spawn_id), path)
        if os.fstat(descriptor).st_size != found.size_bytes:
            os.close(descriptor)
            raise ArtifactNotFound(f"the artifact {path!r} of job {spawn_id} is not what it was any more")
        return found, descriptor

    # --- ending them ------------------------------------------------------------------------------------------------

    async def kill(self, spawn_id: str, caller: Caller) -> SpawnRecord:
        """End a job and all its processes; one that has ended stays as it is. Raises SpawnNotFound."""
        record = await self.record(spawn_id, caller)
        if record.status.is_final:
            return record
        async with self._db.write() as session:
            details = {"name": record.name, "status": record.status, "owner": record.caller}
            await self._trail.record(session, "spawn_killed", f"spawn:{spawn_id}", caller.id, **details)
        await self.apart(self._end_now(spawn_id, f"killed by {caller.id}"))
        return await self.record(spawn_id, caller)

    async def _end_now(self, spawn_id: str, why: str) -> None:
        """Returns when the job has ended, or after some time that should have been enough."""
        deadline = time.monotonic() + KILL_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            bell = self._ended.of(spawn_id)
            async with self._db.read() as session:
                state = await repository.state(session, spawn_id)
            if state is None or StatusEnum(state.status).is_final:
                return  # also while its run, which has told of the end, is not yet out of the way
            if not self.runs.kill(spawn_id, why):
                async with self._db.write() as session:
                    ended = killed_in_the_queue(why)
                    expires_at = await repository.end(session, spawn_id, ended, only_waiting=True)
                    state = await repository.state(session, spawn_id)
                if expires_at is not None:
                    self.queue.remove(spawn_id)
                    self._keeper.add(expires_at, spawn_id)
                    self._tell(spawn_id)
                if state is None or StatusEnum(state.status).is_final:
                    return
                continue  # its turn came in this moment: now it can be reached
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await bell.wait()
            except TimeoutError:
                log.error("kill_takes_long", spawn_id=spawn_id)

    # --- while the fleet is halted ----------------------------------------------------------------------------------

    async def halt(self) -> None:
        """End every direct job that runs, for good; those that wait keep their turn until the resume. Returns when they have ended, or
        after some time that should have been enough."""
        bells = [self._ended.of(spawn_id) for spawn_id in self._stop()]
        async with self._db.read() as session:
            self.halt_state = await halt.state(session)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HALT_PATIENCE_SECONDS):
                await asyncio.gather(*(bell.wait() for bell in bells))

    def heed(self, state: HaltState) -> None:
        """Do as madre's row says, whether or not we were told: stop, or go on with what has waited."""
        self.halt_state = state
        if state.halted:
            self._stop()
        elif self.queue.is_paused:
            self.queue.go_on()
            log.info("jobs_go_on")

    def _stop(self) -> list[str]:
        """Start nothing more, and end the direct jobs that run: which those are."""
        self.queue.pause()
        running = list(self._working)
        for spawn_id in running:
            self.runs.kill(spawn_id, halt.WHY)
        if running:
            log.info("jobs_halted", jobs=len(running))
        return running

    # --- small steps ------------------------------------------------------------------------------------------------

    async def _finished(self, spawn_id: str, wait_seconds: float) -> SpawnRecord:
        """The job when it has ended, or as it is after that time."""
        deadline = time.monotonic() + wait_seconds
        while (left := deadline - time.monotonic()) > 0:
            bell = self._ended.of(spawn_id)
            async with self._db.read() as session:
                state = await repository.state(session, spawn_id)
            if state is None or StatusEnum(state.status).is_final:
                self._ended.forget(spawn_id)
                break
            try:
                async with asyncio.timeout(left):
                    await bell.wait()
            except TimeoutError:
                break
        async with self._db.read() as session:
            found = await repository.record(session, spawn_id)
        if found is None:
            raise SpawnNotFound(f"no job {spawn_id}")
        return found

    async def _visible(self, spawn_id: str, caller: Caller) -> Any:
        async with self._db.read() as session:
            state = await repository.state(session, spawn_id)
        if state is None or not may_see(caller, state.caller):
            raise SpawnNotFound(f"no job {spawn_id}")
        return state

    async def _piece(self, spawn_id: str, stream: Stream, offset: int, most_bytes: int, *, is_final: bool) -> Piece:
        spool = self.runs.folders.spool(spawn_id)
        return await asyncio.to_thread(read_piece, spool, stream, offset, most_bytes, is_final=is_final)

    async def _status_event(self, spawn_id: str, caller: Caller, told: dict[Stream, int]) -> Event:
        record = await self.record(spawn_id, caller)
        return Event(_event_id(told), "status", record.model_dump(mode="json"))

    async def apart(self, work: Awaitable[Reply]) -> Reply:
        """The result of `work`, which goes on when whoever waits for it is gone."""
        task: asyncio.Task[Reply] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)


def new_record(request: SpawnRequest, admitted: Admitted, caller: str) -> SpawnRecord:
    """A job that has been let in."""
    return SpawnRecord(
        spawn_id=new_id("spawn"),
        name=request.name,
        status=StatusEnum.PENDING,
        command=request.command,
        args=request.args,
        queued_at=utc_now(),
        limits=admitted.limits,
        network="full" if admitted.has_network else "none",
        priority=request.priority,
        caller=caller,
    )


async def record_accepted(trail: Trail, session: Any, record: SpawnRecord, admitted: Admitted) -> None:
    """Audit rows for a job that was let in, and for its network."""
    subject, program = f"spawn:{record.spawn_id}", str(admitted.command)
    details: dict[str, Any] = {"name": record.name, "program": program, "args": record.args, "network": record.network}
    details["daughter_task_id"] = record.daughter_task_id
    await trail.record(session, "spawn_accepted", subject, record.caller, **details)
    if admitted.has_network:
        by = "request" if admitted.asks_for_network else "profile"
        await trail.record(session, "network_allowed", subject, record.caller, program=program, by=by)


def sees_all(caller: Caller) -> bool:
    return caller.is_service or "*" in caller.scopes


def may_see(caller: Caller, owner: str) -> bool:
    return caller.id == owner or sees_all(caller)


def _event_id(told: dict[Stream, int]) -> str:
    return str((told["stdout"] << OFFSET_BITS) + told["stderr"])
