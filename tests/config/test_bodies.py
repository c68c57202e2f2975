"""Bodies that reach a route can be kept and sent on, in every service alike."""

from typing import Any

import pytest
from fastapi import APIRouter
from sqlalchemy.exc import OperationalError

from config.module_template import create_module_app
from config.settings import FleetSettings

JSON = {"content-type": "application/json"}


@pytest.fixture
async def client(state_dir, client_of):
    router = APIRouter()

    @router.post("/echo")
    async def echo(body: dict[str, Any]) -> dict[str, Any]:
        return body

    @router.get("/asked")
    async def asked(word: str = "") -> dict[str, str]:
        return {"word": word}

    @router.get("/unwell")
    async def unwell(kind: str) -> None:
        raise OperationalError(
            "SELECT 1", {}, ConnectionError("server closed the connection") if kind == "down" else kind
        )

    settings = FleetSettings(state_dir=state_dir, body_limit_bytes=64 * 1024, _env_file=None)
    async with client_of(create_module_app("shub", settings, routers=[router])) as up:
        yield up


async def test_what_json_can_say_goes_through_unchanged(client):
    for body in (
        {"a": "ñ 💽 \u2028 \x7f مرحبا", "b": [1, 1.5, None, True, 10**40, -0.0], "c": {"": {}}},
        {"literally": "\\u0000 \\ud800 NaN Infinity"},
        {"deep": [[[[[[[[[[[[[[[[[[[["x"]]]]]]]]]]]]]]]]]]]]},
        {"wide": [[n] for n in range(500)]},
    ):
        answer = await client.post("/shub/echo", json=body)
        assert (answer.status_code, answer.json()) == (200, body)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"a": {"b": [0, NaN]}}', "body.a.b.1"),
        (b'{"a": -Infinity}', "body.a"),
        (b'{"a": 1e400}', "body.a"),
        (b'{"a": "\\ud83d"}', "body.a"),
        (b'{"a": ["\\udc00x"]}', "body.a.0"),
        (b'{"\\ud83d": 1}', "body"),
        (b'{"a": "x\\u0000y"}', "body.a"),
        (b'{"a\\u0000": 1}', "body"),
        (b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}", "body"),
        (b'{"a": ' * 200 + b"1" + b"}" * 200, "body"),
    ],
)
async def test_what_json_cannot_repeat_is_refused_by_name(client, raw, field):
    answer = await client.post("/shub/echo", content=raw, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("raw", [b"[" * 60_000, b'{"a": ' + b"9" * 5000 + b"}", b'{"a": "\xff"}', b"\x00", b"{'a': 1}"])
async def test_what_is_not_json_at_all_is_a_client_error(client, raw):
    answer = await client.post("/shub/echo", content=raw, headers=JSON)
    assert answer.status_code == 400, answer.text


async def test_a_json_body_that_hides_its_length_is_still_too_large(client):
    async def chunks():
        yield b'{"a": "'
        for _ in range(80):
            yield b"x" * 1024
        yield b'"}'

    answer = await client.post("/shub/echo", content=chunks(), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "/errors/body_too_large")


@pytest.mark.parametrize("path", ["/shub/asked?word=a%00b", "/shub/asked?%00", "/shub/as%00ked", "/%00"])
async def test_nul_in_path_or_query_is_refused(client, path):
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (400, "/errors/malformed_request")


async def test_a_database_that_is_down_is_told_as_such(client):
    answer = await client.get("/shub/unwell?kind=down")
    assert (answer.status_code, answer.json()["type"]) == (503, "/errors/database_busy")
    assert answer.headers["retry-after"] == "1"
