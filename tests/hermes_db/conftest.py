"""The registry as it runs, on a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from hermes_db.main import create_app
from hermes_db.settings import HermesDbSettings


@pytest.fixture
def settings(state_dir: Path) -> HermesDbSettings:
    """Without the default model, so that the first model of a test has the id 1."""
    return HermesDbSettings(state_dir=state_dir, hermes_db_default_model=False, _env_file=None)


@pytest.fixture
async def registry(settings, client_of) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(settings)) as client:
        yield client
