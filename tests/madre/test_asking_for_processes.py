"""Asking for a process: what is taken for a command, what is asked for, what is refused by name. Nothing runs here."""

import uuid

import httpx
import pytest

from tests.madre.conftest import Neighbours, Shared
from tests.madre.test_daughters import chat, control
from tests.madre.test_reach import limited

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


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ("ejecuta un comando", "comillas invertidas"),
        ("run ls -l", "backticks"),
        ("run `ls | wc -l`", '"|"'),
        ("run `make && make test`", '"&&"'),
        ("run `make || true`", '"||"'),
        ("run `FOO=1 ls`", "`env` of `params`"),
        ("ejecuta `FOO=1 ls`", "`env` de `params`"),
        ("run ``", "quotes are empty"),
        ("run ''", "quotes are empty"),
        ("ejecuta «»", "comillas están vacías"),
        ("run the tests", "No project is configured (VX11_PROJECTS)"),
        ("corre los tests del proyecto x", "no hay ninguno configurado (VX11_PROJECTS)"),
        ("run `make` and then `make test`", "several"),
        ("run `echo 'a`", "not closed"),
        ("run the tests of project nowhere", "nowhere"),
    ],
)
async def test_what_is_not_said_is_asked_and_never_guessed(madre, session, spawner, message, part):
    asked = await chat(madre, message, session_id=session)
    assert (asked["status"], asked["plan"]) == ("WAITING", None)
    assert part in asked["question"]
    answered = await chat(madre, "`true`", session_id=session)
    assert answered["plan"]["steps"][0]["params"]["command"] == "true"
    assert await spawner.rows() == []


@pytest.mark.parametrize("message", ["ejecuta un comando", "run a command"])
async def test_a_command_that_stands_in_no_backticks_is_never_taken_for_one(madre, session, message):
    await chat(madre, message, session_id=session)
    body = await chat(madre, "sh -c 'ls | wc -l'", session_id=session)
    assert body["plan"] is None
    assert "comillas invertidas" in body["question"] or "backticks" in body["question"]
    answered = await chat(madre, "`sh -c 'ls | wc -l'`", session_id=session)
    assert answered["plan"]["steps"][0]["params"]["args"] == ["-c", "ls | wc -l"]


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (
            "run `sleep 5` with at most 30 seconds and 512MB",
            ["I took over only", "30 seconds", "512mb", "`timeout_seconds`"],
        ),
        (
            "ejecuta `ls` con dos minutos y con red",
            ["Solo he tomado", "2 minutos", "red", "`timeout_seconds`, `network`"],
        ),
        ("run `curl x` with internet", ["internet", "`network`"]),
    ],
)
async def test_limits_and_network_said_in_words_are_told_to_change_nothing(madre, message, parts):
    asked = await chat(madre, message)
    assert asked["plan"]["steps"][0]["params"].keys() == {"name", "command", "args"}
    for part in parts:
        assert part in asked["warnings"][0]


@pytest.mark.parametrize(
    ("message", "params"),
    [
        ("run `sleep 30s`", {}),
        ("run `ping network` 3 times", {}),
        ("run `curl x` with network for 30 s", {"network": "full", "timeout_seconds": 30}),
    ],
)
async def test_what_is_quoted_or_set_needs_no_warning(madre, message, params):
    assert (await chat(madre, message, params=params))["warnings"] == []


async def test_a_pattern_is_passed_as_it_is_and_told(madre):
    asked = await chat(madre, "run `ls *.py`")
    assert '"*"' in asked["warnings"][0]
    assert asked["plan"]["steps"][0]["params"]["args"] == ["*.py"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"command": 5}, "params.command"),
        ({"command": "ls", "args": "-l"}, "params.args"),
        ({"command": "ls", "args": ["a\u0000b"]}, "body.params.args.0"),
        ({"command": "ls", "network": "some"}, "params.network"),
        ({"command": "ls", "files": ["asset_a"]}, "params.files.0"),
        ({"command": "ls", "timeout_seconds": -1}, "params.timeout_seconds"),
        ({"args": ["-l"]}, "params.args"),
        ({"recipe": "tests", "project": "x"}, "params.project"),
        ({"recipe": ["tests"]}, "params.recipe"),
        ({"command": "ls", "project": {}}, "params.project"),
        ({"command": "ls", "project": "x"}, "params.project"),
    ],
)
async def test_parameters_that_spawner_would_refuse_are_refused_by_name(madre, params, field):
    before = await madre.get("/madre/plans")
    reply = await control(madre, "run", **params)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["field"] == field
    assert (await madre.get("/madre/plans")).json() == before.json()


async def test_text_never_gives_a_process_the_network(madre):
    asked = await chat(madre, "run `curl x` with network full and all of the internet")
    assert "network" not in asked["plan"]["steps"][0]["params"]


async def test_files_that_came_along_lie_beside_the_process_under_their_ids(madre):
    asked = await chat(madre, "run `wc -c asset_a`", files=["asset_a"])
    (file,) = asked["plan"]["steps"][0]["params"]["files"]
    assert file == {"path": "asset_a", "asset_id": "asset_a"}


async def test_a_token_that_may_not_change_spawner_cannot_have_madre_run_anything(madre, secrets):
    body = {"message": "run `true`"}
    writer = limited(secrets, "madre:read", "madre:write")
    refused = await madre.post("/madre/chat", json=body, headers=writer)
    assert refused.status_code == 403
    assert "spawner:write" in refused.json()["detail"]
    allowed = await madre.post("/madre/chat", json=body, headers=limited(secrets, "madre:*", "spawner:write"))
    assert allowed.json()["confirmation"]


@pytest.mark.parametrize("params", [{"spawn_id": 5}, {"name": ""}, {"name": ["a"]}, {"spawn_id": "x" * 65}])
async def test_a_kill_of_nonsense_is_refused_by_name(madre, spawner, params):
    spawner.add("nightly")
    reply = await control(madre, "kill", **params)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"].startswith("params.")


async def test_structured_parameters_are_all_a_job_can_have(madre):
    wanted = {
        "command": "python3",
        "args": ["check.py"],
        "env": {"from": "s1", "key": "asset_id"},
        "files": [{"path": "check.py", "content": "print(1)"}],
        "network": "full",
        "timeout_seconds": 5.0,
        "priority": "BATCH_PROCESSING",
    }
    asked = (await control(madre, "run", **wanted)).json()
    assert asked["status"] == "pending_confirmation"
    assert "with all of the network" in asked["reason"]
    (step,) = (await madre.get(f"/madre/plans/{asked['plan_id']}")).json()["steps"]
    assert {key: step["params"][key] for key in wanted if key != "files"} == {
        k: v for k, v in wanted.items() if k != "files"
    }
    assert step["params"]["files"][0]["content"] == "print(1)"
