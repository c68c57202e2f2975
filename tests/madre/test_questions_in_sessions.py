"""A question that waits in a session: what answers it, what does not, and for how long it waits."""

import uuid

import httpx
import pytest

from tests.madre.conftest import Neighbours, Shared

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def neighbours(shared: Shared) -> Neighbours:
    shared.neighbours.forget()
    return shared.neighbours


@pytest.fixture
def madre(shared: Shared) -> httpx.AsyncClient:
    return shared.madre


@pytest.fixture
def session() -> str:
    return uuid.uuid4().hex


async def a_question(madre, session: str, message: str) -> None:
    asked = (await madre.post("/madre/chat", json={"message": message, "session_id": session})).json()
    assert asked["question"], asked


@pytest.mark.parametrize("words", ["estos", "aquí tienes", "here they are", "toma"])
async def test_files_with_few_words_answer_it(madre, session, shub, words):
    await a_question(madre, session, "mezcla esto")
    reply = {"message": words, "session_id": session, "files": [shub.add("a"), shub.add("b")], "wait_seconds": 20}
    assert (await madre.post("/madre/chat", json=reply)).json()["plan"]["intent"]["name"] == "audio_mix"


async def test_another_clear_request_is_not_taken_for_the_answer(madre, session, shub):
    await a_question(madre, session, "borra ese archivo")
    reply = {
        "message": "mezcla estos 3 stems a -14 LUFS",
        "session_id": session,
        "files": [shub.add(name) for name in "abc"],
    }
    body = (await madre.post("/madre/chat", json=reply | {"wait_seconds": 20})).json()
    assert (body["plan"]["intent"]["name"], body["status"]) == ("audio_mix", "DONE")


@pytest.mark.parametrize(
    ("asked", "answer", "said"),
    [
        ("ejecuta un comando", "olvídalo", "no hago nada"),
        ("ejecuta un comando", "nada", "no hago nada"),
        ("ejecuta un comando", "déjalo, gracias", "no hago nada"),
        ("run a command", "never mind", "I do nothing"),
        ("run a command", "forget it", "I do nothing"),
        ("borra ese archivo", "cancela", "no hago nada"),
        ("mix this", "cancel", "I do nothing"),
        ("haz lo del otro día con aquello", "olvídalo", "no hago nada"),
    ],
)
async def test_it_can_be_left(madre, session, asked, answer, said):
    await a_question(madre, session, asked)
    body = (await madre.post("/madre/chat", json={"message": answer, "session_id": session})).json()
    assert (body["status"], body["plan"], body["question"]) == ("DONE", None, None)
    assert said in body["response"]
    assert "question" not in (await madre.get(f"/madre/sessions/{session}")).json()["context"]


async def test_a_dry_run_of_leaving_it_leaves_nothing(madre, session):
    await a_question(madre, session, "run a command")
    await madre.post("/madre/chat", json={"message": "never mind", "session_id": session, "dry_run": True})
    assert "question" in (await madre.get(f"/madre/sessions/{session}")).json()["context"]
