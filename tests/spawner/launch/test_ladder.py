"""The ladder is tried by running it, says what it saw, and never goes down a rung without being told to."""

import os
import shutil
import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from config.contracts.spawner import Level, Reason
from spawner import landlock, seccomp
from spawner.job import Watcher
from spawner.launcher import LauncherSettings, find_launcher
from spawner.rungs import RUNGS
from tests.spawner.launch.conftest import FIRST_UID, IS_ROOT, SHELL, Bench

BenchOn = Callable[..., Awaitable[Bench]]
pytestmark = pytest.mark.usefixtures("found_anew")


async def test_every_rung_is_reported_with_what_it_gives_or_why_it_does_not_work(bench: Bench) -> None:
    assert [one.name for one in bench.report.rungs] == [rung.name for rung in RUNGS]
    assert all(one.detail for one in bench.report.rungs)
    in_use = next(one for one in bench.report.rungs if one.name == bench.report.rung)
    assert in_use.works
    assert in_use.protections == bench.report.protections == bench.launcher.protections
    assert bench.report.runs_as.startswith("a pool of 16 uids" if IS_ROOT else "uid ")


@pytest.mark.parametrize("rung", ["S2", "S2p"])
async def test_memory_without_a_cgroup_is_told_as_best_effort(bench_on: BenchOn, rung: str) -> None:
    assert (await bench_on(rung)).report.protections.mem is Level.BEST_EFFORT


async def test_without_cgroups_in_settings_the_next_rung_is_used_and_the_reason_told(work_root: Path) -> None:
    settings = LauncherSettings(work_root=work_root, first_uid=FIRST_UID, uses_cgroups=False)
    launcher, report = await find_launcher(settings)
    try:
        if not report.rung.startswith("S2"):
            pytest.skip(f"no bubblewrap here: {report.advice}")
        assert "switched off" in report.rungs[0].detail
        assert "switched off" in report.advice
        assert report.protections.mem is Level.BEST_EFFORT
    finally:
        await launcher.close()


@pytest.fixture
def broken_bwrap(work_root: Path) -> Path:
    """As in a container that allows no namespaces."""
    program = work_root / "no-namespaces"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def no_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel without it."""
    monkeypatch.setattr(landlock, "abi", lambda: (_ for _ in ()).throw(OSError(38, "Function not implemented")))


async def test_where_no_namespaces_are_allowed_the_machine_is_closed_by_landlock_unasked(
    work_root: Path, broken_bwrap: Path
) -> None:
    if (why := landlock.obstacle()) is not None:
        pytest.skip(why)
    settings = LauncherSettings(work_root=work_root, first_uid=FIRST_UID, bwrap=broken_bwrap)
    launcher, report = await find_launcher(settings)
    bench = Bench(launcher, report, work_root)

    ran = await bench.sh("echo ran")
    await launcher.close()

    assert (report.rung, ran.stdout) == ("S1", "ran\n")
    assert "No permissions to create new namespace" in report.advice
    protections = report.protections
    assert {protections.fs, protections.net, protections.seccomp} == {Level.ENFORCED}
    assert protections.pid is (Level.BEST_EFFORT if landlock.abi() >= 6 else Level.NONE)
    assert protections.user is protections.pids is (Level.BEST_EFFORT if IS_ROOT else Level.NONE)
    assert {protections.mem, protections.kill} == {Level.BEST_EFFORT}
    assert protections.orphan is Level.NONE


@pytest.mark.usefixtures("no_landlock")
async def test_where_no_sandbox_works_jobs_are_refused_and_not_run(work_root: Path, broken_bwrap: Path) -> None:
    settings = LauncherSettings(work_root=work_root, first_uid=FIRST_UID, bwrap=broken_bwrap)
    launcher, report = await find_launcher(settings)
    bench = Bench(launcher, report, work_root)
    job = bench.job(SHELL, "-c", "touch ran")

    outcome = await launcher.run(job, Watcher())
    await launcher.close()

    assert outcome.reason is Reason.REFUSED
    assert "No permissions to create new namespace" in (outcome.detail or "")
    assert not (job.folder / "ran").exists()
    assert "no Landlock" in (outcome.detail or "")
    assert report.rung == "none"
    assert report.protections.fs is Level.NONE


@pytest.mark.usefixtures("no_landlock")
async def test_unsandboxed_is_used_only_when_allowed_and_says_that_it_protects_nothing(
    work_root: Path, broken_bwrap: Path
) -> None:
    settings = LauncherSettings(work_root=work_root, first_uid=FIRST_UID, bwrap=broken_bwrap, allow_unsandboxed=True)
    launcher, report = await find_launcher(settings)
    bench = Bench(launcher, report, work_root)

    ran = await bench.sh("echo ran; id -u; touch /proc/1/canary; ulimit -n")
    await launcher.close()

    assert report.rung == "S0"
    protections = report.protections
    assert {protections.fs, protections.net, protections.pid, protections.seccomp, protections.orphan} == {Level.NONE}
    assert protections.kill is Level.BEST_EFFORT
    assert ran.stdout.split()[0] == "ran"
    if IS_ROOT:
        assert ran.stdout.split()[1] != "0"


async def test_without_the_filter_seccomp_is_told_as_none(
    bench_on: BenchOn, monkeypatch: pytest.MonkeyPatch, work_root: Path
) -> None:
    monkeypatch.setattr(seccomp, "compiled", lambda **_more: None)
    bench = await bench_on("S2")

    assert bench.report.protections.seccomp is Level.NONE
    assert bench.report.protections.fs is Level.ENFORCED


async def test_a_limit_of_processes_that_does_not_hold_is_told_as_none(
    bench_on: BenchOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spawner.boxed.rlimits", lambda *_all, **_more: {})
    bench = await bench_on("S2")

    assert bench.report.protections.pids is Level.NONE


@pytest.mark.skipif(not IS_ROOT, reason="only root has a pool to protect bwrap from")
async def test_nobody_but_us_can_change_the_bwrap_that_jobs_start_through(bench: Bench, work_root: Path) -> None:
    for path in (work_root, *(work_root / "bin").rglob("*")):
        status = path.stat()
        assert status.st_uid == os.geteuid()
        assert not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


async def test_the_trials_leave_nothing_behind(bench: Bench, work_root: Path) -> None:
    assert sorted(os.listdir(work_root)) == ["bin", "etc"]


async def test_a_job_whose_folder_is_gone_is_refused_and_harms_no_other(bench: Bench) -> None:
    job = bench.job(SHELL, "-c", "true")
    shutil.rmtree(job.folder)

    ran = await bench.run(job)

    assert ran.outcome.reason is Reason.REFUSED
    assert "job" in (ran.outcome.detail or "")
    assert (await bench.run(replace(bench.job(SHELL, "-c", "true")))).outcome.exit_code == 0
