"""How fast a model comes in, and how much memory that takes: `python benchmarks/download.py [--megabytes 1500] [--rounds 3]`.

A real hermes and hermes_db on free ports and a state folder of their own, and a local hub in a process of its own that hands its file to
the kernel (sendfile), so that it is never the slow one. The same file comes by `curl | tee file | sha256sum` in turn with hermes, whose
time runs from the order to the registered model: fetched, hashed, on the disk (fsync), read, placed, registered. Run on an idle machine.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from config import migrate
from config.secrets import load_secrets
from config.settings import FleetSettings
from tests.fakes.model_files import gguf
from vx11.trial import free_ports

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {"speed (x curl | tee | sha256sum)": 0.8, "memory over idle (MiB)": 60.0}
AT_LEAST = frozenset({"speed (x curl | tee | sha256sum)"})
MIB = 1024 * 1024
MODEL, FILE = "bench/large", "large.Q8_0.gguf"
PATIENCE_SECONDS = 600.0


@dataclass
class Found:
    """What was measured, by the names of the limits."""

    values: dict[str, float] = field(default_factory=dict)

    def keep(self, name: str, value: float) -> None:
        self.values[name] = value
        limit = LIMITS[name]
        good = value >= limit if name in AT_LEAST else value <= limit
        print(f"{name:40} {value:8.2f}  limit {limit:6.2f}{'' if good else '  MISSED'}")

    @property
    def is_good(self) -> bool:
        return all((v >= LIMITS[n]) if n in AT_LEAST else (v <= LIMITS[n]) for n, v in self.values.items())


# --- the hub ---------------------------------------------------------------------------------------------------------


def serve_hub(port: int, path: Path) -> None:
    """One model with one large file, whose revision changes with every question: each download is a new one."""
    size, sha256 = path.stat().st_size, file_sha256(path)
    revision = 0

    def answer(connection: socket.socket) -> None:
        nonlocal revision
        with connection, path.open("rb") as file:
            head = b""
            while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                head += piece
            if b"/resolve/" in head.partition(b"\r\n")[0]:
                found = re.search(rb"(?i)\r\nrange: bytes=(\d+)-", head)
                start = int(found[1]) if found else 0
                status = b"206 Partial Content" if found else b"200 OK"
                part = b"Content-Range: bytes %d-%d/%d\r\n" % (start, size - 1, size) if found else b""
                connection.sendall(
                    b'HTTP/1.1 %b\r\nETag: "%b"\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n'
                    % (status, sha256.encode(), part, size - start)
                )
                while start < size and (sent := os.sendfile(connection.fileno(), file.fileno(), start, MIB)):
                    start += sent
                return
            revision += 1
            lfs = {"sha256": sha256, "size": size, "pointerSize": 134}
            files = [{"rfilename": FILE, "size": size, "blobId": "0" * 40, "lfs": lfs}]
            told = json.dumps({"id": MODEL, "sha": f"{revision:040x}", "tags": [], "siblings": files}).encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                % (len(told), told)
            )

    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_model(path: Path, megabytes: int) -> None:
    """A GGUF header, and random bytes up to the size."""
    block = os.urandom(16 * MIB)
    with path.open("wb") as file:
        file.write(gguf(quantization="Q8_0"))
        while (left := megabytes * 1_000_000 - file.tell()) > 0:
            file.write(block[:left])


# --- the processes ---------------------------------------------------------------------------------------------------


@contextmanager
def process(*command: str, environment: dict[str, str], log: Path) -> Iterator[int]:
    with log.open("a") as out:
        child = subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=log.parent)
        try:
            yield child.pid
        finally:
            child.kill()
            child.wait()


def wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit(f"{url} did not answer: {log.read_text()[-2000:]}")


def by_curl(url: str, target: Path) -> float:
    """Seconds."""
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    subprocess.run(
        ["sh", "-c", 'curl -sS --noproxy "*" "$0" | tee "$1" | sha256sum', url, str(target)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


def by_hermes(http: httpx.Client) -> tuple[float, dict[str, object]]:
    """Seconds, and the model."""
    began = time.perf_counter()
    job = http.post("/hermes/download", json={"model_id": MODEL}).raise_for_status().json()
    http.get(f"/hermes/jobs/{job['job_id']}/events")  # ends with the job
    seconds = time.perf_counter() - began
    done = http.get(f"/hermes/jobs/{job['job_id']}").json()
    if done["status"] != "DONE":
        raise SystemExit(f"the download failed: {done['error']}")
    return seconds, done["result"]


def memory_mib(pid: int, name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def measure(found: Found, folder: Path, megabytes: int, rounds: int) -> None:
    path = folder / FILE
    write_model(path, megabytes)
    state, log = folder / "state", folder / "log"
    hub, hermes_port, db_port, nobody = free_ports(4)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VX11_")} | {
        "PYTHONPATH": str(ROOT),
        "VX11_STATE_DIR": str(state),
        "VX11_HERMES_PORT": str(hermes_port),
        "VX11_HERMES_DB_PORT": str(db_port),
        "VX11_SWITCH_PORT": str(nobody),
        "VX11_HERMES_HUB_URL": f"http://127.0.0.1:{hub}",
        "VX11_HERMES_DOWNLOAD_LIMIT_BYTES": str(2**40),
        "VX11_HERMES_SEARCH_INTERVAL": "PT0S",
        "VX11_HERMES_CLI_SCAN_INTERVAL": "PT0S",
    }
    settings = FleetSettings(state_dir=state, _env_file=None)
    migrate.upgrade(settings)
    token = load_secrets(settings).owner.get_secret_value()
    with ExitStack() as running:
        commands = [
            [__file__, "--hub", str(hub), str(path)],
            *(["-m", "config.serve", one] for one in ("hermes_db", "hermes")),
        ]
        *_, pid = [
            running.enter_context(process(sys.executable, *command, environment=environment, log=log))
            for command in commands
        ]
        for port, health in ((hub, "/api/models/x"), (db_port, "/health"), (hermes_port, "/health")):
            wait_for(f"http://127.0.0.1:{port}{health}", log)
        http = running.enter_context(
            httpx.Client(
                base_url=f"http://127.0.0.1:{hermes_port}",
                headers={"X-VX11-Token": token},
                timeout=PATIENCE_SECONDS,
                trust_env=False,
            )
        )
        http.get("/hermes/models").raise_for_status()
        idle = memory_mib(pid, "VmRSS")
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted from here
        curl, ours = [], []
        for number in range(1, rounds + 1):
            curl.append(by_curl(f"http://127.0.0.1:{hub}/{MODEL}/resolve/main/{FILE}", folder / "by_curl"))
            seconds, model = by_hermes(http)
            ours.append(seconds)
            shutil.rmtree(Path(str(model["path"])).parent)
            rate = megabytes / curl[-1], megabytes / seconds
            print(
                f"round {number}: curl {curl[-1]:.2f} s ({rate[0]:.0f} MB/s), hermes {seconds:.2f} s ({rate[1]:.0f} MB/s)"
            )
        peak = memory_mib(pid, "VmHWM")
    print(f"idle {idle:.0f} MiB, peak {peak:.0f} MiB, {megabytes} MB a download")
    found.keep("speed (x curl | tee | sha256sum)", statistics.median(curl) / statistics.median(ours))
    found.keep("memory over idle (MiB)", peak - idle)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hub", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.hub:
        serve_hub(int(chosen.hub[0]), Path(chosen.hub[1]))
    found = Found()
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as folder:
        measure(found, Path(folder), chosen.megabytes, chosen.rounds)
    return 0 if found.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
