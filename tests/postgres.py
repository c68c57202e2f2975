"""A Postgres server of the tests' own: on a loopback port, run by an ordinary user, gone afterwards."""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from config import migrate
from config.settings import FleetSettings

ADMIN = "vx11_owner"  # owns the databases and may make roles; not a superuser


@dataclass(frozen=True)
class Server:
    port: int
    password: str

    def url(self, database: str, user: str = ADMIN) -> str:
        return f"postgresql://{user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the superuser."""
        with psycopg.connect(self.url(database, "postgres"), autocommit=True) as connection:
            connection.execute(statement)


def _binaries() -> Path | None:
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return installed[-1].parent if installed else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The running server. Skips where no `postgres` is installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip(
            "no postgres binary in PATH or /usr/lib/postgresql/*/bin: the Postgres half of the tests is not run"
        )
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())  # Postgres refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="vx11-postgres-"))
    password = secrets.token_hex(16)
    (folder / "password").write_text(password)
    for path in (folder, folder / "password"):
        os.chown(path, user.pw_uid, user.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
    data, log = folder / "data", folder / "log"
    initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256", "--no-sync"]
    settings = {
        "listen_addresses": "127.0.0.1",
        "max_connections": 200,
        **dict.fromkeys(("fsync", "full_page_writes", "autovacuum", "jit"), "off"),  # nothing here is kept, or grows
        "wal_level": "minimal",
        "max_wal_senders": 0,
    }
    options = [
        "-p",
        str(port),
        "-k",
        folder,
        *(word for one in settings.items() for word in ("-c", "{}={}".format(*one))),
    ]
    server = None
    try:
        command = [*initdb, f"--pwfile={folder / 'password'}", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **as_user)
        assert done.returncode == 0, done.stdout + done.stderr
        with log.open("wb") as out:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, *options], stderr=out, cwd="/", preexec_fn=_end_with_us, **as_user
            )
        _wait_until_it_answers(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", server, log)
        running = Server(port, password)
        running.run(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
        yield running
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)
            server.wait()
        shutil.rmtree(folder)


def _end_with_us() -> None:
    """Let the kernel end the server when this process ends, even if it is killed (PR_SET_PDEATHSIG of prctl)."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    pause = threading.Event()
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            pause.wait(0.1)  # not ready yet; asking is the only way to know
        else:
            return
    pytest.fail(f"the Postgres server did not answer within a minute: {log.read_text()}")


EMPTIED = """
DO $$
DECLARE name text;
BEGIN
    SET LOCAL session_replication_role = replica;  -- no trigger refuses, and nothing refers to anything
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
        EXECUTE format('ALTER SEQUENCE %I RESTART', name);
    END LOOP;
END $$
"""
ALONE = "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection]:
    """The superuser's connection to a migrated database, which has no rows. A copy of it for each test cost ten times as much as to
    empty the one."""
    postgres.run(f"CREATE DATABASE migrated OWNER {ADMIN}")
    folder = tmp_path_factory.mktemp("migrated_postgres")
    migrate.upgrade(FleetSettings(state_dir=folder, database_url=postgres.url("migrated"), _env_file=None))
    with psycopg.connect(postgres.url("migrated", "postgres"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def postgres_url(postgres: Server, migrated_postgres: psycopg.Connection) -> Iterator[str]:
    """URL of a database that is migrated and empty. Who changes its schema must change it back."""
    yield postgres.url(migrated_postgres.info.dbname)
    migrated_postgres.execute(ALONE)
    migrated_postgres.execute(EMPTIED)
