"""Bring the database to the newest schema: `python -m config.migrate`. `vx11 up` and Compose's `schema` service do this first."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from config.settings import FleetSettings

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0005"
"""The newest revision in `migrations/versions`; a test holds it there."""


class SchemaOutdated(RuntimeError):
    """The database is not at the revision this code was written for."""


def upgrade(settings: FleetSettings) -> bool:
    """Migrate to HEAD, making the database if need be. Returns whether there was anything to do.

    On Postgres the user of the URL must own the database and may make roles: each service works as a role of its own.
    """
    is_behind = current_revision(settings) != HEAD
    if is_behind:
        from alembic import command  # imported late: it costs a third of a second, and mostly there is nothing to do

        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        command.upgrade(alembic_config(settings), "head")
    if settings.database_url is not None:
        from config.roles import grant_ownership

        grant_ownership(settings)
    return is_behind


def alembic_config(settings: FleetSettings) -> "Config":
    """What Alembic's commands need to know."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["url"] = settings.sqlalchemy_url(driver="sync")
    return config


def current_revision(settings: FleetSettings) -> str | None:
    """The revision of the database, or None if it has none yet."""
    if settings.database_url is None:
        path = settings.state_dir / "vx11.db"
        if not path.exists():
            return None
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return _revision_of(connection)
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(settings.sqlalchemy_url(driver="sync"))
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return revision
    finally:
        engine.dispose()


def _revision_of(connection: sqlite3.Connection) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    return str(row[0]) if row else None


def require_current(settings: FleetSettings) -> None:
    """Raises SchemaOutdated unless the database is at HEAD."""
    found = current_revision(settings)
    if found != HEAD:
        raise SchemaOutdated(
            f"the database is at revision {found}, this code needs {HEAD}: run `vx11 migrate` (or python -m config.migrate)"
        )


if __name__ == "__main__":
    changed = upgrade(FleetSettings())
    sys.stdout.write(f"database {'migrated to' if changed else 'already at'} revision {HEAD}\n")
