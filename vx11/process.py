"""One process of the fleet: forked from a parent that has imported everything, and what the kernel says about it."""

import asyncio
import ctypes
import gc
import importlib
import logging
import os
import resource
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from fastapi import FastAPI

    from config.settings import FleetSettings

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
SHARED_MODULES = (
    "aiosqlite",
    "config.clients.service_client",
    "config.idempotency",
    "config.module_template",
    "config.pages",
    "config.serve",
    "config.sse",
    "fastapi.telemetry._runtime",
    "h11",
    "httpcore",
    "httptools",
    "httpx",
    "python_multipart",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.ext.asyncio",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
"""What services import only when they start to run. Imported once, before the forks, like all that building the apps imports."""


def prepare_apps(services: Sequence[str], settings: "FleetSettings") -> dict[str, "FastAPI"]:
    """The apps of the services, built once and for all processes that are forked from here on; nothing of them runs yet.

    Raises CannotStart, or RuntimeError if that started a thread or left a file open: a fork would copy a thread's locks without the
    thread, and share the file.
    """
    from config.serve import create_apps, one_thread_each

    one_thread_each()
    before = _open_files()
    for name in SHARED_MODULES:
        importlib.import_module(name)
    apps = create_apps(services, settings)
    threads = len(os.listdir("/proc/self/task")) - 1
    if threads or _open_files() != before:
        raise RuntimeError(f"building the apps left {threads} threads and the files {_open_files() - before}")
    gc.collect()
    gc.freeze()  # the collector writes into what it looks at, and a page that is written to is no longer shared
    return apps


def _open_files() -> set[str]:
    found = set[str]()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{link.name}: {link.readlink()}")
        except FileNotFoundError:  # the one that the listing itself had open
            continue
    return found


def fork_apps(apps: dict[str, "FastAPI"], settings: "FleetSettings") -> tuple[int, int]:
    """Start a process that serves these apps in a session of its own. Returns its pid and the pipe of its output.

    It dies with us, however we die.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _serve_and_exit(apps, settings, writing, parent)
    os.close(writing)
    return pid, reading


def _serve_and_exit(apps: dict[str, "FastAPI"], settings: "FleetSettings", output: int, parent: int) -> NoReturn:
    """The child's whole life. Our caller's stack, loop and files are the parent's: nothing of them may run again here."""
    status = 1
    try:
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(PR_SET_NAME, f"vx11 {next(iter(apps)) if len(apps) == 1 else 'fleet'}".encode())
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        asyncio._set_running_loop(None)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        status = _serve(apps, settings)
    except BaseException:  # noqa: BLE001 - the last frame of this process: whatever it was goes to its log
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve(apps: dict[str, "FastAPI"], settings: "FleetSettings") -> int:
    from config import serve

    try:
        serve.run_apps(apps, settings)
    except serve.CannotStart as exc:
        sys.stderr.write(f"cannot start: {exc}\n")
        return serve.EXIT_CONFIGURATION
    except SystemExit as exc:  # uvicorn ends this way when a lifespan fails, after logging why
        return exc.code if isinstance(exc.code, int) else 1
    return 0


@dataclass(frozen=True)
class Footprint:
    """What the processes of one session use: proportional set size in bytes, CPU time in seconds, and their pids."""

    pids: tuple[int, ...]
    pss_bytes: int
    cpu_seconds: float


def footprint(session: int) -> Footprint:
    """What the process and all it started use; processes that end meanwhile, or are not ours to read, are left out."""
    pids, pss_bytes, ticks = list[int](), 0, 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != session:
                continue
            rollup = (folder / "smaps_rollup").read_text()
        except (OSError, ValueError):
            continue
        pids.append(int(folder.name))
        ticks += sum(int(field) for field in fields[11:15])  # its own, and those of children that have ended
        pss_bytes += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0) * 1024
    return Footprint(tuple(sorted(pids)), pss_bytes, ticks / os.sysconf("SC_CLK_TCK"))
