"""The service's side of its worker processes: start, feed, watch, kill.

The web process stays small and awake: everything that touches samples happens in `shub.worker`, one task at a time in each. Who waits
for a task and is cancelled kills the process that works on it, so a cancelled job stops within milliseconds, wherever it is.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import structlog

import shub
from config.clients.shub import AudioWorkerLost
from config.errors import FleetError, StorageFull
from shub.errors import problem_of

Lane = Literal["job", "quick"]
Progress = Callable[[float], None]

LONGEST_LINE_BYTES = 64 * 1024 * 1024
"""An answer is one line; a loudness series of four hours has 6 MB."""
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONDONTWRITEBYTECODE")
"""Of our environment, what a worker may see: no token, no address of a database."""

log = structlog.get_logger()


class Worker:
    """One process. `run` gives it a task and returns the answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._complaints = asyncio.create_task(self._log_complaints())

    @classmethod
    async def start(cls, cache: Path, scratch: Path) -> "Worker":
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {
            "PYTHONPATH": str(Path(shub.__file__).parents[1]),
            "NUMBA_CACHE_DIR": str(cache),
            "TMPDIR": str(scratch),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "shub.worker", str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            limit=LONGEST_LINE_BYTES,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def run(self, task: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
        """The answer to a task. Raises AudioProblem, StorageFull, or AudioWorkerLost when the process ends without an answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            await self._process.stdin.drain()
            while line := await self._process.stdout.readline():
                answer = json.loads(line)
                if "progress" in answer:
                    on_progress(float(answer["progress"]))
                elif "done" in answer:
                    done: dict[str, Any] = answer["done"]
                    return done
                else:
                    raise _error(answer)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it is gone, which is told below
        status = await self._process.wait()
        raise AudioWorkerLost(f"the process that worked on it ended with status {status} before it had an answer")

    async def stop(self) -> None:
        """End it now, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._complaints

    async def _log_complaints(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            log.warning("audio_worker_said", pid=self.pid, line=line.decode(errors="replace").rstrip())


class WorkerPool:
    """Workers on call: started when needed, kept a while for the next task, never more than the lanes are wide.

    The lane `job` is for long work; `quick` is for what somebody waits for, and never stands behind a job.
    """

    def __init__(
        self, *, job_workers: int, quick_workers: int, idle_seconds: float, cache: Path, scratch: Path
    ) -> None:
        self._lanes: dict[Lane, asyncio.Semaphore] = {
            "job": asyncio.Semaphore(job_workers),
            "quick": asyncio.Semaphore(quick_workers),
        }
        self._idle_seconds, self._cache, self._scratch = idle_seconds, cache, scratch
        self._idle: list[tuple[Worker, asyncio.TimerHandle]] = []
        self._busy: set[Worker] = set()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        return len(self._idle) + len(self._busy)

    @property
    def busy_pids(self) -> list[int]:
        return [worker.pid for worker in self._busy]

    @asynccontextmanager
    async def worker(self, lane: Lane) -> AsyncIterator[Worker]:
        """A worker for one task; waits for its turn. Left by an exception or a cancellation, the process is killed."""
        async with self._lanes[lane]:
            worker = self._take_idle() or await Worker.start(self._cache, self._scratch)
            self._busy.add(worker)
            try:
                yield worker
            except FleetError:
                self._busy.discard(worker)
                self._keep(worker)  # it refused the sound, and is well; or it died, and is not kept
                raise
            except BaseException:
                self._busy.discard(worker)
                await asyncio.shield(self._end(worker))
                raise
            self._busy.discard(worker)
            self._keep(worker)

    async def run(
        self, task: dict[str, Any], *, lane: Lane, on_progress: Progress = lambda _part: None
    ) -> dict[str, Any]:
        """The answer to one task, as `Worker.run` gives it."""
        async with self.worker(lane) as worker:
            return await worker.run(task, on_progress)

    async def close(self) -> None:
        """End every process."""
        for _, timer in self._idle:
            timer.cancel()
        workers = [worker for worker, _ in self._idle] + list(self._busy)
        self._idle.clear()
        await asyncio.gather(*(worker.stop() for worker in workers), *self._ending)

    def _take_idle(self) -> Worker | None:
        while self._idle:
            worker, timer = self._idle.pop()  # the last one used; the others may grow old
            timer.cancel()
            if worker.is_alive:
                return worker
            self._end(worker)
        return None

    def _keep(self, worker: Worker) -> None:
        if not worker.is_alive:
            self._end(worker)
            return
        timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._retire, worker)
        self._idle.append((worker, timer))

    def _retire(self, worker: Worker) -> None:
        self._idle = [(other, timer) for other, timer in self._idle if other is not worker]
        self._end(worker)

    def _end(self, worker: Worker) -> "asyncio.Task[None]":
        task = asyncio.create_task(worker.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


def _error(answer: dict[str, Any]) -> FleetError:
    if refused := answer.get("refused"):
        return problem_of(refused["code"], refused["detail"])
    failed = answer["failed"]
    if failed["code"] == "storage_full":
        return StorageFull(f"the disk is full: {failed['detail']}")
    return AudioWorkerLost(f"the audio could not be read or written: {failed['detail']}")
