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
