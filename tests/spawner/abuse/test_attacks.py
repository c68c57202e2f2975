"""Real attacks on a real spawner that is not root: each did what it is for, and nothing came of it."""

import socket
import time

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


def test_the_canaries_can_be_heard(siege: Siege):
    """A canary that nobody could reach would prove nothing."""
    scene = siege.scene
    siege.close()
    listeners = scene.listeners
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", listeners.port)),
        (socket.AF_UNIX, f"\0{listeners.abstract}"),
        (socket.AF_UNIX, str(listeners.path)),
    ):
        with socket.socket(family) as one:
            one.connect(address)
            one.sendall(b"hello")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"hello", ("127.0.0.1", listeners.port))
    expected = [("abstract", "hello"), ("tcp4", "hello"), ("udp", "hello"), ("unix", "hello")]
    if scene.far:
        with socket.create_connection((scene.far.address, 4711)) as one:
            one.sendall(b"hello")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (len(listeners.visits) < 4 or (scene.far and not scene.far.visits)):
        time.sleep(0.02)
    heard, heard_far = sorted(listeners.visits), scene.far.visits[:] if scene.far else ["tcp"]
    scene.forget()
    assert heard == expected
    assert heard_far == ["tcp"]
