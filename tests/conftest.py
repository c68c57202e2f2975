"""What every test stands on: a state folder of its own with a migrated database, and apps that really start."""

import fcntl
import gc
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from config import migrate
from config.secrets import FleetSecrets, load_secrets
from config.settings import FleetSettings
from switch.providers import catalogue, keys
from tests.forked import forks
from tests.kernels import begin_compiling, kernels
from tests.postgres import migrated_postgres, postgres, postgres_url

__all__ = ["forks", "kernels", "migrated_postgres", "postgres", "postgres_url"]

KEYS = {variable for provider in catalogue.entries().values() for variable in provider.key_variables}
for name in [name for name in os.environ if name.startswith("VX11_") or name in KEYS]:
    del os.environ[name]  # a developer's own settings and keys must not reach the tests
keys.ENV_FILE = Path(os.devnull)

# The same examples in every run, so that a change fails for what it changes; `HYPOTHESIS_PROFILE=default` goes looking for others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

TOGETHER = ("tests/e2e/", "tests/spawner/abuse/", "tests/contract/")
"""Folders whose tests go to one worker, as those of a file do: they share what is dear to make, or would starve or kill each other."""

DEAREST = (
    *("postgres", "tests/spawner/abuse/", "tests/e2e/", "tests/contract/"),
    *("tests/shub/test_mixing_jobs.py", "tests/shub/test_processes.py", "tests/switch/test_light_model.py"),
    *("tests/vx11/test_broken_settings.py", "tests/shub/test_kernel_cache.py", "tests/shub/test_analyze.py"),
    *("tests/hermes/test_discover_browser.py", "tests/hermes/test_processes.py", "tests/config/test_database.py"),
    *(
        "tests/switch/local/test_rotation_of_models.py",
        "tests/vx11/",
        "tests/madre/test_daughters.py",
        "tests/spawner/",
    ),
    *("tests/hermes/", "tests/madre/", "tests/shub/", "tests/switch/"),
)
"""What takes longest begins first, so that no worker is still at it when the others have ended. The rest is small change."""


def _goes_with(nodeid: str) -> str:
    """The tests that stay together: in order, on one worker."""
    if "postgres" in nodeid:
        return "postgres"  # one server, not one in every worker
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        group = _goes_with(item.nodeid)
        return next((turn for turn, dear in enumerate(DEAREST) if group.startswith(dear)), len(DEAREST))

    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Which tests go together to a worker, in the order in which they were collected. (xdist's own groups do nothing under pytest 9.2.)"""

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _goes_with(nodeid)

    config.option.loadscopereorder = False
    return Together(config, log)


def pytest_sessionstart(session: pytest.Session) -> None:
    begin_compiling(session.config)


def pytest_collection_finish() -> None:
    """What is imported by now stays: the collector need not walk through it again, nor run as often as for a small program."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """FastAPI's caches hold on to the app of every test, and pytest would walk through all of them twice before it ends."""
    gc.freeze()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with an empty, migrated database and secrets, to be copied: made by the first worker that needs it."""
    mine = tmp_path_factory.getbasetemp()
    folder = (mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) / "migrated"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed
        if not folder.exists():
            making = folder.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)  # who was at it has died
            settings = FleetSettings(state_dir=making, _env_file=None)
            migrate.upgrade(settings)
            load_secrets(settings)
            making.rename(folder)
    return folder


@pytest.fixture
def state_dir(migrated: Path, tmp_path: Path) -> Path:
    """This test's own state folder."""
    folder = tmp_path / "state"
    shutil.copytree(migrated, folder)
    return folder


@pytest.fixture
def secrets(state_dir: Path) -> FleetSecrets:
    return load_secrets(FleetSettings(state_dir=state_dir, _env_file=None))


@pytest.fixture
def owner_headers(secrets: FleetSecrets) -> dict[str, str]:
    return {"X-VX11-Token": secrets.owner.get_secret_value()}


@pytest.fixture
def fleet_headers(secrets: FleetSecrets) -> dict[str, str]:
    """What one service shows another."""
    return {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": "test"}


@asynccontextmanager
async def client_in(app: FastAPI, headers: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """The app's lifespan runs, and requests go straight into it."""
    async with LifespanManager(app, startup_timeout=30, shutdown_timeout=30) as up:
        transport = httpx.ASGITransport(up.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as client:
            yield client


AppClient = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def client_of(owner_headers: dict[str, str]) -> AppClient:
    """`async with client_of(app) as client`: the app's lifespan runs, and requests go straight into it as the owner's."""
    return lambda app, headers=None: client_in(app, owner_headers if headers is None else headers)
