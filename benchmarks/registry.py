"""How fast the registry answers: `python benchmarks/registry.py`. A real hermes_db, 1,000 models in it, asked over a socket.

The eight specialties have 125 models each, one of them 25 of these in a narrower one; models have metadata as hermes reads it off a GGUF
file. Run on an idle machine.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from config import migrate
from config.secrets import load_secrets
from config.settings import FleetSettings
from vx11.trial import free_ports

ROOT = Path(__file__).resolve().parent.parent
MODELS = 1000
LIMITS = {
    "models of a specialty, a page of 50 (ms)": 10.0,
    "models of a specialty, with narrower ones (ms)": 10.0,
    "all models of a specialty, 125 (ms)": 10.0,
    "a key's value, read and audited (ms)": 10.0,
    "a turn with a tool, taken and given back (ms)": 20.0,
}
TEMPLATE = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + message['content'] + '<|im_end|>' }}{% endfor %}"


@contextmanager
def hermes_db() -> Iterator[tuple[str, dict[str, str]]]:
    """The service as a process; yields its URL, and the headers of a service."""
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as folder:
        [port] = free_ports(1)
        settings = FleetSettings(state_dir=Path(folder) / "data", _env_file=None)
        migrate.upgrade(settings)
        token = load_secrets(settings).fleet.get_secret_value()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VX11_")}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "VX11_STATE_DIR": str(settings.state_dir),
            "VX11_HERMES_DB_PORT": str(port),
            "VX11_HERMES_DB_DEFAULT_MODEL": "false",
            "VX11_LOG_LEVEL": "warning",
        }
        child = subprocess.Popen([sys.executable, "-m", "config.serve", "hermes_db"], env=environment, cwd=folder)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(url, child)
            yield url, {"X-VX11-Token": token, "X-VX11-Caller": "switch"}
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(20)


def wait_for(url: str, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and child.poll() is None:
        try:
            if httpx.get(f"{url}/health", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit(f"{url} did not become healthy")


def fill(client: httpx.Client) -> None:
    """The models, through the API as hermes registers them."""
    ask(client, "POST", "/hermes_db/specialties", {"name": "music_mixing", "parent": "audio"})
    specialties = [one["name"] for one in ask(client, "GET", "/hermes_db/specialties")["items"]][:8]
    for number in range(MODELS):
        specialty = specialties[number % 8]
        is_narrow = specialty == "audio" and number // 8 % 5 == 0
        model = {
            "name": f"model-{number}", "model_id": f"owner/model-{number}-GGUF", "source": "huggingface",
            "path": f"/srv/vx11/models/owner--model-{number}/model-{number}.Q4_K_M.gguf", "size_bytes": 4_000_000_000 + number,
            "sha256": f"{number:064x}", "tags": ["gguf", "instruct", "conversational", "en", "es"],
            "specialty": "music_mixing" if is_narrow else specialty, "adjacent_fields": ["analysis"], "model_type": "gguf",
            "license": "apache-2.0", "revision": f"{number:040x}",
            "metadata": {"architecture": "llama", "parameters": 7_000_000_000, "context_length": 32_768, "quantization": "Q4_K_M",
                         "chat_template": TEMPLATE},
        }  # fmt: skip
        ask(client, "PUT", "/hermes_db/models", model)


def ask(client: httpx.Client, method: str, path: str, body: object = None) -> Any:
    return client.request(method, path, json=body).raise_for_status().json()


def measure(name: str, rounds: int, work: Callable[[], object]) -> bool:
    """Prints the median of the rounds beside the limit; whether it holds."""
    for _ in range(5):
        work()
    times = list[float]()
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    median, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    is_good = median <= LIMITS[name]
    print(f"{name:48} median {median:6.2f}  p95 {p95:6.2f}  limit {LIMITS[name]:5.1f}{'' if is_good else '  MISSED'}")
    return is_good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    with (
        hermes_db() as (url, headers),
        httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client,
    ):
        fill(client)
        ask(client, "PUT", "/hermes_db/clis/git", {"max_concurrent": 2, "rate_limit_per_day": 1_000_000})
        ask(client, "POST", "/hermes_db/tokens", {"service": "huggingface", "token": "hf_0123456789"})

        def listed(specialty: str, limit: int, count: int) -> None:
            page = ask(client, "GET", f"/hermes_db/models?specialty={specialty}&limit={limit}")
            assert (page["count"], len(page["items"])) == (125, count), page["count"]

        def a_turn() -> None:
            lease = ask(client, "POST", "/hermes_db/clis/git/leases")
            ask(client, "DELETE", f"/hermes_db/clis/git/leases/{lease['lease_id']}")

        works: list[Callable[[], object]] = [
            lambda: listed("code", 50, 50),
            lambda: listed("audio", 50, 50),
            lambda: listed("code", 500, 125),
            lambda: ask(client, "GET", "/hermes_db/tokens/huggingface/value"),
            a_turn,
        ]
        held = [measure(name, rounds, work) for name, work in zip(LIMITS, works, strict=True)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
