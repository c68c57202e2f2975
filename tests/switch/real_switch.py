"""Switch as a process of its own, as the fleet runs it, and a look at the process of its local model."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.forked import SERVE, Forks

ALONE = {
    **{f"VX11_{name}_PORT": "1" for name in ("HERMES_DB", "SPAWNER", "SHUB")},
    "VX11_SWITCH_LOOK_FOR_SERVERS_EVERY": "PT0S",
}
"""Neither a fleet nor a server of models that runs on this machine has a part in what is tested."""


def until(happened: Callable[[], Any], *, seconds: float = 90.0, every: float = 0.02) -> Any:
    """Wait for what has no event to wait for; returns what was found."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, f"{happened.__name__} did not happen"
        time.sleep(every)
    return found


class RealSwitch:
    def __init__(self, forks: Forks, state_dir: Path, headers: dict[str, str], **settings: str) -> None:
        port = free_port()
        told = {"VX11_STATE_DIR": str(state_dir), "VX11_SWITCH_PORT": str(port)}
        here = state_dir  # and not where somebody's `.env` is
        self.process = forks.start(SERVE, "switch", cwd=here, **told | ALONE | settings)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, verify=False)
        until(self._is_up)

    def _is_up(self) -> bool:
        assert not self.process.ended.done(), self.process.err.read_text()
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/health").status_code == 200
        return False

    @property
    def light(self) -> dict[str, Any]:
        """The local model's status."""
        status: dict[str, Any] = self.client.get("/switch/status").json()["light_llm"]
        return status

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        os.kill(self.process.pid, sign)
        self.client.close()
        return self.process.wait()


@contextlib.contextmanager
def real_switch(forks: Forks, state_dir: Path, headers: dict[str, str], **settings: str) -> Iterator[RealSwitch]:
    switch = RealSwitch(forks, state_dir, headers, **settings)
    try:
        yield switch
    finally:
        if not switch.process.ended.done():
            switch.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def listening_port(pid: int) -> int:
    """The loopback port on which a process listens."""
    sockets = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
            return int(fields[1].split(":")[1], 16)
    raise AssertionError("it does not listen")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
