"""What our door and our model router cost on the way to a provider, and what others cost on the same way in the same run.

Starts a provider that answers at once (`mock_upstream.py`), a gateway straight in front of it, switch alone, a gateway with switch behind
it, nginx where it is installed, and LiteLLM's proxy and Portkey's gateway where asked for; everything on loopback, one worker each, in a
temporary state folder. In switch everything is on: tokens, budgets, prices, decisions, metrics. Then, in turn and for several rounds: one
client, CLIENTS clients, 64 clients, CLIENTS clients with streamed answers (22 events, sent one by one). Ratios are taken within a round.

    .venv/bin/python benchmarks/proxy.py [--litellm FOLDER] [--portkey FOLDER] [--rounds 3] [--seconds 5] [--clients 16]

FOLDER of LiteLLM is a virtual environment with `litellm[proxy]` (about 750 MB), that of Portkey one in which npm has installed its gateway;
both are made if they do not exist. Run on an idle machine.
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
PORTKEY = "@portkey-ai/gateway@1.15.2"
CROWD = 64  # clients
LIMITS_MS = {"gateway+switch": 1.0, "switch": 0.5}
"""Most that the median answer to one client may take longer than without us."""
CPU_LIMIT_US = 300.0
RATIO_LIMITS = {
    ("gateway+switch", "LiteLLM", "many"): 25.0,
    ("gateway+switch", "LiteLLM", "streams"): 25.0,
    ("switch", "LiteLLM", "many"): 40.0,
    ("switch", "LiteLLM", "streams"): 40.0,
    ("switch", "Portkey", "many"): 5.0,
}
NO_LIMIT = "1000000000"  # counted like any other, and never reached
LITELLM_KEY = "sk-benchmark-only-000000"
PATH = "/v1/chat/completions"
LOADS = ("one", "many", "crowd", "streams")


@dataclass
class Target:
    """A way to the provider: where it is asked, and whose CPU time it costs."""

    name: str
    url: str
    token: str
    model: str
    pids: list[int]
    headers: list[str] = field(default_factory=list)
    cannot: set[str] = field(default_factory=set)
    """Loads that it answered with failures when it was warmed up."""
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
        "VX11_SWITCH_PRICES": json.dumps({"mock/gpt": {"input": 0.15, "output": 0.6}}),
        "VX11_SWITCH_BUDGET_USD_PER_DAY": "1000000",
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
        Target("switch", f"http://127.0.0.1:{switch}{PATH}", token, "mock/gpt", [router]),
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


def portkey_target(stack: ExitStack, folder: Path, mock_port: int, environment: Path) -> Target:
    program = environment / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not program.exists():
        print(f"installing {PORTKEY} into {environment}", flush=True)
        environment.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", PORTKEY], cwd=environment, check=True)
    [port] = free_ports(1)
    log = folder / "portkey.log"
    command = ["node", str(program), f"--port={port}", "--headless"]
    process = stack.enter_context(running(command, log, NODE_ENV="production"))
    wait_for(f"http://127.0.0.1:{port}/", process, log)
    headers = ["x-portkey-provider: openai", f"x-portkey-custom-host: http://127.0.0.1:{mock_port}/v1"]
    return Target("Portkey", f"http://127.0.0.1:{port}{PATH}", "none", "gpt", [process.pid], headers)


class NoGood(Exception):
    """Some of the answers were failures."""


def load(target: Target, kind: str, clients: int, seconds: float) -> dict[str, float]:
    """What `load.py` found, and the CPU time per answer in microseconds. Raises NoGood."""
    command = [sys.executable, str(HERE / "load.py"), target.url, target.token, target.model]
    count = {"one": 1, "crowd": CROWD}.get(kind, clients)
    command += [str(count), str(seconds), *(["--stream"] if kind == "streams" else [])]
    command += [f"--header={header}" for header in target.headers]
    before = cpu_seconds(target.pids)
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    found: dict[str, float] = json.loads(told)
    if found["failures"]:
        raise NoGood(f"{target.name}: {found['failures']:.0f} of {found['answers']:.0f} answers were no good")
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
    direct, by_name, holds = targets[0], {one.name: one for one in targets}, True
    print(
        f"\n{'':16}{'added p50, 1':>14}{'req/s, 1':>11}{'req/s, many':>13}{f'req/s, {CROWD}':>11}{'streams/s':>11}"
        f"{'CPU us/req':>12}{'CPU us/stream':>15}"
    )
    for one in targets:
        rates = [_median(one, kind, "rate") for kind in LOADS]
        shown = "" if one is direct else f"{_added_ms(one, direct):.3f} ms"
        print(
            f"{one.name:16}{shown:>14}{rates[0]:>11}{rates[1]:>13}{rates[2]:>11}{rates[3]:>11}"
            f"{_median(one, 'many', 'cpu_us'):>12}{_median(one, 'streams', 'cpu_us'):>15}"
        )
    for name, limit_ms in LIMITS_MS.items():
        added = _added_ms(by_name[name], direct)
        holds = _line(f"{name} adds", added, "ms", limit_ms, is_most=True) and holds
    cpu = statistics.median(run["cpu_us"] for run in by_name["switch"].found["many"])
    holds = _line("switch uses", cpu, "us of CPU a request", CPU_LIMIT_US, is_most=True) and holds
    crowd = _ratio(by_name["switch"], "crowd", by_name["switch"], "one")
    holds = (
        _line(f"switch with {CROWD} clients answers", crowd, "times what it answers one", 1.0, is_most=False) and holds
    )
    for (name, other, kind), least in RATIO_LIMITS.items():
        if other in by_name and kind not in by_name[other].cannot:
            ratio = _ratio(by_name[name], kind, by_name[other], kind)
            what = "streams/s" if kind == "streams" else "requests/s"
            holds = _line(f"{name} against {other}:", ratio, f"times the {what}", least, is_most=False) and holds
    return holds


def _median(target: Target, kind: str, figure: str) -> str:
    runs = target.found[kind]
    return f"{statistics.median(run[figure] for run in runs):.0f}" if runs else "failed"


def _added_ms(target: Target, direct: Target) -> float:
    pairs = zip(target.found["one"], direct.found["one"], strict=True)
    return statistics.median(mine["median_ms"] - theirs["median_ms"] for mine, theirs in pairs)


def _ratio(one: Target, kind: str, other: Target, other_kind: str) -> float:
    pairs = zip(one.found[kind], other.found[other_kind], strict=True)
    return statistics.median(mine["rate"] / theirs["rate"] for mine, theirs in pairs)


def _line(what: str, found: float, unit: str, limit: float, *, is_most: bool) -> bool:
    holds = found <= limit if is_most else found >= limit
    print(f"{what} {found:.3g} {unit}  (limit {limit:g}{'' if holds else ': MISSED'})")
    return holds


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--litellm",
        type=Path,
        default=os.environ.get("LITELLM") or None,
        help="virtual environment of LiteLLM's proxy; made if it does not exist; also by the variable LITELLM",
    )
    arguments.add_argument(
        "--portkey",
        type=Path,
        default=os.environ.get("PORTKEY") or None,
        help="folder with Portkey's gateway; made by npm if it does not exist; also by the variable PORTKEY",
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
        if wanted.portkey is not None:
            targets.append(portkey_target(stack, folder, mock_port, wanted.portkey.absolute()))
        else:
            print("Portkey was not measured: name a folder for it with --portkey")
        for target in targets:
            for kind in LOADS:
                try:
                    load(target, kind, wanted.clients, 1.0)  # warm
                except NoGood as exc:
                    if target.name in LIMITS_MS:
                        raise
                    target.cannot.add(kind)
                    print(f"left out from here on: {exc} ({kind})")
        for number in range(wanted.rounds):
            for kind in LOADS:
                for target in targets:
                    if kind not in target.cannot:
                        target.found[kind].append(load(target, kind, wanted.clients, wanted.seconds))
            print(f"round {number + 1} of {wanted.rounds}; load average {os.getloadavg()[0]:.1f}", flush=True)
        return 0 if tell(targets) else 1


if __name__ == "__main__":
    sys.exit(main())
