"""A real fleet on free ports and in a state folder of its own, for tests and benchmarks."""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from config.settings import SERVICES, FleetSettings
from vx11 import cli, control
from vx11.running import run_dir, status_rows

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 120
NOBODY_OUTSIDE = {
    "VX11_HERMES_HUB_URL": "http://127.0.0.1:9",
    "VX11_HERMES_OPENROUTER_URL": "http://127.0.0.1:9",
    "VX11_HERMES_SEARCH_INTERVAL": "PT0S",
}
"""A trial asks nobody outside of this machine unless it is told whom."""


class TrialFleet:
    """Commands are run as a person runs them, configured by the environment of the fleet and not by ours."""

    def __init__(self, state_dir: Path, **variables: str) -> None:
        self.state_dir = state_dir
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("VX11_")}
        chosen = {f"VX11_{service.upper()}_PORT": str(port) for service, port in self.ports.items()}
        compiled = {"VX11_SHUB_CACHE_DIR": str(Path(sys.prefix) / "cache" / "trial")}  # once, not anew for each trial
        jobs = {"VX11_SPAWNER_WORK_DIR": str(reachable_folder())} if os.geteuid() == 0 else {}
        self.environment = {
            **(inherited | chosen | compiled | jobs | NOBODY_OUTSIDE),
            "VX11_STATE_DIR": str(state_dir),
            **variables,
        }
        self.environment["PYTHONPATH"] = str(ROOT)
        ports = {f"{service}_port": port for service, port in self.ports.items()}
        self.settings = FleetSettings.model_validate({"state_dir": state_dir, **ports})

    @property
    def url(self) -> str:
        return self.url_of("gateway")

    @property
    def token(self) -> str:
        """The owner's token; there is one from the first start on."""
        return (self.state_dir / "secrets" / "token").read_text().strip()

    def url_of(self, service: str) -> str:
        """A service's own port."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def vx11(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises AssertionError with all it said when it fails and `check` is set.

        `up` gets a process of its own, for it forks; others run in ours, which saves each the imports.
        """
        done = self._apart(*arguments) if arguments[0] == "up" else self._here(*arguments)
        if check and done.returncode != 0:
            raise AssertionError(f"vx11 {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def _apart(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(*arguments),
            env=self.environment,
            cwd=self.state_dir.parent,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def _here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        out, err, before = StringIO(), StringIO(), dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment)
        try:
            with redirect_stdout(out), redirect_stderr(err), chdir(self.state_dir.parent):
                status = cli.main(arguments)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return subprocess.CompletedProcess(["vx11", *arguments], status, out.getvalue(), err.getvalue())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and leave it running; its output can be read line by line. It is killed if it stays for minutes."""
        running = subprocess.Popen(
            self._command(*arguments),
            env=self.environment,
            cwd=self.state_dir.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        end = threading.Timer(PATIENCE_SECONDS, running.kill)  # who reads its output would wait for ever
        end.daemon = True
        end.start()
        return running

    def up(self, *options: str) -> None:
        self.vx11("up", "--detach", *options)

    def down(self) -> None:
        self.vx11("down")

    def status(self) -> dict[str, dict[str, Any]]:
        """What `vx11 status --json` shows, by service."""
        return {row.service: vars(row) for row in status_rows(self.settings)}

    def supervisor_pid(self) -> int:
        """Raises AssertionError where none runs."""
        pid = control.running_pid(run_dir(self.settings))
        assert pid, "no supervisor is running"
        return pid

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "vx11", *arguments]


def reachable_folder() -> Path:
    """A new folder that users other than root can get to, as jobs of a root's fleet must; gone when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="vx11-trial-", dir="/tmp"))
    folder.chmod(0o711)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def free_ports(count: int) -> list[int]:
    """Ports that nothing uses at this moment, all different."""
    with ExitStack() as open_sockets:
        found = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]
