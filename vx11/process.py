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
from typing import NoReturn

PR_SET_PDEATHSIG = 1
SHARED_MODULES = (
    "aiosqlite",
    "config.clients.service_client",
    "config.idempotency",
    "config.module_template",
    "config.pages",
    "config.serve",
    "config.sse",
    "httptools",
    "httpx",
    "python_multipart",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.ext.asyncio",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
"""What every service needs. Imported once, before the forks: that is most of a start's work and of a service's memory."""


def preload(services: Sequence[str]) -> None:
    """Import what the services share and the services themselves, and keep the garbage collector off those pages.

    Raises RuntimeError if an import started a thread: a fork would copy its locks and not the thread.
    """
    from config.serve import one_thread_each

    one_thread_each()
    for name in (*SHARED_MODULES, *(f"{service}.main" for service in services)):
        importlib.import_module(name)
    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        raise RuntimeError(f"importing the services started {len(threads) - 1} threads; forking now would not be safe")
    gc.collect()
    gc.freeze()


def fork_services(services: Sequence[str]) -> tuple[int, int]:
    """Start a process that serves these services in a session of its own. Returns its pid and the pipe of its output.

    It dies with us, however we die.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _serve_and_exit(services, writing, parent)
    os.close(writing)
    return pid, reading


def _serve_and_exit(services: Sequence[str], output: int, parent: int) -> NoReturn:
    """The child's whole life. Our caller's stack, loop and files are the parent's: nothing of them may run again here."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
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
        status = _serve(services)
    except BaseException:  # noqa: BLE001 - the last frame of this process: whatever it was goes to its log
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve(services: Sequence[str]) -> int:
    from config import serve

    try:
        serve.run(services)
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
        ticks += int(fields[11]) + int(fields[12])
        pss_bytes += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0) * 1024
    return Footprint(tuple(sorted(pids)), pss_bytes, ticks / os.sysconf("SC_CLK_TCK"))
