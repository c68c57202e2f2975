"""What our door and our model router cost on the way to a provider, and what others cost on the same way in the same run.

Starts a provider that answers at once (`mock_upstream.py`), a gateway straight in front of it, a gateway with switch behind it, nginx
where it is installed, and LiteLLM's proxy where asked for; everything on loopback, one worker each, in a temporary state folder. Then, in
turn and for several rounds: one client, CLIENTS clients, CLIENTS clients with streamed answers (22 events, sent one by one). Ratios are
taken within a round.

    .venv/bin/python benchmarks/proxy.py [--litellm FOLDER] [--rounds 3] [--seconds 5] [--clients 16]

FOLDER is a virtual environment with `litellm[proxy]`, made there if it does not exist (about 750 MB). Run on an idle machine.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from vx11.trial import free_ports

HERE = Path(__file__).resolve().parent
LITELLM = "litellm[proxy]==1.106.0"
ADDED_LIMIT_MS, RATIO_LIMIT = 1.0, 25.0
NO_LIMIT = "1000000000"  # counted like any other, and never reached
LITELLM_KEY = "sk-benchmark-only-000000"
PATH = "/v1/chat/completions"
LOADS = ("one", "many", "streams")


@dataclass
class Target:
    """A way to the provider: where it is asked, and whose CPU time it costs."""

    name: str
    url: str
    token: str
    model: str
    pids: list[int]
    found: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {load: [] for load in LOADS})


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended at the end; what it says goes to `log`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VX11_")}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=inherited | environment, cwd=HERE.parent, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, *, seconds: float = 60) -> None:
    """Until `url` answers anything. Exits with the end of the log when its process does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(url, timeout=5, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"{url} did not come up:\n{log.read_text(errors='replace')[-2000:]}")


def our_targets(stack: ExitStack, folder: Path, mock_port: int) -> list[Target]:
    """The gateway alone, and the gateway with switch."""
    alone, door, switch = free_ports(3)
    provider = {"mock": {"base_url": f"http://127.0.0.1:{mock_port}/v1", "api_key": "none", "models": ["gpt"]}}
    common = {
        "VX11_STATE_DIR": str(folder / "data"),
        "VX11_LOG_LEVEL": "warning",
        "VX11_GATEWAY_REQUESTS_PER_MINUTE": NO_LIMIT,
        "VX11_PROVIDERS": json.dumps(provider),
    }
    subprocess.run([sys.executable, "-m", "config.migrate"], env=os.environ | common, cwd=HERE.parent, check=True)

    def serve(name: str, service: str, port: int, **more: str) -> int:
        log = folder / f"{name}.log"
        process = stack.enter_context(running([sys.executable, "-m", "config.serve", service], log, **common, **more))
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        return process.pid

    straight = serve("alone", "gateway", alone, VX11_GATEWAY_PORT=str(alone), VX11_SWITCH_PORT=str(mock_port))
    router = serve("switch", "switch", switch, VX11_SWITCH_PORT=str(switch))
    front = serve("gateway", "gateway", door, VX11_GATEWAY_PORT=str(door), VX11_SWITCH_PORT=str(switch))
    token = (folder / "data" / "secrets" / "token").read_text().strip()
    return [
        Target("gateway", f"http://127.0.0.1:{alone}{PATH}", token, "gpt", [straight]),
        Target("gateway+switch", f"http://127.0.0.1:{door}{PATH}", token, "mock/gpt", [front, router]),
    ]


def nginx_target(stack: ExitStack, folder: Path, mock_port: int) -> Target:
    [port] = free_ports(1)
    config = folder / "nginx.conf"
    config.write_text(
        f"""daemon off; master_process off; worker_processes 1; error_log stderr error; pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    keepalive_requests 100000000;
    upstream mock {{ server 127.0.0.1:{mock_port}; keepalive 64; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
    }}
}}
"""
    )
    log = folder / "nginx.log"
    process = stack.enter_context(running(["nginx", "-p", str(folder), "-c", str(config)], log))
    wait_for(f"http://127.0.0.1:{port}/", process, log)
    return Target("nginx", f"http://127.0.0.1:{port}{PATH}", "none", "gpt", [process.pid])


def litellm_target(stack: ExitStack, folder: Path, mock_port: int, environment: Path) -> Target:
    if not (environment / "bin" / "litellm").exists():
        print(f"installing {LITELLM} into {environment}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        subprocess.run([str(environment / "bin" / "pip"), "install", "-q", LITELLM], check=True)
    [port] = free_ports(1)
    config = folder / "litellm.yaml"
    params = {"model": "openai/gpt", "api_base": f"http://127.0.0.1:{mock_port}/v1", "api_key": "none"}
    config.write_text(  # JSON is YAML
        json.dumps(
            {
                "model_list": [{"model_name": "gpt", "litellm_params": params}],
                "general_settings": {"master_key": LITELLM_KEY},
                "litellm_settings": {"telemetry": False},
            }
        )
    )
    log = folder / "litellm.log"
    command = [str(environment / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    process = stack.enter_context(
        running(
            [*command, "--port", str(port), "--num_workers", "1", "--telemetry", "False"],
            log,
            LITELLM_LOCAL_MODEL_COST_MAP="True",
            LITELLM_MODE="PRODUCTION",
            LITELLM_LOG="ERROR",
        )
    )
    wait_for(f"http://127.0.0.1:{port}/health/liveliness", process, log, seconds=180)
    return Target("LiteLLM", f"http://127.0.0.1:{port}{PATH}", LITELLM_KEY, "gpt", [process.pid])


def load(target: Target, kind: str, clients: int, seconds: float) -> dict[str, float]:
    """What `load.py` found, and the CPU time per answer in microseconds. Exits when an answer was no good."""
    command = [sys.executable, str(HERE / "load.py"), target.url, target.token, target.model]
    command += [str(1 if kind == "one" else clients), str(seconds), *(["--stream"] if kind == "streams" else [])]
    before = cpu_seconds(target.pids)
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    found: dict[str, float] = json.loads(told)
    if found["failures"]:
        raise SystemExit(f"{target.name}: {found['failures']:.0f} of {found['answers']:.0f} answers were no good")
    return found | {"cpu_us": (cpu_seconds(target.pids) - before) / found["answers"] * 1e6}


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of the processes so far, theirs and the kernel's for them."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def tell(targets: list[Target]) -> bool:
    """Print medians over the rounds, and ratios taken within each round. Whether our limits hold, as far as they were measured."""
    direct = targets[0]
    print(
        f"\n{'':16}{'added p50, 1':>14}{'req/s, 1':>11}{'req/s, many':>13}{'streams/s':>11}{'CPU us/req':>12}{'CPU us/stream':>15}"
    )
    for one in targets:
        added = statistics.median(
            mine["median_ms"] - theirs["median_ms"]
            for mine, theirs in zip(one.found["one"], direct.found["one"], strict=True)
        )
        rates = [statistics.median(run["rate"] for run in one.found[kind]) for kind in LOADS]
        cpu = [statistics.median(run["cpu_us"] for run in one.found[kind]) for kind in ("many", "streams")]
        shown = "" if one is direct else f"{added:.3f} ms"
        print(
            f"{one.name:16}{shown:>14}{rates[0]:>11.0f}{rates[1]:>13.0f}{rates[2]:>11.0f}{cpu[0]:>12.0f}{cpu[1]:>15.0f}"
        )
        if one.name == "gateway+switch":
            holds = added <= ADDED_LIMIT_MS
            print(f"{'':16}limit {ADDED_LIMIT_MS} ms: {added / ADDED_LIMIT_MS:.2f} of it")
    ours = next(one for one in targets if one.name == "gateway+switch")
    for other in targets[3:]:
        for kind, label in (("many", "requests/s"), ("streams", "streams/s")):
            ratio = statistics.median(
                mine["rate"] / theirs["rate"] for mine, theirs in zip(ours.found[kind], other.found[kind], strict=True)
            )
            limit = f"  (limit {RATIO_LIMIT:.0f}x)" if other.name == "LiteLLM" else ""
            print(f"gateway+switch against {other.name}: {ratio:.2f}x the {label}{limit}")
            holds = holds and (other.name != "LiteLLM" or ratio >= RATIO_LIMIT)
    return holds


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--litellm",
        type=Path,
        default=os.environ.get("LITELLM") or None,
        help="virtual environment of LiteLLM's proxy; made if it does not exist; also by the variable LITELLM",
    )
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--clients", type=int, default=16)
    wanted = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as name, ExitStack() as stack:
        folder, [mock_port] = Path(name), free_ports(1)
        log = folder / "mock.log"
        mock = stack.enter_context(
            running([sys.executable, str(HERE / "mock_upstream.py"), str(mock_port), "--one-by-one"], log)
        )
        wait_for(f"http://127.0.0.1:{mock_port}/", mock, log)
        targets = [Target("direct", f"http://127.0.0.1:{mock_port}{PATH}", "none", "gpt", [mock.pid])]
        targets += our_targets(stack, folder, mock_port)
        if shutil.which("nginx"):
            targets.append(nginx_target(stack, folder, mock_port))
        if wanted.litellm is not None:
            targets.append(litellm_target(stack, folder, mock_port, wanted.litellm.absolute()))
        else:
            print("LiteLLM was not measured: name a folder for it with --litellm")
        for target in targets:
            for kind in LOADS:
                load(target, kind, wanted.clients, 1.0)  # warm
        for number in range(wanted.rounds):
            for kind in LOADS:
                for target in targets:
                    target.found[kind].append(load(target, kind, wanted.clients, wanted.seconds))
            print(f"round {number + 1} of {wanted.rounds}; load average {os.getloadavg()[0]:.1f}", flush=True)
        return 0 if tell(targets) else 1


if __name__ == "__main__":
    sys.exit(main())
