"""Alembic's entry: runs the migrations on the URL it is given by `config.migrate`.

All of them are one transaction, on SQLite too: a kill leaves the database as it was, and of two that start at once the second waits
and then finds nothing to do.
"""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, create_engine, event, text

from config.db_schema import Base, UtcDateTime

WAIT_SECONDS = 60.0
LOCK = 0x56583131  # "VX11": the advisory lock of migrations on Postgres


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our own column types as what they are in the database, so that old migrations do not import today's code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    url: str = context.config.attributes["url"]
    is_sqlite = url.startswith("sqlite")
    engine = create_engine(url, connect_args={"timeout": WAIT_SECONDS} if is_sqlite else {})
    if is_sqlite:

        @event.listens_for(engine, "connect")
        def _connect(driver: Any, _record: Any) -> None:
            driver.execute("PRAGMA journal_mode=WAL")
            driver.isolation_level = None  # the driver would commit before each change of the schema

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            if not is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            context.configure(
                connection=connection, target_metadata=Base.metadata, render_as_batch=True, render_item=render_item
            )
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


run()
