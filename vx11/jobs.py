"""The commands about processes: `vx11 spawn`, `jobs`, `kill`."""

import base64
import sys
from pathlib import Path
from typing import Any

from vx11.api import FINAL, Api
from vx11.errors import CommandFailed
from vx11.table import table

TIMED_OUT, SIGNALLED = 124, 128
"""Exit statuses as `timeout` and the shells give them: of a job past its time, and what is added to a signal's number."""


def spawn(
    api: Api,
    command: str,
    args: list[str],
    *,
    files: list[str],
    stdin: bool,
    timeout_seconds: float | None,
    memory_mb: int | None,
    network: bool,
) -> int:
    """Run a command in the sandbox, its output on ours as it comes; its exit status, 124 past its time, 128 and the signal when killed.

    Ctrl-C kills it.
    """
    asked: dict[str, Any] = {
        "name": Path(command).name[:100],
        "command": command,
        "args": args,
        "files": [_input(Path(file)) for file in files],
        "stdin": sys.stdin.read() if stdin else None,
        "timeout_seconds": timeout_seconds,
        "max_memory_mb": memory_mb,
        "network": "full" if network else None,
    }
    job = api.post("/spawner/spawn", {name: value for name, value in asked.items() if value is not None})
    try:
        return _ended(api.ended_job(job["spawn_id"], _wrote))
    except KeyboardInterrupt:
        api.post(f"/spawner/spawn/{job['spawn_id']}/kill")
        raise


def jobs(api: Api, spawn_id: str | None) -> int:
    """Show one job, or list the newest."""
    if spawn_id is not None:
        _show(api.get(f"/spawner/spawn/{spawn_id}/status"))
        return 0
    found = api.get("/spawner/spawn/list", limit=20)["items"]
    rows = [
        (one["spawn_id"], one["status"], one["reason"] or "-", _shown(one["exit_code"]), one["caller"], one["command"])
        for one in found
    ]
    print(table(("JOB", "STATUS", "REASON", "EXIT", "CALLER", "COMMAND"), rows) if rows else "there are no jobs yet")
    return 0


def kill(api: Api, spawn_id: str) -> int:
    """End a job and all its processes."""
    ended = api.post(f"/spawner/spawn/{spawn_id}/kill")
    print(f"{spawn_id} is {ended['status']}" + (f" ({ended['reason']})" if ended["reason"] else ""))
    return 0


def _input(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
        executable = bool(file.stat().st_mode & 0o100)
    except OSError as exc:
        raise CommandFailed(f"{file}: {exc.strerror}") from exc
    return {"path": file.name, "content_base64": base64.b64encode(content).decode(), "executable": executable}


def _wrote(stream: str, text: str) -> None:
    out = sys.stdout if stream == "stdout" else sys.stderr
    out.write(text)
    out.flush()


def _ended(job: dict[str, Any]) -> int:
    """What to say beyond the job's own output, and its exit status."""
    if job["truncated"]:
        _say(f"it wrote {job['stdout_bytes'] + job['stderr_bytes']} bytes, more than was kept")
    if job["reason"] == "exited":
        return int(job["exit_code"]) if job["exit_code"] is not None else SIGNALLED + int(job["signal"])
    _say(f"{job['spawn_id']} ended: {job['reason']}" + (f", {job['detail']}" if job["detail"] else ""))
    if job["reason"] == "timeout":
        return TIMED_OUT
    return SIGNALLED + int(job["signal"]) if job["signal"] else 1


def _say(text: str) -> None:
    print(f"vx11: {text}", file=sys.stderr)


def _show(job: dict[str, Any]) -> None:
    print(f"{job['spawn_id']} is {job['status']}: {' '.join([job['command'], *job['args']])}")
    if job["status"] in FINAL:
        how = f"signal {job['signal']}" if job["signal"] else f"exit code {_shown(job['exit_code'])}"
        print(f"  {job['reason']}, {how}" + (f": {job['detail']}" if job["detail"] else ""))
    if job["peak_memory_bytes"] is not None:
        print(f"  {job['peak_memory_bytes'] / 2**20:.1f} MiB at most, {job['cpu_seconds'] or 0:.2f} s of CPU time")
    for name in ("stdout", "stderr"):
        for line in job[name].splitlines():
            print(f"  {name}: {line}")
    for made in job["artifacts"]:
        print(f"  made {made['path']} ({made['size_bytes']} bytes)")


def _shown(value: int | None) -> str:
    return "-" if value is None else str(value)
