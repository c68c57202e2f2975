"""Where no namespaces are allowed Landlock and a filter close the machine to a job; each attempt succeeds where nothing is closed."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from config.contracts.spawner import Reason
from spawner import closed, landlock, seccomp
from spawner.job import Mount
from tests.spawner.launch.conftest import FIRST_UID, IS_ROOT, PYTHON, SHELL, Bench

BenchOn = Callable[..., Awaitable[Bench]]
SECRET = "the-word-that-nobody-may-know"
OTHER_UID = FIRST_UID + 4001
TRIES = """
def attempt(name, function):
    try: print(name, "done", function())
    except OSError as error: print(name, "refused", error.errno)
"""


@pytest.fixture(params=["S1", "S0"])
async def either(bench_on: BenchOn, request: pytest.FixtureRequest) -> Bench:
    return await bench_on(request.param)


@pytest.fixture
async def closed_bench(bench_on: BenchOn) -> Bench:
    return await bench_on("S1")


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that everybody may read and write, beside all that is shown to a job."""
    folder = Path(tempfile.mkdtemp(prefix="vx11-outside-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
    Path(f"{folder}.more").unlink(missing_ok=True)


def process_of(uid: int | None) -> "subprocess.Popen[bytes]":
    user = {"user": uid, "group": uid, "extra_groups": []} if uid is not None else {}
    return subprocess.Popen(["/bin/sleep", "60"], env={"WORD": SECRET}, **user)  # type: ignore[call-overload,no-any-return]


def is_closed(bench: Bench) -> bool:
    return bench.report.rung == "S1"


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "another's"])
async def test_files_that_everybody_may_read_are_not_read(either: Bench, outside: Path, is_ours: bool) -> None:
    secret = outside / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    if not is_ours and IS_ROOT:
        os.chown(secret, OTHER_UID, OTHER_UID)

    ran = await either.sh(f"cat {secret} /etc/passwd; ln -s {secret} link; cat link; ls {outside}; echo ended")

    assert ran.stdout.endswith("ended\n")
    assert (SECRET in ran.stdout, "root:" in ran.stdout) == (not is_closed(either),) * 2
    assert ran.stderr.count("Permission denied") == (4 if is_closed(either) else 0)


async def test_nothing_is_written_outside_of_the_jobs_folder(either: Bench, outside: Path) -> None:
    for name in ("truncated", "removed"):
        (outside / name).write_text("whole")
        (outside / name).chmod(0o666)

    ran = await either.python(
        TRIES
        + f"""
import os
os.chdir({str(outside)!r})
attempt("make", lambda: open("made", "w"))
attempt("truncate", lambda: os.truncate("truncated", 1))
attempt("folder", lambda: os.mkdir("folder"))
attempt("remove", lambda: os.rename("removed", "renamed"))
attempt("tmp", lambda: open("/tmp/{outside.name}.more", "w"))
"""
    )

    answers = [line.split()[1] for line in ran.stdout.splitlines()]
    assert answers == ["refused" if is_closed(either) else "done"] * 5, ran.stdout
    assert ((outside / "truncated").read_text() == "whole") == is_closed(either)


async def test_the_jobs_own_folder_and_its_own_tmp_work_and_only_the_first_is_left(closed_bench: Bench) -> None:
    ran = await closed_bench.python(
        "import os, shutil, subprocess, tempfile\n"
        "open('a', 'w').write('text')\n"
        "shutil.copy2('a', 'b'); os.rename('b', 'c'); os.mkdir('d'); os.rename('c', 'd/c')\n"
        "file = tempfile.NamedTemporaryFile(); print(os.path.dirname(file.name) == os.environ['TMPDIR'])\n"
        "open('/dev/null', 'w').write('x')\n"
        "print(subprocess.run(['cat', 'd/c'], capture_output=True, text=True).stdout)\n"
    )

    assert (ran.stdout, ran.stderr) == ("True\ntext\n", "")
    assert sorted(one.name for one in ran.folder.rglob("*")) == ["a", "c", "d"]


async def test_there_is_no_socket_to_be_had_for_anybody(either: Bench, outside: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        name = f"\0vx11-{outside.name}"
        abstract.bind(name)
        abstract.listen()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as named:
            named.bind(str(outside / "named"))
            (outside / "named").chmod(0o777)

            ran = await either.python(
                TRIES
                + f"""
import socket as s
attempt("inet", lambda: s.create_connection(("127.0.0.1", {tcp.getsockname()[1]})))
attempt("inet6", lambda: s.socket(s.AF_INET6))
attempt("abstract", lambda: s.socket(s.AF_UNIX).connect({name!r}))
attempt("named", lambda: s.socket(s.AF_UNIX, s.SOCK_DGRAM).sendto(b"x", {str(outside / "named")!r}))
attempt("pair", lambda: s.socketpair(s.AF_UNIX, s.SOCK_DGRAM)[0].sendto(b"x", {str(outside / "named")!r}))
one, other = s.socketpair()
one.send(b"a pair works"); print(other.recv(99).decode())
"""
            )

    lines = ran.stdout.splitlines()
    assert [line.split()[1] for line in lines[:5]] == ["refused" if is_closed(either) else "done"] * 5, ran.stdout
    assert lines[5] == "a pair works"


async def test_with_a_network_it_is_reached_and_sockets_in_files_are_still_not(closed_bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        job = closed_bench.job(
            PYTHON,
            "-I",
            "-S",
            "-c",
            TRIES
            + f"""
import socket as s
attempt("inet", lambda: s.create_connection(("127.0.0.1", {tcp.getsockname()[1]})) and None)
attempt("unix", lambda: s.socket(s.AF_UNIX))
""",
            has_network=True,
        )
        ran = await closed_bench.run(job)

    assert ran.stdout == "inet done None\nunix refused 13\n"


async def test_another_process_of_the_same_user_is_neither_signalled_nor_read(either: Bench) -> None:
    if landlock.abi() < landlock.ABI_OF_SCOPES:
        pytest.skip("signals are not kept in before Linux 6.12")
    job = either.job(PYTHON, "-I", "-S", "-c", "")
    other = process_of(job.uid)
    try:
        script = (
            TRIES
            + f"""
import os
pid = {other.pid}
attempt("environ", lambda: open(f"/proc/{{pid}}/environ").read())
attempt("mem", lambda: open(f"/proc/{{pid}}/mem", "rb").close())
attempt("fd", lambda: os.readlink(f"/proc/{{pid}}/fd/0"))
attempt("signal", lambda: os.kill(pid, {int(signal.SIGTERM)}))
"""
        )
        ran = await either.run(
            either.job(PYTHON, "-I", "-S", "-c", script, uid=job.uid, folder=job.folder, spool=job.spool)
        )
        answers = [line.split()[1] for line in ran.stdout.splitlines()]
        if is_closed(either):
            assert answers == ["refused"] * 4, ran.stdout
            assert other.poll() != -signal.SIGTERM  # after the job all processes of its uid are killed
        else:
            assert answers == ["done"] * 4, ran.stdout
            assert await asyncio.to_thread(other.wait, 30) == -signal.SIGTERM
        assert (SECRET in ran.stdout) != is_closed(either)
    finally:
        other.kill()
        other.wait()


async def test_spawner_itself_is_not_seen_into_by_the_job(closed_bench: Bench) -> None:
    """No thread of ours may be in the job's domain: through it all of our memory could be read."""
    ran = await closed_bench.python(
        TRIES
        + f"""
import os
for thread in os.listdir("/proc/{os.getpid()}/task"):
    attempt("mem", lambda: open(f"/proc/{{thread}}/mem", "rb").close())
    attempt("signal", lambda: os.kill(int(thread), 0))
"""
    )

    answers = {line.split()[1] for line in ran.stdout.splitlines()}
    assert answers == {"refused"}, ran.stdout


async def test_folders_that_the_request_names_are_read_and_not_written(closed_bench: Bench, outside: Path) -> None:
    (outside / "input").write_text("shown")
    job = closed_bench.job(
        SHELL, "-c", f"cat {outside}/input; touch {outside}/more", mounts=(Mount(outside, str(outside)),)
    )

    ran = await closed_bench.run(job)

    assert ran.stdout == "shown"
    assert os.listdir(outside) == ["input"]


async def test_what_it_takes_mounts_to_show_is_refused_with_the_reason(closed_bench: Bench, outside: Path) -> None:
    job = closed_bench.job(SHELL, "-c", "touch ran", mounts=(Mount(outside, "/project"),))

    ran = await closed_bench.run(job)

    assert ran.outcome.reason is Reason.REFUSED
    assert "/project" in (ran.outcome.detail or "")
    assert not (ran.folder / "ran").exists()


async def test_variables_of_the_job_change_nothing_before_it_is_closed_in(closed_bench: Bench, outside: Path) -> None:
    env = {"TMPDIR": str(outside / "made"), "PYTHONSTARTUP": "x", "PYTHONHOME": "/nowhere"}
    ran = await closed_bench.sh("echo $TMPDIR; touch $TMPDIR", env=env)

    assert ran.stdout == f"{outside}/made\n"
    assert os.listdir(outside) == []


async def test_a_job_that_cannot_be_closed_in_does_not_run(
    closed_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "compiled", lambda **_more: b"")
    monkeypatch.setattr(seccomp, "compiled", lambda **_more: None)

    ran = await closed_bench.sh("touch ran")

    assert ran.outcome.reason is Reason.REFUSED
    assert "sockets were not refused" in (ran.outcome.detail or "")
    assert not (ran.folder / "ran").exists()


AS_OURSELVES = (
    TRIES
    + """
import os, resource, sys
own, other, parent = sys.argv[1:]
attempt("rights", lambda: os.chmod(other, 0o777))
attempt("times", lambda: os.utime(other, (1, 1)))
attempt("attribute", lambda: os.setxattr(other, "user.x", b"1"))
attempt("limit", lambda: resource.prlimit(int(parent), resource.RLIMIT_CORE, (0, 0)))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, int(parent), 19))
with open(own, "w") as file:
    os.fchmod(file.fileno(), 0o640)
print(oct(os.stat(own).st_mode & 0o777))
"""
)


def test_a_job_in_our_own_name_cannot_change_rights_and_limits_of_what_is_ours(outside: Path) -> None:
    """As where spawner is not root: what starts it is run as such a user, by itself."""
    if (why := landlock.obstacle()) is not None:
        pytest.skip(why)
    uid = OTHER_UID if IS_ROOT else None
    program, folder, other = outside / "restricted.py", outside / "job", outside / "other"
    shutil.copyfile(closed.PROGRAM, program)
    folder.mkdir()
    other.touch()
    other.chmod(0o600)
    if uid is not None:
        for path in (folder, other):
            os.chown(path, uid, uid)
    before = other.stat()
    filters = [
        seccomp.compiled(is_counted=False) or b"",
        landlock.compiled(has_network=False, has_own_user=False),
    ]
    script = ["-I", "-S", "-c", AS_OURSELVES, str(folder / "own"), str(other), str(os.getpid())]
    told = {
        "parent": os.getpid(),
        "uid": None,
        "folder": str(folder),
        "tmp": str(folder / ".tmp"),
        "argv": [str(PYTHON), *script],
        "env": {},
        "limits": [],
        "abi": landlock.abi(),
        "files": [("/usr", landlock.READ), ("/lib64", landlock.READ), (str(folder), landlock.WRITE)],
        "has_network": False,
        "filters": [one.hex() for one in filters],
    }
    reading, writing = os.pipe()
    says, tells = os.pipe()
    os.write(writing, json.dumps(told).encode())
    os.close(writing)
    user = {"user": uid, "group": uid, "extra_groups": []} if uid is not None else {}
    words = [str(PYTHON), "-I", "-S", str(program), str(reading), str(tells)]
    ran = subprocess.run(words, pass_fds=(reading, tells), capture_output=True, text=True, env={}, **user)  # type: ignore[call-overload]
    os.close(tells)
    with open(says, "rb") as file:
        assert file.read() == b""
    os.close(reading)

    assert ran.stdout.splitlines() == [
        "rights done None",
        "times done None",
        "attribute refused 95",
        "limit refused 1",
        "priority refused 1",
        "0o640",
    ], ran.stderr
    assert (other.stat().st_mode, other.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
