"""Messages and `params` of any shape: a 4xx that names the field, or a plan; never a 5xx, and never something else than was named."""

import sqlite3

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


def count_of_intents(shared: Shared) -> int:
    with sqlite3.connect(shared.state_dir / "vx11.db") as database:
        (count,) = database.execute("SELECT count(*) FROM intents_log").fetchone()
    return count


CONTROLS = [
    ("delete", {"files": [{}]}, "params.files.0"),
    ("delete", {"files": [5]}, "params.files.0"),
    ("delete", {"files": "asset_a"}, "params.files"),
    ("delete", {"asset_id": 5}, "params.asset_id"),
    ("delete", {"asset_id": "x" * 5000}, "params.asset_id"),
    ("delete", {"asset_id": ""}, "params.asset_id"),
    ("delete", {"asset_ids": {"a": 1}}, "params.asset_ids"),
    ("delete", {"asset_ids": [f"a{number}" for number in range(20_000)]}, "params.asset_ids"),
    ("analyze", {"asset_ids": [None]}, "params.asset_ids"),
    ("mix", {"stems": {"a": 1}}, "params.stems"),
    ("mix", {"stems": [{"asset_id": "a"}], "target_lufs": {"from": "s1", "key": "assets"}}, "params.target_lufs"),
]


@pytest.mark.parametrize(("action", "params", "field"), CONTROLS)
async def test_controls_are_refused_by_the_name_of_the_field(madre, shub, action, params, field):
    reply = await madre.post("/madre/control", json={"target": "shub", "action": action, "params": params})
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["field"].startswith(field)
    assert shub.asked == []


@pytest.mark.parametrize("files", [[5], [""], ["x" * 65], "asset_a", [{}]])
async def test_files_of_a_message_are_asset_ids(madre, files):
    reply = await madre.post("/madre/chat", json={"message": "mezcla estos stems", "files": files})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"].startswith("body.files")


@pytest.mark.parametrize("roles", [[{}], [[1]], [None], {"a": 1}, "bass"])
async def test_roles_that_are_none_are_left_out(madre, shub, roles):
    request = {"message": "mezcla estos 3 stems a -14 LUFS", "files": [shub.add("a")], "params": {"roles": roles}}
    reply = await madre.post("/madre/chat", json=request | {"wait_seconds": 20})
    assert reply.json()["status"] == "DONE", reply.text


@pytest.mark.parametrize("asset_id", ["../jobs", "..", "a/b", "a?x=1", "a#b", "%2e%2e/jobs", "a\\b"])
async def test_an_id_never_leads_to_another_route(madre, shub, asset_id):
    request = {"target": "shub", "action": "mix", "params": {"stems": [{"asset_id": asset_id}]}, "wait_seconds": 20}
    assert (await madre.post("/madre/control", json=request)).json()["status"] == "ERROR"
    (asked,) = shub.asked
    assert asked.url.raw_path.startswith(b"/shub/assets/")
    assert asked.url.raw_path.count(b"/") == 3
    assert b"?" not in asked.url.raw_path


@pytest.mark.parametrize("last", ["99999999999999999999999", str(2**63), "-1", "x"])
async def test_a_last_event_id_that_is_none_is_refused(madre, last):
    asked = (await madre.post("/madre/chat", json={"message": "help", "wait_seconds": 20})).json()
    reply = await madre.get(f"/madre/plans/{asked['plan_id']}/events", headers={"Last-Event-ID": last})
    assert reply.status_code == 422


@pytest.mark.parametrize(
    ("message", "status"),
    [("", 422), ("   ", 422), ("a\x00b", 422), ("x" * 200_000, 422), (5, 422), (None, 422)],
    ids=["empty", "blank", "NUL", "200 KB", "number", "null"],
)
async def test_bad_messages_are_refused_by_name_and_leave_nothing(madre, message, status, shared):
    before = count_of_intents(shared)
    reply = await madre.post("/madre/chat", json={"message": message})
    assert reply.status_code == status
    assert reply.json()["errors"][0]["field"] == "body.message"
    assert count_of_intents(shared) == before


async def test_half_a_character_is_refused(madre):
    body = b'{"message": "\\ud800"}'
    reply = await madre.post("/madre/chat", content=body, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422), reply.text


@pytest.mark.parametrize(
    "params",
    [
        {"stems": 5},
        {"stems": [{"asset_id": 7}]},
        {"target_lufs": "loud"},
        {"target_lufs": 12},
        {"bit_depth": 7},
        {"format": "aiff"},
        {"asset_ids": {"a": 1}, "stems": [{}]},
    ],
)
async def test_parameters_that_shub_would_refuse_are_refused_by_name_before_anything_is_planned(madre, shub, params):
    before = await madre.get("/madre/plans")
    jobs = len(shub.jobs)
    body = {"target": "shub", "action": "mix", "params": {"files": [shub.add("a"), shub.add("b")]} | params}
    reply = await madre.post("/madre/control", json=body)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["field"].startswith("params.")
    assert (await madre.get("/madre/plans")).json() == before.json()
    assert len(shub.jobs) == jobs
