"""Spawner: the one who runs processes."""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from config import halt
from config.clients.madre import MadreClient
from config.clients.shub import ShubClient
from config.contracts.common import Check, HealthState
from config.contracts.spawner import LARGEST_REQUEST_BYTES
from config.module_template import Ground, create_module_app
from config.settings import MIB
from spawner.admission import Admission
from spawner.artifacts import Collector
from spawner.bells import Bells
from spawner.daughters import Daughters
from spawner.folders import Folders
from spawner.instances import ROOT_FOLDER, hold_folder, hold_uids
from spawner.job import Mount
from spawner.keeper import Keeper
from spawner.launcher import LauncherSettings, find_launcher
from spawner.queue import JobQueue
from spawner.routes import daughters_router, router
from spawner.runs import Runs
from spawner.service import Spawner
from spawner.settings import SpawnerSettings
from spawner.slow_work import SlowWork

LOW_DISK_BYTES = 512 * MIB
LONGEST_WORKER = 100  # characters that the column holds
UNSAFE_RUNG = "S0"


def create_app(settings: SpawnerSettings | None = None) -> FastAPI:
    """The service. It must run on asyncio's own loop: another's start of a process would stop everything else meanwhile."""
    settings = settings or SpawnerSettings()

    @asynccontextmanager
    async def lifespan(ground: Ground) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _open(settings, ground, stack)
            yield

    async def checks() -> dict[str, Check]:
        state = app.state
        spawner: Spawner = state.spawner
        queue: JobQueue = state.queue
        free = await asyncio.to_thread(state.folders.free_bytes)
        report = spawner.report
        is_safe = any(rung.works and rung.name == report.rung for rung in report.rungs) and report.rung != UNSAFE_RUNG
        return {
            "sandbox": Check(
                status=HealthState.OK if is_safe else HealthState.DEGRADED, detail=f"{report.rung}, {report.runs_as}"
            ),
            "queue": Check(status=HealthState.OK, detail=f"{queue.running} running, {queue.waiting} waiting"),
            "halt": Check(
                status=HealthState.DEGRADED if spawner.halt_state.halted else HealthState.OK,
                detail=halt.told(spawner.halt_state),
            ),
            "disk": Check(
                status=HealthState.OK if free > LOW_DISK_BYTES else HealthState.DEGRADED,
                detail=f"{free // MIB} MiB free",
            ),
        }

    app = create_module_app(
        "spawner",
        settings,
        routers=[router, daughters_router],
        lifespan=lifespan,
        checks=checks,
        body_limit_of=lambda path: (
            max(LARGEST_REQUEST_BYTES, settings.body_limit_bytes)
            if path == "/spawner/spawn"
            else settings.body_limit_bytes
        ),
        description="Runs processes in a sandbox, within limits, and tells the truth about how they went.",
    )
    return app


async def _open(settings: SpawnerSettings, ground: Ground, stack: AsyncExitStack) -> None:
    """Bring everything up, in the order in which it is needed; `stack` takes it down in the opposite one."""
    root, is_root = work_root(settings), os.geteuid() == 0
    folders = Folders(root, is_for_others=is_root)
    await asyncio.to_thread(folders.open)
    stack.callback((await asyncio.to_thread(hold_folder, root)).release)
    uids: range | None = None
    if is_root:
        uids, held = await asyncio.to_thread(hold_uids, settings.concurrency, settings.spawner_first_uid)
        stack.callback(held.release)
    launcher, report = await find_launcher(launcher_settings(settings, root, uids))
    stack.push_async_callback(launcher.close)
    shub = ShubClient(settings, ground.secrets, "spawner")
    stack.push_async_callback(shub.close)
    madre = MadreClient(settings, ground.secrets, "spawner")
    stack.push_async_callback(madre.close)

    collector = Collector(most_files=settings.spawner_most_artifacts, most_bytes=settings.spawner_most_artifact_bytes)
    slow = SlowWork()
    stack.push_async_callback(slow.close)
    runs = Runs(ground.db, launcher, folders, shub, collector, slow, Bells(), uids)
    queue = JobQueue(settings.concurrency, settings.spawner_queue_limit)
    keeper = Keeper(ground.db, folders, slow)
    admission = Admission(settings, launcher.protections, uids)
    spawner = Spawner(
        ground.db,
        ground.trail,
        ground.gate,
        admission=admission,
        queue=queue,
        runs=runs,
        keeper=keeper,
        report=report,
    )
    worker = f"spawner@{socket.gethostname()}:{root}"[:LONGEST_WORKER]
    daughters = Daughters(settings, ground.db, ground.trail, madre, spawner=spawner, worker=worker)
    state = ground.app.state
    state.spawner, state.daughters, state.queue, state.folders = spawner, daughters, queue, folders

    await keeper.open()
    stack.push_async_callback(daughters.close)
    stack.push_async_callback(spawner.close)
    await spawner.recover()
    await daughters.recover()
    loops = [
        asyncio.create_task(loop())
        for loop in (keeper.run, runs.write_samples, daughters.look, daughters.keep, daughters.tell)
    ]
    stack.push_async_callback(_cancelled, loops)


async def _cancelled(loops: list[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


def work_root(settings: SpawnerSettings) -> Path:
    """Where the jobs' files lie. Jobs of a root's spawner run as users who cannot get into, say, /root."""
    if settings.spawner_work_dir is not None:
        return settings.spawner_work_dir
    if os.geteuid() != 0:
        return settings.state_dir / "spawner"
    return ROOT_FOLDER / hashlib.sha256(str(settings.state_dir).encode()).hexdigest()[:12]


def launcher_settings(settings: SpawnerSettings, root: Path, uids: range | None) -> LauncherSettings:
    pool = {} if uids is None else {"first_uid": uids.start, "uid_count": len(uids)}
    return LauncherSettings(
        work_root=root,
        bwrap=settings.spawner_bwrap,
        cgroup_folder=settings.spawner_cgroup,
        uses_cgroups=settings.spawner_uses_cgroups,
        allow_unsandboxed=settings.spawner_allow_unsandboxed,
        rung=settings.spawner_rung,
        system_mounts=tuple(Mount(one, str(one)) for one in settings.spawner_system_dirs),
        **pool,
    )
