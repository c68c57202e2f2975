"""A spawner that is root, whose jobs must never be: attacks that would harm most there."""

import os

import pytest

from tests.spawner.abuse.cases import SMALL, Case
from tests.spawner.abuse.conftest import Siege
from tests.spawner.abuse.scene import Scene
from tests.spawner.abuse.test_attacks import CASES

CHOSEN = (
    "reading the fleet's secrets",
    "reading the machine's secrets",
    "reading this machine's canary by every way round",
    "reading another job's folder and output",
    "descriptors that were left open",
    "an environment that tells secrets",
    "writing outside",
    "changing the kernel's settings",
    "devices",
    "the program that runs replaced by another",
    "symlinks as artifacts",
    "a program with the rights of its owner left behind",
    "the fleet's ports and others on this machine",
    "looking at other processes",
    "signals to others",
    "tracing others",
    "daemons that outlive their job",
    "tricks with the scheduler",
    "mounts",
    "namespaces of its own",
    "calls into seldom used parts of the kernel",
    "programs with the rights of their owner",
    "capabilities taken back",
    "a fork bomb of python",
    "a flood of zombies",
    "memory without end in one process",
    "memory without end in a tree of processes",
    "shared memory that nobody has mapped",
    "anonymous memory files, which belong to no process",
    "shared memory of System V, detached",
    "a disk filled by many files",
)
OF_ROOT = [case for case in CASES if case.name in CHOSEN]


@pytest.mark.parametrize("case", OF_ROOT, ids=str)
def test_an_attack_from_below_root_is_contained(case: Case, siege_of_root: Siege):
    siege_of_root.scene.judge(case, siege_of_root.seen(case))


def test_every_attack_that_was_chosen_is_there():
    assert {case.name for case in OF_ROOT} == set(CHOSEN)


def test_two_jobs_at_once_are_two_users_and_neither_is_root(scene_of_root: Scene):
    waits = SMALL | {"command": "python3", "args": ["-c", "import time; print('here', flush=True); time.sleep(30)"]}
    started = {mark: scene_of_root.spawner.start(waits | {"env": {"MARK": mark}}) for mark in ("first", "second")}
    uids: dict[str, set[int]] = {}
    for mark, spawn_id in started.items():
        while not scene_of_root.spawner.http.get(f"/spawner/spawn/{spawn_id}/logs").json()["stdout"]["text"]:
            assert scene_of_root.spawner.http.get(f"/spawner/spawn/{spawn_id}").json()["status"] in (
                "PENDING",
                "RUNNING",
            )
        uids[mark] = {os.stat(f"/proc/{pid}").st_uid for pid in scene_of_root.census.alive(mark)}
    for spawn_id in started.values():
        scene_of_root.spawner.http.post(f"/spawner/spawn/{spawn_id}/kill").raise_for_status()
    assert len(uids["first"]) == len(uids["second"]) == 1
    assert uids["first"] != uids["second"]
    assert uids["first"] | uids["second"] <= scene_of_root.uids
    assert 0 not in scene_of_root.uids


def test_the_state_folder_keeps_its_owner(scene_of_root: Scene):
    state = scene_of_root.spawner.state_dir
    assert {path.lstat().st_uid for path in [state, *state.rglob("*")]} == {0}


def test_nothing_is_left_of_jobs_below_root(siege_of_root: Siege):
    scene = siege_of_root.scene
    siege_of_root.close()
    scene.spawner.http.post(f"/spawner/spawn/{scene.neighbour}/kill").raise_for_status()
    scene.spawner.ended(scene.neighbour)
    assert scene.census.left() == {}
