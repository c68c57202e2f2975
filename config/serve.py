"""Run services until they are told to stop: `python -m config.serve SERVICE`.

One way for all: Compose, the children of `vx11 up`, tests. A stop by SIGTERM or SIGINT first tells the open event streams
(`app.state.stopping`), then waits for requests under way. What keeps a service from starting is told in one line, and ends with status 78.
"""

import asyncio
import contextlib
import gc
import importlib
import logging
import math
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import SQLAlchemyError

from config.http_protocol import LimitedHttp
from config.migrate import SchemaOutdated, require_current
from config.secrets import WeakSecret
from config.settings import SERVICES, BadSettings, FleetSettings, read_settings, settings_problem

EXIT_CONFIGURATION = 78
"""Exit status of a service that cannot start as things are: trying again changes nothing (EX_CONFIG of sysexits.h)."""
ON_THE_LOOP_OF_ASYNCIO = frozenset({"spawner"})
"""Services that start processes all day: uvloop forks for that, with the loop standing still for as long as the copy of the parent's
memory takes; asyncio goes through vfork, which copies nothing (0.4 ms against 32 ms in a parent of 300 MB)."""
KEEP_ALIVE_SECONDS = 120  # longer than our clients keep theirs, so that it is never the server that closes one in use
TICK_SECONDS = 1.0
GARBAGE_AFTER = 10_000  # objects made and not gone again; Python's own measure is 700


class CannotStart(Exception):
    """A service cannot start; the text says in one line what to change."""


def one_thread_each() -> None:
    """Keep numpy from making a pool of threads, which it does at its import: in a fleet a pool per service helps nobody."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def create_apps(services: Sequence[str], settings: FleetSettings) -> dict[str, FastAPI]:
    """The apps of the services. Raises CannotStart for a weak secret, an outdated database, or settings that make no sense."""
    try:
        require_current(settings)
        return {service: importlib.import_module(f"{service}.main").create_app() for service in services}
    except (SchemaOutdated, WeakSecret) as exc:
        raise CannotStart(str(exc)) from exc
    except (ValidationError, SettingsError) as exc:
        raise CannotStart(settings_problem(exc)) from exc
    except (OSError, sqlite3.Error, SQLAlchemyError) as exc:
        reason = str(exc).splitlines()[0]
        raise CannotStart(f"the state folder {settings.state_dir} or the database cannot be used: {reason}") from exc


def bind(service: str, settings: FleetSettings) -> socket.socket:
    """The service's own address, not yet listening. Raises CannotStart when it is taken or is not this machine's."""
    port = settings.port_of(service)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named TCP outright: asyncio's own loop switches Nagle's delay off only then, and an answer of two writes would wait 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, port))
    except OSError as exc:
        bound.close()
        raise CannotStart(
            f"{service} cannot use {settings.host}:{port} ({exc.strerror or exc}): "
            f"stop what has it, or set VX11_{service.upper()}_PORT"
        ) from exc
    return bound


def run(services: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT, several services in one loop. Raises CannotStart."""
    one_thread_each()
    try:
        settings = read_settings()
    except BadSettings as exc:
        raise CannotStart(str(exc)) from exc
    run_apps(create_apps(services, settings), settings)


def run_apps(apps: dict[str, FastAPI], settings: FleetSettings) -> None:
    """The same for apps that exist already. Raises CannotStart when an address cannot be had."""
    with contextlib.ExitStack() as open_sockets:
        sockets = {service: open_sockets.enter_context(bind(service, settings)) for service in apps}
        with asyncio.Runner(loop_factory=_loop_for(apps)) as runner:
            runner.run(_serve(apps, sockets, settings))


def _loop_for(services: Iterable[str]) -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop, unless one of the services must not run on it."""
    return uvloop.new_event_loop if ON_THE_LOOP_OF_ASYNCIO.isdisjoint(services) else loop_that_starts_processes


def loop_that_starts_processes() -> asyncio.AbstractEventLoop:
    """A loop of asyncio that waits for its children without threads."""
    loop = asyncio.new_event_loop()
    if sys.version_info < (3, 12):  # there a thread for each child waits for its end; later it is a pidfd by itself
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(loop)
        asyncio.set_child_watcher(watcher)
    return loop


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us, and looks once a second instead of ten times."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._woken = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """End soon; said twice, end now."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._woken.set()

    async def main_loop(self) -> None:
        let_the_start_rest()
        while not await self.on_tick(0):  # renews the Date header
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._woken.wait()


def let_the_start_rest() -> None:
    """Look no more for garbage in what the start made, which lives as long as the process, and less often in what came since.

    Most of a request's objects go when nobody refers to them any more, without a search: five per cent of the CPU time of the router went
    into searches that found nothing.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 20)


async def _serve(apps: dict[str, FastAPI], sockets: dict[str, socket.socket], settings: FleetSettings) -> None:
    servers = {service: _Server(_uvicorn_config(app, settings)) for service, app in apps.items()}

    def stop() -> None:
        for service, server in servers.items():
            apps[service].state.stopping.set()
            server.stop()

    logging.getLogger("uvicorn.error").addFilter(_says_something)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with asyncio.TaskGroup() as group:
        for service, server in servers.items():
            group.create_task(server.serve(sockets=[sockets[service]]), name=service)


def _says_something(record: logging.LogRecord) -> bool:
    """Not what uvicorn adds when it has just logged why a service cannot start: the reason shall be the last word."""
    return record.getMessage() != "Application startup failed. Exiting."


def _uvicorn_config(app: FastAPI, settings: FleetSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=LimitedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody in front of us is believed about who is asking
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_timeout.total_seconds()),
    )


def main(arguments: Sequence[str]) -> int:
    """Exit status of the process."""
    if len(arguments) != 1 or arguments[0] not in SERVICES:
        sys.stderr.write(f"usage: python -m config.serve SERVICE, one of {', '.join(SERVICES)}\n")
        return 2
    try:
        run(arguments)
    except CannotStart as exc:
        sys.stderr.write(f"{arguments[0]} cannot start: {exc}\n")
        return EXIT_CONFIGURATION
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
