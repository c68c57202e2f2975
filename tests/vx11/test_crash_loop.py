"""A service that cannot start is tried again, ever more slowly, and told plainly; the supervisor stays in command."""

import json
from collections.abc import Iterator

import pytest

from vx11 import control
from vx11.trial import free_ports

SUPERVISE = """
import asyncio, sys
from contextlib import asynccontextmanager
from pathlib import Path
from fastapi import FastAPI
from config import log
from config.settings import FleetSettings
from vx11 import control
from vx11.supervisor import Supervisor, Unit

@asynccontextmanager
async def broken(app):
    raise OSError("no such device")
    yield

folder, port = Path(sys.argv[1]), int(sys.argv[2])
log.configure()
settings = FleetSettings(state_dir=folder, gateway_port=port, _env_file=None)
app = FastAPI(lifespan=broken)
app.state.stopping = asyncio.Event()
lock = control.take_lock(folder / "run")
lock.write_pid()
echo = lambda name, line: print(line.decode(), flush=True)
unit = Unit("gateway", ("gateway",))
asyncio.run(Supervisor(settings, {"gateway": app}, [unit], folder / "run", folder / "logs", echo).run())
"""


@pytest.fixture
def supervised(tmp_path, forks):
    """A supervisor whose only service fails at every start."""
    [port] = free_ports(1)
    running = forks.start(SUPERVISE, str(tmp_path), str(port))
    yield running
    running.kill()


@pytest.fixture
def said(supervised):
    """What it prints, as it comes."""
    return supervised.lines()


def next_event(said: Iterator[str], name: str) -> dict:
    for line in said:
        if line.startswith("{") and json.loads(line)["event"] == name:
            return json.loads(line)
    raise AssertionError(f"it ended without {name}")


def test_a_crash_loop_is_told_with_the_reason_and_stops_at_once_when_asked(supervised, said, tmp_path):
    deaths = [next_event(said, "died"), next_event(said, "died"), next_event(said, "crash_loop")]
    assert [one["next_start_in_seconds"] for one in deaths] == [1, 2, 4]
    assert {one["last_words"] for one in deaths} == {"OSError: no such device"}
    [unit] = control.ask_status(tmp_path / "run")
    assert unit.state == "waiting"
    assert unit.detail.startswith("crash loop, 3 deaths in a row")
    control.ask(tmp_path / "run", "stop")
    assert supervised.wait() == 0
    assert control.running_pid(tmp_path / "run") is None


def test_a_restart_by_hand_does_not_wait_for_the_back_off(said, tmp_path):
    next_event(said, "died")
    next_event(said, "died")
    control.ask(tmp_path / "run", "restart", service="gateway")
    again = next_event(said, "died")
    assert again["deaths_in_a_row"] == 1
    assert "error" in control.ask(tmp_path / "run", "restart", service="nobody")
    assert "error" in control.ask(tmp_path / "run", "dance")
