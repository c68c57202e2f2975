"""Spawners under attack: one that is nobody's special, one of root's, one whose protections can be switched off."""

import os
import platform
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pytest

from tests.spawner.abuse.cases import Case, Seen
from tests.spawner.abuse.outside import FarNetwork
from tests.spawner.abuse.scene import Scene, skip_without_sandbox, unprivileged_uid
from tests.spawner.abuse.service import Spawner, can_read_us

AT_ONCE = 3


@pytest.fixture(scope="session")
def far() -> Iterator[FarNetwork | None]:
    """The network beyond this machine; None where we may not make one."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield None
        return
    network = FarNetwork()
    yield network
    network.close()


def unprivileged(far: FarNetwork | None, migrated: Path, *, weakened: bool) -> Iterator[Scene]:
    if platform.machine() != "x86_64":
        pytest.skip("the attacks know the system calls of x86-64 only")
    uid = unprivileged_uid()
    if uid is not None and (shutil.which("setpriv") is None or not can_read_us(uid)):
        pytest.skip(
            f"no other user can run this code with this Python ({os.sys.executable}), and spawner must not be root here"
        )
    spawner = Spawner(migrated, uid=uid, weakened=weakened)
    skip_without_sandbox(spawner)
    scene = Scene(spawner, {os.geteuid() if uid is None else uid}, far, patience_seconds=2.0 if weakened else 5.0)
    yield scene
    scene.close()


@pytest.fixture(scope="package")
def scene(far: FarNetwork | None, migrated: Path) -> Iterator[Scene]:
    """A spawner that is not root."""
    yield from unprivileged(far, migrated, weakened=False)


@pytest.fixture(scope="module")
def weakened(far: FarNetwork | None, migrated: Path) -> Iterator[Scene]:
    """The same, with protections that can be switched off."""
    yield from unprivileged(far, migrated, weakened=True)


@pytest.fixture(scope="module")
def scene_of_root(far: FarNetwork | None, migrated: Path) -> Iterator[Scene]:
    """A spawner that is root, whose jobs are not."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a spawner that is root")
    spawner = Spawner(migrated)
    skip_without_sandbox(spawner)
    words = spawner.report["runs_as"].split()  # a pool of 16 uids from 61000
    first, count = int(words[-1]), int(words[3])
    scene = Scene(spawner, range(first, first + count), far)
    yield scene
    scene.close()


class Siege:
    """Attacks that can be at work beside each other are, from the start; the others each when they are asked for."""

    def __init__(self, scene: Scene, cases: list[Case]) -> None:
        self.scene = scene
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._begun: dict[str, Future[Seen]] = {
            case.name: self._pool.submit(scene.attack, case) for case in cases if not case.is_alone
        }

    def seen(self, case: Case) -> Seen:
        """Raises what the attack raised."""
        if case.is_alone:
            self._pool.shutdown(wait=True)
            return self.scene.attack(case)
        return self._begun[case.name].result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def cases_of(request: pytest.FixtureRequest) -> list[Case]:
    """The cases that this run has chosen from the module."""
    of_module = (item for item in request.session.items if item.path == request.path)
    return list(chain.from_iterable(_case(item) for item in of_module))


def _case(item: pytest.Item) -> list[Case]:
    found = getattr(item, "callspec", None)
    return [found.params["case"]] if found and "case" in found.params else []


@pytest.fixture(scope="module")
def siege(scene: Scene, request: pytest.FixtureRequest) -> Iterator[Siege]:
    made = Siege(scene, cases_of(request))
    yield made
    made.close()


@pytest.fixture(scope="module")
def siege_of_root(scene_of_root: Scene, request: pytest.FixtureRequest) -> Iterator[Siege]:
    made = Siege(scene_of_root, cases_of(request))
    yield made
    made.close()
