"""Audio mode through the routes: what the model is told, what comes back, and shub, which may or may not interpret."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from switch.audio import interpreter, mode
from tests.switch.conftest import problem, provider, serving

MASTER = "masteriza esta canción a -5 LUFS"


class FakeShub:
    """`interprets`: whether it has the route; `answers`: clear to let it hang."""

    def __init__(self) -> None:
        self.interprets = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked: list[dict[str, Any]] = []
        self.described = 0
        self.app = FastAPI(openapi_url=None)
        self.app.get("/shub/openapi.json")(self.openapi)
        self.app.post("/shub/interpret")(self.interpret)

    async def openapi(self) -> dict[str, Any]:
        self.described += 1
        return {"paths": {"/shub/interpret": {"post": {}}} if self.interprets else {}}

    async def interpret(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        await self.answers.wait()
        return {
            "actions": [{"action": "master", "targets": ["master"], "effects": [], "params": {"target_lufs": -9.0}}],
            "recommendations": ["from shub"],
            "warnings": [],
        }


@pytest.fixture
async def shub() -> FakeShub:
    return FakeShub()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A busy machine is not a shub that hangs."""
    monkeypatch.setattr(mode, "INTERPRET_SECONDS", 60.0)
    monkeypatch.setattr(interpreter, "ASK_SECONDS", 60.0)


@pytest.fixture
async def client(upstream, shub, settings_of, served) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(shub.app) as url:
        settings = settings_of(providers={"mock": provider(upstream, "gpt")}, shub_port=int(url.rpartition(":")[2]))
        async with served(settings) as up:
            yield up


async def test_a_prompt_about_audio_is_answered_by_an_audio_engineer(client, upstream):
    reply = (await client.post("/switch/route", json={"prompt": MASTER})).json()
    assert reply["answer"]
    audio = reply["audio"]
    assert (audio["command_type"], audio["source"]) == ("master_command", "terms")
    assert audio["parameters"]["target_lufs"] == -5.0
    assert "muy alto" in " ".join(audio["warnings"])
    system, user = upstream.asked[0].body["messages"]
    assert (system["role"], user["content"]) == ("system", MASTER)
    assert "44.1 kHz, 24 bit" in system["content"]
    decision = (await client.get(f"/switch/decisions/{reply['decision_id']}")).json()
    assert decision["task_type"] == "audio"


async def test_a_query_about_audio_says_so(client, upstream):
    reply = (await client.post("/switch/query", json={"query": MASTER})).json()
    assert (reply["status"], reply["audio"]["command_type"]) == ("shub_mode", "master_command")
    told = (await client.post("/switch/query", json={"query": "and then?", "module_type": "SHUB"})).json()
    assert told["status"] == "shub_mode"


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "git merge master into my branch"},
        {"prompt": MASTER, "task_type": "translation"},
        {"prompt": MASTER, "json_schema": {"type": "object"}},
    ],
)
async def test_other_prompts_go_as_they_are(client, upstream, body):
    reply = (await client.post("/switch/route", json=body)).json()
    assert reply["audio"] is None
    assert [one["role"] for one in upstream.asked[0].body["messages"]] == ["user"]


async def test_shub_itself_is_never_answered_in_audio_mode(client, upstream, secrets):
    headers = {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": "shub"}
    assert (await client.post("/switch/shub/activate")).json()["active"]
    reply = (await client.post("/switch/route", json={"prompt": MASTER}, headers=headers)).json()
    assert reply["audio"] is None
    assert (await client.post("/switch/query", json={"query": MASTER}, headers=headers)).json()["status"] == "success"


async def test_an_active_mode_reads_every_prompt_until_it_is_left(client, upstream):
    asked = {"prompt": "what should I do next?"}
    assert (await client.post("/switch/route", json=asked)).json()["audio"] is None
    status = (await client.post("/shub/activate")).json()  # the name of the original documents
    assert (status["active"], status["audio_processing"], status["sample_rate"], status["bit_depth"]) == (
        True,
        True,
        44_100,
        24,
    )
    assert (await client.post("/switch/route", json=asked)).json()["audio"]["command_type"] == "question"
    assert not (await client.post("/switch/shub/activate", json={"active": False})).json()["active"]
    assert (await client.post("/switch/route", json=asked)).json()["audio"] is None


async def test_only_services_and_the_owner_change_the_mode(client, secrets):
    headers = {
        "X-VX11-Token": secrets.fleet.get_secret_value(),
        "X-VX11-Caller": "token:1",
        "X-VX11-Scopes": "switch:write switch:read",
    }
    problem(await client.post("/switch/shub/activate", headers=headers), 403, "forbidden")
    assert not (await client.get("/switch/shub/status")).json()["active"]


async def test_shub_interprets_where_it_can_and_is_asked_whether_it_does_once_a_minute(client, shub):
    shub.interprets = True
    for _ in range(2):
        audio = (await client.post("/switch/route", json={"prompt": MASTER})).json()["audio"]
        assert (audio["source"], audio["parameters"]["target_lufs"]) == ("shub", -9.0)
        assert audio["recommendations"] == ["from shub"]
    assert shub.asked == [{"command": MASTER}] * 2
    assert shub.described == 1
    assert (await client.get("/switch/shub/status")).json()["shub"] == "interprets"


async def test_a_shub_that_does_not_interpret_is_no_error(client, shub):
    assert (await client.post("/switch/route", json={"prompt": MASTER})).json()["audio"]["source"] == "terms"
    assert shub.asked == []
    assert (await client.get("/switch/shub/status")).json()["shub"] == "answers without interpretation"


async def test_a_shub_that_hangs_is_not_waited_for(client, shub, monkeypatch):
    monkeypatch.setattr(mode, "INTERPRET_SECONDS", 0.2)
    shub.interprets = True
    shub.answers.clear()
    assert (await client.post("/switch/route", json={"prompt": MASTER})).json()["audio"]["source"] == "terms"
    assert (await client.get("/switch/shub/status")).json()["shub"] == "not reachable"
    shub.answers.set()


async def test_a_shub_that_is_down_is_no_error(upstream, settings_of, served):
    settings = settings_of(providers={"mock": provider(upstream, "gpt")}, shub_port=1)
    async with served(settings) as client:
        assert (await client.post("/switch/route", json={"prompt": MASTER})).json()["audio"]["source"] == "terms"
        assert (await client.get("/switch/shub/status")).json()["shub"] == "not reachable"
