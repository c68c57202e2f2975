"""How long the fleet takes to start, and what it costs while nobody asks for anything.

`python benchmarks/startup.py [--rounds 3] [--seconds 20]`: real fleets in state folders of their own. Time runs from the start of
`vx11 up --detach` to its return, when all services are healthy; the first start migrates and verifies the model as well. CPU time and
proportional set size are the kernel's, of the supervisor, the services and all they started. The limit of memory was 250 MiB for five
services; the sixth and seventh, spawner and hermes, add the 40 that one costs. hermes looks for better models once an hour; what that
needs is loaded then, and is not part of this.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from vx11.process import Footprint, footprint
from vx11.trial import TrialFleet

LIMITS = {"start to all healthy (s)": 6.0, "idle CPU (% of one core)": 3.0, "memory (MiB PSS)": 330.0}
SETTLE_SECONDS = 60.0  # a worker that shub keeps ready leaves after 45 s without work


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--single", action="store_true", help="all services in one process")
    asked = parser.parse_args()
    options = ["--single"] if asked.single else []
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as folder:
        fleet = TrialFleet(Path(folder) / "data")
        starts = list[float]()
        try:
            for number in range(asked.rounds):
                if number:
                    fleet.down()
                began = time.perf_counter()
                fleet.up(*options)
                starts.append(time.perf_counter() - began)
            time.sleep(SETTLE_SECONDS)
            before, began = measured(fleet), time.perf_counter()
            time.sleep(asked.seconds)
            after, passed = measured(fleet), time.perf_counter() - began
        finally:
            fleet.down()
    print(f"first start {starts[0]:.2f} s; all: {', '.join(f'{one:.2f}' for one in starts)}")
    for name, one in after.items():
        spent = one.cpu_seconds - before[name].cpu_seconds
        memory_mib = one.pss_bytes / 2**20
        print(f"  {name:10} {memory_mib:6.1f} MiB  {100 * spent / passed:5.2f} %  {len(one.pids)} processes")
    idle_percent = 100 * (total_cpu(after) - total_cpu(before)) / passed
    found = {
        "start to all healthy (s)": statistics.median(starts),
        "idle CPU (% of one core)": idle_percent,
        "memory (MiB PSS)": sum(one.pss_bytes for one in after.values()) / 2**20,
    }
    for name, value in found.items():
        print(f"{name:28} {value:8.2f}  limit {LIMITS[name]:6.1f}  {value / LIMITS[name]:.2f} of it")
    return 0 if all(value <= LIMITS[name] for name, value in found.items()) else 1


def measured(fleet: TrialFleet) -> dict[str, Footprint]:
    """What each process of the fleet has used until now, with all it started."""
    pids = {"supervisor": fleet.supervisor_pid()}
    pids |= {name: row["pid"] for name, row in fleet.status().items()}
    sessions = {pid: name for name, pid in reversed(pids.items())}  # one process may hold several services
    return {name: footprint(pid) for pid, name in sessions.items()}


def total_cpu(found: dict[str, Footprint]) -> float:
    return sum(one.cpu_seconds for one in found.values())


if __name__ == "__main__":
    sys.exit(main())
