"""Python processes for tests, forked from one that has already imported the fleet: starting anew takes each of them a second."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 60.0
IMPORTED = (
    *("config.serve", "config.migrate", "config.database", "config.forensics", "config.secrets", "vx11.supervisor"),
    *(
        "hermes_db.main",
        "hermes.main",
        "shub.main",
        "switch.main",
        "gateway.main",
    ),  # none of them brings in a library for sound
    *("sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.aiosqlite", "asyncio", "subprocess"),
)
SERVE = "import sys; from config.serve import main; sys.exit(main(sys.argv[1:]))"
"""`start(SERVE, service)`: as `python -m config.serve service` does it."""
SERVER = """
import importlib, json, os, select, sys, traceback
for name in sys.argv[1:]:
    importlib.import_module(name)

def become(order):
    os.closerange(3, 256)
    for number, path, flags in ((0, "/dev/null", os.O_RDONLY), (1, order["out"], 0o1101), (2, order["err"], 0o1101)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(order["cwd"])
    os.environ.update(order["env"])
    sys.argv = ["-c", *order["arguments"]]
    exec(compile(order["script"], "<script>", "exec"), {"__name__": "__main__"})

def child(order):
    status = 1
    try:
        become(order)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

def tell(*numbers):
    os.write(1, (json.dumps(numbers) + "\\n").encode())

running, asked, rest = {}, select.poll(), b""
asked.register(0, select.POLLIN)
while True:
    for ready, _ in asked.poll():
        if ready != 0:
            asked.unregister(ready)
            os.close(ready)
            tell(*os.waitpid(running.pop(ready), 0))
            continue
        read = os.read(0, 65536)
        if not read:
            for pid in running.values():
                os.kill(pid, 9)
            sys.exit()
        *lines, rest = (rest + read).split(b"\\n")
        for line in lines:
            if (pid := os.fork()) == 0:
                child(json.loads(line))
            asked.register(handle := os.pidfd_open(pid), select.POLLIN)
            running[handle] = pid
            tell(pid)
"""


@dataclass
class Forked:
    """One of the processes. `ended`: its exit status, negative for a signal, as soon as it has ended."""

    pid: int
    ended: Future[int]
    out: Path
    err: Path

    def wait(self) -> int:
        return self.ended.result(PATIENCE_SECONDS)

    def lines(self) -> Iterator[str]:
        """What it prints, line by line as it comes, until it ends."""
        with self.out.open() as said:
            begun = ""
            while True:
                has_ended = self.ended.done()  # asked before what may be its last words are read
                for part in iter(said.readline, ""):
                    begun += part
                    if begun.endswith("\n"):
                        yield begun
                        begun = ""
                if has_ended:
                    return
                time.sleep(0.02)  # nothing announces that a file has grown

    def kill(self) -> None:
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):  # it ended by itself, and is not told of yet
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


class Forks:
    """`start(script, argument, …)`: like `python -c script argument …`, from within the source."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER, *IMPORTED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._lock = threading.Lock()
        self._started: Future[Forked] = Future()
        self._next = folder, folder
        self._running: dict[int, Forked] = {}
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def start(self, script: str, *arguments: str, cwd: Path = ROOT, **variables: str) -> Forked:
        with self._lock:
            self._count += 1
            out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
            out.touch()  # it may be read before the process has come to open it
            err.touch()
            order = {"script": script, "arguments": arguments, "cwd": str(cwd), "env": variables}
            self._started = Future()
            self._next = out, err
            assert self._server.stdin is not None
            self._server.stdin.write(json.dumps(order | {"out": str(out), "err": str(err)}).encode() + b"\n")
            self._server.stdin.flush()
            return self._started.result(PATIENCE_SECONDS)

    def _listen(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            pid, *status = json.loads(line)
            if status:
                self._running.pop(pid).ended.set_result(os.waitstatus_to_exitcode(status[0]))
            else:
                self._running[pid] = Forked(pid, Future(), *self._next)
                self._started.set_result(self._running[pid])
        if not self._started.done():
            self._started.set_exception(RuntimeError("the process that forks the others has ended"))

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()
        self._listening.join()


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    made = Forks(tmp_path_factory.mktemp("forked"))
    yield made
    made.close()
