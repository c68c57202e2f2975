"""A wrong value in `.env` keeps nobody from looking at the fleet that runs, and from stopping it."""

import json

import pytest

from config.settings import SERVICES
from vx11 import cli, control
from vx11.errors import CommandFailed
from vx11.trial import free_ports

SUPERVISE = """
import asyncio, json, sys
from pathlib import Path
from fastapi import FastAPI
from config import log
from config.settings import FleetSettings
from vx11 import control
from vx11.supervisor import Supervisor, Unit

folder = Path(sys.argv[1])
log.configure()
settings = FleetSettings(state_dir=folder, _env_file=None, **json.loads(sys.argv[2]))
app = FastAPI()
app.state.stopping = asyncio.Event()
app.get("/health")(lambda: {"status": "ok"})
app.get("/gateway/health")(lambda: {"status": "degraded", "checks": {"halt": {"status": "degraded", "detail": "halted"}}})
lock = control.take_lock(folder / "run")
lock.write_pid()
echo = lambda name, line: print(line.decode(), flush=True)
unit = Unit("gateway", ("gateway",))
asyncio.run(Supervisor(settings, {"gateway": app}, [unit], folder / "run", folder / "logs", echo).run())
"""


@pytest.fixture
def ports():
    return {f"{service}_port": port for service, port in zip(SERVICES, free_ports(len(SERVICES)), strict=True)}


@pytest.fixture
def running(tmp_path, monkeypatch, ports, forks):
    """A supervisor with one service, up; and beside it a `.env` that was broken since."""
    folder = tmp_path / "state"
    going = forks.start(SUPERVISE, str(folder), json.dumps(ports))
    assert any('"fleet_is_up"' in line for line in going.lines()), going.err.read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"VX11_STATE_DIR={folder}\nVX11_MADRE_PORT=many\nVX11_PROJECTS=not json\n")
    yield folder
    going.kill()


def test_what_needs_the_settings_names_the_wrong_one(running, capsys):
    assert cli.main(["up", "--detach"]) == 1
    assert "VX11_PROJECTS" in capsys.readouterr().err


def test_the_fleet_is_shown_where_it_runs(running, ports, capsys):
    assert cli.main(["status"]) == 1
    out = capsys.readouterr().out
    assert str(ports["gateway_port"]) in out
    assert "gateway is degraded: halt: halted" in out


def test_its_logs_are_shown(running, capsys):
    assert cli.main(["logs", "vx11"]) == 0
    assert "fleet_is_up" in capsys.readouterr().out


def test_a_service_is_restarted_and_the_fleet_stopped(running, capsys):
    assert cli.main(["restart", "gateway"]) == 0
    assert cli.main(["down"]) == 0
    assert "healthy again" in (told := capsys.readouterr().out)
    assert "the fleet is stopped" in told
    assert control.running_pid(running / "run") is None


def test_a_fleet_that_runs_is_named_by_the_address_it_was_started_with(running, ports, capsys):
    (running.parent / ".env").write_text(f"VX11_STATE_DIR={running}\nVX11_GATEWAY_PORT=1\n")
    assert cli.main(["up", "--detach"]) == 0
    out = capsys.readouterr().out
    assert "running already" in out
    assert "settings are read when it starts" in out
    assert f"the fleet is up at http://127.0.0.1:{ports['gateway_port']};" in out
    assert ":1/" not in out


def test_a_fleet_of_another_version_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "ask", lambda *_: {"units": []})
    with pytest.raises(CommandFailed, match="another version"):
        control.ask_fleet(tmp_path)
