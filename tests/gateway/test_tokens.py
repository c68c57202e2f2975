"""Client tokens: shown once, kept hashed, never more than their maker's, gone when revoked."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from config.auth import CACHED_SECONDS, Authenticator
from config.clock import utc_now
from config.database import Database
from config.errors import Unauthorized
from config.secrets import token_hash
from config.settings import FleetSettings
from gateway.main import create_app
from gateway.settings import GatewaySettings


@pytest.fixture
async def owner(state_dir, client_of) -> AsyncIterator[httpx.AsyncClient]:
    """The owner, talking to a gateway."""
    async with client_of(create_app(GatewaySettings(state_dir=state_dir, _env_file=None))) as client:
        yield client


def rows(state_dir, query: str) -> list[tuple]:
    with sqlite3.connect(f"file:{state_dir / 'vx11.db'}?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()


async def make(client: httpx.AsyncClient, *scopes: str, token: str | None = None, key: str | None = None, **more):
    headers = ({"X-VX11-Token": token} if token else {}) | ({"Idempotency-Key": key} if key else {})
    return await client.post("/gateway/tokens", json={"name": "a name", "scopes": list(scopes)} | more, headers=headers)


async def made(client: httpx.AsyncClient, *scopes: str, **more) -> dict:
    answer = await make(client, *scopes, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_token_is_shown_once_and_kept_only_as_a_hash(owner, state_dir):
    first = await made(owner, "madre:*")
    second = await made(owner, "madre:*")
    assert re.fullmatch(r"vx11_[A-Za-z0-9_-]{43}", first["token"])
    assert first["token"] != second["token"]
    listed = await owner.get("/gateway/tokens")
    assert [one["id"] for one in listed.json()["items"]] == [second["id"], first["id"]]
    assert set(listed.json()["items"][0]) == {
        "id", "name", "scopes", "created_by", "created_at", "expires_at", "revoked_at"
    }  # fmt: skip
    stored = rows(state_dir, "SELECT * FROM access_tokens")
    assert len(stored) == 2
    trail = "".join(path.read_text() for path in (state_dir / "forensic").rglob("*.jsonl"))
    for one in (first, second):
        assert token_hash(one["token"]) in str(stored)
        for place in (str(stored), listed.text, trail, str(rows(state_dir, "SELECT * FROM audit_log"))):
            assert one["token"] not in place
    for place in (listed.text, trail):
        assert token_hash(first["token"]) not in place


async def test_making_and_revoking_are_audited_in_the_same_transaction(owner, state_dir):
    token = await made(owner, "shub:read", expires_in_seconds=60)
    await owner.delete(f"/gateway/tokens/{token['id']}")
    await owner.delete(f"/gateway/tokens/{token['id']}")
    trail = rows(
        state_dir, "SELECT event, subject, caller, details FROM audit_log WHERE service = 'gateway' ORDER BY seq"
    )
    assert [row[:3] for row in trail] == [
        ("token_made", token["id"], "owner"),
        ("token_revoked", token["id"], "owner"),
    ]
    assert json.loads(trail[0][3])["scopes"] == ["shub:read"]


async def test_a_refused_token_leaves_no_row(owner, state_dir):
    assert (await make(owner, "no_module:read")).status_code == 422
    assert rows(state_dir, "SELECT count(*) FROM access_tokens") == [(0,)]
    assert rows(state_dir, "SELECT count(*) FROM audit_log") == [(0,)]


async def test_a_revoked_token_opens_nothing_any_more(owner):
    token = await made(owner, "gateway:*")
    mine = {"X-VX11-Token": token["token"]}
    assert (await owner.get("/gateway/tokens", headers=mine)).status_code == 200
    answer = await owner.delete(f"/gateway/tokens/{token['id']}")
    assert answer.json()["revoked_at"]
    refused = await owner.get("/gateway/tokens", headers=mine)
    assert refused.status_code == 401
    assert "was revoked" in refused.json()["detail"]
    again = await owner.delete(f"/gateway/tokens/{token['id']}")
    assert again.json() == answer.json()
    assert CACHED_SECONDS <= 2.0  # how long a module may still believe it on its own port


async def test_a_token_revoked_while_it_is_being_looked_up_is_not_remembered(owner, state_dir, secrets, monkeypatch):
    token = await made(owner, "madre:*")
    db = Database(FleetSettings(state_dir=state_dir, _env_file=None).sqlalchemy_url(), "gateway")
    authenticator = Authenticator(secrets, db)
    read = db.read

    @asynccontextmanager
    async def read_then_revoke():
        async with read() as session:
            yield session
        await owner.delete(f"/gateway/tokens/{token['id']}")
        authenticator.forget(token_hash(token["token"]))

    monkeypatch.setattr(db, "read", read_then_revoke)
    headers = {"x-vx11-token": token["token"]}
    await authenticator.authenticate(headers)  # it was good when it was read
    monkeypatch.undo()
    with pytest.raises(Unauthorized, match="revoked"):
        await authenticator.authenticate(headers)
    await db.close()


async def test_an_expired_token_is_refused(owner, state_dir):
    token = await made(owner, "gateway:*", expires_at=(utc_now() + timedelta(seconds=0.3)).isoformat())
    mine = {"X-VX11-Token": token["token"]}
    assert (await owner.get("/gateway/tokens", headers=mine)).status_code == 200
    async with asyncio.timeout(60):
        while (refused := await owner.get("/gateway/tokens", headers=mine)).status_code == 200:
            pass
    assert refused.status_code == 401
    assert "has expired" in refused.json()["detail"]
    active = await owner.get("/gateway/tokens", params={"active": True})
    assert active.json()["items"] == []
    gone = await owner.get("/gateway/tokens", params={"active": False})
    assert [one["id"] for one in gone.json()["items"]] == [token["id"]]


async def test_expiry_is_said_in_either_way(owner):
    soon = await made(owner, "madre:read", expires_in_seconds=3600)
    at = await made(owner, "madre:read", expires_at="2999-01-01T00:00:00+02:00")
    never = await made(owner, "madre:read")
    assert soon["expires_at"] > soon["created_at"]
    assert at["expires_at"] == "2998-12-31T22:00:00Z"
    assert never["expires_at"] is None


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("madre:read", True),
        ("madre:*", True),
        ("shub:read", True),
        ("shub:write", False),
        ("shub:*", False),
        ("*", False),
        ("switch:read", False),
        ("shub:delete", False),
        ("hermes_db:delete", True),
        ("gateway:tokens", True),
        ("gateway:*", False),
    ],
)
async def test_nobody_gives_more_than_they_have(owner, scope, allowed):
    maker = await made(owner, "gateway:tokens", "madre:*", "shub:read", "hermes_db:delete")
    answer = await make(owner, scope, token=maker["token"])
    assert answer.status_code == (201 if allowed else 403), answer.text
    if allowed:
        assert answer.json()["created_by"] == f"token:{maker['id']}"


async def test_a_star_does_not_give_dangerous_operations_away_but_the_owner_may_name_them(owner):
    star = await made(owner, "*")
    assert (await make(owner, "shub:delete", token=star["token"])).status_code == 403
    assert (await make(owner, "shub:*", token=star["token"])).status_code == 201
    named = await made(owner, "shub:delete")
    assert named["scopes"] == ["shub:delete"]


async def test_the_fleets_own_token_names_no_dangerous_operation(owner, secrets):
    assert (await make(owner, "shub:delete", token=secrets.fleet.get_secret_value())).status_code == 403


@pytest.mark.parametrize("scopes", [["madre:*"], ["gateway:read", "gateway:write"]])
async def test_only_who_may_handle_tokens_sees_them(owner, scopes):
    token = await made(owner, *scopes)
    mine = {"X-VX11-Token": token["token"]}
    assert (await owner.get("/gateway/tokens", headers=mine)).status_code == 403
    assert (await make(owner, *scopes, token=token["token"])).status_code == 403
    assert (await owner.delete(f"/gateway/tokens/{token['id']}", headers=mine)).status_code == 403


async def test_a_token_does_not_outlive_the_one_it_was_made_with(owner):
    maker = await made(owner, "gateway:tokens", "madre:*", expires_in_seconds=600)
    longer = await make(owner, "madre:read", token=maker["token"], expires_in_seconds=6000)
    assert longer.status_code == 403
    unsaid = await made(owner, "madre:read", token=maker["token"])
    assert unsaid["expires_at"] == maker["expires_at"]
    shorter = await made(owner, "madre:read", token=maker["token"], expires_in_seconds=60)
    assert shorter["expires_at"] < maker["expires_at"]


async def test_the_same_key_shows_the_same_token_again_and_makes_no_second(owner, state_dir):
    first = await made(owner, "madre:*", key="k1")
    again = await made(owner, "madre:*", key="k1")
    assert again == first
    assert (await made(owner, "madre:*", key="k2"))["token"] != first["token"]
    assert (await make(owner, "shub:*", key="k1")).status_code == 409
    assert rows(state_dir, "SELECT count(*) FROM access_tokens") == [(2,)]
    assert first["token"] not in str(rows(state_dir, "SELECT * FROM idempotency_keys"))
    mine = {"X-VX11-Token": first["token"]}
    assert (await owner.get("/health", headers=mine)).json()["version"]


async def test_two_at_once_with_the_same_key_make_one_token(owner, state_dir):
    answers = await asyncio.gather(*(made(owner, "madre:*", key="k1") for _ in range(5)))
    assert len({one["token"] for one in answers}) == 1
    assert rows(state_dir, "SELECT count(*) FROM access_tokens") == [(1,)]


async def test_another_callers_key_is_another_key(owner):
    maker = await made(owner, "gateway:tokens", "madre:*")
    mine = await made(owner, "madre:*", key="k1")
    theirs = await made(owner, "madre:*", key="k1", token=maker["token"])
    assert mine["token"] != theirs["token"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["madre:*"]}, "body.name"),
        ({"name": "", "scopes": ["madre:*"]}, "body.name"),
        ({"name": "x" * 129, "scopes": ["madre:*"]}, "body.name"),
        ({"name": "a\x00b", "scopes": ["madre:*"]}, "body.name"),
        ({"name": "line\nbreak", "scopes": ["madre:*"]}, "body.name"),
        ({"name": 5, "scopes": ["madre:*"]}, "body.name"),
        ({"name": "x", "scopes": []}, "body.scopes"),
        ({"name": "x", "scopes": "madre:*"}, "body.scopes"),
        ({"name": "x", "scopes": ["madre"]}, "body.scopes"),
        ({"name": "x", "scopes": ["madre:"]}, "body.scopes"),
        ({"name": "x", "scopes": ["madre:re ad"]}, "body.scopes"),
        ({"name": "x", "scopes": ["madre:read\r\nX: y"]}, "body.scopes"),
        ({"name": "x", "scopes": ["hormiguero:scan"]}, "body.scopes"),
        ({"name": "x", "scopes": ["madre:*"] * 65}, "body.scopes"),
        ({"name": "x", "scopes": ["madre:*"], "expires_in_seconds": 0}, "body.expires_in_seconds"),
        ({"name": "x", "scopes": ["madre:*"], "expires_in_seconds": 10**12}, "body.expires_in_seconds"),
        ({"name": "x", "scopes": ["madre:*"], "expires_at": "2001-01-01T00:00:00Z"}, "body.expires_at"),
        ({"name": "x", "scopes": ["madre:*"], "expires_at": "2999-01-01T00:00:00"}, "body.expires_at"),
        ({"name": "x", "scopes": ["madre:*"], "expires_at": "9999-12-31T23:59:59-10:00"}, "body.expires_at"),
        ({"name": "x", "scopes": ["madre:*"], "expires_at": "2999-01-01T00:00:00Z", "expires_in_seconds": 5}, "body"),
        ([], "body"),
    ],
)
async def test_what_is_wrong_with_a_request_is_named(owner, body, field):
    answer = await owner.post("/gateway/tokens", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


async def test_fields_nobody_knows_are_tolerated_and_names_may_be_in_any_script(owner):
    token = await made(owner, "madre:*", name="portátil de Ñu 🎛️ استوديو", color="red")
    listed = (await owner.get("/gateway/tokens")).json()["items"][0]
    assert listed["name"] == token["name"] == "portátil de Ñu 🎛️ استوديو"


async def test_the_list_comes_in_pages(owner):
    ids = [(await made(owner, "madre:*"))["id"] for _ in range(5)]
    found, cursor = [], None
    while True:
        page = (await owner.get("/gateway/tokens", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        found += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ids[::-1]


@pytest.mark.parametrize("token_id", ["nothing", "tok_x' OR 1=1 --", "%00", "ñ"])
async def test_an_unknown_token_is_404(owner, token_id):
    assert (await owner.delete(f"/gateway/tokens/{token_id}")).status_code in (400, 404)
