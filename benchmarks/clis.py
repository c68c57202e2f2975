"""How long it takes to know which tools a box has, and which versions.

`python benchmarks/clis.py [--rounds 20]`: this machine's own PATH and tools. Presence of all tools of the catalogue has a limit of 50 ms
(median; each round is one look). Versions are then asked once with nothing known, and looked up once more when all are kept.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from hermes.clis.catalogue import catalogue
from hermes.clis.presence import find
from hermes.clis.versions import Versions, ask_all, key_of
from hermes.settings import HermesSettings

LIMIT_MS = 50.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    tools, path, settings = catalogue(), os.environ.get("PATH", os.defpath), HermesSettings()
    looks = [find(tools, path) for _ in range(rounds)]
    look, median_ms = looks[-1], statistics.median(one.took_ms for one in looks)
    here = [(tool, look.installed[tool.name]) for tool in tools if tool.name in look.installed]
    print(f"presence of {len(tools)} tools, {len(here)} of them here, in {len(look.folders)} folders")
    worst_ms = max(one.took_ms for one in looks)
    print(
        f"  median {median_ms:.1f} ms, worst {worst_ms:.1f} ms  limit {LIMIT_MS:.0f} ms  {median_ms / LIMIT_MS:.2f} of it"
    )
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as folder:
        versions = Versions(Path(folder) / "cli-versions.json")
        began = time.perf_counter()
        ask_all(
            here,
            versions,
            look.folders,
            workers=settings.hermes_cli_workers,
            limit_seconds=settings.hermes_cli_timeout.total_seconds(),
            stopping=threading.Event(),
        )
        cold_seconds = time.perf_counter() - began
        versions.save()
        began = time.perf_counter()
        kept = Versions(Path(folder) / "cli-versions.json")
        kept.load()
        again = find(tools, path)
        missing = [tool.name for tool, file in here if kept.wanting(key_of(tool, file))]
        warm_ms = (time.perf_counter() - began) * 1000
    known = [tool.name for tool, file in here if (answer := kept.of(key_of(tool, file))) and answer.version]
    print(f"versions: {len(known)} of {len(here)} in {cold_seconds:.1f} s, {settings.hermes_cli_workers} at a time")
    print(f"  kept ones and presence: {warm_ms:.1f} ms, {len(missing)} to be asked again")
    return 0 if median_ms <= LIMIT_MS and not missing and again.installed.keys() == look.installed.keys() else 1


if __name__ == "__main__":
    sys.exit(main())
