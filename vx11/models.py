"""The commands about models: `vx11 models list`, `search`, `download`, `follow`, `cancel`, `verify`, `remove`, `upkeep`, `improvements`."""

import sys
from typing import Any
from urllib.parse import quote

from vx11.api import Api
from vx11.errors import CommandFailed
from vx11.progress import Progress, size
from vx11.table import table
from vx11.talk import finished, show_plan

PAGE = 200
VERIFY_SECONDS = 900.0
SEARCH_SECONDS = 90.0


def show(api: Api) -> int:
    """List the models of this box."""
    models = _models(api)
    if not models:
        print("there are no models yet: `vx11 models search WORDS` looks for some")
        return 0
    rows = [
        (
            str(one["id"]),
            one["name"],
            one["specialty"] or "-",
            size(one["size_bytes"]),
            one["license"] or "-",
            f"{one['performance_score']:.2f}",
            str(one["usage_count"]),
            (one["last_used_at"] or "-")[:10],
        )
        for one in models
    ]
    print(table(("ID", "NAME", "SPECIALTY", "SIZE", "LICENCE", "SCORE", "USES", "LAST USED"), rows))
    many = "1 model" if len(models) == 1 else f"{len(models)} models"
    print(f"{many}, {size(sum(one['size_bytes'] or 0 for one in models))}")
    return 0


def search(api: Api, query: str, *, source: str, limit: int, filters: dict[str, Any]) -> int:
    """Look for models on the hub and in the catalogue."""
    wanted = {name: value for name, value in filters.items() if value is not None}
    body = {"query": query, "source": source, "limit": limit, "filters": wanted}
    found = api.post("/hermes/search", body, timeout_seconds=SEARCH_SECONDS)
    rows = [
        (
            one["model_id"],
            f"{one['score']:.2f}",
            size(one["size_bytes"]),
            _versions(one["quantizations"]),
            one["license"] or "-",
            _fit(one),
        )
        for one in found["items"]
    ]
    print(table(("MODEL", "SCORE", "SIZE", "VERSIONS", "LICENCE", "HERE"), rows) if rows else "nothing was found")
    _warn(found["warnings"])
    if any(one["size_bytes"] is not None for one in found["items"]):
        print("(the size of the smallest version; fetch one with `vx11 models download MODEL --quantization VERSION`)")
    return 0


def download(api: Api, model_id: str, *, quantization: str | None, revision: str | None, name: str | None) -> int:
    """Fetch a model and stay until it is registered. Ctrl-C only lets go of it."""
    asked = {"model_id": model_id, "quantization": quantization, "revision": revision, "name": name}
    job = api.post(
        "/hermes/download",
        {key: value for key, value in asked.items() if value is not None},
        timeout_seconds=SEARCH_SECONDS,
    )
    return follow(api, job["job_id"])


def follow(api: Api, job_id: str) -> int:
    """Show how far a job of hermes is until it has ended; exit status 1 unless it did its work."""
    progress = Progress(sys.stderr, is_terminal=sys.stderr.isatty())
    try:
        job = api.ended_work("hermes", job_id, progress.tell)
    except KeyboardInterrupt:
        progress.close()
        print(
            f"vx11: it goes on without us: `vx11 models follow {job_id}` shows it again, `vx11 models cancel {job_id}` stops it",
            file=sys.stderr,
        )
        raise
    finally:
        progress.close()
    if job["status"] != "DONE":
        raise CommandFailed(f"{job_id} is {job['status']}" + (f": {job['error']}" if job["error"] else ""))
    result = job["result"] or {}
    if job["kind"] == "download":
        told = f"{size(result['size_bytes'])}, {result['license'] or 'no licence declared'}"
        print(f"{result['name']} is registered with the id {result['id']}: {told}")
        print(f"  SHA-256 {result['sha256']}")
        print(f"  {result['path']}")
    else:
        print(f"{job_id} is done")
    return 0


def cancel(api: Api, job_id: str) -> int:
    """Stop a job of hermes."""
    job = api.post(f"/hermes/jobs/{_part(job_id)}/cancel")
    print(f"{job_id} is {job['status']}")
    return 0


def verify(api: Api, model: str) -> int:
    """Read all files of a model again; exit status 1 if one is not what it was."""
    found = _the_model(api, model)
    told = api.post(f"/hermes/models/{found['id']}/verify", timeout_seconds=VERIFY_SECONDS)
    rows = [
        ("right" if one["is_right"] else "WRONG", size(one["size_bytes"]), one["path"], one["detail"])
        for one in told["files"]
    ]
    print(table(("FILE IS", "SIZE", "PATH", ""), rows))
    verdict = "is whole" if told["is_right"] else "is damaged and was taken out of use: download it again"
    print(f"{found['name']} (id {found['id']}) {verdict}")
    return 0 if told["is_right"] else 1


def remove(api: Api, model: str, *, yes: bool) -> int:
    """Have madre remove a model: she asks first, unless the yes is given at once."""
    found = _the_model(api, model)
    return _have_confirmed(api, "delete_model", {"model_id": found["id"]}, yes=yes)


def upkeep(api: Api, *, dry_run: bool, yes: bool) -> int:
    """Show what keeping house would remove; without a dry run, have madre do it once that is confirmed."""
    told = api.post("/hermes/maintenance?dry_run=true", timeout_seconds=SEARCH_SECONDS)
    print(
        f"{told['models_before']} models of at most {told['most_models']}, {size(told['bytes_before'])} of at most "
        f"{size(told['budget_bytes'])}"
    )
    for heading, removals in (("would go", told["removed"]), ("is protected", told["kept"])):
        for one in removals:
            print(f"  {heading}: {one['name']} (id {one['id']}, {size(one['size_bytes'])}): {one['reason']}")
    _warn(told["warnings"])
    if not told["removed"]:
        print("nothing has to go" if told["is_within_limits"] else "it is too much, and nothing may go")
        return 0
    return 0 if dry_run else _have_confirmed(api, "maintenance", {}, yes=yes)


def improvements(api: Api) -> int:
    """Show the better models that were found last."""
    told = api.get("/hermes/improvements")
    rows = [
        (
            one["found"]["model_id"],
            size(one["found"]["size_bytes"]),
            one["instead_of"] or "-",
            one["specialty"] or "-",
            one["reason"],
        )
        for one in told["items"]
    ]
    if rows:
        print(table(("MODEL", "SIZE", "INSTEAD OF", "SPECIALTY", "WHY"), rows))
    for one in told["newer_revisions"]:
        print(f"newer revision of {one['name']}: {one['newest_revision'][:12]} (kept: {one['kept_revision'][:12]})")
    _warn(told["warnings"])
    if told["searched_at"] and not rows and not told["newer_revisions"]:
        print("nothing better was found")
    when = f"searched at {told['searched_at']}" if told["searched_at"] else "nothing was searched yet"
    print(f"{when}; " + (f"next at {told['next_search_at']}" if told["is_periodic"] else "the periodic search is off"))
    return 0


def _models(api: Api) -> list[dict[str, Any]]:
    found = list[dict[str, Any]]()
    cursor: str | None = None
    while True:
        page = api.get("/hermes/models", limit=PAGE, cursor=cursor)
        found += page["items"]
        if (cursor := page["next_cursor"]) is None:
            return found


def _the_model(api: Api, said: str) -> dict[str, Any]:
    """The one model of that id or name. Raises CommandFailed for none, or for more than one."""
    models = _models(api)
    found = [one for one in models if said in (str(one["id"]), one["name"])] or [
        one for one in models if said == one["model_id"]
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandFailed(f"{said} is {', '.join(str(one['id']) for one in found)}: give the id")
    raise CommandFailed(f"there is no model {said}: `vx11 models list` shows those there are")


def _have_confirmed(api: Api, action: str, params: dict[str, Any], *, yes: bool) -> int:
    reply = api.post("/madre/control", {"target": "hermes", "action": action, "params": params})
    if reply["status"] != "pending_confirmation":
        return show_plan(reply)
    print(f"{reply['reason']}")
    if not yes:
        print(f"vx11 confirm {reply['plan_id']} {reply['confirm_token']}")
        print(f"(until {reply['expires_at']})")
        return 0
    api.post(f"/madre/plans/{reply['plan_id']}/confirm", {"confirm_token": reply["confirm_token"]})
    return show_plan(finished(api, reply["plan_id"]))


def _versions(quantizations: list[str]) -> str:
    return " ".join(quantizations[:5]) + (" …" if len(quantizations) > 5 else "") if quantizations else "-"


def _fit(found: dict[str, Any]) -> str:
    if found["source"] == "openrouter":
        return "at OpenRouter only"
    if found["size_bytes"] is None:
        return "no version that can be fetched"
    told = {True: "fits", False: "does not fit", None: "-"}[found["fit"]["is_fitting"]]
    told = "kept already" if found["is_kept"] else told
    return f"{told}; accept its licence at {found['access_url']}" if found["is_gated"] else told


def _warn(warnings: list[dict[str, Any]]) -> None:
    for one in warnings:
        print(f"note: {one['source']}: {one['detail']}")


def _part(value: str) -> str:
    return quote(value, safe="")
