"""Grants: one dangerous step, with exactly these parameters, once."""

import asyncio
import base64
import json
from dataclasses import asdict
from datetime import timedelta

import pytest
from fastapi import APIRouter, Header, Request
from pydantic import SecretStr

from config import grants
from config.auth import Caller, CallerDep
from config.errors import GrantRefused
from config.forensics import Trail
from config.grants import Gate
from config.module_template import create_module_app
from config.secrets import FleetSecrets

PARAMS = {"asset_id": "asset_1", "why": "ñ"}
NOBODY = Caller("token:x", frozenset({"*"}))


@pytest.fixture
def gate(open_as, settings, secrets) -> Gate:
    return Gate("shub", secrets, open_as("shub"), Trail("shub", settings.state_dir))


@pytest.fixture
def db(gate):
    return gate._db


def a_grant(secrets: FleetSecrets, operation: str = "shub:delete", params: dict | None = None) -> str:
    return grants.issue(secrets, plan_id="plan_1", step_id="s1", operation=operation, params=params or PARAMS)


def signed(secrets: FleetSecrets, content: bytes) -> str:
    encoded = base64.urlsafe_b64encode(content)
    return f"{encoded.decode()}.{grants._signature(secrets, encoded)}"


async def check(gate: Gate, grant: str | None, caller: Caller = NOBODY, params: dict | None = None):
    return await gate.check(caller, "shub:delete", params or PARAMS, grant, subject="asset_1")


def refusals(settings) -> list[dict]:
    file = settings.state_dir / "forensic" / "shub" / "logs" / "audit_log.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [json.loads(row["details"]) for row in rows if row["event"] == "grant_refused"]


async def test_a_grant_opens_its_own_door(gate, secrets, settings):
    found = await check(gate, a_grant(secrets), params=dict(reversed(PARAMS.items())))
    assert (found.plan_id, found.step_id, found.operation) == ("plan_1", "s1", "shub:delete")
    assert refusals(settings) == []


async def test_a_changed_parameter_voids_it_and_that_is_recorded(gate, secrets, settings):
    for params in ({"asset_id": "asset_2", "why": "ñ"}, PARAMS | {"more": 1}, {"asset_id": "asset_1"}):
        with pytest.raises(GrantRefused, match="other parameters"):
            await check(gate, a_grant(secrets), params=params)
    assert [refusal["operation"] for refusal in refusals(settings)] == ["shub:delete"] * 3
    assert refusals(settings)[0]["params"] == {"asset_id": "asset_2", "why": "ñ"}


async def test_a_grant_for_something_else_is_refused(gate, secrets):
    with pytest.raises(GrantRefused, match="hermes:delete_model"):
        await check(gate, a_grant(secrets, "hermes:delete_model"))


async def test_an_expired_grant_is_refused(gate, secrets, monkeypatch):
    monkeypatch.setattr(grants, "LIFETIME", timedelta(seconds=-1))
    with pytest.raises(GrantRefused, match="expired"):
        await check(gate, a_grant(secrets))


async def test_a_grant_is_used_once(gate, secrets, db):
    grant = await check(gate, a_grant(secrets))
    async with db.write() as session:
        await gate.use(session, grant)
    with pytest.raises(GrantRefused, match="used before"):
        async with db.write() as session:
            await gate.use(session, grant)


async def test_of_many_uses_at_once_one_goes_through(open_as, secrets, gate):
    grant = await check(gate, a_grant(secrets))
    done = []

    async def use(db) -> None:
        async with db.write() as session:
            await gate.use(session, grant)
            done.append(True)

    found = await asyncio.gather(*(use(open_as("shub")) for _ in range(6)), return_exceptions=True)
    assert len(done) == 1
    assert [type(one) for one in found if one is not None] == [GrantRefused] * 5


async def test_a_use_that_rolls_back_is_none(gate, secrets, db):
    grant = await check(gate, a_grant(secrets))

    async def fail() -> None:
        async with db.write() as session:
            await gate.use(session, grant)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with db.write() as session:
        await gate.use(session, grant)


async def test_only_this_fleet_signs(gate, secrets):
    strangers = FleetSecrets(secrets.owner, SecretStr("another fleet's token"))
    with pytest.raises(GrantRefused, match="not signed by this fleet"):
        await check(gate, a_grant(strangers))
    content, signature = a_grant(secrets).split(".")
    grant = json.loads(base64.urlsafe_b64decode(content)) | {"expires_at": 9e12}
    forged = base64.urlsafe_b64encode(json.dumps(grant).encode()).decode()
    other_digit = "1" if signature.endswith("0") else "0"
    for text in (
        f"{forged}.{signature}",
        f"{content}.{signature[:-1]}{other_digit}",
        f"{content}.",
        content,
        f"{content}.{signature}.",
    ):
        with pytest.raises(GrantRefused, match="not signed by this fleet"):
            await check(gate, text)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"not json", b"[]", b"7", b"null", b'{"plan_id": 1}', b'{"plan_id": "p", "surprise": 1}']
    + [
        json.dumps(asdict(grants.Grant("p", "s", "shub:delete", "h", expires, "n"))).encode()
        for expires in ("soon", None)
    ],
)
async def test_what_is_signed_and_makes_no_sense_is_refused(gate, secrets, content):
    with pytest.raises(GrantRefused, match="cannot be read"):
        await check(gate, signed(secrets, content))


async def test_without_a_grant_only_a_scope_that_names_the_operation_goes_through(gate):
    assert await check(gate, None, Caller("token:x", frozenset({"shub:delete"}))) is None
    for scopes in ({"*"}, {"shub:*"}, {"shub:write"}, {"hermes:delete_model"}, set()):
        with pytest.raises(GrantRefused, match=r"/madre/control"):
            await check(gate, None, Caller("token:x", frozenset(scopes)))


@pytest.mark.parametrize(
    "header", ["", ".", "....", "a.b", "ñ.ñ", "=" * 10_000, "e30=.e30=", "\x7f", "Bearer x", "💣", None]
)
async def test_garbage_in_the_header_is_a_refusal_and_never_a_fault(settings, client_of, header):
    router = APIRouter()

    @router.delete("/things/{name}")
    async def delete(
        name: str, request: Request, caller: CallerDep, grant: str | None = Header(None, alias=grants.HEADER)
    ) -> None:
        await request.app.state.ground.gate.check(caller, "shub:delete", {"name": name}, grant, subject=name)

    headers = {} if header is None else {grants.HEADER: header.encode()}
    async with client_of(create_module_app("shub", settings, routers=[router])) as client:
        answer = await client.delete("/shub/things/x", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "/errors/grant_refused")
    assert refusals(settings)[0]["params"] == {"name": "x"}
