"""Processes that people ask for in words: through madre and spawner to their output, cancelled on the way, orphaned by a kill."""

import os
import secrets
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_real_work import final, wait_until

ORPHANED_SECONDS = 1.0
"""How long anything of a job may live on when spawner was killed."""
TREE = """
import os, signal, time
for number in (1, 2, 3, 15): signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    os.fork()
print('started', flush=True)
time.sleep(120)  # {marker}
"""


@pytest.fixture(scope="module", autouse=True)
def _a_sandbox(fleet) -> None:
    """Where no sandbox works jobs are refused, as they should be, and nothing of this can be seen."""
    owner = {"X-VX11-Token": fleet.token}
    with httpx.Client(base_url=fleet.url, headers=owner, trust_env=False, verify=False) as gateway:
        if not works_here(gateway):
            pytest.skip("no sandbox works here: GET /spawner/protections tells why")


def works_here(gateway: httpx.Client) -> bool:
    """Whether a sandbox does."""
    rungs = gateway.get("/spawner/protections").json()["rungs"]
    return any(one["works"] and one["name"] not in ("S1", "S0") for one in rungs)


@pytest.fixture
def marker() -> str:
    """A word that only this test's jobs have in their command lines."""
    return f"marker-{secrets.token_hex(8)}"


def marked(marker: str) -> list[int]:
    """Processes of this machine, in whatever namespace, whose command line holds the word."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if marker.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def spawned(gateway: httpx.Client, marker: str, **more: object) -> str:
    """A job with children that have left its session and ignore signals, and that runs for minutes."""
    asked = {"command": "python3", "args": ["-c", TREE.replace("{marker}", marker)], "timeout_seconds": 90, **more}
    reply = gateway.post("/spawner/spawn", json=asked)
    assert reply.status_code == 202, reply.text
    return reply.json()["spawn_id"]


def record(gateway: httpx.Client, spawn_id: str) -> dict:
    return gateway.get(f"/spawner/spawn/{spawn_id}/status").raise_for_status().json()


def confirmed(gateway: httpx.Client, message: str) -> str:
    """The plan of a message that asks for a process, confirmed."""
    asked = gateway.post("/madre/chat", json={"message": message, "wait_seconds": 0}).json()
    assert asked["status"] == "WAITING", asked
    assert asked["risk"] == "HIGH"
    token = {"confirm_token": asked["confirmation"]["confirm_token"]}
    assert gateway.post(f"/madre/plans/{asked['plan_id']}/confirm", json=token).status_code == 200
    return asked["plan_id"]


def daughter_of(gateway: httpx.Client, plan_id: str, marker: str) -> dict:
    """The record of the plan's process, once it runs."""

    def running() -> list[dict]:
        found = gateway.get("/spawner/spawn/list", params={"status": "RUNNING"}).json()["items"]
        return [one for one in found if one["daughter_task_id"]]

    wait_until(lambda: running() and marked(marker))
    [found] = running()
    assert gateway.get(f"/madre/plans/{plan_id}").json()["status"] in ("RUNNING", "WAITING")
    return found


@pytest.mark.parametrize("message", ["ejecuta `python3 -c 'print(6*7)'`", "run `python3 -c 'print(6*7)'`"])
def test_a_command_asked_for_in_words_runs_when_it_was_confirmed_and_its_output_is_the_answer(gateway, message):
    plan = final(gateway, confirmed(gateway, message))
    assert plan["status"] == "DONE", plan
    assert "42" in plan["response"]
    result = plan["steps"][-1]["result"]
    assert (result["exit_code"], result["reason"], result["stdout"]) == (0, "exited", "42\n")
    kept = record(gateway, result["spawn_id"])
    assert kept["status"] == "DONE"
    assert kept["daughter_task_id"]
    assert kept["network"] == "none"


def test_a_process_that_fails_is_told_with_its_exit_code_and_what_it_said(gateway):
    plan = final(gateway, confirmed(gateway, "run `python3 -c 'import sys; sys.exit(\"no luck today\")'`"))
    assert plan["status"] == "ERROR", plan
    assert "no luck today" in plan["response"] + str(plan["steps"][-1]["error"])


def test_cancelling_the_plan_ends_the_running_process_and_all_its_children(gateway, marker):
    plan_id = confirmed(gateway, f"run `python3 -c \"import os, time; os.fork(); time.sleep(90); '{marker}'\"`")
    job = daughter_of(gateway, plan_id, marker)
    assert gateway.post(f"/madre/plans/{plan_id}/cancel").json()["status"] == "CANCELLED"
    wait_until(lambda: record(gateway, job["spawn_id"])["status"] == "CANCELLED")
    assert marked(marker) == []
    assert final(gateway, plan_id)["status"] == "CANCELLED"


def test_nothing_of_a_job_outlives_a_killed_spawner_and_its_record_is_closed_with_the_truth(fleet, gateway, marker):
    spawn_id = spawned(gateway, marker)
    wait_until(lambda: record(gateway, spawn_id)["stdout_bytes"] or len(marked(marker)) >= 3)
    before = fleet.status()["spawner"]
    os.kill(before["pid"], signal.SIGKILL)
    deadline = time.monotonic() + ORPHANED_SECONDS
    while marked(marker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert marked(marker) == []
    wait_until(lambda: fleet.status()["spawner"]["restarts"] > before["restarts"])
    wait_until(lambda: fleet.status()["spawner"]["state"] == "healthy")
    closed = record(gateway, spawn_id)
    assert (closed["status"], closed["reason"], closed["exit_code"]) == ("ERROR", "lost", None)
    assert closed["finished_at"] is not None


def test_a_plan_whose_spawner_was_killed_gets_its_process_run_again(fleet, gateway, marker):
    plan_id = confirmed(gateway, f"run `python3 -c \"import time; time.sleep(3); print('{marker}')\"`")
    daughter_of(gateway, plan_id, marker)
    os.kill(fleet.status()["spawner"]["pid"], signal.SIGKILL)
    plan = final(gateway, plan_id)
    assert plan["status"] == "DONE", plan
    assert marker in plan["response"]
    assert record(gateway, plan["steps"][-1]["result"]["spawn_id"])["attempt"] == 2


def test_the_command_line_runs_lists_and_kills_jobs(fleet, gateway, marker):
    done = fleet.vx11(
        "spawn", "--timeout", "20", "--", "python3", "-c", "import sys; print(6*7); sys.exit(3)", check=False
    )
    assert (done.stdout, done.returncode) == ("42\n", 3)
    spawn_id = spawned(gateway, marker)
    assert spawn_id in fleet.vx11("jobs").stdout
    assert "CANCELLED" in fleet.vx11("kill", spawn_id).stdout
    assert "killed" in fleet.vx11("jobs", spawn_id).stdout
    assert marked(marker) == []
    late = fleet.vx11("spawn", "--timeout", "0.3", "sleep", "9", check=False)
    assert late.returncode == 124
    assert "timeout" in late.stderr
