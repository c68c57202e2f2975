"""A real fleet: processes started by `vx11 up`, reached through the gateway."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.hub import FakeHub, fake_hub
from vx11.trial import TrialFleet

NewFleet = Callable[..., TrialFleet]
UNPROBED = {"VX11_HERMES_CLI_SCAN_INTERVAL": "PT0S", "VX11_SWITCH_LOOK_FOR_SERVERS_EVERY": "PT0S"}
"""No fleet asks all programs of this machine for their versions, nor looks for servers of models; a test that wants it asks."""


@pytest.fixture(scope="session", autouse=True)
def _compiled(kernels: Path) -> None:
    """No fleet here compiles: the sample loops are there before the first one."""
    UNPROBED["VX11_SHUB_CACHE_DIR"] = str(kernels)


@pytest.fixture(scope="session")
def project() -> Iterator[Path]:
    """A folder that any user can reach, as pytest's own cannot be: jobs do not run as the fleet's user where that is root."""
    with tempfile.TemporaryDirectory(prefix="vx11-project-") as made:
        folder = Path(made)
        (folder / "check.py").write_text("import sys; print('checked', sys.argv[1])\n")
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def hub() -> Iterator[FakeHub]:
    """The model hub that the fleet of all tests asks."""
    with fake_hub() as found:
        yield found


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, project: Path, hub: FakeHub) -> Iterator[TrialFleet]:
    """A fleet that runs for all tests, with a project called demo; leave it healthy and not halted."""
    recipes = {"tests": {"command": "python3", "args": ["/project/check.py", "all"]}}
    projects = json.dumps({"demo": {"path": str(project), "recipes": recipes}})
    folder = tmp_path_factory.mktemp("fleet") / "data"
    running = TrialFleet(folder, VX11_PROJECTS=projects, VX11_HERMES_HUB_URL=hub.url, **UNPROBED)
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
        made.append(TrialFleet(tmp_path / f"data{len(made)}", **UNPROBED | variables))
        return made[-1]

    yield make
    for one in made:
        one.vx11("down", check=False)


@pytest.fixture
def gateway(fleet: TrialFleet) -> Iterator[httpx.Client]:
    """A client of the running fleet, as its owner."""
    with httpx.Client(
        base_url=fleet.url, headers={"X-VX11-Token": fleet.token}, timeout=90, trust_env=False, verify=False
    ) as client:
        yield client
