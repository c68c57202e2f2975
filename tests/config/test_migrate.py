"""The schema: one in code and database, reached whole or not at all."""

import json
import secrets

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.orm import Session

from config import migrate
from config.db_schema import EVERYONE, OWNERS, AudioJobRow, Base
from config.settings import FleetSettings
from tests.postgres import ADMIN


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request, tmp_path):
    """Settings with a database that has nothing in it yet."""
    if request.param == "sqlite":
        yield FleetSettings(state_dir=tmp_path / "state", _env_file=None)
        return
    server = request.getfixturevalue("postgres")
    name = f"empty_{secrets.token_hex(6)}"
    server.run(f"CREATE DATABASE {name} OWNER {ADMIN}")
    yield FleetSettings(state_dir=tmp_path / "state", database_url=server.url(name), _env_file=None)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


def tables(settings: FleetSettings) -> set[str]:
    engine = create_engine(settings.sqlalchemy_url(driver="sync"))
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def test_the_code_expects_the_newest_revision(sqlite_settings):
    assert ScriptDirectory.from_config(migrate.alembic_config(sqlite_settings)).get_current_head() == migrate.HEAD


def test_migrations_make_exactly_the_tables_of_the_code(settings):
    engine = create_engine(settings.sqlalchemy_url(driver="sync"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_an_empty_database_is_migrated_once(empty):
    assert migrate.current_revision(empty) is None
    with pytest.raises(migrate.SchemaOutdated, match="revision None"):
        migrate.require_current(empty)
    assert migrate.upgrade(empty) is True
    assert migrate.upgrade(empty) is False
    migrate.require_current(empty)
    assert tables(empty) == {*Base.metadata.tables, "alembic_version"}


def test_the_way_back_leaves_nothing_and_can_be_gone_again(empty):
    migrate.upgrade(empty)
    command.downgrade(migrate.alembic_config(empty), "base")
    assert tables(empty) == {"alembic_version"}
    assert migrate.upgrade(empty) is True
    assert tables(empty) == {*Base.metadata.tables, "alembic_version"}


def test_a_mix_that_was_ordered_before_the_jobs_had_one_shape_is_kept_with_what_it_reads(empty):
    empty.state_dir.mkdir()
    command.upgrade(migrate.alembic_config(empty), "0004")
    stem = {"asset_id": "asset_1", "sha256": "ab", "name": "voz.wav", "role": "vocal"}
    order = {"stems": [stem], "name": "mix.wav", "format": "wav"}
    engine = create_engine(empty.sqlalchemy_url(driver="sync"))
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audio_jobs (id, kind, status, caller, request, progress, created_at) "
                "VALUES ('job_1', 'mix', 'RUNNING', 'owner', :order, 0, '2026-01-01')"
            ),
            {"order": json.dumps(order)},
        )
    migrate.upgrade(empty)
    with Session(engine) as session:
        state = session.get_one(AudioJobRow, "job_1").state
    engine.dispose()
    assert state == order | {"inputs": [{"asset_id": "asset_1", "sha256": "ab", "name": "voz.wav"}]}


KILLED = """
import os, signal, sys
from alembic import op
from config import migrate
from config.settings import FleetSettings

create, made = op.create_table, []

def create_or_die(*arguments, **options):
    made.append(arguments[0])
    if len(made) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return create(*arguments, **options)

op.create_table = create_or_die
migrate.upgrade(FleetSettings(state_dir=sys.argv[1], database_url=sys.argv[2] or None, _env_file=None))
"""


def arguments(settings: FleetSettings) -> list[str]:
    return [str(settings.state_dir), settings.database_url.get_secret_value() if settings.database_url else ""]


def test_a_kill_half_way_leaves_a_database_that_can_be_migrated(empty, forks):
    assert forks.start(KILLED, *arguments(empty)).wait() == -9
    assert tables(empty) == set()
    assert migrate.upgrade(empty) is True
    assert tables(empty) == {*Base.metadata.tables, "alembic_version"}


def test_of_several_that_start_at_once_none_fails(empty, forks):
    script = KILLED.replace("== 6", "== -1")
    starters = [forks.start(script, *arguments(empty)) for _ in range(3)]
    assert [starter.wait() for starter in starters] == [0, 0, 0]
    migrate.require_current(empty)


def test_a_database_of_a_later_time_is_not_touched(empty):
    migrate.upgrade(empty)
    engine = create_engine(empty.sqlalchemy_url(driver="sync"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(migrate.SchemaOutdated, match="revision 9999"):
        migrate.require_current(empty)


def test_on_postgres_roles_own_nothing_beyond_their_rights(postgres_url):
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    query = text(
        "SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants "
        "WHERE grantee LIKE 'vx11\\_%' AND grantee <> :owner AND table_schema = 'public'"
    )
    with engine.connect() as connection:
        granted = {(row[0], row[1], row[2]) for row in connection.execute(query, {"owner": ADMIN})}
    engine.dispose()
    expected = {
        (f"vx11_{service}", table, verb.upper())
        for table, owners in OWNERS.items()
        for verb in ("insert", "update", "delete")
        for service in getattr(owners, verb)
    }
    expected |= {(f"vx11_{service}", table, "SELECT") for table in (*OWNERS, "alembic_version") for service in EVERYONE}
    assert granted == expected


def test_rights_that_are_no_longer_given_are_taken_back(postgres_url, state_dir):
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("GRANT DELETE ON audit_log TO vx11_shub"))
    assert migrate.upgrade(FleetSettings(state_dir=state_dir, database_url=postgres_url, _env_file=None)) is False
    with engine.connect() as connection:
        assert not connection.scalar(text("SELECT has_table_privilege('vx11_shub', 'audit_log', 'DELETE')"))
    engine.dispose()
