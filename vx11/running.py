"""`vx11 up`, `down`, `status`, `restart`, `logs` and `migrate`: the commands that look after the fleet on this machine."""

import asyncio
import http.client
import json
import os
import shlex
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from config.settings import SERVICES, FleetSettings
from vx11 import control
from vx11.control import FleetStatus, NotRunning, UnitStatus, Unresponsive
from vx11.errors import CommandFailed
from vx11.lean import without_rich
from vx11.logbook import Printer, follow, last_lines
from vx11.place import Place
from vx11.process import footprint
from vx11.table import table

if TYPE_CHECKING:
    from vx11.supervisor import Unit

MUTE_PATIENCE_SECONDS, END_MARGIN_SECONDS = 13.0, 5.0
"""How long `vx11 down` waits for a supervisor that answers nothing, and what it adds to the time that one asks for."""
START_SECONDS = 60.0
"""How long `vx11 up --detach` waits for all to be healthy before it says who is not."""
APART_FROM_THE_REST = frozenset({"spawner"})
"""Services that keep a process of their own with `--single`: they start processes, and must not share a loop that forks nothing."""


def run_dir(place: Place | FleetSettings) -> Path:
    return place.state_dir / "run"


def logs_dir(place: Place | FleetSettings) -> Path:
    return place.state_dir / "logs"


def up(settings: FleetSettings, *, detach: bool, single: bool) -> int:
    """Start the fleet and stay with it, or with `detach` return when it is healthy. A fleet that runs already is left alone."""
    without_rich()
    try:
        lock = control.take_lock(run_dir(settings))
    except OSError as exc:
        raise CommandFailed(f"the state folder {settings.state_dir} cannot be used: {exc}") from exc
    if lock is None:
        return _already_running(settings)
    prepare(settings)
    if not detach:
        lock.write_pid()
        return _supervise(settings, single=single, stay=True)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setsid()
            lock.write_pid()
            status = _supervise(settings, single=single, stay=False)
        except BaseException:  # noqa: BLE001 - the last frame of a process nobody waits for: it must say what happened
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    lock.close()
    return _wait_until_up(settings, pid)


def prepare(settings: FleetSettings) -> None:
    """Bring database, secrets and the default model to where the services need them, and see that the ports are free.

    A model that is missing or not what it should be is said and no more: all else works without it, and switch's health tells it too.
    Raises CommandFailed.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from config import migrate, serve
    from config.default_model import ModelUnusable, ensure_default_model
    from config.secrets import WeakSecret, load_secrets

    try:
        if migrate.current_revision(settings) != migrate.HEAD:
            _apart(lambda: migrate.upgrade(settings))
            print(f"database migrated to revision {migrate.HEAD}")
        load_secrets(settings)
        try:
            ensure_default_model(settings)
        except ModelUnusable as exc:
            print(f"no local model: {exc}", file=sys.stderr)
        for service in SERVICES:
            serve.bind(service, settings).close()
    except (WeakSecret, serve.CannotStart) as exc:
        raise CommandFailed(str(exc)) from exc
    except OSError as exc:
        raise CommandFailed(f"the state folder {settings.state_dir} cannot be used: {exc}") from exc
    except (sqlite3.Error, SQLAlchemyError) as exc:
        raise CommandFailed(f"the database cannot be used: {str(exc).splitlines()[0]}") from exc


def _apart(work: Callable[[], object]) -> None:
    """Do it in a process of its own, so that what it imports does not stay in the one that becomes the fleet.

    Raises CommandFailed when that fails; the process has printed why.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - the last frame of this process
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    if os.waitpid(pid, 0)[1] != 0:
        raise CommandFailed("the database could not be migrated")


def units(*, single: bool) -> list["Unit"]:
    """The processes of the fleet: one per service, or one for all of them but those that need their own."""
    from vx11.supervisor import Unit

    if not single:
        return [Unit(service, (service,)) for service in SERVICES]
    together = tuple(service for service in SERVICES if service not in APART_FROM_THE_REST)
    return [Unit("fleet", together), *(Unit(name, (name,)) for name in SERVICES if name not in together)]


def _supervise(settings: FleetSettings, *, single: bool, stay: bool) -> int:
    """Be the supervisor until the end of the fleet; its exit status."""
    from config.serve import CannotStart
    from vx11.process import prepare_apps
    from vx11.supervisor import Supervisor

    terminal = _Terminal(settings, everything=stay)
    try:
        apps = prepare_apps(list(SERVICES), settings)
    except CannotStart as exc:
        print(f"vx11: {exc}", file=sys.stderr)
        return 1
    supervisor = Supervisor(settings, apps, units(single=single), run_dir(settings), logs_dir(settings), terminal.echo)

    async def run() -> None:
        if not stay:
            asyncio.get_running_loop().call_later(START_SECONDS, terminal.leave)
        await supervisor.run()

    asyncio.run(run())
    if supervisor.failure:
        terminal.say(f"vx11: {supervisor.failure}")
        return 1
    return 0


class _Terminal:
    """Where a supervisor shows what happens: every line in the foreground; detached only its own, and only until the fleet is up."""

    def __init__(self, settings: FleetSettings, *, everything: bool) -> None:
        self._settings, self._everything, self._here = settings, everything, True
        self._printer = Printer(list(SERVICES), colour=sys.stdout.isatty())

    def echo(self, name: str, line: bytes) -> None:
        if self._everything or name == "vx11":
            self.say(self._printer.render(name, line))
        if name == "vx11" and b'"event": "fleet_is_up"' in line:
            if self._everything:
                self.say(where_to_go(self._settings, json.loads(line)["address"]))
            self.leave()

    def say(self, text: str) -> None:
        if not self._here:
            return
        try:
            print(text, flush=True)
        except OSError:  # whoever was reading is gone; the fleet stays
            self.leave()

    def leave(self) -> None:
        """Let go of the terminal, so that who started us is not kept waiting for its end."""
        if self._everything or not self._here:
            return
        self._here = False
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        folder = logs_dir(self._settings)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.dup2(os.open(folder / "vx11.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)


def _already_running(settings: FleetSettings) -> int:
    pid = control.running_pid(run_dir(settings))
    print(f"the fleet is running already (pid {pid}); nothing was changed: settings are read when it starts")
    return _wait_until_up(settings, None)


def _wait_until_up(settings: FleetSettings, supervisor: int | None) -> int:
    """Wait for the fleet to be healthy; exit status 0 then, else 1 with what is wrong. `supervisor` is the pid of our own child."""
    deadline = time.monotonic() + START_SECONDS
    units = list[UnitStatus]()
    while time.monotonic() < deadline:
        if supervisor is not None:
            ended, _ = os.waitpid(supervisor, os.WNOHANG)
            if ended:
                return 1  # it has said why
        try:
            fleet = control.ask_fleet(run_dir(settings))
            units = fleet.units
            if units and all(unit.state == "healthy" for unit in units):
                print(where_to_go(settings, fleet.address))
                return 0
        except NotRunning:
            if supervisor is None:
                raise CommandFailed("the fleet that was running has just been stopped") from None
        except Unresponsive:
            pass  # it has not opened its socket yet
        if any(unit.state == "failed" or "crash loop" in unit.detail for unit in units):
            break
        time.sleep(0.05)
    for unit in units:
        if unit.state != "healthy":
            print(f"{unit.name} is {unit.state}: {unit.detail or 'not healthy yet'}", file=sys.stderr)
    print("the rest of the fleet runs on; see `vx11 status` and `vx11 logs`", file=sys.stderr)
    return 1


def where_to_go(settings: FleetSettings, address: str) -> str:
    """The address of the fleet, where its token is, and three commands to try, for people."""
    file = _from_here(settings.secrets_dir / "token")
    place, token = ("VX11_TOKEN", "$VX11_TOKEN") if settings.token is not None else (file, f"$(cat {file})")
    command = _from_here(Path(sys.argv[0])) if Path(sys.argv[0]).name == "vx11" else "vx11"
    return (
        f"the fleet is up at {address}; the token is in {place}\n"
        "try:\n"
        f'  curl -s {address}/health -H "X-VX11-Token: {token}"\n'
        f'  {command} chat "what does a compressor do?"\n'
        f"  {command} demo"
    )


def _from_here(path: Path) -> str:
    """A path as one would type it: relative where it lies below this folder, and quoted for the shell."""
    there = path.absolute()
    return shlex.quote(str(there.relative_to(Path.cwd()) if there.is_relative_to(Path.cwd()) else there))


def down(place: Place | FleetSettings) -> int:
    """Stop the fleet and wait until nothing of it is left."""
    folder = run_dir(place)
    pid = control.running_pid(folder)
    if pid is None:
        print("no fleet is running")
        return 0
    patience = MUTE_PATIENCE_SECONDS
    try:
        answer = control.ask(folder, "stop")
        patience = answer.get("patience_seconds", MUTE_PATIENCE_SECONDS) + END_MARGIN_SECONDS
    except NotRunning:
        return 0
    except Unresponsive as exc:
        print(f"{exc}; sending SIGTERM", file=sys.stderr)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    if not control.wait_for_end(folder, patience):
        print(f"it has not ended after {patience:g} s and is killed", file=sys.stderr)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # its children die with it
        control.wait_for_end(folder, patience)
    print("the fleet is stopped")
    return 0


@dataclass(frozen=True)
class Row:
    """A service in `vx11 status`."""

    service: str
    state: str
    pid: int | None
    port: int
    memory_bytes: int
    uptime_seconds: float
    restarts: int
    detail: str


def status(place: Place | FleetSettings, *, as_json: bool) -> int:
    """Show the services; exit status 1 unless all are well."""
    rows = status_rows(place)
    if as_json:
        print(json.dumps([vars(row) for row in rows], indent=2))
    else:
        print(_table(rows))
    return 0 if all(row.state == "healthy" for row in rows) else 1


def status_rows(place: Place | FleetSettings) -> list[Row]:
    """The services of the running fleet. Raises CommandFailed where none runs."""
    try:
        fleet = control.ask_fleet(run_dir(place))
    except NotRunning as exc:
        raise CommandFailed(f"{exc}; start it with `vx11 up`") from exc
    except Unresponsive as exc:
        raise CommandFailed(str(exc)) from exc
    token = _token(place)
    pairs = [(unit, name) for unit in fleet.units for name in unit.services]
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        return list(pool.map(lambda pair: _row(fleet, pair[0], pair[1], token), pairs))


def _token(place: Place | FleetSettings) -> str | None:
    """The owner's, or None where it cannot be read: then services tell no more than whether they are well."""
    if place.token is not None:
        return place.token.get_secret_value()
    try:
        return (place.state_dir / "secrets" / "token").read_text().strip()
    except OSError:
        return None


def _row(fleet: FleetStatus, unit: UnitStatus, service: str, token: str | None) -> Row:
    state, detail = unit.state, unit.detail
    port = fleet.ports[service]
    if state == "healthy":
        state, detail = _health(fleet.host, port, service, token)
    first = service == unit.services[0]  # several services of one process: its memory is told once
    memory_bytes = footprint(unit.pid).pss_bytes if unit.pid and first else 0
    return Row(service, state, unit.pid, port, memory_bytes, unit.uptime_seconds, unit.restarts, detail)


def _health(host: str, port: int, service: str, token: str | None) -> tuple[str, str]:
    """What the service says of itself: a state, and what is not well."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", f"/{service}/health", headers={"X-VX11-Token": token} if token else {})
        told = json.loads(connection.getresponse().read())
        unwell = [
            f"{name}: {check['detail']}" for name, check in told.get("checks", {}).items() if check["status"] != "ok"
        ]
        unwell += [
            f"{name} is {one['status']}" for name, one in told.get("services", {}).items() if one["status"] != "ok"
        ]
        return ("healthy" if told["status"] == "ok" else str(told["status"])), "; ".join(unwell)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as exc:
        return "unresponsive", repr(exc)
    finally:
        connection.close()


def _table(rows: list[Row]) -> str:
    heads = ("SERVICE", "STATE", "PID", "PORT", "MEMORY", "UPTIME", "RESTARTS")
    cells = [
        (
            row.service,
            row.state,
            str(row.pid or "-"),
            str(row.port),
            f"{row.memory_bytes / 2**20:.0f} MiB" if row.memory_bytes else "-",
            _duration(row.uptime_seconds),
            str(row.restarts),
        )
        for row in rows
    ]
    lines = [table(heads, cells)]
    lines += [f"{row.service} is {row.state}: {row.detail}" for row in rows if row.detail]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s" if minutes else f"{seconds:.1f}s"


def restart(place: Place | FleetSettings, service: str) -> int:
    """Stop one service and start it again; waits until it is healthy."""
    folder = run_dir(place)
    try:
        answer = control.ask(folder, "restart", service=service)
        if "error" in answer:
            raise CommandFailed(f"no service of the running fleet is called {service}")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            unit = next(unit for unit in control.ask_status(folder) if unit.name == answer["unit"])
            if unit.state == "healthy" and unit.pid != answer["pid"]:
                print(f"{unit.name} is healthy again (pid {unit.pid})")
                return 0
            if unit.state == "failed" or "crash loop" in unit.detail:
                break
            time.sleep(0.05)
    except NotRunning as exc:
        raise CommandFailed(f"{exc}; start it with `vx11 up`") from exc
    except Unresponsive as exc:
        raise CommandFailed(str(exc)) from exc
    raise CommandFailed(f"{unit.name} is {unit.state}: {unit.detail or 'not healthy yet'}")


def logs(place: Place | FleetSettings, service: str | None, *, lines: int, following: bool, raw: bool) -> int:
    """Print what was logged last, of one service or of all in the order of time, and with `following` what comes."""
    folder = logs_dir(place)
    known = sorted(path.name.removesuffix(".log") for path in folder.glob("*.log"))
    if service is not None and service not in known:
        raise CommandFailed(f"there is no log of {service} in {folder}; there are: {', '.join(known) or 'none'}")
    chosen = [service] if service else known
    printer = Printer([name for name in known if name != "vx11"], colour=sys.stdout.isatty())

    def show(name: str, line: bytes) -> None:
        print(line.decode(errors="replace") if raw else printer.render(name, line), flush=following)

    for name, line in last_lines(folder, chosen, lines):
        show(name, line)
    if following:
        for name, line in follow(folder, chosen):
            show(name, line)
    return 0


def migrate(settings: FleetSettings) -> int:
    """Bring the database to the newest schema."""
    from sqlalchemy.exc import SQLAlchemyError

    from config.migrate import HEAD, upgrade

    try:
        changed = upgrade(settings)
    except (OSError, sqlite3.Error, SQLAlchemyError) as exc:
        raise CommandFailed(f"the database cannot be used: {str(exc).splitlines()[0]}") from exc
    print(f"database {'migrated to' if changed else 'already at'} revision {HEAD}")
    return 0
