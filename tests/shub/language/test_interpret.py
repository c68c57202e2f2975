"""Commands over HTTP: what comes back, in both languages, and what is refused."""

import pytest

from tests.shub.conftest import Shub, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_spanish_command_comes_back_as_actions_with_units(shub: Shub) -> None:
    answer = await shub.http.post("/shub/interpret", json={"command": "sube 3 dB la voz y quita barro en el bajo"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["language"] == "es"
    assert [(one["action"], one["targets"]) for one in body["actions"]] == [
        ("set_mix", ["vocal"]),
        ("apply_effects", ["bass"]),
    ]
    assert body["actions"][0]["params"] == {"gain_db": 3.0}
    assert body["actions"][1]["effects"][0]["gain_db"] < 0
    assert [one["term"] for one in body["descriptors"]] == ["muddy"]
    assert body["confidence"] >= 0.6
    assert not body["needs_clarification"]
    assert body["source"] == "rules"


async def test_an_english_command_is_answered_in_english(shub: Shub) -> None:
    answer = await shub.http.post("/shub/interpret", json={"command": "compress the vocal 40:1", "ask_model": False})
    body = answer.json()
    assert body["language"] == "en"
    assert body["actions"][0]["effects"][0]["ratio"] == 40.0
    assert [one["code"] for one in body["warnings"]] == ["ratio_is_limiting"]
    assert "limits rather than compresses" in body["warnings"][0]["text"]


async def test_what_is_unclear_is_asked_and_not_guessed(shub: Shub) -> None:
    answer = await shub.http.post("/shub/interpret", json={"command": "hazlo mejor"})  # no model can be asked here
    body = answer.json()
    assert body["actions"][0]["action"] == "unknown"
    assert body["needs_clarification"]
    assert body["questions"][0].startswith("¿")
    assert body["source"] == "rules"


async def test_a_command_must_be_said_and_be_no_novel(shub: Shub) -> None:
    problem(await shub.http.post("/shub/interpret", json={"command": ""}), 422, "invalid_request")
    problem(await shub.http.post("/shub/interpret", json={"command": "x" * 4_001}), 422, "invalid_request")


async def test_nobody_is_answered_without_a_token(shub: Shub) -> None:
    answer = await shub.http.post("/shub/interpret", json={"command": "mezcla"}, headers={"X-VX11-Token": "wrong"})
    assert answer.status_code == 401
