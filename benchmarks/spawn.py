"""What the sandbox costs, and whether its limits hold while somebody tries: `python benchmarks/spawn.py [--only start,rate,…]`.

The launcher in this process, and a real spawner on a port and a state folder of its own. Ratios are against the same command started bare
in the same run, in turn. Times of attacks are in the attacks themselves bounded: seconds, 64 processes, 128 MiB. Run on an idle machine.
"""

import argparse
import asyncio
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import structlog
from sqlalchemy import create_engine, insert

from config import migrate
from config.clock import utc_now
from config.contracts.spawner import Limits
from config.db_schema import SpawnRow
from config.secrets import load_secrets
from config.serve import loop_that_starts_processes
from config.settings import FleetSettings
from spawner.job import Job, Launcher, Outcome, Watcher
from spawner.launcher import LauncherSettings, find_launcher
from vx11.trial import free_ports

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {
    "python3 -I -S through the sandbox (x bare)": 1.6,
    "/bin/true through the sandbox (x bare)": 8.0,
    "API to record, beyond the sandboxed run (ms)": 15.0,
    "spawns/s with 8 in flight": 60.0,
    "a page of 10,000 records (ms)": 20.0,
    "killed after the deadline, p95 (ms)": 50.0,
    "/health during a fork bomb, p95 (ms)": 50.0,
    "/health during memory bombs, p95 (ms)": 50.0,
    "/health during output floods, p95 (ms)": 50.0,
    "memory reached under a cgroup (x limit)": 1.05,
    "memory reached by polling (x limit)": 1.25,
}
AT_LEAST = frozenset({"spawns/s with 8 in flight"})
PYTHON, TRUE = ["/usr/bin/python3", "-I", "-S", "-c", "pass"], ["/bin/true"]
RECORDS, PAGE = 10_000, 100
ATTACK_SECONDS, TIMEOUT_SECONDS = 3.0, 0.4
FORK_BOMB = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"
MEMORY_BOMB = "import os\nkept = []\nwhile True: kept.append(b'x' * 2**20); os.write(1, b'.')"
FLOOD = "import os\nwhile True: os.write(1, b'x' * 65536)"
STUBBORN = """import os, signal, sys, time
for number in (1, 2, 3, 15): signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
time.sleep(30)
"""


@dataclass
class Found:
    """What was measured, by the names of the limits."""

    values: dict[str, float]

    def keep(self, name: str, value: float) -> None:
        self.values[name] = value
        limit = LIMITS[name]
        good = value >= limit if name in AT_LEAST else value <= limit
        print(f"{name:46} {value:8.2f}  limit {limit:6.2f}  {value / limit:5.2f} of it{'' if good else '  MISSED'}")

    @property
    def is_good(self) -> bool:
        return all((v >= LIMITS[n]) if n in AT_LEAST else (v <= LIMITS[n]) for n, v in self.values.items())


# --- the launcher alone ----------------------------------------------------------------------------------------------


class Runs:
    """Jobs of this process's own launcher, each in a folder of its own."""

    def __init__(self, launcher: Launcher, root: Path, uid: int | None) -> None:
        self._launcher, self._root, self._uid, self._count = launcher, root, uid, 0

    async def run(self, command: list[str], limits: Limits) -> Outcome:
        self._count += 1
        folder, spool = self._root / f"job{self._count}", self._root / f"spool{self._count}"
        folder.mkdir(mode=0o700)
        spool.mkdir(mode=0o700)
        if self._uid is not None:
            os.chown(folder, self._uid, self._uid)
        job = Job(
            spawn_id=f"bench_{os.getpid()}_{self._count}",
            command=resolved(command[0]),
            args=tuple(command[1:]),
            env={},
            folder=folder,
            spool=spool,
            stdin=None,
            limits=limits,
            uid=self._uid,
        )
        return await self._launcher.run(job, Watcher())


@asynccontextmanager
async def runs(**options: Any) -> AsyncIterator[tuple[Runs, str]]:
    """A launcher, and the rung it found."""
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as folder:
        root = Path(folder)
        os.chmod(root, 0o711)
        settings = replace(LauncherSettings(work_root=root, first_uid=61_900), **options)
        launcher, report = await find_launcher(settings)
        try:
            yield Runs(launcher, root, settings.first_uid if os.geteuid() == 0 else None), report.rung
        finally:
            await launcher.close()


def resolved(command: str) -> Path:
    return Path(command).resolve()


async def bare(command: list[str]) -> None:
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    await child.wait()


async def milliseconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


async def start(found: Found, rounds: int) -> None:
    async with runs() as (jobs, rung):
        print(f"rung {rung}")
        for command, name in ((PYTHON, "python3 -I -S"), (TRUE, "/bin/true")):
            await jobs.run(command, Limits())
            times: dict[str, list[float]] = {"bare": [], "sandboxed": []}
            for _ in range(rounds):  # in turn, so that a change of the machine's speed meets both
                times["bare"].append(await milliseconds(bare(command)))
                times["sandboxed"].append(await milliseconds(jobs.run(command, Limits())))
            alone, within = (statistics.median(one) for one in times.values())
            print(f"  {' '.join(command)}: bare {alone:.2f} ms, sandboxed {within:.2f} ms (medians of {rounds})")
            found.keep(f"{name} through the sandbox (x bare)", within / alone)


async def memory(found: Found, _rounds: int) -> None:
    limit_mb = 256
    for uses_cgroups, name in ((True, "under a cgroup"), (False, "by polling")):
        async with runs(uses_cgroups=uses_cgroups) as (jobs, rung):
            if uses_cgroups and rung != "S3":
                print(f"no cgroup is writable here (rung {rung}): memory under a cgroup is not measured")
                continue
            reached = list[float]()
            for _ in range(3):
                limits = Limits(max_memory_mb=limit_mb, timeout_seconds=20)
                outcome = await jobs.run(["/usr/bin/python3", "-I", "-S", "-c", MEMORY_BOMB], limits)
                assert outcome.reason == "oom", outcome
                peak_mb = (outcome.peak_memory_bytes or 0) / 2**20
                reached.append(max(outcome.stdout_bytes, peak_mb) / limit_mb)  # it wrote a byte for each MiB it had
            found.keep(f"memory reached {name} (x limit)", max(reached))


# --- a real spawner --------------------------------------------------------------------------------------------------


@contextmanager
def spawner(records: int = 0) -> Iterator[tuple[str, str]]:
    """The service as a process; yields its URL and the owner's token."""
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as folder:
        state, [port] = Path(folder), free_ports(1)
        state.chmod(0o711)
        settings = FleetSettings(state_dir=state / "data", _env_file=None)
        migrate.upgrade(settings)
        token = load_secrets(settings).owner.get_secret_value()
        if records:
            fill(settings, records)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VX11_")}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "VX11_STATE_DIR": str(settings.state_dir),
            "VX11_SPAWNER_PORT": str(port),
            "VX11_SPAWNER_WORK_DIR": str(state / "work"),
            "VX11_SPAWNER_FIRST_UID": "61800",
            "VX11_SPAWNER_CONCURRENCY": "8",
            "VX11_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "config.serve", "spawner"]
        child = subprocess.Popen(command, env=environment, cwd=state)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(url, child)
            yield url, token
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


def fill(settings: FleetSettings, records: int) -> None:
    """Records of jobs that ended long ago and are not to be tidied up yet."""
    now = utc_now()
    limits = Limits().model_dump(mode="json")
    row = {
        "name": "old", "status": "DONE", "reason": "exited", "exit_code": 0, "command": "/usr/bin/true", "args": [], "request": {},
        "limits": limits, "network": "none", "priority": 1, "caller": "owner", "attempt": 1, "stdout": "x" * 500, "stderr": "",
        "stdout_bytes": 500, "stderr_bytes": 0, "is_truncated": False, "artifacts": [], "is_removed": False,
        "started_at": now, "finished_at": now, "expires_at": now + timedelta(days=1),
    }  # fmt: skip
    engine = create_engine(settings.sqlalchemy_url(driver="sync"))
    with engine.begin() as connection:
        rows = [
            {**row, "id": f"spawn_old{n:08}", "queued_at": now - timedelta(seconds=records - n)} for n in range(records)
        ]
        connection.execute(insert(SpawnRow), rows)
    engine.dispose()


def client_of(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"X-VX11-Token": token}, timeout=90, trust_env=False)


async def spawned(client: httpx.AsyncClient, command: list[str], **more: object) -> dict[str, Any]:
    """The record of a job, once it has ended."""
    body = {"command": command[0], "args": command[1:], "wait_seconds": 60, **more}
    answer = await client.post("/spawner/spawn", json=body)
    answer.raise_for_status()
    record: dict[str, Any] = answer.json()
    if record["finished_at"] is None:
        raise SystemExit(f"not ended: {record}")
    return record


async def api(found: Found, rounds: int) -> None:
    with spawner() as (url, token):
        async with client_of(url, token) as client, runs() as (jobs, _):
            for _ in range(5):
                await spawned(client, TRUE)
            asked, alone = [], []
            for _ in range(rounds):
                asked.append(await milliseconds(spawned(client, TRUE)))
                alone.append(await milliseconds(jobs.run(TRUE, Limits())))
            print(f"  asked {statistics.median(asked):.2f} ms, run alone {statistics.median(alone):.2f} ms")
            found.keep(
                "API to record, beyond the sandboxed run (ms)", statistics.median(asked) - statistics.median(alone)
            )


async def rate(found: Found, _rounds: int) -> None:
    with spawner() as (url, token):
        async with client_of(url, token) as client:
            left = iter(range(300))

            async def one_after_the_other() -> None:
                for _ in left:
                    record = await spawned(client, TRUE)
                    assert record["exit_code"] == 0, record

            began = time.perf_counter()
            await asyncio.gather(*(one_after_the_other() for _ in range(8)))
            found.keep("spawns/s with 8 in flight", 300 / (time.perf_counter() - began))


async def pages(found: Found, _rounds: int) -> None:
    with spawner(records=RECORDS) as (url, token):
        async with client_of(url, token) as client:
            times, seen, cursor = list[float](), 0, None
            while True:
                began = time.perf_counter()
                params = {"limit": PAGE} | ({"cursor": cursor} if cursor else {})
                page = (await client.get("/spawner/spawn/list", params=params)).raise_for_status().json()
                times.append((time.perf_counter() - began) * 1000)
                seen, cursor = seen + len(page["items"]), page["next_cursor"]
                if cursor is None:
                    break
            assert seen == RECORDS, seen
            print(f"  {len(times)} pages of {PAGE}: median {statistics.median(times):.2f} ms, p95 {p95(times):.2f} ms")
            found.keep("a page of 10,000 records (ms)", statistics.median(times))


async def deadline(found: Found, rounds: int) -> None:
    with spawner() as (url, token):
        async with client_of(url, token) as client:
            late = list[float]()
            for _ in range(rounds):
                began = time.perf_counter()
                record = await spawned(
                    client, ["/usr/bin/python3", "-I", "-S", "-c", STUBBORN], timeout_seconds=TIMEOUT_SECONDS
                )
                whole_ms = (time.perf_counter() - began) * 1000
                assert record["reason"] == "timeout", record
                started, finished = (utc_of(record[name]) for name in ("started_at", "finished_at"))
                late.append((finished - started - TIMEOUT_SECONDS) * 1000)
                assert whole_ms >= late[-1], "it ended before it was asked for"
            left = survivors("signal.SIG_IGN")
            assert not left, f"left behind: {left}"
            found.keep("killed after the deadline, p95 (ms)", p95(late))


async def health(found: Found, _rounds: int) -> None:
    attacks = {
        "a fork bomb": (FORK_BOMB, 1, {"timeout_seconds": ATTACK_SECONDS, "max_processes": 64}, "timeout"),
        "memory bombs": (MEMORY_BOMB, 2, {"max_memory_mb": 128, "timeout_seconds": ATTACK_SECONDS}, "oom"),
        "output floods": (FLOOD, 2, {"timeout_seconds": ATTACK_SECONDS}, "output_limit"),
    }
    with spawner() as (url, token):
        async with client_of(url, token) as client, client_of(url, token) as watching:
            for name, (script, at_once, limits, reason) in attacks.items():
                until = time.monotonic() + ATTACK_SECONDS

                async def attack(script: str = script, limits: Any = limits, until: float = until) -> list[str]:
                    reasons = list[str]()
                    while time.monotonic() < until:
                        record = await spawned(client, ["/usr/bin/python3", "-I", "-S", "-c", script], **limits)
                        reasons.append(record["reason"])
                    return reasons

                attacking = asyncio.gather(*(attack() for _ in range(at_once)))
                times = list[float]()
                while not attacking.done():
                    times.append(await milliseconds(watching.get("/health")))
                    await asyncio.sleep(0.02)
                ended = [one for several in attacking.result() for one in several]
                assert set(ended) == {reason}, ended
                print(f"  {name}: {len(ended)} ended with {reason}, {len(times)} questions, worst {max(times):.1f} ms")
                found.keep(f"/health during {name}, p95 (ms)", p95(times))


def survivors(marker: str) -> list[str]:
    """Command lines of processes of this machine, whatever their namespace, that hold the text; ours is not one."""
    lines = list[str]()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if marker in line:
                lines.append(line[:80])
    return lines


def utc_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


PARTS: dict[str, Callable[[Found, int], Awaitable[None]]] = {
    "start": start,
    "api": api,
    "rate": rate,
    "pages": pages,
    "deadline": deadline,
    "health": health,
    "memory": memory,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    asked = parser.parse_args()
    found = Found({})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    async def measure() -> None:
        for name in asked.only.split(","):
            await PARTS[name](found, asked.rounds)

    with asyncio.Runner(loop_factory=loop_that_starts_processes) as runner:
        runner.run(measure())
    return 0 if found.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
