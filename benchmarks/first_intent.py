"""From a fresh clone to the first finished intent: `git clone`, `make up`, one `/madre/chat` that is DONE, on the wall clock.

Packages come from the caches of the machine where they are there; the environment, the state folder and the fleet are new. Prints seconds
and their ratio to the limit:

    .venv/bin/python benchmarks/first_intent.py
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.settings import SERVICES  # noqa: E402
from vx11.trial import free_ports  # noqa: E402

LIMIT_SECONDS = 60.0
CHAT = {"message": "what does a compressor do?", "wait_seconds": 60}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="vx11-first-") as folder:
        clone = Path(folder) / "vx11"
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("VX11_", "MAKE"))}
        environment |= {f"VX11_{service.upper()}_PORT": str(port) for service, port in ports.items()}
        started = time.perf_counter()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        try:
            subprocess.run(["make", "up"], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
            up_seconds = time.perf_counter() - started
            token = (clone / "data" / "secrets" / "token").read_text().strip()
            url = f"http://127.0.0.1:{ports['gateway']}/madre/chat"
            reply = httpx.post(url, json=CHAT, headers={"X-VX11-Token": token}, timeout=90, trust_env=False)
            seconds = time.perf_counter() - started
        finally:
            subprocess.run(["make", "down"], cwd=clone, env=environment, check=False, stdout=subprocess.DEVNULL)
    done = reply.is_success and reply.json()["status"] == "DONE"
    print(f"clone and make up      {up_seconds:6.1f} s")
    print(
        f"first finished intent  {seconds:6.1f} s   limit {LIMIT_SECONDS:.0f} s   ratio {seconds / LIMIT_SECONDS:.2f}"
    )
    if not done:
        print(f"it was not finished: {reply.text[:300]}", file=sys.stderr)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
