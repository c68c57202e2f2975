"""How switch holds up: how soon it is ready, whether a provider that is killed under load costs a client an answer, and memory over time.

    .venv/bin/python benchmarks/router.py [--requests 200000] [--clients 16]

Starts switch with two providers (`mock_upstream.py`) on loopback, with tokens, budgets, prices, decisions and metrics on. Every request
asks for `auto`. The provider that is asked first is killed in the middle of a run: no client may see an error. Then REQUESTS are asked,
and the memory of switch (PSS) is compared with what it was after the first tenth of them. Takes two minutes and more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
from proxy import HERE, NO_LIMIT, PATH, running, wait_for

from vx11.trial import free_ports

READY_LIMIT_SECONDS, GROWTH_LIMIT = 1.5, 1.05
BEFORE_THE_KILL_SECONDS, LOADED_SECONDS = 2.0, 6.0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=200_000)
    arguments.add_argument("--clients", type=int, default=16)
    wanted = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        first_port, second_port, port = free_ports(3)
        first, second = (mock(stack, folder, number) for number in (first_port, second_port))
        environment = settings(folder, first_port, second_port, port)
        subprocess.run([sys.executable, "-m", "config.migrate"], env=environment, cwd=HERE.parent, check=True)
        began = time.monotonic()
        log = folder / "switch.log"
        command = [sys.executable, "-m", "config.serve", "switch"]
        switch = stack.enter_context(running(command, log, **environment))
        wait_for(f"http://127.0.0.1:{port}/health", switch, log)
        ready = time.monotonic() - began
        token = (folder / "data" / "secrets" / "token").read_text().strip()
        url = f"http://127.0.0.1:{port}{PATH}"

        busy = first if asked_first(url, token) == "first" else second
        threading.Timer(BEFORE_THE_KILL_SECONDS, busy.kill).start()
        killed = load(url, token, wanted.clients, seconds=LOADED_SECONDS)

        tenth = wanted.requests // 10
        load(url, token, wanted.clients, requests=tenth)
        before = memory_bytes(switch.pid)
        long = load(url, token, wanted.clients, requests=wanted.requests - tenth)
        after = memory_bytes(switch.pid)

    print(f"ready after {ready:.2f} s  (limit {READY_LIMIT_SECONDS} s)")
    print(f"{killed['failures']:.0f} of {killed['answers']:.0f} answers failed when a provider was killed  (limit 0)")
    print(
        f"{wanted.requests} requests at {long['rate']:.0f}/s, {long['failures']:.0f} failed: {before / 2**20:.1f} MiB after a tenth, "
        f"{after / 2**20:.1f} MiB at the end, {after / before:.3f}x  (limit {GROWTH_LIMIT}x)"
    )
    holds = ready <= READY_LIMIT_SECONDS and not killed["failures"] and not long["failures"]
    return 0 if holds and after <= before * GROWTH_LIMIT else 1


def mock(stack: ExitStack, folder: Path, port: int) -> "subprocess.Popen[bytes]":
    log = folder / f"mock-{port}.log"
    process = stack.enter_context(running([sys.executable, str(HERE / "mock_upstream.py"), str(port)], log))
    wait_for(f"http://127.0.0.1:{port}/", process, log)
    return process


def settings(folder: Path, first_port: int, second_port: int, port: int) -> dict[str, str]:
    providers = {
        name: {"base_url": f"http://127.0.0.1:{number}/v1", "api_key": "none", "models": ["gpt"]}
        for name, number in (("first", first_port), ("second", second_port))
    }
    price = {"input": 0.15, "output": 0.6}
    return {
        "VX11_STATE_DIR": str(folder / "data"),
        "VX11_LOG_LEVEL": "warning",
        "VX11_SWITCH_PORT": str(port),
        "VX11_GATEWAY_REQUESTS_PER_MINUTE": NO_LIMIT,
        "VX11_PROVIDERS": json.dumps(providers),
        "VX11_SWITCH_AUTO_MODELS": json.dumps([f"{name}/gpt" for name in providers]),
        "VX11_SWITCH_PRICES": json.dumps({f"{name}/gpt": price for name in providers}),
        "VX11_SWITCH_BUDGET_USD_PER_DAY": "1000000",
    }


def asked_first(url: str, token: str) -> str:
    """The provider that `auto` means now."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    answer = httpx.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False)
    answer.raise_for_status()
    return answer.headers["x-vx11-provider"]


def load(url: str, token: str, clients: int, *, seconds: float = 3600.0, requests: int = 0) -> dict[str, float]:
    command = [sys.executable, str(HERE / "load.py"), url, token, "auto", str(clients), str(seconds)]
    told = subprocess.run([*command, "--requests", str(requests)], check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(told)
    return found


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])


if __name__ == "__main__":
    sys.exit(main())
