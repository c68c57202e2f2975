"""What a plan costs over the step it carries out: `/madre/chat` with a one-step LOW plan, against asking the specialist directly.

Starts madre and hermes_db as real processes on free ports with a state folder of their own, asks for the list of models once through
madre and once straight from hermes_db, in turn, and prints medians, their difference and the limit. Run on an idle machine:

    .venv/bin/python benchmarks/chat.py [--chats 200] [--clients 8]
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
ADDED_LIMIT_MS, RATE_LIMIT = 25.0, 60.0
CHAT = {"message": "qué modelos tengo instalados", "wait_seconds": 30}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def fleet(services: list[str]) -> Iterator[tuple[dict[str, str], str]]:
    """The services as processes; yields their URLs and the owner's token."""
    with tempfile.TemporaryDirectory() as state:
        ports = {service: free_port() for service in services}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VX11_")}
        environment |= {"VX11_STATE_DIR": state, "VX11_LOG_LEVEL": "warning"}
        environment |= {f"VX11_{service.upper()}_PORT": str(port) for service, port in ports.items()}
        subprocess.run(
            [sys.executable, "-m", "config.migrate"], env=environment, cwd=ROOT, check=True, capture_output=True
        )
        children = [
            subprocess.Popen([sys.executable, "-m", "config.serve", name], env=environment, cwd=ROOT)
            for name in services
        ]
        urls = {service: f"http://127.0.0.1:{port}" for service, port in ports.items()}
        try:
            for url in urls.values():
                wait_for(url)
            yield urls, (Path(state) / "secrets" / "token").read_text().strip()
        finally:
            for child in children:
                child.send_signal(signal.SIGTERM)
            for child in children:
                child.wait(20)


def wait_for(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit(f"{url} did not become healthy")


async def timed(client: httpx.AsyncClient, method: str, url: str, **request: object) -> float:
    started = time.perf_counter()
    response = await client.request(method, url, **request)  # type: ignore[arg-type]
    took_ms = (time.perf_counter() - started) * 1000
    response.raise_for_status()
    if method == "POST" and response.json()["status"] != "DONE":
        raise SystemExit(f"not done: {response.text}")
    return took_ms


async def measure(urls: dict[str, str], token: str, chats: int, clients: int) -> None:
    headers = {"X-VX11-Token": token}
    async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
        step, chat = f"{urls['hermes_db']}/hermes_db/models", f"{urls['madre']}/madre/chat"
        for _ in range(10):
            await timed(client, "GET", step)
            await timed(client, "POST", chat, json=CHAT)
        alone, planned = [], []
        for _ in range(chats):  # in turn, so that a change of the machine's speed meets both
            alone.append(await timed(client, "GET", step))
            planned.append(await timed(client, "POST", chat, json=CHAT))
        added = statistics.median(planned) - statistics.median(alone)
        print(f"step alone      median {statistics.median(alone):7.1f} ms")
        print(f"/madre/chat     median {statistics.median(planned):7.1f} ms")
        print(
            f"added           median {added:7.1f} ms   limit {ADDED_LIMIT_MS} ms   ratio {added / ADDED_LIMIT_MS:.2f}"
        )

        left = iter(range(chats * 2))

        async def one_client() -> None:
            for _ in left:
                await timed(client, "POST", chat, json=CHAT)

        started = time.perf_counter()
        await asyncio.gather(*(one_client() for _ in range(clients)))
        rate = chats * 2 / (time.perf_counter() - started)
        print(f"{clients} clients       {rate:7.1f} chats/s  limit {RATE_LIMIT}/s   ratio {rate / RATE_LIMIT:.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--chats", type=int, default=200)
    arguments.add_argument("--clients", type=int, default=8)
    wanted = arguments.parse_args()
    with fleet(["hermes_db", "madre"]) as (urls, token):
        asyncio.run(measure(urls, token, wanted.chats, wanted.clients))


if __name__ == "__main__":
    main()
