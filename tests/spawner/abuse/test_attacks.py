"""Real attacks on a real spawner that is not root: each did what it is for, and nothing came of it."""

import pytest

from tests.spawner.abuse import attacks_on_files, attacks_on_others, attacks_on_resources, attacks_on_the_kernel
from tests.spawner.abuse.cases import Case
from tests.spawner.abuse.conftest import Siege

CASES = [
    *attacks_on_files.CASES,
    *attacks_on_others.CASES,
    *attacks_on_the_kernel.CASES,
    *attacks_on_resources.CASES,
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_attack_is_contained(case: Case, siege: Siege):
    if case.name == "the network beyond" and siege.scene.far is None:
        pytest.skip("a network beyond this machine can be made by root alone, with iproute2")
    siege.scene.judge(case, siege.seen(case))


def test_nothing_is_left_of_all_these_jobs(siege: Siege):
    scene = siege.scene
    siege.close()
    scene.spawner.http.post(f"/spawner/spawn/{scene.neighbour}/kill").raise_for_status()
    scene.spawner.ended(scene.neighbour)
    assert scene.census.left() == {}


def test_the_canaries_can_be_heard(scene):
    """A canary that nobody could reach would prove nothing."""
    import socket

    with socket.create_connection(("127.0.0.1", scene.listeners.port)) as one:
        one.sendall(b"hello")
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(f"\0{scene.listeners.abstract}")
        one.sendall(b"hello")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"hello", ("127.0.0.1", scene.listeners.port))
