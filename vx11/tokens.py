"""`vx11 token create | list | revoke`: client tokens of the gateway."""

from typing import Any

from vx11.api import Api
from vx11.table import table


def create(api: Api, name: str, scopes: list[str], expires_in_seconds: int | None) -> int:
    """Make a token and print it: nobody can show it again."""
    body: dict[str, Any] = {"name": name, "scopes": scopes}
    if expires_in_seconds is not None:
        body["expires_in_seconds"] = expires_in_seconds
    made = api.post("/gateway/tokens", body)
    print(made["token"])
    print(f"id {made['id']}, scopes {' '.join(made['scopes'])}, expires {made['expires_at'] or 'never'}")
    print("It is not kept and will not be shown again.")
    return 0


def show(api: Api) -> int:
    """List the tokens, the newest first as the gateway gives them."""
    rows, cursor = list[tuple[str, ...]](), None
    while True:
        page = api.get("/gateway/tokens", limit=500, cursor=cursor)
        rows += [_row(token) for token in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    print(table(("ID", "NAME", "SCOPES", "EXPIRES", "STATE"), rows) if rows else "there are no client tokens")
    return 0


def revoke(api: Api, token_id: str) -> int:
    """End a token."""
    gone = api.delete(f"/gateway/tokens/{token_id}")
    print(f"{gone['name']} ({gone['id']}) is revoked")
    return 0


def _row(token: dict[str, Any]) -> tuple[str, ...]:
    state = "revoked" if token["revoked_at"] else "good"
    return (token["id"], token["name"], " ".join(token["scopes"]), token["expires_at"] or "never", state)
