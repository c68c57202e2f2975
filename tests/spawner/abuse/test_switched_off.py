"""The same attacks with single protections switched off: now they must get through, or they would prove nothing.

Only attacks that end by themselves are let loose.
"""

import pytest

from tests.spawner.abuse.cases import Breach, Case
from tests.spawner.abuse.scene import Scene
from tests.spawner.abuse.test_attacks import CASES

BY_NAME = {case.name: case for case in CASES}
PAIRS = [
    ("fs", "reading the fleet's secrets"),
    ("fs", "reading the machine's secrets"),
    ("fs", "reading this machine's canary by every way round"),
    ("fs", "reading another job's folder and output"),
    ("fs", "writing outside"),
    ("fs", "sockets of the machine by a path"),
    ("readonly", "writing outside"),
    ("net", "the fleet's ports and others on this machine"),
    ("net", "datagrams"),
    ("net", "sockets of the machine by an abstract name"),
    ("net", "the network beyond"),
    ("pid", "looking at other processes"),
    ("pid,seccomp", "tracing others"),
    ("pid", "daemons that outlive their job"),
    ("seccomp", "tracing others"),
    ("seccomp,userns", "namespaces of its own"),
    ("seccomp", "calls into seldom used parts of the kernel"),
    ("seccomp", "the kernel's keyrings"),
    ("seccomp", "another personality"),
    ("seccomp", "families of sockets that nobody needs"),
    ("seccomp", "programs with the rights of their owner"),
    ("mem", "memory without end in a tree of processes"),
    ("mem", "shared memory that nobody has mapped"),
    ("pids", "a flood of threads"),
    ("pids", "a flood of zombies"),
]


@pytest.mark.parametrize(("protection", "name"), PAIRS, ids=[f"{a}-{b}".replace(" ", "_") for a, b in PAIRS])
def test_without_its_protection_the_attack_gets_through(protection: str, name: str, weakened: Scene):
    if name == "the network beyond" and weakened.far is None:
        pytest.skip("a network beyond this machine can be made by root alone, with iproute2")
    case = BY_NAME[name]
    try:
        seen = weakened.attack(case, WITHOUT=protection)
        with pytest.raises(Breach):
            weakened.judge(case, seen)
    finally:
        weakened.forget()


@pytest.mark.parametrize("case", [BY_NAME["the kernel's keyrings"], BY_NAME["looking at other processes"]], ids=str)
def test_the_spawner_that_can_be_weakened_holds_as_long_as_it_is_not(case: Case, weakened: Scene):
    weakened.judge(case, weakened.attack(case))
