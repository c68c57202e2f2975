"""The shared ground on both databases."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from config.database import Database
from config.settings import FleetSettings

Open = Callable[[str], Database]


@pytest.fixture
def sqlite_settings(state_dir: Path) -> FleetSettings:
    return FleetSettings(state_dir=state_dir, _env_file=None)


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, state_dir: Path) -> FleetSettings:
    """Settings with a migrated database: tests that ask for it run on both kinds."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return FleetSettings(state_dir=state_dir, database_url=url, _env_file=None)


async def _opened(settings: FleetSettings) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        def open_as(service: str) -> Database:
            db = Database(settings.sqlalchemy_url(), service)
            stack.push_async_callback(db.close)
            return db

        yield open_as


@pytest.fixture
async def open_as(settings: FleetSettings) -> AsyncIterator[Open]:
    """`open_as("madre")`: the database as one service sees it."""
    async for opened in _opened(settings):
        yield opened


@pytest.fixture
async def open_sqlite_as(sqlite_settings: FleetSettings) -> AsyncIterator[Open]:
    async for opened in _opened(sqlite_settings):
        yield opened
