"""A real fleet: processes started by `vx11 up`, reached through the gateway."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from vx11.trial import TrialFleet

NewFleet = Callable[..., TrialFleet]


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialFleet]:
    """A fleet that runs for all tests; leave it healthy and not halted."""
    running = TrialFleet(tmp_path_factory.mktemp("fleet") / "data")
    running.up()
    try:
        yield running
    finally:
        running.down()


@pytest.fixture
def new_fleet(tmp_path: Path) -> Iterator[NewFleet]:
    """`new_fleet(VX11_…=…)`: a fleet of this test's own, not started; whatever runs of it is stopped in the end."""
    made = list[TrialFleet]()

    def make(**variables: str) -> TrialFleet:
        made.append(TrialFleet(tmp_path / f"data{len(made)}", **variables))
        return made[-1]

    yield make
    for one in made:
        one.vx11("down", check=False)


@pytest.fixture
def gateway(fleet: TrialFleet) -> Iterator[httpx.Client]:
    """A client of the running fleet, as its owner."""
    with httpx.Client(base_url=fleet.url, headers={"X-VX11-Token": fleet.token}, timeout=90, trust_env=False) as client:
        yield client
