"""How `vx11 status`, `restart` and `down` reach a running supervisor: a lock that only one can hold, and a socket beside it."""

import errno
import fcntl
import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vx11.errors import CommandFailed

ANSWER_SECONDS = 10.0
LARGEST_MESSAGE = 1 << 20  # bytes
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid
_WHOLE_FILE = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class NotRunning(Exception):
    """No supervisor holds this state folder."""


class Unresponsive(Exception):
    """A supervisor holds the lock and does not answer."""


class Lock:
    """The pid file of the fleet. Whoever holds its lock is the supervisor; the kernel lets go of it when that dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write_pid(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Give our handle back; a process forked since then still holds the lock."""
        os.close(self._descriptor)


def take_lock(folder: Path) -> Lock | None:
    """The lock of the state folder, or None where a supervisor holds it."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the state folder itself: it holds secrets
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / "vx11.pid", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
    except OSError as exc:
        os.close(descriptor)
        if exc.errno in (errno.EAGAIN, errno.EACCES):
            return None
        raise
    return Lock(descriptor)


def running_pid(folder: Path) -> int | None:
    """Pid of the supervisor that holds the lock (0 in the instant before it is written), or None. Looks without touching the lock."""
    path = folder / "vx11.pid"
    if not path.exists():
        return None
    with path.open("r+") as file:
        found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _WHOLE_FILE)
        text = file.read().strip()
    if struct.unpack(_FLOCK, found)[0] == fcntl.F_UNLCK:
        return None
    return int(text) if text.isdigit() else 0


def wait_for_end(folder: Path, seconds: float) -> bool:
    """Whether the lock came free within this time."""
    deadline = time.monotonic() + seconds
    while running_pid(folder) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A path to the socket that is short however deep the folder is: Unix socket paths end at 107 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/control.sock"
    finally:
        os.close(descriptor)


def listen(folder: Path) -> socket.socket:
    """The supervisor's end; only the owner of the folder can connect. The lock must be held."""
    (folder / "control.sock").unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _address(folder) as path:
        before = os.umask(0o177)
        try:
            listening.bind(path)
        finally:
            os.umask(before)
    listening.listen()
    listening.setblocking(False)
    return listening


@dataclass(frozen=True)
class UnitStatus:
    """One process of the fleet, as its supervisor sees it. `detail` says why it is not healthy."""

    name: str
    services: list[str]
    state: str
    pid: int | None
    restarts: int
    uptime_seconds: float
    detail: str


def ask(folder: Path, command: str, **arguments: Any) -> dict[str, Any]:
    """The supervisor's answer. Raises NotRunning, or Unresponsive when it holds the lock and does not answer."""
    pid = running_pid(folder)
    if pid is None:
        raise NotRunning(f"no fleet is running from {folder.parent}")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(ANSWER_SECONDS)
    try:
        with connection, _address(folder) as path:
            connection.connect(path)
            connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
            answer = json.loads(_read_line(connection))
    except (OSError, ValueError) as exc:
        raise Unresponsive(f"the supervisor (pid {pid}) does not answer: {exc}") from exc
    return answer if isinstance(answer, dict) else {}


def _read_line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < LARGEST_MESSAGE:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


@dataclass(frozen=True)
class FleetStatus:
    """A fleet as it was started, which need not be as the settings would have it now."""

    units: list[UnitStatus]
    host: str
    """Where its services can be reached from this machine."""
    ports: dict[str, int]
    address: str
    """Of its gateway."""


def ask_fleet(folder: Path) -> FleetStatus:
    """What the supervisor knows of its fleet. Raises as `ask`, and CommandFailed where that is of another version."""
    told = ask(folder, "status")
    units = [UnitStatus(**unit) for unit in told.pop("units")]
    try:
        return FleetStatus(units=units, **told)
    except TypeError as exc:
        raise CommandFailed("the fleet that runs was started by another version: `vx11 down` stops it") from exc


def ask_status(folder: Path) -> list[UnitStatus]:
    """What the supervisor knows of each of its processes. Raises as `ask`."""
    return ask_fleet(folder).units
