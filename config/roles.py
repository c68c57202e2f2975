"""On Postgres each service works as a role of its own, which may write what `OWNERS` says and read everything.

The login user of the database URL owns the tables; a service takes its role when it connects (`database.py`). It guards against bugs,
as SQLite's authorizer does: who holds the URL can step back out of the role.
"""

from sqlalchemy import Connection, create_engine, inspect, text

from config.database import role_of
from config.db_schema import EVERYONE, OWNERS
from config.settings import FleetSettings


def grant_ownership(settings: FleetSettings) -> None:
    """Make the roles that are missing, and give each exactly what `OWNERS` says. Can be repeated; one transaction."""
    engine = create_engine(settings.sqlalchemy_url(driver="sync"))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('vx11_roles'))"))
            for service in sorted(EVERYONE):
                _make_role(connection, role_of(service))
            for table in inspect(connection).get_table_names():
                _grant(connection, table)
    finally:
        engine.dispose()


def _make_role(connection: Connection, role: str) -> None:
    # Roles belong to the whole server: another database of ours may have made it already, or be making it now.
    connection.execute(
        text(
            f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    )
    is_member = connection.scalar(
        text("SELECT pg_has_role(current_user, CAST(:role AS name), 'MEMBER')"), {"role": role}
    )
    if not is_member:
        connection.execute(text(f"GRANT {role} TO CURRENT_USER"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))


def _grant(connection: Connection, table: str) -> None:
    everyone = ", ".join(role_of(service) for service in sorted(EVERYONE))
    connection.execute(text(f"REVOKE ALL ON {table} FROM {everyone}"))
    connection.execute(text(f"GRANT SELECT ON {table} TO {everyone}"))
    owners = OWNERS.get(table)
    if owners is None:  # alembic_version
        return
    for verb, services in (("INSERT", owners.insert), ("UPDATE", owners.update), ("DELETE", owners.delete)):
        if services:
            roles = ", ".join(role_of(service) for service in sorted(services))
            connection.execute(text(f"GRANT {verb} ON {table} TO {roles}"))
    sequence = connection.scalar(
        text(
            "SELECT pg_get_serial_sequence(:table, 'id') WHERE EXISTS (SELECT FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name = :table AND column_name = 'id')"
        ),
        {"table": table},
    )
    if sequence is not None:
        roles = ", ".join(role_of(service) for service in sorted(owners.insert))
        connection.execute(text(f"GRANT USAGE ON SEQUENCE {sequence} TO {roles}"))
