"""However a job is ended, all of it ends, and soon; and nothing outlives the one who started it."""

import asyncio
import contextlib
import errno
import glob
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from config.contracts.spawner import Reason
from spawner import tree
from spawner.cgroup import FolderV2, SlotV1, kill_all
from spawner.job import Marker, Watcher
from spawner.launcher import LauncherSettings, find_launcher
from tests.spawner.launch.conftest import FIRST_UID, IS_ROOT, PYTHON, SHELL, Bench

STUBBORN = """
import os, signal, sys, time
for number in set(range(1, 65)) - {signal.SIGCHLD}:
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
def daemon(depth):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if depth: daemon(depth - 1)
            time.sleep(600)
        os._exit(0)
    os.wait()
daemon(3)
if os.fork() == 0: time.sleep(600)
open('ready', 'w').close()
time.sleep(600)"""
"""Children that ignore every signal, have sessions of their own, and lost their parents."""


def marked(mark: str) -> list[int]:
    """Processes of this machine with `mark` among their words, seen from outside."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "cmdline").read_bytes() and tree.is_alive(int(entry.name)):
                    found.append(int(entry.name))
    return found


def dead_children() -> set[int]:
    return {pid for pid in tree.children(os.getpid()) if not tree.is_alive(pid)}


def cgroups_of(pid: int) -> list[str]:
    return glob.glob(
        f"/sys/fs/cgroup/*/**/vx11-*-{pid}", recursive=True
    )  # minds no folder that goes meanwhile, as Path.glob does


async def until(claim: object, *, within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not claim():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def stubborn(bench: Bench, mark: str, **limits: float) -> tuple[asyncio.Task[object], str]:
    job = bench.job(PYTHON, "-I", "-S", "-c", STUBBORN, mark, limits=limits)
    running: asyncio.Task[object] = asyncio.create_task(bench.run(job))
    await until(lambda: (job.folder / "ready").exists() and len(marked(mark)) >= 6)  # it really did run
    return running, job.spawn_id


@pytest.fixture(params=["S3", "S2", "S2p", "S1", "S0"])
async def any_bench(bench_on: object, request: pytest.FixtureRequest) -> Bench:
    found: Bench = await bench_on(request.param)  # type: ignore[operator]
    return found


async def test_the_deadline_ends_daemons_orphans_and_those_who_ignore_signals(any_bench: Bench) -> None:
    mark = f"mark-{os.urandom(8).hex()}"
    running, _spawn_id = await stubborn(any_bench, mark, timeout_seconds=2)

    ran = await running

    assert ran.outcome.reason is Reason.TIMEOUT  # type: ignore[attr-defined]
    assert ran.outcome.signal == signal.SIGKILL  # type: ignore[attr-defined]
    assert marked(mark) == []


async def test_a_kill_on_request_ends_all_of_it(any_bench: Bench) -> None:
    mark = f"mark-{os.urandom(8).hex()}"
    running, spawn_id = await stubborn(any_bench, mark)

    assert any_bench.launcher.kill(spawn_id)

    assert (await running).outcome.reason is Reason.KILLED  # type: ignore[attr-defined]
    assert marked(mark) == []
    assert not any_bench.launcher.kill(spawn_id)


async def test_a_run_that_is_cancelled_leaves_nothing(any_bench: Bench) -> None:
    mark = f"mark-{os.urandom(8).hex()}"
    running, _spawn_id = await stubborn(any_bench, mark)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert marked(mark) == []


@pytest.mark.parametrize("wait", [0.0, 0.001, 0.004, 0.01])
async def test_a_kill_that_comes_while_the_sandbox_is_being_set_up_counts(bench: Bench, wait: float) -> None:
    mark = f"mark-{os.urandom(8).hex()}"
    job = bench.job(SHELL, "-c", "sleep 600", mark)
    running = asyncio.create_task(bench.launcher.run(job, Watcher()))
    await asyncio.sleep(wait)

    assert bench.launcher.kill(job.spawn_id)

    assert (await running).reason is Reason.KILLED
    assert marked(mark) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EBUSY])
async def test_a_cgroup_that_fails_while_the_sandbox_is_being_set_up_refuses_and_leaves_nothing(
    bench_on: Callable[..., Awaitable[Bench]], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    bench = await bench_on("S3")
    mark = f"mark-{os.urandom(8).hex()}"
    zombies = dead_children()  # of other tests of this worker

    def fail(_cgroup: object, _limits: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(SlotV1, "begin", fail)
    monkeypatch.setattr(FolderV2, "begin", fail)
    for _ in range(5):
        ran = await bench.run(bench.job(SHELL, "-c", "sleep 600", mark))

        assert ran.outcome.reason is Reason.REFUSED
        assert os.strerror(number) in (ran.outcome.detail or "")
    assert marked(mark) == []
    assert dead_children() <= zombies


async def test_the_end_of_the_command_is_the_end_of_what_it_left_behind(any_bench: Bench) -> None:
    mark = f"mark-{os.urandom(8).hex()}"
    script = "(setsid sh -c 'sleep 600; echo late' $1 &) ; sh -c 'trap \"\" TERM HUP; sleep 600' $1 & echo started"

    ran = await any_bench.run(any_bench.job(SHELL, "-c", script, "sh", mark))

    assert ran.outcome.reason is Reason.EXITED
    assert ran.outcome.exit_code == 0
    assert ran.stdout == "started\n"
    assert marked(mark) == []


async def test_the_launchers_close_ends_what_runs(bench: Bench) -> None:
    mark = f"mark-{os.urandom(8).hex()}"
    running, _spawn_id = await stubborn(bench, mark)

    await bench.launcher.close()

    assert (await running).outcome.reason is Reason.KILLED  # type: ignore[attr-defined]
    assert marked(mark) == []


PARENT = """
import asyncio, os, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from spawner.launcher import LauncherSettings, find_launcher
from spawner.job import Job, Watcher
from config.contracts.spawner import Limits

async def main():
    root, mark, rung = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    settings = LauncherSettings(work_root=root, first_uid={first_uid}, rung=rung)
    launcher, _report = await find_launcher(settings)
    jobs = []
    for number in range(4):
        folder, spool = root / f"job{{number}}", root / f"spool{{number}}"
        folder.mkdir(); spool.mkdir()
        uid = {first_uid} + number if os.geteuid() == 0 else None
        if uid: os.chown(folder, uid, uid)
        args = ("-I", "-S", "-c", {stubborn!r}, mark)
        jobs.append(Job(f"job{{number}}", Path({python!r}), args, {{}}, folder, spool, None, Limits(), uid=uid))
    await asyncio.gather(*(launcher.run(job, Watcher()) for job in jobs))

asyncio.run(main())
"""


@pytest.fixture
def parent_script(tmp_path: Path) -> Path:
    here = str(Path(__file__).parents[3])
    script = PARENT.format(here=here, first_uid=FIRST_UID, stubborn=STUBBORN, python=str(PYTHON))
    file = tmp_path / "parent.py"
    file.write_text(textwrap.dedent(script))
    return file


@pytest.mark.parametrize("rung", ["S3", "S2"])
async def test_kill_9_of_the_one_who_runs_jobs_leaves_none_of_their_processes(
    bench_on: object, work_root: Path, parent_script: Path, rung: str
) -> None:
    await bench_on(rung)  # type: ignore[operator]
    root = work_root / "of-the-parent"
    mark = f"mark-{os.urandom(8).hex()}"
    with parent_script.with_suffix(".log").open("w") as log:
        command = [sys.executable, str(parent_script), str(root), mark, rung]
        parent = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220 - it is to be killed from here
    try:
        await until(lambda: all((root / f"job{number}" / "ready").exists() for number in range(4)), within=60)
        await until(lambda: len([pid for pid in marked(mark) if pid != parent.pid]) >= 4 * 6)
    finally:
        parent.kill()
        parent.wait()

    await until(lambda: marked(mark) == [], within=5)
    successor, _report = await find_launcher(LauncherSettings(work_root=root, first_uid=FIRST_UID, rung=rung))
    await successor.close()
    assert cgroups_of(parent.pid) == []


@pytest.mark.skipif(not IS_ROOT, reason="needs cgroups of its own")
async def test_the_next_start_ends_and_removes_what_is_left_in_a_dead_ones_cgroups(
    bench_on: object, work_root: Path
) -> None:
    bench: Bench = await bench_on("S3")  # type: ignore[operator]
    markers: list[Marker] = []
    await bench.run(bench.job(SHELL, "-c", "true"), markers.append)
    mine = Path(markers[0].cgroup or "").parent
    dead = subprocess.Popen(["true"])  # noqa: ASYNC220
    dead.wait()
    stale = mine.with_name(f"{mine.name.rpartition('-')[0]}-{dead.pid}")
    inner = stale / "slot"
    inner.mkdir(parents=True)
    left = subprocess.Popen(["sleep", "600"])  # noqa: ASYNC220
    (inner / "cgroup.procs").write_text(str(left.pid))

    await bench_on("S3")  # type: ignore[operator]

    assert left.wait() == -signal.SIGKILL
    assert not stale.exists()
    assert kill_all(stale) == 0


async def test_a_marker_names_one_process_for_ever() -> None:
    process = subprocess.Popen(["sleep", "600"])  # noqa: ASYNC220
    ticks = tree.started_ticks(process.pid)
    assert ticks is not None

    assert tree.kill_marked(Marker(process.pid, ticks + 1, None, None)) == 0
    assert tree.is_alive(process.pid)
    assert tree.kill_marked(Marker(process.pid, ticks, None, None)) == 1
    assert process.wait() == -signal.SIGKILL
