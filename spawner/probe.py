"""What works on this machine, found by running it: a rung is believed when a job has run on it and its limits have held."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from config.contracts.spawner import Level, Limits, Protections, Reason, RungReport
from spawner import landlock
from spawner.job import Job, Outcome, Watcher
from spawner.rungs import Rung

SHELL = Path("/bin/sh").resolve()
LONGEST = 10.0
"""Seconds that a trial may take."""
SAYS_WHAT_IT_IS = "echo ready; test ! -e /proc/self/status || cat /proc/self/status"
REACHES_OUT = f"{SAYS_WHAT_IT_IS}; cat ../canary && echo reached; (echo more >> ../canary) && echo reached; touch mine || echo kept"
FORKS_TOO_MUCH = "for i in 1 2 3 4 5 6 7 8; do sleep 9 & done; echo forked"
USES_TOO_MUCH = "head -c 134217728 /dev/zero | tail -c 134217728 > /dev/null; echo survived"
TRIAL_MEMORY_MB, TRIAL_PROCESSES = 32, 4


class Runs(Protocol):
    async def run(self, job: Job, watcher: Watcher) -> Outcome: ...


@dataclass(frozen=True)
class Obstacles:
    """Why a part of the ladder cannot even be tried; None where it can."""

    bwrap: str | None = None
    cgroup: str | None = None
    landlock: str | None = None


@dataclass(frozen=True)
class Trial:
    outcome: Outcome
    output: str


async def probe(rung: Rung, launcher: Runs, obstacles: Obstacles, work_root: Path, uid: int | None) -> RungReport:
    """Try a rung; what the report then says of its protections is what was seen."""
    ground = work_root / f"probe-{os.getpid()}"
    try:
        return await _probe(rung, launcher, obstacles, ground, uid)
    finally:
        shutil.rmtree(ground, ignore_errors=True)


async def _probe(rung: Rung, launcher: Runs, obstacles: Obstacles, ground: Path, uid: int | None) -> RungReport:
    obstacle = _obstacle(rung, obstacles)
    if obstacle:
        return RungReport(name=rung.name, works=False, detail=obstacle, protections=rung.protections)
    try:
        first = await _try(launcher, rung, REACHES_OUT if rung.uses_landlock else SAYS_WHAT_IT_IS, ground, uid)
        if first.outcome.exit_code != 0 or not first.output.startswith("ready"):
            return RungReport(name=rung.name, works=False, detail=_failure(first), protections=rung.protections)
        if rung.uses_landlock and ("reached" in first.output or "kept" in first.output):
            detail = "files outside of a job's folder were not kept from it, or its own were"
            return RungReport(name=rung.name, works=False, detail=detail, protections=rung.protections)
        if rung.uses_cgroup:
            bomb = await _try(launcher, rung, USES_TOO_MUCH, ground, uid)
            if bomb.outcome.reason is not Reason.OOM:
                detail = f"a limit of memory did not hold: {_failure(bomb)}"
                return RungReport(name=rung.name, works=False, detail=detail, protections=rung.protections)
        forks = await _try(launcher, rung, FORKS_TOO_MUCH, ground, uid)
    except OSError as error:
        return RungReport(name=rung.name, works=False, detail=str(error), protections=rung.protections)
    protections = _seen(rung, first.output, holds_processes="forked" not in forks.output, uid=uid)
    return RungReport(name=rung.name, works=True, detail=rung.about, protections=protections)


def _seen(rung: Rung, status: str, *, holds_processes: bool, uid: int | None) -> Protections:
    """The rung's protections, less what the trials did not show."""
    changes: dict[str, Level] = {}
    if not rung.is_boxed and uid is not None:
        changes["user"] = Level.BEST_EFFORT
        changes["pids"] = Level.BEST_EFFORT if holds_processes else Level.NONE
    if not rung.is_sandbox:
        return rung.protections.model_copy(update=changes)
    if rung.is_boxed and not holds_processes:
        changes["pids"] = Level.NONE
    if rung.uses_landlock and landlock.abi() < landlock.ABI_OF_SCOPES:
        changes["pid"] = Level.NONE  # signals go where the user's may
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if lines and lines.get("Seccomp") != "2":
        changes["seccomp"] = Level.NONE
    return rung.protections.model_copy(update=changes)


def _obstacle(rung: Rung, obstacles: Obstacles) -> str | None:
    if rung.uses_landlock:
        return obstacles.landlock
    if not rung.is_boxed:
        return _no_tools()
    return obstacles.bwrap or (obstacles.cgroup if rung.uses_cgroup else None)


async def _try(launcher: Runs, rung: Rung, script: str, ground: Path, uid: int | None) -> Trial:
    folder, spool = _make_folders(ground, uid)
    limits = Limits(timeout_seconds=LONGEST, max_memory_mb=TRIAL_MEMORY_MB, max_processes=TRIAL_PROCESSES)
    job = Job(
        spawn_id=f"probe-{rung.name}",
        command=SHELL,
        args=("-c", script),
        env={},
        folder=folder,
        spool=spool,
        stdin=None,
        limits=limits,
        uid=uid,
    )
    outcome = await launcher.run(job, Watcher())
    written = spool / "stdout"
    return Trial(outcome, written.read_text(errors="replace") if written.exists() else "")


def _make_folders(ground: Path, uid: int | None) -> tuple[Path, Path]:
    folder, spool = ground / "job", ground / "spool"
    for one in (folder, spool):
        shutil.rmtree(one, ignore_errors=True)
        one.mkdir(parents=True)
    ground.chmod(0o711)
    spool.chmod(0o700)
    canary = ground / "canary"
    canary.write_text("canary\n")
    canary.chmod(0o666)  # all but the sandbox let it be read and written
    if uid is not None:
        os.chown(folder, uid, uid)
    return folder, spool


def _failure(trial: Trial) -> str:
    ended = trial.outcome
    return (
        ended.detail or f"a trial ended with reason {ended.reason}, exit code {ended.exit_code}, signal {ended.signal}"
    )


def _no_tools() -> str | None:
    missing = [name for name in ("prlimit", "setpriv") if not shutil.which(name)]
    return f"missing: {', '.join(missing)}" if missing else None


def advice(reports: Sequence[RungReport], rung: str | None) -> str:
    """What would give a better rung than the one in use, by what stood in the way of those above it."""
    above = []
    for report in reports:
        if report.name == rung:
            break
        if not report.works:
            above.append(f"{report.name}: {report.detail}")
    if not above:
        return ""
    return "Better protection was tried and does not work here. " + "; ".join(above)
