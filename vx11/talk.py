"""The commands that talk: `vx11 chat`, `plans`, `confirm`, `cancel`, `halt`, `resume`, `upload`, `download`."""

import json
import sys
from pathlib import Path
from typing import Any

from vx11.api import FINAL, Api
from vx11.errors import CommandFailed
from vx11.table import table

LONGEST_WAIT_SECONDS = 60
LONGEST_SHOWN = 60  # characters of an answer in the list of plans
LONGEST_PARAMS = 160  # characters of a step's parameters in a dry run


def chat(
    api: Api,
    message: str,
    *,
    files: list[str],
    assets: list[str],
    session_id: str | None,
    wait: bool,
    yes: bool,
    dry_run: bool,
) -> int:
    """Upload the files, say the message, and show what madre makes of it; exit status 1 when the plan failed."""
    found = [_upload(api, Path(file)) for file in files]
    body: dict[str, Any] = {
        "message": message,
        "files": [*assets, *(asset["asset_id"] for asset in found)],
        "origin": "cli",
        "dry_run": dry_run,
        "wait_seconds": LONGEST_WAIT_SECONDS if wait else 2,
    }
    if session_id is not None:
        body["session_id"] = session_id
    reply = api.post("/madre/chat", body)
    plan_id = reply["plan_id"]
    if dry_run and reply["plan"]:
        return _show_intended(reply["plan"])
    if reply["status"] == "WAITING" and plan_id and not (yes and _say_yes(api, reply)):
        return _ask_back(reply)
    if reply["status"] == "WAITING" and not plan_id:
        return _ask_back(reply)
    if plan_id and (wait or yes):
        if reply["status"] == "PENDING":  # it does not start by itself: the fleet is halted
            print(reply["response"], file=sys.stderr)
        return show_plan(finished(api, plan_id))
    if plan_id and reply["status"] not in FINAL:
        print(reply["response"])
        print(f"plan {plan_id} is {reply['status']}: see it with `vx11 plans {plan_id}`")
        return 0
    return show_plan(reply["plan"] or reply)


def plans(api: Api, plan_id: str | None) -> int:
    """Show one plan, or list the newest."""
    if plan_id is not None:
        show_plan(api.get(f"/madre/plans/{plan_id}"))
        return 0
    found = api.get("/madre/plans", limit=20)["items"]
    rows = [(one["plan_id"], one["status"], one["risk"], one["intent"], _short(one["response"])) for one in found]
    print(table(("PLAN", "STATUS", "RISK", "INTENT", "ANSWER"), rows) if rows else "there are no plans yet")
    return 0


def confirm(api: Api, plan_id: str, confirm_token: str | None) -> int:
    """Confirm a plan and stay until it has ended."""
    api.post(f"/madre/plans/{plan_id}/confirm", {"confirm_token": confirm_token} if confirm_token else {})
    print(f"confirmed {plan_id}")
    return show_plan(finished(api, plan_id))


def cancel(api: Api, plan_id: str) -> int:
    """Cancel a plan."""
    show_plan(api.post(f"/madre/plans/{plan_id}/cancel"))
    return 0


def halt(api: Api, reason: str) -> int:
    """End all jobs, and let nothing start until the fleet is told to go on."""
    state = api.post("/madre/halt", {"reason": reason})
    why = f" ({state['reason']})" if state["reason"] else ""
    print(f"halted since {state['since']} by {state['by']}{why}: nothing starts until `vx11 resume`")
    return 0


def resume(api: Api) -> int:
    """Go on after a halt."""
    api.post("/madre/resume")
    print("going on")
    return 0


def fleet_status(api: Api, *, as_json: bool) -> int:
    """Show what the gateway knows of the services; exit status 1 unless all are well."""
    health = api.get("/health")
    services = {health["service"]: health, **health["services"]}
    if as_json:
        print(json.dumps(services, indent=2))
    else:
        rows = [(name, one["status"], f"{one['uptime_seconds']:.0f} s") for name, one in services.items()]
        print(table(("SERVICE", "STATE", "UPTIME"), rows))
    return 0 if all(one["status"] == "ok" for one in services.values()) else 1


def upload(api: Api, files: list[str]) -> int:
    """Upload files; prints a line with the asset id of each."""
    for file in files:
        _upload(api, Path(file))
    return 0


def download(api: Api, asset_id: str, output: str | None) -> int:
    """Write an asset to a file, whole or not at all."""
    target = Path(output) if output else Path(Path(api.get(f"/shub/assets/{asset_id}")["name"]).name)
    if target.is_dir():
        raise CommandFailed(f"{target} is a folder: name a file")
    print(f"{fetch(api, asset_id, target)} bytes in {target}")
    return 0


def fetch(api: Api, asset_id: str, target: Path) -> int:
    """Write an asset to a file; returns its size in bytes. Raises ApiError, or CommandFailed where it cannot be written."""
    draft = target.with_name(f".{target.name}.part")
    try:
        with api.content(asset_id) as chunks, draft.open("wb") as out:
            size_bytes = sum(out.write(chunk) for chunk in chunks)
        draft.replace(target)
    except OSError as exc:
        raise CommandFailed(f"{target}: {exc.strerror}") from exc
    finally:
        draft.unlink(missing_ok=True)
    return size_bytes


def finished(api: Api, plan_id: str) -> dict[str, Any]:
    """The plan once it has ended; tells what happens on the way."""
    operations = {step["step_id"]: step["operation"] for step in api.get(f"/madre/plans/{plan_id}")["steps"]}

    def tell(event: dict[str, Any]) -> None:
        data = event["data"]
        if "step_id" in data:
            step = operations.get(data["step_id"], data["step_id"])
            print(f"  {event['event'].replace('_', ' ')}: {step} {data.get('error', '')}".rstrip())

    return api.ended_plan(plan_id, tell)


def show_plan(plan: dict[str, Any]) -> int:
    """Print what a plan says for itself; exit status 1 if it ended in an error."""
    print(plan["response"])
    for warning in plan.get("warnings", []):
        print(f"note: {warning}")
    for step in plan.get("steps", []):
        if plan["status"] not in FINAL:
            print(f"  {step['status']:9} {step['operation']} {step['error'] or ''}".rstrip())
    for made in plan.get("artifacts", []):
        print(f"made {made['name']} ({made['size_bytes']} bytes): vx11 download {made['asset_id']}")
    if plan.get("plan_id"):
        print(f"plan {plan['plan_id']} is {plan['status']} (risk {plan['risk']}: {plan['reason']})")
    return 1 if plan["status"] == "ERROR" else 0


def _show_intended(plan: dict[str, Any]) -> int:
    """Print what a plan would do, that of a dry run."""
    print(plan["response"])
    for warning in plan["warnings"]:
        print(f"note: {warning}")
    rows = [
        (step["step_id"], step["operation"], _short(_params(step["params"]), LONGEST_PARAMS)) for step in plan["steps"]
    ]
    if rows:
        print(table(("STEP", "OPERATION", "WITH"), rows))
    print(f"risk {plan['risk']}: {plan['reason']}")
    return 1 if plan["status"] == "ERROR" else 0


def _params(params: dict[str, Any]) -> str:
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in params.items())


def _upload(api: Api, file: Path) -> dict[str, Any]:
    asset = api.upload(file)
    print(f"{asset['asset_id']}  {file.name}: {asset['duration_seconds']:.1f} s, {asset['size_bytes']} bytes")
    return asset


def _say_yes(api: Api, reply: dict[str, Any]) -> bool:
    confirmation = reply["confirmation"]
    print(reply["response"])
    print("yes")
    body = {"confirm_token": confirmation["confirm_token"]} if confirmation else {}
    api.post(f"/madre/plans/{reply['plan_id']}/confirm", body)
    return True


def _ask_back(reply: dict[str, Any]) -> int:
    """Show the question, and the command that answers it."""
    print(reply["question"] or reply["response"])
    for warning in reply.get("warnings", []):
        print(f"note: {warning}")
    if confirmation := reply["confirmation"]:
        print(f"vx11 confirm {reply['plan_id']} {confirmation['confirm_token']}")
        print(f"(until {confirmation['expires_at']})")
    elif reply["plan_id"]:
        print(f"vx11 confirm {reply['plan_id']}")
    else:
        print(f'vx11 chat --session {reply["session_id"]} "…"')
    return 0


def _short(text: str, longest: int = LONGEST_SHOWN) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
