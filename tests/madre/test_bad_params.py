"""`params` of any shape: a 4xx that names the field, or a plan; never a 5xx, and never something else than was named."""

import pytest

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
