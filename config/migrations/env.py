"""Alembic's entry: runs the migrations on the URL it is given by `config.migrate`."""

from typing import Literal

from alembic import context
from sqlalchemy import create_engine

from config.db_schema import Base, UtcDateTime


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our own column types as what they are in the database, so that old migrations do not import today's code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    engine = create_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        context.configure(
            connection=connection, target_metadata=Base.metadata, render_as_batch=True, render_item=render_item
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


run()
