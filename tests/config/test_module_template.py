"""The app every service is built from: who gets in, what errors look like, what is refused."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from config.auth import CallerDep
from config.module_template import create_module_app
from config.settings import FleetSettings


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore")

    number: int


def a_service(settings: FleetSettings):
    router = APIRouter()

    @router.get("/who")
    async def who(caller: CallerDep) -> dict[str, object]:
        return {"id": caller.id, "scopes": sorted(caller.scopes)}

    @router.post("/numbers")
    async def numbers(body: Body) -> dict[str, int]:
        return {"number": body.number}

    @router.get("/broken")
    async def broken() -> None:
        raise RuntimeError("sk-very-secret-key-123456")

    @router.post("/stream")
    async def stream(request: Request) -> dict[str, int]:
        return {"bytes": sum([len(chunk) async for chunk in request.stream()])}

    return create_module_app("shub", settings, routers=[router])


@pytest.fixture
async def client(state_dir, client_of):
    async with client_of(a_service(FleetSettings(state_dir=state_dir, body_limit_bytes=2048, _env_file=None))) as up:
        yield up


def problem(response: httpx.Response, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"/errors/{code}"
    assert body["service"] == "shub"
    assert body["request_id"] == response.headers["x-request-id"]
    return body


async def test_without_a_token_only_liveness_answers(client):
    bare = {"X-VX11-Token": ""}
    health = await client.get("/health", headers=bare)
    assert health.json()["status"] == "ok"
    assert health.json()["checks"] == {}
    body = problem(await client.get("/shub/who", headers=bare), 401, "unauthorized")
    assert "X-VX11-Token" in body["detail"]
    problem(await client.get("/shub/metrics", headers=bare), 401, "unauthorized")
    problem(await client.get("/no/such/path", headers=bare), 401, "unauthorized")
    problem(await client.get("/shub/openapi.json", headers=bare), 401, "unauthorized")


async def test_with_a_token_health_tells_what_was_looked_at(client):
    body = (await client.get("/shub/health")).json()
    assert body["checks"]["database"]["status"] == "ok"
    assert body["version"]


@pytest.mark.parametrize("header", ["X-VX11-Token", "Authorization"])
async def test_both_headers_carry_the_token(client, secrets, header):
    token = secrets.owner.get_secret_value()
    value = token if header == "X-VX11-Token" else f"Bearer {token}"
    answer = await client.get("/shub/who", headers={"X-VX11-Token": "", header: value})
    assert answer.json()["id"] == "owner"


async def test_caller_headers_are_believed_only_with_the_fleet_token(client, secrets):
    claim = {"X-VX11-Caller": "token:somebody", "X-VX11-Scopes": "shub:read"}
    as_owner = await client.get("/shub/who", headers=claim)
    assert as_owner.json()["id"] == "owner"
    as_fleet = await client.get("/shub/who", headers=claim | {"X-VX11-Token": secrets.fleet.get_secret_value()})
    assert as_fleet.json() == {"id": "token:somebody", "scopes": ["shub:read"]}


async def test_a_reading_scope_does_not_write(client, secrets):
    reader = {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": "x", "X-VX11-Scopes": "shub:read"}
    assert (await client.get("/shub/who", headers=reader)).status_code == 200
    problem(await client.post("/shub/numbers", json={"number": 1}, headers=reader), 403, "forbidden")
    other = reader | {"X-VX11-Scopes": "madre:*"}
    problem(await client.get("/shub/who", headers=other), 403, "forbidden")


async def test_the_bare_path_is_an_alias(client):
    assert (await client.get("/who")).json() == (await client.get("/shub/who")).json()


async def test_errors_are_problems_that_name_the_field(client):
    body = problem(await client.post("/shub/numbers", json={"number": "many", "extra": 1}), 422, "invalid_request")
    assert body["errors"][0]["field"] == "body.number"
    problem(
        await client.post("/shub/numbers", content=b'{"number": ', headers={"content-type": "application/json"}),
        400,
        "malformed_request",
    )
    problem(
        await client.post("/shub/numbers", content=b"\xff\xfe", headers={"content-type": "application/json"}),
        400,
        "malformed_request",
    )
    problem(await client.get("/shub/nothing"), 404, "not_found")
    problem(await client.put("/shub/numbers"), 405, "method_not_allowed")


async def test_an_unexpected_error_shows_no_inside(client):
    body = problem(await client.get("/shub/broken"), 500, "internal")
    assert "secret" not in str(body)


async def test_large_bodies_are_refused_with_and_without_a_length(client):
    problem(await client.post("/shub/stream", content=b"x" * 3000), 413, "body_too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 1000

    problem(await client.post("/shub/stream", content=chunks()), 413, "body_too_large")
    assert (await client.post("/shub/stream", content=b"x" * 2000)).json() == {"bytes": 2000}


async def test_request_ids_come_back_unless_they_are_unusable(client):
    assert (await client.get("/shub/who", headers={"X-Request-ID": "mine-1"})).headers["x-request-id"] == "mine-1"
    assert (
        (await client.get("/shub/who", headers={"X-Request-ID": "x" * 500})).headers["x-request-id"].startswith("req_")
    )


async def test_concurrent_requests_keep_their_own_ids(client):
    answers = await asyncio.gather(*(client.get("/shub/who", headers={"X-Request-ID": f"r{n}"}) for n in range(20)))
    assert [answer.headers["x-request-id"] for answer in answers] == [f"r{n}" for n in range(20)]


async def test_a_caller_without_end_is_cut_and_one_without_a_name_is_the_fleet(client, secrets):
    fleet = {"X-VX11-Token": secrets.fleet.get_secret_value()}
    long = await client.get("/shub/who", headers=fleet | {"X-VX11-Caller": "x" * 5000})
    assert long.json()["id"] == "x" * 200
    assert (await client.get("/shub/who", headers=fleet | {"X-VX11-Caller": ""})).json()["id"] == "fleet"
