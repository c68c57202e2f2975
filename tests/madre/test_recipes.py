"""Recipes of projects, as the settings have them, asked for in words."""

import httpx
import pytest

from tests.madre.conftest import Neighbours, Shared
from tests.madre.test_daughters import chat

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECTS = {
    "x": {
        "path": "/srv/x",
        "recipes": {
            "tests": {"command": "make", "args": ["test"], "timeout_seconds": 600, "project_copy": True},
            "build": {"command": "make"},
        },
    },
    "bare": {"path": "/srv/bare"},
    "site": {"path": "/srv/site", "recipes": {"publish": {"command": "make", "args": ["publish"]}}},
}
SETTINGS = {"projects": PROJECTS}


@pytest.fixture
def neighbours(shared: Shared) -> Neighbours:
    shared.neighbours.forget()
    return shared.neighbours


@pytest.fixture
def madre(shared: Shared) -> httpx.AsyncClient:
    return shared.madre


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (
            "run the tests of project x",
            {"project": "x", "args": ["test"], "timeout_seconds": 600.0, "project_copy": True},
        ),
        ("corre las pruebas del proyecto x", {"project": "x", "args": ["test"], "name": "x-tests"}),
        ("build project x", {"project": "x", "command": "make"}),
        ("run `ls -l` in project x", {"project": "x", "command": "ls", "args": ["-l"]}),
    ],
)
async def test_a_recipe_is_what_the_settings_say(madre, message, wanted):
    asked = await chat(madre, message)
    params = asked["plan"]["steps"][0]["params"]
    assert {key: params.get(key) for key in wanted} == wanted
    assert "x" in asked["question"]


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ("run the benchmarks of project x", "build, tests"),
        ("run the build and the tests of project x", "build, tests"),
        ("run the tests of project nowhere", "site, x"),
        ("run the tests of project bare", "has no recipes"),
        ("run the tests", "bare: no recipes"),
        ("run the tests", "x: build, tests"),
    ],
)
async def test_a_recipe_that_is_not_clear_is_asked_for(madre, message, part):
    asked = await chat(madre, message)
    assert asked["plan"] is None
    assert part in asked["question"]


async def test_the_answer_to_which_project_completes_the_order(madre):
    await chat(madre, "run the tests", session_id="which")
    asked = await chat(madre, "project x", session_id="which")
    assert asked["plan"]["steps"][0]["params"]["name"] == "x-tests"
