"""Long work: accepted, waiting, running, ended; followed, cancelled, and taken up again after a kill.

The row in the database decides what became of a job: ending one is a single change of an unfinished row, so a cancellation and a
finish that meet cannot both win. What a job makes becomes visible in that same transaction.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import structlog

from config.auth import Caller
from config.clock import new_id, utc_now
from config.contracts.common import Job, Page, StatusEnum
from config.contracts.shub import Asset, MixedStem, MixRequest, MixResult
from config.database import Database
from config.errors import FleetError
from config.idempotency import Idempotency
from config.pages import PageQuery, page_of
from config.sse import Event
from shub import policy, repository
from shub.errors import AssetNotFound, JobNotFound
from shub.store import Store
from shub.work import Work

MIX = "mix"
_FINAL_EVENT = 10_000

log = structlog.get_logger()


class _Ended(Exception):
    """The job was ended by somebody else while we worked on it."""


class Jobs:
    """What shub does over a longer time."""

    def __init__(self, db: Database, store: Store, work: Work) -> None:
        self._db, self._store, self._work = db, store, work
        self._running: dict[str, asyncio.Task[None]] = {}
        self._progress: dict[str, float] = {}
        self._changed: dict[str, asyncio.Event] = {}

    @property
    def count(self) -> int:
        return len(self._running)

    async def resume(self) -> None:
        """Start again what a stop or a kill of the service cut off."""
        async with self._db.write() as session:
            unfinished = await repository.restart_unfinished(session)
        for job_id in unfinished:
            log.info("job_taken_up_again", job_id=job_id)
            self._start(job_id)

    async def close(self) -> None:
        """Stop working, without ending the jobs: the next start takes them up."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def order_mix(self, request: MixRequest, caller: Caller, key: str | None) -> Job:
        """A new job for this mix, or the one that this key stands for already.

        Raises AssetNotFound, InvalidRequest, IdempotencyConflict.
        """
        policy.refuse_impossible(request)
        once = Idempotency.of("shub", caller.id, key, MIX, request.model_dump(mode="json"))
        job = Job(job_id=new_id("job"), kind=MIX, status=StatusEnum.PENDING, created_at=utc_now())
        async with self._db.write() as session:
            earlier = await once.earlier(session)
            if earlier is not None and earlier.resource_id is not None:
                known = await repository.job(session, earlier.resource_id)
                if known is not None:
                    return self._with_progress(known)
            found = [await repository.asset(session, stem.asset_id) for stem in request.stems]
            missing = [stem.asset_id for stem, asset in zip(request.stems, found, strict=True) if asset is None]
            if missing:
                raise AssetNotFound(f"no audio file {', '.join(missing)}")
            order = _order_of(request, [asset for asset in found if asset is not None])
            await repository.add_job(session, job, order, caller.id)
            await once.claim(session, job.job_id)
        self._start(job.job_id)
        return job

    async def job(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        async with self._db.read() as session:
            found = await repository.job(session, job_id)
        if found is None:
            raise JobNotFound(f"no job {job_id}")
        return self._with_progress(found)

    async def page(self, query: PageQuery, *, statuses: list[StatusEnum], kind: str | None) -> Page[Job]:
        async with self._db.read() as session:
            found = await repository.jobs(session, query, statuses=statuses, kind=kind)
        return page_of([self._with_progress(job) for job in found], query, cursor="job_id")

    async def cancel(self, job_id: str) -> Job:
        """Stop a job and the process that works on it; a job that has ended stays as it is. Raises JobNotFound."""
        async with self._db.write() as session:
            if await repository.job(session, job_id) is None:
                raise JobNotFound(f"no job {job_id}")
            is_cancelled = await repository.change_job(session, job_id, status=StatusEnum.CANCELLED)
        task = self._running.get(job_id)
        if is_cancelled and task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._tell(job_id)
        return await self.job(job_id)

    async def events(self, job_id: str, last_event_id: int) -> AsyncIterator[Event]:
        """The job's states from now on, up to its end.

        An event's id grows with the job's progress and is largest at its end: a client that comes back with the last one it saw is told
        every later state that still matters. Raises JobNotFound.
        """
        seen = last_event_id
        while True:
            changed = self._changed.setdefault(job_id, asyncio.Event())  # before looking: no change may slip between
            job = await self.job(job_id)
            number = _event_number(job)
            if number > seen:
                seen = number
                yield Event(str(number), job.status.lower(), job.model_dump(mode="json"))
            if job.status.is_final:
                self._tell(job_id)  # others who follow it may wait for the same word
                return
            await changed.wait()

    def _start(self, job_id: str) -> None:
        task = asyncio.create_task(self._run(job_id), name=job_id)
        self._running[job_id] = task
        task.add_done_callback(lambda _task: self._forget(job_id))

    def _forget(self, job_id: str) -> None:
        self._running.pop(job_id, None)
        self._progress.pop(job_id, None)
        self._tell(job_id)

    def _tell(self, job_id: str) -> None:
        if changed := self._changed.pop(job_id, None):
            changed.set()

    async def _run(self, job_id: str) -> None:
        """Top of a job's own task: whatever happens, the job gets an end that its owner can read."""
        try:
            await self._make(job_id)
        except _Ended:
            log.info("job_ended_elsewhere", job_id=job_id)
        except FleetError as error:
            log.warning("job_failed", job_id=job_id, code=error.code, detail=error.detail)
            await self._fail(job_id, f"{error.code}: {error.detail}")
        except Exception:
            log.exception("job_broke", job_id=job_id)
            await self._fail(job_id, "internal: an unexpected error; the log of shub has it under this job's id")

    async def _make(self, job_id: str) -> None:
        async with self._db.read() as session:
            order = await repository.job_request(session, job_id)
        target = self._store.new_path()

        async def on_start() -> None:
            await self._change(job_id, status=StatusEnum.RUNNING, started_at=utc_now())
            self._tell(job_id)

        def on_progress(part: float) -> None:
            self._progress[job_id] = part
            self._tell(job_id)

        try:
            mixed = await self._work.mix(order, target, on_start, on_progress)
            async with self._store.lock:
                await self._finish(job_id, order, mixed, await self._keep(target, mixed["sha256"]))
        finally:
            self._store.discard(target)

    async def _keep(self, target: Any, sha256: str) -> bool:
        """Put the finished file among the others; whether its content is new."""
        async with self._db.read() as session:
            is_new = await repository.asset_with(session, sha256) is None
        await self._store.keep(target, sha256)
        return is_new

    async def _finish(self, job_id: str, order: dict[str, Any], mixed: dict[str, Any], is_new: bool) -> None:
        """The end of the job and the file that it made, in one transaction. Raises _Ended when it was cancelled before."""
        try:
            async with self._db.write() as session:
                asset = await repository.asset_with(session, mixed["sha256"])
                if asset is None:
                    asset = _asset_of(job_id, order, mixed)
                    await repository.add_asset(session, asset, job_id)
                result = _result_of(order, mixed, asset).model_dump(mode="json")
                if not await repository.change_job(
                    session, job_id, status=StatusEnum.DONE, progress=1.0, result=result
                ):
                    raise _Ended
        except Exception:
            if is_new:  # nothing was committed; after a cancellation that may be unclear, and the next start sweeps
                await self._store.remove(mixed["sha256"])
            raise

    async def _fail(self, job_id: str, error: str) -> None:
        async with self._db.write() as session:
            await repository.change_job(session, job_id, status=StatusEnum.ERROR, error=error)

    async def _change(self, job_id: str, **values: Any) -> None:
        async with self._db.write() as session:
            if not await repository.change_job(session, job_id, **values):
                raise _Ended

    def _with_progress(self, job: Job) -> Job:
        if job.status is not StatusEnum.RUNNING:
            return job
        return job.model_copy(update={"progress": self._progress.get(job.job_id, 0.0)})


def _event_number(job: Job) -> int:
    if job.status.is_final:
        return _FINAL_EVENT
    return 1 if job.status is StatusEnum.PENDING else 2 + int(job.progress * 1000)


def _order_of(request: MixRequest, assets: list[Asset]) -> dict[str, Any]:
    """The whole order, with everything resolved: a restart, and whoever asks later, needs nothing else."""
    stems = []
    for stem, asset in zip(request.stems, assets, strict=True):
        role, source = policy.role_of(stem.role, asset.name)
        stems.append(
            {
                "asset_id": asset.asset_id,
                "sha256": asset.sha256,
                "name": asset.name,
                "role": role,
                "role_source": source,
                "target_lufs": policy.ROLE_LOUDNESS_LUFS[role],
                "gain_db": stem.gain_db,
                "pan": stem.pan,
            }
        )
    return {**request.model_dump(mode="json"), "name": policy.mix_name(request), "stems": stems}


def _asset_of(job_id: str, order: dict[str, Any], mixed: dict[str, Any]) -> Asset:
    inputs = [{name: stem[name] for name in ("asset_id", "sha256", "name")} for stem in order["stems"]]
    return Asset(
        asset_id=new_id("asset"),
        sha256=mixed["sha256"],
        name=order["name"],
        size_bytes=mixed["size_bytes"],
        format=order["format"],
        encoding=mixed["encoding"],
        duration_seconds=mixed["duration_seconds"],
        sample_rate_hz=mixed["sample_rate_hz"],
        channels=mixed["channels"],
        provenance={"made_by": MIX, "job_id": job_id, "inputs": inputs, "order": order, "versions": mixed["versions"]},
        created_at=utc_now(),
    )


def _result_of(order: dict[str, Any], mixed: dict[str, Any], asset: Asset) -> MixResult:
    stems = [
        MixedStem.model_validate({**stem, "integrated_lufs": one["integrated_lufs"], "gain_db": one["gain_db"]})
        for stem, one in zip(order["stems"], mixed["stems"], strict=True)
    ]
    return MixResult.model_validate(
        {
            **order,
            **mixed,
            **mixed["loudness"],
            "asset_id": asset.asset_id,
            "name": asset.name,
            "stems": stems,
            "warnings": policy.warnings_of(order, mixed),
        }
    )
