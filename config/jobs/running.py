"""What a service does over a longer time.

The row in the database decides what became of a job: ending one is a single change of an unfinished row, so a cancellation and a
finish that meet cannot both win. What a kind of job does is handed in (`offer`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.clock import new_id, utc_now
from config.contracts.common import Job, Page, StatusEnum
from config.database import Database
from config.db_schema import JobRow
from config.errors import FleetError, JobNotFound
from config.halt import refuse_if_halted
from config.idempotency import Idempotency
from config.jobs.following import Following
from config.jobs.table import JobTable
from config.pages import PageQuery, page_of
from config.sse import Event

log = structlog.get_logger()


class JobEnded(Exception):
    """The job was ended by somebody else while we worked on it."""


@dataclass
class Assignment:
    """A job as whoever works on it sees it. `state` is what a restart finds again."""

    job_id: str
    request: dict[str, Any]
    state: dict[str, Any]
    caller: str
    _jobs: "Jobs" = field(repr=False)
    is_finished: bool = False

    async def begin(self) -> None:
        """Its turn has come: it runs. Only for kinds that wait for their turn themselves (`at_once=None`). Raises JobEnded."""
        await self._jobs.change(self.job_id, status=StatusEnum.RUNNING, started_at=utc_now())

    def moved(self, done_bytes: int, total_bytes: int) -> None:
        """So many bytes are done; whoever follows the job is told."""
        self._jobs.following.show(
            self.job_id, done_bytes / total_bytes if total_bytes else 0.0, done_bytes, total_bytes
        )

    def progressed(self, part: float) -> None:
        """So much of it is done, from 0 to 1; whoever follows the job is told."""
        self._jobs.following.show(self.job_id, part, None, None)

    def say(self, detail: str) -> None:
        """What it waits for now, for people; empty when it goes on."""
        self._jobs.following.show_detail(self.job_id, detail)

    async def keep(self, **state: Any) -> None:
        """Add to the state, so that a restart finds it. Raises JobEnded."""
        self.state = self.state | state
        await self._jobs.change(self.job_id, state=self.state)

    async def settle(self) -> None:
        """From here to its end, which is near, the job cannot be cancelled: a cancellation waits. Raises JobEnded."""
        await self._jobs.settle(self.job_id)

    async def finish(self, session: AsyncSession, result: dict[str, Any]) -> None:
        """End the job in the transaction that makes what it made visible: both happen, or neither. Raises JobEnded."""
        await self._jobs.finish(session, self.job_id, result)
        self.is_finished = True


Work = Callable[[Assignment], Awaitable[dict[str, Any]]]
"""Does a job and returns its result. May be cancelled at any await before it has settled, and is begun anew after a kill."""
CleanUp = Callable[[dict[str, Any]], Awaitable[None]]
"""Removes what a cancelled job leaves; is given its state."""
Resolve = Callable[[AsyncSession], Awaitable[dict[str, Any]]]
"""Gives a new job's state, in the transaction that makes the job: what it names cannot go before the job is there."""


@dataclass(frozen=True)
class _Kind:
    work: Work
    places: asyncio.Semaphore | None
    clean_up: CleanUp | None


class Jobs:
    """The jobs of one service."""

    def __init__(self, service: str, db: Database, row: type[JobRow]) -> None:
        self._service, self._db, self._table = service, db, JobTable(row)
        self.following = Following()
        self._kinds: dict[str, _Kind] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._settling: set[str] = set()
        self._cleaning: dict[str, list[asyncio.Event]] = {}

    def offer(self, kind: str, work: Work, *, at_once: int | None = 1, clean_up: CleanUp | None = None) -> None:
        """Say who does the jobs of a kind, and how many of them at the same time. Before `resume`.

        With `at_once=None` the work waits for its turn itself, and awaits `Assignment.begin` when it has come.
        """
        self._kinds[kind] = _Kind(work, None if at_once is None else asyncio.Semaphore(at_once), clean_up)

    async def resume(self) -> None:
        """Start again what a stop or a kill of the service cut off."""
        async with self._db.write() as session:
            unfinished = await self._table.restart_unfinished(session)
        for job_id in unfinished:
            log.info("job_taken_up_again", job_id=job_id)
            self._start(job_id)

    async def close(self) -> None:
        """Stop working, without ending the jobs: the next start takes them up."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def order(
        self,
        kind: str,
        request: dict[str, Any],
        caller: Caller,
        key: str | None,
        *,
        state: dict[str, Any] | Resolve | None = None,
        subject: str | None = None,
        result: dict[str, Any] | None = None,
        also: Callable[[AsyncSession], Awaitable[None]] | None = None,
    ) -> Job:
        """A new job, or the one that this key stands for already.

        With a `subject`, an unfinished job of the same kind and subject is the answer: the same work is not done twice at once.
        With a `result` there is nothing left to do, and the job is DONE as it begins. `also` is done in the transaction that makes a new
        job. Raises IdempotencyConflict, what `state` and `also` raise, and FleetHalted where there is work to be done and the fleet
        stands still.
        """
        once = Idempotency.of(self._service, caller.id, key, kind, request)
        async with self._db.write(durable=also is not None) as session:
            known = await self._earlier(session, once)
            if known is not None:
                return known
            if subject is not None:
                states = await self._table.unfinished_states(session, kind)
                same = next((job_id for job_id, its in states.items() if its.get("subject") == subject), None)
                if same is not None and (found := await self._table.job(session, same)) is not None:
                    await once.claim(session, same)
                    return self.following.as_shown(found)
            if result is None:
                await refuse_if_halted(session)
            if also is not None:
                await also(session)
            resolved = await state(session) if callable(state) else state or {}
            job = _new_job(kind, result)
            await self._table.add(session, job, request, resolved | {"subject": subject}, caller.id)
            await once.claim(session, job.job_id)
        if not job.status.is_final:
            self._start(job.job_id)
        return job

    async def earlier(self, kind: str, request: dict[str, Any], caller: Caller, key: str | None) -> Job | None:
        """The job that this key stands for already, before anybody is asked anything. Raises IdempotencyConflict."""
        async with self._db.read() as session:
            return await self._earlier(session, Idempotency.of(self._service, caller.id, key, kind, request))

    async def job(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        async with self._db.read() as session:
            found = await self._table.job(session, job_id)
        if found is None:
            raise JobNotFound(f"no job {job_id}")
        return self.following.as_shown(found)

    async def page(self, query: PageQuery, *, statuses: list[StatusEnum], kind: str | None) -> Page[Job]:
        async with self._db.read() as session:
            found = await self._table.page(session, query, statuses=statuses, kind=kind)
        return page_of([self.following.as_shown(job) for job in found], query, cursor="job_id")

    async def states(self, kind: str) -> list[dict[str, Any]]:
        """The states of the unfinished jobs of a kind."""
        async with self._db.read() as session:
            return list((await self._table.unfinished_states(session, kind)).values())

    async def last_done(self, kind: str) -> Job | None:
        """The newest job of a kind that came to a good end."""
        async with self._db.read() as session:
            return await self._table.last_done(session, kind)

    async def forget_older(self, kind: str, *, keep: int) -> None:
        """Remove the ended jobs of a kind but for the newest `keep`, and the last one that came to a good end."""
        async with self._db.write() as session:
            await self._table.forget_older(session, kind, keep=keep)

    async def finished(self, job_id: str, within_seconds: float | None = None) -> Job:
        """The job when it has ended, or as it stands when the time is over. Raises JobNotFound."""
        if (task := self._running.get(job_id)) is not None:
            await asyncio.wait([task], timeout=within_seconds)
        return await self.job(job_id)

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; a job that has ended stays as it is, and one that has settled comes to its end. Raises JobNotFound."""
        async with self._db.read() as session:
            if await self._table.job(session, job_id) is None:
                raise JobNotFound(f"no job {job_id}")
            kind, _, state, _ = await self._table.order(session, job_id)
        with self._cleaning_of(state.get("subject")):
            async with self._db.write() as session:
                is_cancelled = job_id not in self._settling and await self._table.change(
                    session, job_id, status=StatusEnum.CANCELLED
                )
            task = self._running.get(job_id)
            if task is not None:
                if is_cancelled:
                    task.cancel()
                await asyncio.wait([task])
            if is_cancelled and (clean_up := self._kinds[kind].clean_up) is not None:
                await clean_up(state)
        self.following.tell(job_id)
        return await self.job(job_id)

    def events(self, job_id: str, last_event_id: int) -> AsyncIterator[Event]:
        """The job's states from now on, up to its end. Raises JobNotFound."""
        return self.following.events(job_id, last_event_id, self.job)

    # --- for the one who works on it -------------------------------------------------------------------------------

    async def change(self, job_id: str, **values: Any) -> None:
        """Raises JobEnded."""
        async with self._db.write() as session:
            if not await self._table.change(session, job_id, **values):
                raise JobEnded
        self.following.tell(job_id)

    async def finish(self, session: AsyncSession, job_id: str, result: dict[str, Any]) -> None:
        """Raises JobEnded."""
        values = {"progress": 1.0, "result": result, **self.following.bytes_of(job_id)}
        if not await self._table.change(session, job_id, status=StatusEnum.DONE, **values):
            raise JobEnded

    async def settle(self, job_id: str) -> None:
        """Raises JobEnded."""
        async with self._db.write() as session:  # the same single writer as `cancel`: one of the two is first
            found = await self._table.job(session, job_id)
            if found is None or found.status.is_final:
                raise JobEnded
            self._settling.add(job_id)

    # --- how it is done --------------------------------------------------------------------------------------------

    async def _earlier(self, session: AsyncSession, once: Idempotency) -> Job | None:
        earlier = await once.earlier(session)
        if earlier is None or earlier.resource_id is None:
            return None
        found = await self._table.job(session, earlier.resource_id)
        return self.following.as_shown(found) if found else None

    def _start(self, job_id: str) -> None:
        task = asyncio.create_task(self._run(job_id), name=job_id)
        self._running[job_id] = task
        task.add_done_callback(lambda _task: self._forget(job_id))

    def _forget(self, job_id: str) -> None:
        self._running.pop(job_id, None)
        self._settling.discard(job_id)
        self.following.forget(job_id)

    async def _run(self, job_id: str) -> None:
        """Top of a job's own task: whatever happens, the job gets an end that its owner can read."""
        try:
            await self._work(job_id)
        except JobEnded:
            log.info("job_ended_elsewhere", job_id=job_id)
        except FleetError as error:
            log.warning("job_failed", job_id=job_id, code=error.code, detail=error.detail)
            await self._fail(job_id, f"{error.code}: {error.detail}")
        except Exception:
            log.exception("job_broke", job_id=job_id)
            await self._fail(
                job_id, f"internal: an unexpected error; the log of {self._service} has it under this job's id"
            )

    async def _work(self, job_id: str) -> None:
        async with self._db.read() as session:
            kind, request, state, caller = await self._table.order(session, job_id)
        doer = self._kinds[kind]
        while (under_way := self._cleaning.get(str(state.get("subject")))) is not None:
            await under_way[0].wait()
        assignment = Assignment(job_id, request, state, caller, self)
        async with doer.places or nullcontext():
            if doer.places is not None:
                await assignment.begin()
            result = await doer.work(assignment)
            if not assignment.is_finished:
                async with self._db.write() as session:
                    await self.finish(session, job_id, result)

    async def _fail(self, job_id: str, error: str) -> None:
        values = {"progress": self.following.progress_of(job_id), **self.following.bytes_of(job_id)}
        async with self._db.write() as session:
            await self._table.change(session, job_id, status=StatusEnum.ERROR, error=error, **values)

    @contextmanager
    def _cleaning_of(self, subject: str | None) -> Iterator[None]:
        """Until it is over, no job begins the same work again: its beginning would be swept away with the end of the old one."""
        done = asyncio.Event()
        if subject is not None:
            self._cleaning.setdefault(subject, []).append(done)
        try:
            yield
        finally:
            done.set()
            if subject is not None:
                self._cleaning[subject].remove(done)
                if not self._cleaning[subject]:
                    del self._cleaning[subject]


def _new_job(kind: str, result: dict[str, Any] | None) -> Job:
    now = utc_now()
    if result is None:
        return Job(job_id=new_id("job"), kind=kind, status=StatusEnum.PENDING, created_at=now)
    return Job(
        job_id=new_id("job"),
        kind=kind,
        status=StatusEnum.DONE,
        progress=1.0,
        result=result,
        created_at=now,
        started_at=now,
        finished_at=now,
    )
