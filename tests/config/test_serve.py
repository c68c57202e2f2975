"""Services as processes of their own: how they start, refuse to, and end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from config.serve import EXIT_CONFIGURATION, bind
from config.settings import FleetSettings
from tests.forked import SERVE, Forked, Forks
from vx11.trial import free_ports

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60
Start = Callable[..., Forked]


@pytest.fixture
def start(state_dir: Path, tmp_path: Path, forks: Forks) -> Iterator[Start]:
    """`start(service, VX11_…=…)`: as `python -m config.serve` does it; what still runs in the end is killed."""
    started = list[Forked]()

    def run(*arguments: str, **variables: str) -> Forked:
        started.append(forks.start(SERVE, *arguments, cwd=tmp_path, **{"VX11_STATE_DIR": str(state_dir)} | variables))
        return started[-1]

    yield run
    for one in started:
        one.kill()


@pytest.fixture
def start_anew(state_dir: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The same from the beginning, as Compose does it."""
    started = list[subprocess.Popen[str]]()

    def run(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "VX11_STATE_DIR": str(state_dir), **variables}
        command = [sys.executable, "-m", "config.serve", *arguments]
        started.append(
            subprocess.Popen(
                command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield run
    for one in started:
        one.kill()
        one.communicate()


def refused(running: Forked, status: int = EXIT_CONFIGURATION) -> str:
    """The one line that a service says which cannot start."""
    assert running.wait() == status, running.err.read_text()
    [line] = (running.out.read_text() + running.err.read_text()).splitlines()
    return line


def until_it_answers(port: int) -> httpx.Response:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_service_ends_with_status_zero_when_told_to(start_anew):
    [port] = free_ports(1)
    running = start_anew("hermes_db", VX11_HERMES_DB_PORT=str(port))
    health = until_it_answers(port)
    assert health.json()["status"] == "ok"
    assert "server" not in health.headers
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 0, err
    assert "Traceback" not in err


def test_a_service_ends_with_status_zero_when_it_is_interrupted(start):
    [port] = free_ports(1)
    running = start("hermes_db", VX11_HERMES_DB_PORT=str(port))
    until_it_answers(port)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait() == 0, running.err.read_text()
    assert "Traceback" not in running.err.read_text()


def test_a_taken_port_is_named(start):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused(start("hermes_db", VX11_HERMES_DB_PORT=str(port)))
    assert f"127.0.0.1:{port}" in line
    assert "VX11_HERMES_DB_PORT" in line


def test_a_weak_secret_is_refused(start):
    assert "publicly known" in refused(start("hermes_db", VX11_TOKEN="changeme"))


def test_a_database_of_another_time_is_refused(start, tmp_path):
    assert "vx11 migrate" in refused(start("hermes_db", VX11_STATE_DIR=str(tmp_path / "empty")))


def test_a_bad_setting_is_named_and_its_value_is_not_shown(start):
    line = refused(start("hermes_db", VX11_BODY_LIMIT_BYTES="sk-secret"))
    assert "VX11_BODY_LIMIT_BYTES" in line
    assert "sk-secret" not in line
    assert "VX11_SERVICE_URLS" in refused(start("hermes_db", VX11_SERVICE_URLS="{"))


def test_an_unknown_service_is_told_which_there_are(start):
    assert "hermes_db" in refused(start("nobody"), status=2)


def test_the_health_check_of_the_containers_tells_up_from_down(start):
    [port] = free_ports(1)
    check = [sys.executable, "-IS", str(ROOT / "config" / "healthcheck.py"), str(port)]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 1
    start("hermes_db", VX11_HERMES_DB_PORT=str(port))
    until_it_answers(port)
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0


WHICH_LOOP = """
import asyncio, contextlib, os, signal, sys
from fastapi import FastAPI
from config.serve import run_apps
from config.settings import FleetSettings

@contextlib.asynccontextmanager
async def lifespan(app):
    child = await asyncio.create_subprocess_exec("/bin/true")
    print(type(asyncio.get_running_loop()).__module__, await child.wait(), len(os.listdir("/proc/self/task")))
    os.kill(os.getpid(), signal.SIGTERM)
    yield

app = FastAPI(lifespan=lifespan)
app.state.stopping = asyncio.Event()
run_apps({sys.argv[1]: app}, FleetSettings(_env_file=None))
"""


@pytest.mark.parametrize(("service", "loop"), [("spawner", "asyncio.unix_events"), ("switch", "uvloop")])
def test_a_service_that_starts_processes_runs_on_a_loop_that_does_not_fork_and_waits_for_them_without_threads(
    service, loop, tmp_path, forks
):
    [port] = free_ports(1)
    done = forks.start(WHICH_LOOP, service, cwd=tmp_path, **{f"VX11_{service.upper()}_PORT": str(port)})
    assert (done.wait(), done.out.read_text().split()) == (0, [loop, "0", "1"]), done.err.read_text()


async def test_an_answer_of_two_writes_does_not_wait_for_the_client(state_dir):
    accepted = asyncio.get_running_loop().create_future()
    (port,) = free_ports(1)
    bound = bind("spawner", FleetSettings(state_dir=state_dir, spawner_port=port, _env_file=None))
    async with await asyncio.start_server(
        lambda _, writer: accepted.set_result(writer.get_extra_info("socket")), sock=bound
    ):
        _, writer = await asyncio.open_connection(*bound.getsockname())
        assert (await accepted).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
