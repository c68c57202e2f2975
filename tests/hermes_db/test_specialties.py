"""Specialties: eight from the start, more below them."""

import asyncio

from hermes_db.main import create_app
from tests.hermes_db.answers import problem

FIRST = ["text_generation", "code", "audio", "vision", "embedding", "analysis", "translation", "summarization"]


async def test_the_first_eight_are_there_with_their_fields(registry):
    listed = (await registry.get("/specialties")).json()
    assert [one["name"] for one in listed["specialties"]] == FIRST
    assert listed["items"] == listed["specialties"]
    assert listed["items"][2]["related_fields"] == ["sound", "music", "speech"]


async def test_starting_again_adds_none(settings, client_of):
    for _ in range(2):
        async with client_of(create_app(settings)) as registry:
            assert (await registry.get("/hermes_db/specialties")).json()["count"] == 8


async def test_two_that_start_at_once_agree(settings, client_of):
    async def start() -> int:
        async with client_of(create_app(settings)) as registry:
            return (await registry.get("/hermes_db/specialties")).json()["count"]

    assert await asyncio.gather(start(), start()) == [8, 8]


async def test_a_narrower_one_is_added_below_its_parent(registry):
    new = {
        "name": "music_mixing",
        "parent": "audio",
        "description": "Balance",
        "related_fields": ["daw"],
        "priority": 3,
    }
    answer = await registry.post("/hermes_db/specialties", json=new)
    assert answer.status_code == 201
    assert answer.json().items() >= new.items()
    await registry.post("/hermes_db/models", json={"name": "m", "specialty": "music_mixing"})
    listed = (await registry.get("/hermes_db/specialties?limit=3&cursor=8")).json()["items"]
    assert [(one["name"], one["model_count"]) for one in listed] == [("music_mixing", 1)]


async def test_names_are_given_once_and_parents_must_exist(registry):
    problem(await registry.post("/hermes_db/specialties", json={"name": "audio"}), 409, "conflict")
    body = problem(
        await registry.post("/hermes_db/specialties", json={"name": "x", "parent": "y"}), 422, "invalid_request"
    )
    assert body["errors"][0]["field"] == "body.parent"
    problem(await registry.post("/hermes_db/specialties", json={"name": "x", "parent": "x"}), 422, "invalid_request")
    problem(await registry.post("/hermes_db/specialties", json={"name": "Not A Name"}), 422, "invalid_request")


async def test_a_specialty_is_shown_with_what_is_around_it(registry):
    for name, parent in [("music", "audio"), ("music_mixing", "music"), ("speech", "audio")]:
        await registry.post("/hermes_db/specialties", json={"name": name, "parent": parent})
    music = (await registry.get("/specialties/music")).json()
    assert (music["parent"], music["children"], music["ancestors"]) == ("audio", ["music_mixing"], ["audio"])
    assert (await registry.get("/hermes_db/specialties/music_mixing")).json()["ancestors"] == ["music", "audio"]
    assert (await registry.get("/hermes_db/specialties/audio")).json()["children"] == ["music", "speech"]
    problem(await registry.get("/hermes_db/specialties/nothing"), 404, "not_found")


async def test_a_specialty_moves_with_all_below_it_and_never_below_itself(registry):
    for name, parent in [("music", "audio"), ("mixing", "music")]:
        await registry.post("/hermes_db/specialties", json={"name": name, "parent": parent})
    await registry.post("/hermes_db/models", json={"name": "m", "specialty": "mixing"})
    for name, parent in [("audio", "audio"), ("audio", "music"), ("audio", "mixing"), ("music", "mixing")]:
        answer = await registry.patch(f"/hermes_db/specialties/{name}", json={"parent": parent})
        assert "narrower than itself" in problem(answer, 409, "conflict")["detail"]
    problem(await registry.patch("/hermes_db/specialties/music", json={"parent": "x"}), 422, "invalid_request")
    moved = (await registry.patch("/hermes_db/specialties/music", json={"parent": "vision", "priority": 4})).json()
    assert (moved["ancestors"], moved["children"], moved["priority"]) == (["vision"], ["mixing"], 4)
    assert (await registry.get("/hermes_db/models?specialty=vision")).json()["count"] == 1
    assert (await registry.get("/hermes_db/models?specialty=audio")).json()["count"] == 0
    top = (await registry.patch("/hermes_db/specialties/music", json={"parent": None})).json()
    assert (top["parent"], top["ancestors"]) == (None, [])


async def test_of_two_moves_at_once_that_would_close_a_circle_one_is_refused(registry):
    answers = await asyncio.gather(
        registry.patch("/hermes_db/specialties/audio", json={"parent": "code"}),
        registry.patch("/hermes_db/specialties/code", json={"parent": "audio"}),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_what_cannot_be_null_is_refused(registry):
    for field in ("description", "related_fields", "priority"):
        problem(await registry.patch("/hermes_db/specialties/audio", json={field: None}), 422, "invalid_request")
    problem(await registry.patch("/hermes_db/specialties/nothing", json={}), 404, "not_found")
