"""A job runs, says what it says, and ends as it ends; nothing of ours is in its reach."""

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.contracts.spawner import Reason
from spawner import tree
from spawner.job import Marker, Mount, Watcher
from tests.spawner.launch.conftest import IS_ROOT, PYTHON, SHELL, Bench


async def test_a_job_runs_to_its_end_and_all_of_it_is_told(each_bench: Bench) -> None:
    ran = await each_bench.sh("echo out; echo err >&2; pwd; id -u; exit 3")

    assert ran.stdout.split() == ["out", "/job", "65534"]
    assert ran.stderr == "err\n"
    outcome = ran.outcome
    assert (outcome.reason, outcome.exit_code, outcome.signal) == (Reason.EXITED, 3, None)
    assert outcome.stdout_bytes == len(ran.stdout)
    assert outcome.stderr_bytes == 4
    assert not outcome.is_truncated
    assert outcome.started_at <= outcome.finished_at
    assert outcome.cpu_seconds is not None
    assert outcome.cpu_seconds > 0
    assert outcome.peak_memory_bytes is not None
    assert outcome.peak_memory_bytes > 50_000
    assert len(ran.told.markers) == 1
    assert ran.told.writes >= 2


async def test_stdin_arrives_whole_and_then_ends(bench: Bench) -> None:
    data = b"x" * 3_000_000 + b"end"

    ran = await bench.run(bench.job(SHELL, "-c", "cat | tee copy | wc -c; tail -c 3 copy", stdin=data))

    assert ran.stdout.split() == ["3000003", "end"]


async def test_without_stdin_there_is_nothing_to_read(bench: Bench) -> None:
    assert (await bench.sh("cat; echo end")).stdout == "end\n"


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "USR1"])
async def test_a_signal_of_its_own_is_told_as_a_signal(each_bench: Bench, name: str) -> None:
    ran = await each_bench.sh(f"sleep 0.1; kill -{name} $$; sleep 5")

    number = signal.Signals[f"SIG{name}"]
    assert ran.outcome.reason is Reason.EXITED
    if ran.outcome.detail:  # before Linux 6.15
        assert ran.outcome.detail == cannot_be_told_apart(number)
        assert (ran.outcome.exit_code, ran.outcome.signal) == (128 + number, None)
    else:
        assert (ran.outcome.exit_code, ran.outcome.signal) == (None, number)


@pytest.mark.parametrize("code", [0, 1, 126, 127, 128, 255])
async def test_an_exit_code_stays_what_it_is(bench: Bench, code: int) -> None:
    ran = await bench.sh(f"exit {code}")

    assert (ran.outcome.reason, ran.outcome.exit_code, ran.outcome.signal) == (Reason.EXITED, code, None)


@pytest.mark.parametrize("first", ["", "sleep 0.2; "])
async def test_an_exit_code_above_128_stays_one_however_quick(each_bench: Bench, first: str) -> None:
    ran = await each_bench.sh(f"{first}exit 137")

    assert (ran.outcome.reason, ran.outcome.exit_code, ran.outcome.signal) == (Reason.EXITED, 137, None)
    assert ran.outcome.detail in (None, cannot_be_told_apart(9))


async def test_what_the_kernel_does_not_say_is_not_guessed(each_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree.Pidfd, "wait_status", lambda _self: None)

    quick = await each_bench.sh("exit 153")
    killed = await each_bench.sh("kill -KILL $$")
    full = await each_bench.sh("exec head -c 20m /dev/zero > file", limits={"max_disk_mb": 2})

    told = [(ran.outcome.reason, ran.outcome.exit_code, ran.outcome.signal) for ran in (quick, killed, full)]
    assert told == [(Reason.EXITED, 153, None), (Reason.EXITED, 137, None), (Reason.OUTPUT_LIMIT, 153, None)]
    assert quick.outcome.detail == cannot_be_told_apart(signal.SIGXFSZ)
    assert killed.outcome.detail == cannot_be_told_apart(signal.SIGKILL)


def cannot_be_told_apart(number: int) -> str:
    return f"exit code {128 + number} may also be signal {number}: they cannot be told apart here"


async def test_a_command_that_cannot_be_started_is_refused_with_the_reason(bench: Bench) -> None:
    ran = await bench.run(bench.job(Path("/usr/bin/not-here")))

    assert ran.outcome.reason is Reason.REFUSED
    assert ran.outcome.detail is not None
    assert "not-here" in ran.outcome.detail
    assert ran.outcome.exit_code is None


async def test_words_that_look_like_options_of_the_sandbox_stay_the_jobs_own(bench: Bench) -> None:
    words = ("--bind", "/", "/host", "--", "-c", "ñ 🐜\n", "")
    script = "import sys,json; print(json.dumps(sys.argv[1:]))"

    ran = await bench.run(bench.job(PYTHON, "-I", "-S", "-X", "utf8", "-c", script, *words))

    assert json.loads(ran.stdout) == list(words)


async def test_its_environment_is_what_it_asked_for_and_nothing_of_ours(
    each_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VX11_TOKEN", "canary")

    ran = await each_bench.run(each_bench.job(Path("/usr/bin/env"), env={"MINE": "a=b\nc", "HOME": "/tmp"}))

    names = {line.split("=")[0] for line in ran.stdout.splitlines()}
    assert names == {"PATH", "HOME", "TMPDIR", "LANG", "USER", "LOGNAME", "PWD", "MINE", "c"}
    assert "canary" not in ran.stdout
    assert "HOME=/tmp" in ran.stdout


async def test_its_environment_is_on_no_command_line_that_others_may_read(bench: Bench) -> None:
    seen = []

    def look(marker: Marker) -> None:
        seen.append(Path(f"/proc/{marker.pid}/cmdline").read_bytes())

    await bench.run(bench.job(SHELL, "-c", "true", env={"SECRET": "canary"}), look)

    assert b"--args" in seen[0]
    assert b"canary" not in seen[0]


async def test_no_descriptor_of_ours_comes_along(each_bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary")
    held = os.open(tmp_path / "secret", os.O_RDONLY)
    os.set_inheritable(held, True)
    listing = "import os\nfor n in range(1024):\n try: os.fstat(n); print(n)\n except OSError: pass"
    try:
        ran = await each_bench.python(listing)
    finally:
        os.close(held)

    assert ran.stdout.split() == ["0", "1", "2"]


@pytest.mark.skipif(not IS_ROOT, reason="only a spawner that is root has uids to give away")
async def test_no_process_of_a_job_has_a_real_uid_0(each_bench: Bench) -> None:
    seen: list[tuple[int, set[str]]] = []
    job = each_bench.job(SHELL, "-c", "sleep 30 & sleep 30")
    started = asyncio.Event()
    running = asyncio.create_task(each_bench.run(job, lambda marker: (seen.append((marker.pid, set())), started.set())))
    await started.wait()
    outer = seen[0][0]
    while len(tree.descendants(outer)) < 4:  # the sandbox's init, the shell, its two
        await asyncio.sleep(0.01)

    for pid in (outer, *tree.descendants(outer)):
        fields = status_of(pid)
        assert set(fields["Uid"].split()) == {str(job.uid)}
        assert set(fields["Gid"].split()) == {str(job.uid)}
        assert not fields["Groups"].split() or "65534" in fields["Groups"]
        assert fields["NoNewPrivs"] == "1"
    assert each_bench.launcher.kill(job.spawn_id)
    assert (await running).outcome.reason is Reason.KILLED
    assert os.geteuid() == 0


@pytest.mark.skipif(not IS_ROOT, reason="only a spawner that is root has uids to give away")
@pytest.mark.parametrize("uid", [None, 0])
async def test_a_job_without_a_uid_of_its_own_is_refused_where_we_are_root(bench: Bench, uid: int | None) -> None:
    outcome = (await refused_run(bench, uid)).outcome

    assert outcome.reason is Reason.REFUSED
    assert "uid" in (outcome.detail or "")


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


async def refused_run(bench: Bench, uid: int | None) -> SimpleNamespace:
    told: list[Marker] = []
    outcome = await bench.launcher.run(replace(bench.job(SHELL, "-c", "true"), uid=uid), Watcher(started=told.append))
    assert not told
    return SimpleNamespace(outcome=outcome)


async def test_what_it_sees_is_the_system_read_only_and_its_own_folder(each_bench: Bench) -> None:
    script = """
    echo mine > /job/file; echo tmp > /tmp/file; echo shm > /dev/shm/file; echo run > /run/file
    for place in / /usr /etc /dev /proc /proc/sys/kernel /var; do (echo x > $place/canary) 2>/dev/null && echo wrote $place; done
    ls /; ls /root /home /work 2>/dev/null; cat /etc/shadow 2>/dev/null; cat /etc/passwd"""

    ran = await each_bench.sh(script)

    assert "wrote" not in ran.stdout
    lines = ran.stdout.splitlines()
    assert lines[-1].startswith("job:x:65534")
    assert not {"root", "home", "work", "sys", "boot", "mnt"} & set(lines)
    assert (ran.folder / "file").read_text() == "mine\n"
    if IS_ROOT:
        assert (ran.folder / "file").stat().st_uid >= 60_000


async def test_without_network_there_is_none_and_with_it_there_is(bench: Bench) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    script = f"import socket; print(socket.create_connection(('127.0.0.1', {port}), 2).fileno() >= 0)"
    async with server:
        without = await bench.python(script)
        with_it = await bench.python(script, has_network=True)

    assert "ConnectionRefusedError" in without.stderr
    assert with_it.stdout == "True\n", with_it.stderr


async def test_mounts_are_what_they_are_said_to_be(bench: Bench, work_root: Path) -> None:
    extra = work_root / "extra"
    extra.mkdir()
    (extra / "data").write_text("here")
    mount = Mount(extra, "/project")

    ran = await bench.sh("cat /project/data; touch /project/new || echo refused", mounts=(mount,))

    assert ran.stdout == "hererefused\n"


async def test_other_processes_are_not_seen(bench_on: object, each_bench: Bench) -> None:
    ran = await each_bench.sh("ls /proc 2>/dev/null | grep -c '^[0-9]'; test -e /proc/self && echo has-proc")

    if "has-proc" in ran.stdout:
        assert int(ran.stdout.split()[0]) <= 6
    else:
        assert each_bench.report.rung == "S2p"


async def test_many_jobs_at_once_each_get_their_own_output(bench: Bench) -> None:
    jobs = [bench.job(SHELL, "-c", f"echo {number}; echo {number} >&2") for number in range(8)]

    ran = await asyncio.gather(*(bench.run(job) for job in jobs))

    assert [one.stdout.strip() for one in ran] == [str(number) for number in range(8)]
    assert all(one.outcome.exit_code == 0 for one in ran)


async def test_no_descriptor_and_no_zombie_stays_with_us(bench: Bench) -> None:
    for _ in range(8):  # each uid keeps the files of its cgroup open
        await bench.sh("true")
    descriptors, zombies = open_descriptors(), ended_children()

    for _ in range(10):
        await bench.sh("sleep 0 & true")

    assert open_descriptors() - descriptors == Counter()
    assert ended_children() - zombies == set()


def open_descriptors() -> Counter[str]:
    """What we hold open, by kind; which pipe or process it is does not matter."""
    kinds = Counter[str]()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that this look itself had open
            kinds[str(link.readlink()).partition(":[")[0]] += 1
    return kinds


def ended_children() -> set[int]:
    """Zombies that jobs left us; other tests in this process may have left theirs."""
    names = ("bwrap", "sh", "sleep")
    return {pid for pid in tree.children(os.getpid()) if not tree.is_alive(pid) and comm(pid) in names}


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""  # it is gone altogether


async def test_samples_are_told_while_it_runs(work_root: Path, bench_on: object) -> None:
    bench = await bench_on("S2", sample_seconds=0.1)  # type: ignore[operator]
    first = asyncio.Event()
    job = bench.job(PYTHON, "-I", "-S", "-c", "import time; kept = b'x' * 30_000_000; time.sleep(30)")
    samples = []

    def sampled(sample: object) -> None:
        samples.append(sample)
        if samples[-1].memory_bytes > 30_000_000:  # type: ignore[attr-defined]
            first.set()

    running = asyncio.create_task(bench.launcher.run(job, Watcher(sampled=sampled)))
    await first.wait()
    bench.launcher.kill(job.spawn_id)
    outcome = await running

    assert samples[-1].processes == 1  # type: ignore[attr-defined]
    assert outcome.peak_memory_bytes is not None
    assert outcome.peak_memory_bytes > 30_000_000
