"""A fleet comes up, stays up, and goes without a trace."""

import os
import secrets
import signal
import socket
import subprocess
import time

import httpx
import pytest

from config.settings import SERVICES
from tests.e2e.test_spawned_jobs import marked, spawned, works_here
from tests.forked import Forks
from vx11.process import footprint
from vx11.trial import TrialFleet

PATIENCE_SECONDS = 30
UP = "import sys; from vx11.cli import main; sys.exit(main(sys.argv[1:]))"


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(came_true, what: str) -> None:
    """Look again until it is so: for what other processes do and nobody tells."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not came_true():
        assert time.monotonic() < deadline, f"did not come true in {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.02)


def all_pids(fleet: TrialFleet) -> set[int]:
    """The supervisor, its services, and all they started."""
    supervisor = fleet.supervisor_pid()
    services = {row["pid"] for row in fleet.status().values()}
    return {supervisor}.union(*(footprint(pid).pids for pid in {supervisor, *services}))


def line_with(running: subprocess.Popen[str], text: str) -> str:
    """The next line of its output that holds `text`."""
    assert running.stdout is not None
    for line in running.stdout:
        if text in line:
            return line
    raise AssertionError(f"it ended without saying {text!r}")


def test_every_service_is_up_and_healthy(fleet):
    rows = fleet.status()
    assert list(rows) == list(SERVICES)
    assert {row["state"] for row in rows.values()} == {"healthy"}
    assert len({row["pid"] for row in rows.values()}) == len(SERVICES)
    assert all(row["memory_bytes"] > 0 for row in rows.values())
    table = fleet.vx11("status").stdout
    assert all(service in table for service in SERVICES)


def test_the_first_start_made_secrets_that_only_the_owner_can_read(fleet):
    token = fleet.state_dir / "secrets" / "token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700


def test_a_second_up_changes_nothing(fleet):
    before = fleet.status()
    told = fleet.vx11("up", "--detach").stdout
    assert "running already" in told
    after = fleet.status()
    assert {name: row["pid"] for name, row in after.items()} == {name: row["pid"] for name, row in before.items()}
    in_the_foreground = fleet.vx11("up")
    assert "running already" in in_the_foreground.stdout


def test_a_service_that_is_killed_comes_back_by_itself(fleet):
    before = fleet.status()["hermes_db"]
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: fleet.status()["hermes_db"]["restarts"] > before["restarts"], "hermes_db was started again")
    until(lambda: fleet.status()["hermes_db"]["state"] == "healthy", "hermes_db is healthy again")
    assert "SIGKILL" in fleet.vx11("logs", "vx11").stdout
    assert fleet.vx11("status").returncode == 0


def test_one_service_can_be_restarted_and_the_others_stay(fleet):
    before = fleet.status()
    fleet.vx11("restart", "switch")
    after = fleet.status()
    assert after["switch"]["pid"] != before["switch"]["pid"]
    assert after["madre"]["pid"] == before["madre"]["pid"]
    refused = fleet.vx11("restart", "nobody", check=False)
    assert refused.returncode == 1
    assert "no service of the running fleet is called nobody" in refused.stderr


def test_logs_are_kept_by_service_and_hold_no_token(fleet):
    everything = fleet.vx11("logs", "--lines", "5000").stdout
    assert "fleet_is_up" in everything
    for file in (fleet.state_dir / "logs").iterdir():
        assert fleet.token not in file.read_text()
    assert fleet.vx11("audit", "verify").returncode == 0


def test_down_leaves_nothing_behind_not_even_with_a_job_and_an_open_event_stream(new_fleet):
    fleet = new_fleet()
    fleet.up()
    job = running_job(fleet)
    pids = all_pids(fleet)
    ports = list(fleet.ports.values())
    with waiting_stream(fleet) as stream:
        fleet.vx11("down")
        stream.read()  # it ends, cleanly or cut
    assert not any(alive(pid) for pid in pids)
    assert marked(job) == []
    for port in ports:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))
    killed = [line for line in (fleet.state_dir / "logs" / "vx11.log").read_text().splitlines() if '"killed"' in line]
    assert killed == [], "a service had to be killed"
    assert fleet.vx11("status", check=False).returncode == 1
    assert fleet.vx11("down").returncode == 0


def test_a_killed_supervisor_leaves_no_orphan_and_no_job_and_ctrl_c_ends_the_one_that_follows_cleanly(new_fleet):
    fleet = new_fleet()
    fleet.up()
    job = running_job(fleet)
    pids = all_pids(fleet)
    os.kill(fleet.supervisor_pid(), signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in pids) and not marked(job), "all of it is gone")
    running = fleet.start("up", "--single")
    line_with(running, "fleet_is_up")
    rows = fleet.status()
    assert {row["state"] for row in rows.values()} == {"healthy"}
    assert len({row["pid"] for row in rows.values()}) == 2  # spawner keeps a process of its own
    pids = all_pids(fleet)
    with waiting_stream(fleet):
        running.send_signal(signal.SIGINT)
        assert running.wait(PATIENCE_SECONDS) == 0
    assert running.stdout is not None
    assert "Traceback" not in running.stdout.read()
    assert not any(alive(pid) for pid in pids)


def refusal(forks: Forks, fleet: TrialFleet, *options: str) -> str:
    """The one line in which `vx11 up` says why it does not start."""
    refused = forks.start(UP, "up", *options, cwd=fleet.state_dir.parent, **fleet.environment)
    try:
        assert refused.wait() == 1
    finally:
        refused.kill()
    [line] = refused.err.read_text().splitlines()
    return line


def test_a_port_in_use_is_named(new_fleet, forks):
    fleet = new_fleet()
    with socket.socket() as other:
        other.bind(("127.0.0.1", fleet.ports["shub"]))
        other.listen()
        line = refusal(forks, fleet, "--detach")
    assert f":{fleet.ports['shub']}" in line
    assert "VX11_SHUB_PORT" in line


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"VX11_TOKEN": "vx11-local-token"}, "VX11_TOKEN"),
        ({"VX11_FLEET_TOKEN": "short"}, "VX11_FLEET_TOKEN"),
        ({"VX11_SHUTDOWN_TIMEOUT": "soon"}, "VX11_SHUTDOWN_TIMEOUT"),
    ],
)
def test_what_keeps_the_fleet_from_starting_is_told_in_one_line(new_fleet, forks, variables, named):
    assert named in refusal(forks, new_fleet(**variables))


def running_job(fleet: TrialFleet) -> str:
    """The word that only the processes of a job have in their command lines, which runs now; of none where no sandbox works."""
    marker = f"marker-{secrets.token_hex(8)}"
    with httpx.Client(
        base_url=fleet.url, headers={"X-VX11-Token": fleet.token}, timeout=60, trust_env=False, verify=False
    ) as gateway:
        if works_here(gateway):
            spawned(gateway, marker)
            until(lambda: len(marked(marker)) >= 3, "the job and its children run")
    return marker


class waiting_stream:
    """An event stream through the gateway that is open and has nothing to say: a plan that waits for its confirmation."""

    def __init__(self, fleet: TrialFleet) -> None:
        self._client = httpx.Client(
            base_url=fleet.url, headers={"X-VX11-Token": fleet.token}, timeout=60, trust_env=False, verify=False
        )

    def __enter__(self) -> httpx.Response:
        pending = self._client.post(
            "/madre/control", json={"target": "shub", "action": "delete", "params": {"asset_id": "asset_none"}}
        )
        assert pending.json()["status"] == "pending_confirmation", pending.text
        request = self._client.build_request("GET", f"/madre/plans/{pending.json()['plan_id']}/events")
        self._response = self._client.send(request, stream=True)
        assert self._response.status_code == 200
        return self._response

    def __exit__(self, *_: object) -> None:
        self._response.close()
        self._client.close()
