"""Madre's daughters through kills and halts, and a project's recipe: real processes."""

import os
import signal

import httpx
import pytest

from tests.e2e.test_real_work import final, wait_until
from tests.e2e.test_spawned_jobs import confirmed


@pytest.fixture(autouse=True)
def a_sandbox(gateway: httpx.Client) -> None:
    report = gateway.get("/spawner/protections").json()
    if not any(one["works"] and one["name"] not in ("S1", "S0") for one in report["rungs"]):
        pytest.skip(f"no sandbox works here: {report['advice']}")


def runs(gateway: httpx.Client) -> list[dict]:
    """Daughters that run now."""
    found = gateway.get("/spawner/spawn/list", params={"status": "RUNNING"}).json()["items"]
    return [one for one in found if one["daughter_task_id"]]


def test_a_madre_that_is_killed_waits_on_for_the_same_daughter(fleet, gateway):
    plan_id = confirmed(gateway, "run `python3 -c 'import time; time.sleep(6); print(6*7)'`")
    wait_until(lambda: runs(gateway))
    [job] = runs(gateway)
    before = fleet.status()["madre"]
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: fleet.status()["madre"]["restarts"] > before["restarts"])
    wait_until(lambda: fleet.status()["madre"]["state"] == "healthy")
    plan = final(gateway, plan_id)
    assert plan["status"] == "DONE", plan
    assert (plan["result"]["spawn_id"], plan["result"]["stdout"]) == (job["spawn_id"], "42\n")


def test_a_halt_kills_the_daughter_and_the_resume_runs_her_again(gateway):
    plan_id = confirmed(gateway, "run `python3 -c 'import time; time.sleep(2); print(6*7)'`")
    wait_until(lambda: runs(gateway))
    [job] = runs(gateway)
    gateway.post("/madre/halt", json={"reason": "fire"})
    try:
        wait_until(lambda: gateway.get(f"/spawner/spawn/{job['spawn_id']}").json()["status"] == "CANCELLED")
        assert gateway.get(f"/madre/plans/{plan_id}").json()["status"] == "WAITING"
        assert runs(gateway) == []
    finally:
        gateway.post("/madre/resume")
    plan = final(gateway, plan_id)
    assert plan["status"] == "DONE", plan
    assert plan["result"]["spawn_id"] != job["spawn_id"]
    assert "42" in plan["response"]


def test_the_tests_of_a_project_run_on_its_folder(gateway):
    plan = final(gateway, confirmed(gateway, "corre los tests del proyecto demo"))
    assert plan["status"] == "DONE", plan
    assert "checked all" in plan["response"]


def test_a_job_is_told_and_ended_in_words(gateway):
    plan_id = confirmed(gateway, "ejecuta `sleep 60`")
    wait_until(lambda: runs(gateway))
    [job] = runs(gateway)
    told = gateway.post("/madre/chat", json={"message": "¿qué procesos hay?", "wait_seconds": 20}).json()
    assert job["spawn_id"] in told["response"]
    killed = final(gateway, confirmed(gateway, f"mata el proceso {job['spawn_id']}"))
    assert killed["status"] == "DONE", killed
    assert "Detenido" in killed["response"]
    assert "alguien lo detuvo" in final(gateway, plan_id)["response"]
