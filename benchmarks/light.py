"""How soon the light model says its first word: warm, woken, and started anew.

A real switch with its real model in a state folder of its own; short questions are asked over HTTP as streams, and time runs from sending
until the first event that holds words (headers and the role come long before). Warm: asked a moment ago, what every question begins with
is computed. Woken: unused for so long that it gave its memory back. Started: its process had ended. Run on an idle machine of two cores:

    .venv/bin/python benchmarks/light.py [--warm 30] [--rounds 5]
"""

import argparse
import json
import os
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

from config.secrets import load_secrets
from config.settings import FleetSettings

ROOT = Path(__file__).resolve().parent.parent
LIMITS_MS = {"warm": 100.0, "wake": 1000.0}
SLEEP_AFTER, STOP_AFTER = 2, 8  # seconds
QUESTIONS = (
    "What is a limiter?",
    "What is a kick drum?",
    "Name three colours.",
    "What is reverb?",
    "What is a plugin?",
)


@contextmanager
def switch() -> Iterator[httpx.Client]:
    """A switch as the fleet runs it, and a client of the owner's."""
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as state:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VX11_")}
        port = "18973"
        environment = kept | {
            "VX11_STATE_DIR": state,
            "VX11_LOG_LEVEL": "error",
            "VX11_SWITCH_PORT": port,
            "VX11_HERMES_DB_PORT": "1",
            "VX11_LIGHT_SLEEP_AFTER": f"PT{SLEEP_AFTER}S",
            "VX11_LIGHT_STOP_AFTER": f"PT{STOP_AFTER}S",
        }
        subprocess.run(
            [sys.executable, "-m", "config.migrate"], env=environment, cwd=ROOT, check=True, capture_output=True
        )
        process = subprocess.Popen([sys.executable, "-m", "config.serve", "switch"], env=environment, cwd=ROOT)
        token = load_secrets(FleetSettings(state_dir=Path(state), _env_file=None)).owner.get_secret_value()
        headers = {"X-VX11-Token": token}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, verify=False) as client:
                until(lambda: answers(client))
                yield client
        finally:
            process.terminate()
            process.wait()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError("it does not come about")
        time.sleep(0.05)


def light(client: httpx.Client) -> dict[str, Any]:
    models = client.get("/switch/rotation").json()["models"]
    return next(one for one in models if one["role"] == "light")


def resident_mib(pid: int | None) -> float:
    if pid is None:
        return 0.0
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def first_word_ms(client: httpx.Client, question: str) -> float:
    body = {
        "model": light(client)["name"],
        "stream": True,
        "max_tokens": 8,
        "messages": [{"role": "user", "content": question}],
    }
    began, found = time.perf_counter(), 0.0
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if not found and line.startswith("data: {"):
                choices = json.loads(line[6:]).get("choices") or [{}]
                if choices[0].get("delta", {}).get("content"):
                    found = (time.perf_counter() - began) * 1000
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warm", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    times: dict[str, list[float]] = {"warm": [], "wake": [], "start": []}
    with switch() as client:
        until(lambda: bool(light(client)["memory_bytes"]))  # its file was verified
        for _ in range(asked.rounds):
            until(lambda: light(client)["state"] == "stopped")
            times["start"].append(first_word_ms(client, QUESTIONS[0]))
            for number in range(asked.warm // asked.rounds):
                times["warm"].append(first_word_ms(client, QUESTIONS[number % len(QUESTIONS)]))
            awake = resident_mib(light(client)["pid"])
            until(lambda before=awake: resident_mib(light(client)["pid"]) < before * 0.6)  # type: ignore[misc]
            asleep = resident_mib(light(client)["pid"])
            times["wake"].append(first_word_ms(client, QUESTIONS[1]))
    print(f"load of the machine {os.getloadavg()[0]:.2f}; memory awake {awake:.0f} MiB, asleep {asleep:.0f} MiB")
    is_well = True
    for name, found in times.items():
        median, limit = statistics.median(found), LIMITS_MS.get(name)
        told = "" if limit is None else f"  limit {limit:6.0f}  {median / limit:.2f} of it"
        print(
            f"{name:6} first word, median of {len(found):2}: {median:7.1f} ms  (best {min(found):.1f}, worst {max(found):.1f}){told}"
        )
        is_well = is_well and (limit is None or median <= limit)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
