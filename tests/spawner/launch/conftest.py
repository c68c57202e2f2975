"""The launcher on real processes: each rung that works on this machine, in a folder that the jobs' uids can reach."""

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from config.contracts.spawner import Limits, ProtectionsReport, RuntimeSample
from spawner.job import Job, Launcher, Marker, Outcome, Watcher
from spawner.launcher import LauncherSettings, find_launcher

IS_ROOT = os.geteuid() == 0
FIRST_UID = 62_000 + (os.getpid() % 500) * 8
"""Far from the pool of a fleet that may run on this machine, and another one for every process of the tests."""
PYTHON = Path("/usr/bin/python3").resolve()
SHELL = Path("/bin/sh").resolve()
BOXED = ("S3", "S2", "S2p")


@pytest.fixture
def work_root() -> Iterator[Path]:
    """Not pytest's own folder: that one is its user's alone, and the jobs have another."""
    folder = Path(tempfile.mkdtemp(prefix="vx11-launch-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Told:
    """What the launcher told while a job ran."""

    markers: list[Marker] = field(default_factory=list)
    samples: list[RuntimeSample] = field(default_factory=list)
    writes: int = 0

    def watcher(self, started: Callable[[Marker], None] | None = None) -> Watcher:
        def first(marker: Marker) -> None:
            self.markers.append(marker)
            if started:
                started(marker)

        def wrote() -> None:
            self.writes += 1

        return Watcher(started=first, wrote=wrote, sampled=self.samples.append)


@dataclass
class Ran:
    outcome: Outcome
    stdout: str
    stderr: str
    folder: Path
    told: Told


@dataclass
class Bench:
    """A launcher and what it takes to give it jobs."""

    launcher: Launcher
    report: ProtectionsReport
    root: Path
    jobs: int = 0

    def job(self, command: Path, *args: str, limits: dict[str, Any] | None = None, **more: Any) -> Job:
        self.jobs += 1
        spawn_id = uuid.uuid4().hex
        folder, spool = self.root / "jobs" / spawn_id, self.root / "spool" / spawn_id
        folder.mkdir(parents=True)
        spool.mkdir(parents=True)
        folder.parent.chmod(0o711)
        uid = FIRST_UID + self.jobs % 8 if IS_ROOT else None
        if uid is not None:
            os.chown(folder, uid, uid)
        job = Job(
            spawn_id=spawn_id,
            command=command,
            args=args,
            env={},
            folder=folder,
            spool=spool,
            stdin=None,
            limits=Limits(**({"timeout_seconds": 30.0, "max_memory_mb": 256} | (limits or {}))),
            uid=uid,
        )
        return replace(job, **more)

    async def run(self, job: Job, started: Callable[[Marker], None] | None = None) -> Ran:
        told = Told()
        outcome = await self.launcher.run(job, told.watcher(started))
        files = [job.spool / name for name in ("stdout", "stderr")]
        texts = [one.read_text(errors="replace") if one.exists() else "" for one in files]
        return Ran(outcome, texts[0], texts[1], job.folder, told)

    async def sh(self, script: str, **more: Any) -> Ran:
        return await self.run(self.job(SHELL, "-c", script, **more))

    async def python(self, script: str, **more: Any) -> Ran:
        return await self.run(self.job(PYTHON, "-I", "-S", "-c", script, **more))


@pytest.fixture
async def bench_on(work_root: Path) -> AsyncIterator[Callable[..., Awaitable[Bench]]]:
    """A bench on the rung of that name; the test is skipped, with the launcher's reason, where it does not work."""
    benches: list[Bench] = []

    async def build(rung: str, **more: Any) -> Bench:
        settings = LauncherSettings(work_root=work_root, first_uid=FIRST_UID, rung=rung, allow_unsandboxed=True, **more)
        launcher, report = await find_launcher(settings)
        benches.append(Bench(launcher, report, work_root))
        if report.rung != rung:
            pytest.skip(f"{rung} does not work here: {report.advice}")
        return benches[-1]

    yield build
    for bench in benches:
        await bench.launcher.close()


@pytest.fixture
async def bench(bench_on: Callable[..., Awaitable[Bench]]) -> Bench:
    """The best full sandbox: with a cgroup, or else with memory looked at."""
    try:
        return await bench_on("S3")
    except pytest.skip.Exception:
        return await bench_on("S2")


@pytest.fixture(params=BOXED)
async def each_bench(bench_on: Callable[..., Awaitable[Bench]], request: pytest.FixtureRequest) -> Bench:
    return await bench_on(request.param)
