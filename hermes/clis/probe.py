"""One tool, asked one question: run with fixed arguments, where it can do no harm and cannot keep us waiting.

It gets no input and no terminal, a home that is empty and goes away, and nothing of our environment but what it takes to run. It has a
time limit, and of what it says the first kilobytes are read. When it has ended, or is ended, so is everything in its process group.

Made for a thread, not for the event loop: CPython starts a process with vfork, while uvloop would fork and stop the whole service for as
long as that takes.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LIMIT_BYTES = 16 * 1024
"""Of each of the two outputs: a version stands in the first lines."""
LOOK_UP_SECONDS = 0.25
"""How long a probe may go on when the service stops."""

SHIM_HOMES = {
    "RUSTUP_HOME": ".rustup",
    "PYENV_ROOT": ".pyenv",
    "RBENV_ROOT": ".rbenv",
    "ASDF_DATA_DIR": ".asdf",
    "MISE_DATA_DIR": ".local/share/mise",
    "VOLTA_HOME": ".volta",
    "SDKMAN_DIR": ".sdkman",
}
"""Version managers put a small program in a tool's place, which finds the tool in a folder of the home. With an empty home they would
need to be told where that is."""
PASSED_ON = ("JAVA_HOME", "LD_LIBRARY_PATH")
QUIET = {
    "LANG": "C",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "CI": "1",
    "DO_NOT_TRACK": "1",
    "NO_UPDATE_NOTIFIER": "1",
    "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
    "HOMEBREW_NO_AUTO_UPDATE": "1",
}


class Ending(StrEnum):
    EXITED = "exited"
    LATE = "late"
    FLOODED = "flooded"
    NOT_STARTED = "not started"
    STOPPED = "stopped"
    """By us, because the service stops."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool said, and how it ended; `exit_code` is negative for a signal, as `subprocess` has it."""

    ending: Ending
    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    trouble: str = ""


def environment(ours: Mapping[str, str], folders: Sequence[str], home: str) -> dict[str, str]:
    """What a tool gets to see: no token, no setting and no file of ours."""
    real_home = Path(ours.get("HOME", "/nonexistent"))
    shims = {name: ours.get(name) or str(real_home / folder) for name, folder in SHIM_HOMES.items()}
    return {
        **{name: ours[name] for name in PASSED_ON if name in ours},
        **{name: folder for name, folder in shims.items() if os.path.isdir(folder)},
        **QUIET,
        "PATH": os.pathsep.join(folders),
        "HOME": home,
        "TMPDIR": home,
    }


def ask(
    command: Sequence[str], folders: Sequence[str], *, limit_seconds: float, stopping: threading.Event | None = None
) -> Said:
    """Run the command and return what it said. Nothing that it does is raised."""
    with tempfile.TemporaryDirectory(prefix="vx11-probe-", ignore_cleanup_errors=True) as home:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=home,
                env=environment(os.environ, folders, home),
                start_new_session=True,
            )
        except OSError as exc:
            return Said(Ending.NOT_STARTED, trouble=exc.strerror or type(exc).__name__)
        with process:
            try:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, process.pid, 10)  # nobody waits for it
                return _listen(process, time.monotonic() + limit_seconds, stopping or threading.Event())
            finally:
                _kill_group(process)


def _listen(process: subprocess.Popen[bytes], deadline: float, stopping: threading.Event) -> Said:
    """Read both outputs until the process ends, not until they are closed: something it left behind may hold them open."""
    assert process.stdout is not None
    assert process.stderr is not None
    heard = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    ended = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            for descriptor in heard:
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            ending = _read_on(selector, ended, heard, deadline, stopping)
    finally:
        os.close(ended)
    stdout, stderr = (bytes(one).decode(errors="replace") for one in heard.values())
    _kill_group(process)  # before the exit code is fetched: until then the number belongs to nobody else
    code = process.wait()
    return Said(ending, stdout, stderr, code if ending is Ending.EXITED else None)


def _read_on(
    selector: selectors.BaseSelector,
    ended: int,
    heard: dict[int, bytearray],
    deadline: float,
    stopping: threading.Event,
) -> Ending:
    while not stopping.is_set():
        left = deadline - time.monotonic()
        if left <= 0:
            return Ending.LATE
        ready = [key.fd for key, _ in selector.select(min(left, LOOK_UP_SECONDS))]
        for descriptor in set(ready) & set(heard):
            if not _read(descriptor, heard[descriptor]):
                selector.unregister(descriptor)
        if any(len(one) >= LIMIT_BYTES for one in heard.values()):
            return Ending.FLOODED
        if ended in ready:
            for descriptor, said in heard.items():
                while _read(descriptor, said):
                    pass
            return Ending.EXITED
    return Ending.STOPPED


def _read(descriptor: int, said: bytearray) -> bool:
    """Add what is there to be read, up to the limit; False when there is no more, for now or for ever."""
    room = LIMIT_BYTES - len(said)
    try:
        piece = os.read(descriptor, room) if room else b""
    except BlockingIOError:
        return False
    said += piece
    return bool(piece)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
