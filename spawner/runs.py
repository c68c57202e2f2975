"""Running one job: its folder, its inputs, the launcher, and then what it left."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from config.clients.shub import AssetNotFound
from config.contracts.spawner import Protections, Reason, RuntimeSample, SpawnRequest
from config.database import Database
from config.errors import FleetError
from config.settings import MIB
from spawner import repository
from spawner.admission import Admitted
from spawner.artifacts import Collector
from spawner.bells import Bells
from spawner.ended import Ended, killed_in_the_queue, never_started, status_of
from spawner.errors import InputRefused
from spawner.folders import Folders
from spawner.inputs import Assets, lay_out
from spawner.job import Job, Launcher, Marker, Outcome, Watcher
from spawner.slow_work import SlowWork
from spawner.spool import head

MARKED_AFTER_SECONDS = 0.25
"""A job that is over sooner need not be found again: its processes die with us."""
FLUSHED_AFTER_SECONDS = 2.0
READ_AT_ONCE_BYTES = 16 * 1024
"""Of output that was written a moment ago: to read it takes less than to have a thread do so."""

log = structlog.get_logger()


@dataclass
class _Run:
    """A job that runs, or is about to."""

    killed: str | None = None
    """Why it was ended on request."""
    preparing: asyncio.Future[None] | None = None
    has_begun: bool = False
    """Whether the launcher has it."""


@dataclass
class Runs:
    """The jobs that run here now."""

    db: Database
    launcher: Launcher
    folders: Folders
    assets: Assets
    collector: Collector
    slow: SlowWork
    changed: Bells
    job_uids: range | None
    """One per place in the queue; None where jobs run as we do."""
    _runs: dict[str, _Run] = field(default_factory=dict)
    _samples: list[tuple[str, RuntimeSample]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def protections(self) -> Protections:
        return self.launcher.protections

    def expect(self, spawn_id: str) -> None:
        """It will run now: from here on `kill` reaches it. To be followed by `over`."""
        self._runs[spawn_id] = _Run()

    def over(self, spawn_id: str) -> None:
        del self._runs[spawn_id]

    def kill(self, spawn_id: str, why: str) -> bool:
        """End a job that runs here; False when it does not. Its `run` returns soon, with reason `killed` and this detail."""
        run = self._runs.get(spawn_id)
        if run is None:
            return False
        run.killed = run.killed or why
        if run.preparing is not None:
            run.preparing.cancel()
        if run.has_begun:
            self.launcher.kill(spawn_id)
        return True

    async def run(self, spawn_id: str, request: SpawnRequest, admitted: Admitted, place: int) -> Ended:
        """Run a job that is expected to its end, whatever that is. Cancelling this kills the job and tells nothing about it."""
        run = self._runs[spawn_id]
        uid = self.job_uids[place] if self.job_uids is not None else None
        try:
            job = await self._prepared(spawn_id, request, admitted, uid, run)
            if job is None or run.killed is not None:
                return killed_in_the_queue(run.killed or "")
            outcome = await self._launched(job, run)
        except (InputRefused, AssetNotFound) as refusal:
            return never_started(refusal.detail)
        except FleetError as error:  # shub is not there, or has no room
            return never_started(f"an input cannot be had: {error.detail}", may_run_again=True)
        except OSError as error:
            log.warning("job_not_started", spawn_id=spawn_id, error=repr(error))
            return never_started(f"the machine cannot start it: {error}", may_run_again=True)
        if run.killed is not None and outcome.reason is Reason.KILLED:
            outcome = replace(outcome, detail=run.killed)
        if request.artifacts:
            return await self.slow.do(self._ended, outcome, job, request.artifacts, admitted)
        if outcome.stdout_bytes + outcome.stderr_bytes > READ_AT_ONCE_BYTES:
            return await asyncio.to_thread(self._ended, outcome, job, (), admitted)
        return self._ended(outcome, job, (), admitted)

    async def _prepared(
        self, spawn_id: str, request: SpawnRequest, admitted: Admitted, uid: int | None, run: _Run
    ) -> Job | None:
        """The job with its folder filled; None when it was killed before that was done."""
        loop = asyncio.get_running_loop()
        folder, spool = await loop.run_in_executor(None, self.folders.make, spawn_id, uid)
        if run.killed is not None:  # meanwhile, when there was nothing yet that a kill could end
            return None
        if request.files or admitted.copies is not None:
            most_bytes = admitted.limits.max_disk_mb * MIB
            run.preparing = asyncio.ensure_future(
                lay_out(
                    folder, request.files, admitted.copies, self.assets, uid=uid, most_bytes=most_bytes, slow=self.slow
                )
            )
            try:
                await asyncio.wait([run.preparing])
            except asyncio.CancelledError:
                run.preparing.cancel()
                raise
            prepared, run.preparing = run.preparing, None
            if prepared.cancelled():
                return None
            prepared.result()
        return Job(
            spawn_id=spawn_id,
            command=admitted.command,
            args=tuple(request.args),
            env=admitted.env,
            folder=folder,
            spool=spool,
            stdin=None if request.stdin is None else request.stdin.encode(),
            limits=admitted.limits,
            has_network=admitted.has_network,
            mounts=admitted.mounts,
            uid=uid,
        )

    async def _launched(self, job: Job, run: _Run) -> Outcome:
        loop = asyncio.get_running_loop()
        marking: asyncio.TimerHandle | None = None

        def started(marker: Marker) -> None:
            run.has_begun = True
            if run.killed is not None:  # asked for while it was being started
                self.launcher.kill(job.spawn_id)
            nonlocal marking
            marking = loop.call_later(MARKED_AFTER_SECONDS, mark, marker)

        def mark(marker: Marker) -> None:
            task = asyncio.create_task(self._mark(job.spawn_id, marker))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        def wrote() -> None:
            self.changed.ring(job.spawn_id)

        def sampled(sample: RuntimeSample) -> None:
            self._samples.append((job.spawn_id, sample))

        run.has_begun = True
        try:
            return await self.launcher.run(job, Watcher(started, wrote, sampled))
        finally:
            run.has_begun = False
            if marking is not None:
                marking.cancel()
            self.folders.seal(job.spawn_id)

    async def _mark(self, spawn_id: str, marker: Marker) -> None:
        run = self._runs.get(spawn_id)
        if run is not None and run.has_begun:
            async with self.db.write() as session:
                await repository.mark(session, spawn_id, marker.as_json())

    def _ended(self, outcome: Outcome, job: Job, globs: Sequence[str], admitted: Admitted) -> Ended:
        """Reads the output's beginning, and all of the artifacts: where that is much, it is for a thread."""
        if outcome.reason is Reason.REFUSED:
            return never_started(outcome.detail or "the machine cannot run jobs safely", may_run_again=True)
        found = self.collector.collect(job.folder, globs)
        return Ended(
            status=status_of(outcome),
            reason=outcome.reason,
            detail="; ".join(one for one in [outcome.detail, *found.notes] if one) or None,
            exit_code=outcome.exit_code,
            signal=outcome.signal,
            protections=admitted.protections,
            stdout=_hidden(head(job.spool, "stdout"), admitted.secrets) if outcome.stdout_bytes else "",
            stderr=_hidden(head(job.spool, "stderr"), admitted.secrets) if outcome.stderr_bytes else "",
            stdout_bytes=outcome.stdout_bytes,
            stderr_bytes=outcome.stderr_bytes,
            is_truncated=outcome.is_truncated,
            peak_memory_bytes=outcome.peak_memory_bytes,
            cpu_seconds=outcome.cpu_seconds,
            artifacts=found.artifacts,
            started_at=outcome.started_at,
            finished_at=outcome.finished_at,
        )

    def take_samples(self) -> list[tuple[str, RuntimeSample]]:
        """What was measured since the last time, to be written down."""
        taken, self._samples = self._samples, []
        return taken

    async def write_samples(self) -> None:
        """Top of a loop: writes down what was measured, every now and then."""
        while True:
            await asyncio.sleep(FLUSHED_AFTER_SECONDS)
            taken = self.take_samples()
            if not taken:
                continue
            try:
                async with self.db.write() as session:
                    await repository.add_samples(session, taken)
            except Exception:
                log.exception("samples_lost", samples=len(taken))


def _hidden(text: str, secrets: Sequence[str]) -> str:
    """What a job wrote, without the keys that its profile gave it."""
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    return text
