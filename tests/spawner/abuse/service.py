"""A real spawner, in a process of its own, run as the user that is asked for."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from config.secrets import load_secrets
from config.settings import FleetSettings
from vx11.trial import ROOT, free_ports

PATIENCE_SECONDS = 60.0
FIRST_FREE_UID = 58_000
"""From here on a user is looked for that runs nothing and has no name."""
WEAKENED = Path(__file__).with_name("weakened.py")


class Spawner:
    """One service with a state folder of its own, copied from `migrated`, below a temporary one that its user can reach.

    `uid`: whom it runs as, None for whoever runs the tests. `weakened`: whether single protections can be switched off, job by job.
    """

    def __init__(self, migrated: Path, *, uid: int | None = None, weakened: bool = False, **variables: str) -> None:
        self.uid = uid
        self.place = Path(tempfile.mkdtemp(prefix="vx11-abuse-"))
        self.place.chmod(0o711)
        self.state_dir = self.place / "state"
        shutil.copytree(migrated, self.state_dir)
        made = load_secrets(FleetSettings(state_dir=self.state_dir, _env_file=None))
        self.owner, self.fleet = made.owner.get_secret_value(), made.fleet.get_secret_value()
        self.env_secret = secrets.token_hex(16)
        if uid is not None:
            give(self.state_dir, uid)
        self.work_dir = self.state_dir / "spawner"
        if uid is None and os.geteuid() == 0:  # its jobs' users must get there
            self.work_dir = self.place / "work"
            variables["VX11_SPAWNER_WORK_DIR"] = str(self.work_dir)
        self.port = free_ports(1)[0]
        module = [str(WEAKENED)] if weakened else ["-m", "config.serve", "spawner"]
        self.process = subprocess.Popen(
            [*as_user(uid), interpreter(uid), *module],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONPATH": os.pathsep.join(
                    [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
                ),
                "PYTHONDONTWRITEBYTECODE": "1",
                "VX11_STATE_DIR": str(self.state_dir),
                "VX11_SPAWNER_PORT": str(self.port),
                "VX11_SPAWNER_CONCURRENCY": "4",
                "SECRET_OF_THE_SERVICE": self.env_secret,
                **variables,
            },
            cwd=self.state_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.place / "spawner.log").open("a"),
        )
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"X-VX11-Token": self.owner},
            timeout=90,
            trust_env=False,
            verify=False,
        )
        self._wait()
        self.report: dict[str, Any] = self.http.get("/spawner/protections").raise_for_status().json()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.http.get("/health")
                return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(self.log())

    def log(self) -> str:
        return (self.place / "spawner.log").read_text()

    def spawn(self, request: dict[str, Any]) -> dict[str, Any]:
        """The record of a job that has ended."""
        answer = self.http.post("/spawner/spawn", json=request | {"wait_seconds": 60})
        assert answer.status_code == 200, answer.text
        record: dict[str, Any] = answer.json()
        return record

    def start(self, request: dict[str, Any]) -> str:
        """The id of a job that was accepted."""
        answer = self.http.post("/spawner/spawn", json=request)
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["spawn_id"])

    def ended(self, spawn_id: str) -> dict[str, Any]:
        """The record of a job, as soon as it has ended: followed by its events, not by asking again and again."""
        self.http.get(f"/spawner/spawn/{spawn_id}/events").raise_for_status()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            record: dict[str, Any] = self.http.get(f"/spawner/spawn/{spawn_id}/status").raise_for_status().json()
            if record["status"] in ("DONE", "ERROR", "CANCELLED"):
                return record
            time.sleep(0.05)
        raise AssertionError(f"{spawn_id} does not end")

    def peak_memory_kib(self) -> int:
        """Largest resident size of the service itself so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

    def folder_of(self, spawn_id: str) -> Path:
        """Where a job's own folder and its spool lie."""
        return self.work_dir / "jobs" / spawn_id

    def is_well(self) -> bool:
        return self.process.poll() is None and self.http.get("/health").json()["status"] == "ok"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.http.close()
        shutil.rmtree(self.place, ignore_errors=True)


def as_user(uid: int | None) -> list[str]:
    """What to put before a command for it to be run by that user."""
    if uid is None:
        return []
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all", "--"]


def give(folder: Path, uid: int) -> None:
    """Make a folder and all in it that user's."""
    for one in [folder, *folder.rglob("*")]:
        os.chown(one, uid, uid, follow_symlinks=False)


def unused_uid() -> int:
    """A user id that has no name and runs nothing, so that whatever it runs is a job's."""
    busy = {found.st_uid for found in (_stat(one) for one in Path("/proc").iterdir() if one.name.isdigit()) if found}
    named = {one.pw_uid for one in pwd.getpwall()}
    return next(uid for uid in range(FIRST_FREE_UID + os.getpid() % 1000, 60_000) if uid not in busy | named)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@cache
def interpreter(uid: int | None) -> str:
    """A Python of our version that the user can execute; "" where there is none."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for one in (sys.executable, os.path.realpath(sys.executable), f"/usr/local/bin/{version}", f"/usr/bin/{version}"):
        can = subprocess.run([*as_user(uid), one, "-c", "import encodings"], capture_output=True, check=False)
        if can.returncode == 0:
            return one
    return ""


@cache
def can_read_us(uid: int) -> bool:
    """Whether the user reaches this code and what it needs."""
    if not (python := interpreter(uid)):
        return False
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    code = f"import sys; sys.path[:0] = {paths!r}; import config.serve"
    return subprocess.run([*as_user(uid), python, "-c", code], capture_output=True, check=False).returncode == 0
