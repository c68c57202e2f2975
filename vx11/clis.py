"""The commands about command-line tools: `vx11 clis list`, `scan`, `discover`."""

import sys
from typing import Any

from vx11.api import FINAL, Api
from vx11.errors import CommandFailed
from vx11.progress import Progress
from vx11.table import table


def show(api: Api, *, all_known: bool) -> int:
    """List the tools of this box as they were found last."""
    return _tell(api.get("/hermes/clis"), all_known=all_known)


def scan(api: Api, *, all_known: bool) -> int:
    """Look for the tools again."""
    return _tell(api.post("/hermes/clis/scan"), all_known=all_known)


def discover(api: Api, name: str, *, method: str) -> int:
    """Look for how to install a tool; nothing of what is found is run."""
    job = api.post("/hermes/cli/discover", {"cli_name": name, "method": method, "wait_seconds": 0})
    if job["status"] not in FINAL:
        progress = Progress(sys.stderr, is_terminal=sys.stderr.isatty())
        try:
            job = api.ended_work("hermes", job["job_id"], progress.tell)
        finally:
            progress.close()
    if job["status"] != "DONE":
        raise CommandFailed(f"{job['job_id']} is {job['status']}" + (f": {job['error']}" if job["error"] else ""))
    found = job["result"]
    told = [found["description"], found["version"] and f"version {found['version']}", found["license"]]
    print(f"{name}: {'; '.join(part for part in told if part) or 'nothing is told of it'}")
    rows = [
        (one["command"], one["manager"], f"{one['confidence']:.2f}", one["source_url"])
        for one in sorted(found["installs"], key=lambda one: -float(one["confidence"]))
    ]
    if rows:
        print(table(("INSTALL WITH", "BY", "CONFIDENCE", "SOURCE"), rows))
        print("(read before you run any of it: it comes from the web)")
    else:
        print("no source says how to install it")
    for heading, links in (("documentation", found["documentation_urls"]), ("API", found["api_urls"])):
        for link in links:
            print(f"{heading}: {link}")
    for one in found["warnings"]:
        print(f"note: {one['source']}: {one['detail']}")
    return 0


def _tell(found: dict[str, Any], *, all_known: bool) -> int:
    tools = [one for one in found["items"] if all_known or one["is_present"]]
    rows = [
        (
            one["name"],
            one["kind"],
            one["version"] or ("asking…" if one["version_state"] == "pending" else "-"),
            "yes" if one["answers_prompts"] else "",
            one["path"] or "not here",
        )
        for one in tools
    ]
    print(table(("TOOL", "KIND", "VERSION", "ANSWERS", "PATH"), rows) if rows else "no tool was found")
    pending = f"; {found['pending']} versions are still being asked" if found["pending"] else ""
    print(f"{found['present']} of {len(found['items'])} known tools are here{pending}")
    return 0
