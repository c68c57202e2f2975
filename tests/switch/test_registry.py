"""Switch and hermes_db's registry: read again when told, and who may tell."""

import httpx
import pytest
from sqlalchemy import insert

from config.clients.switch import SwitchClient
from config.clock import utc_now
from config.database import Database
from config.db_schema import CliRow, ModelRow, SpecialtyRow
from switch.main import create_app
from tests.fakes.line import over
from tests.switch.conftest import chat, openai_error, problem

CHAT = "/v1/chat/completions"


@pytest.fixture
async def registry(settings_of):
    """The tables as hermes_db writes them."""
    database = Database(settings_of().sqlalchemy_url(), "hermes_db")
    yield database
    await database.close()


@pytest.fixture
async def switch(settings_of, client_of):
    async with client_of(create_app(settings_of())) as client:
        yield client


async def add(registry: Database, row: type, **fields: object) -> None:
    async with registry.write() as session:
        await session.execute(insert(row).values(added_at=utc_now(), metadata_={}, **fields))


def model(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "model_id": name, "source": "local", "tags": [], "adjacent_fields": [],
            "performance_score": 0.5, "usage_count": 0, "is_active": True} | more  # fmt: skip


async def test_what_is_new_is_known_once_switch_is_told(switch, registry):
    assert (await switch.get("/switch/status")).json()["registry"]["models"] == 0
    await add(registry, ModelRow, **model("kept"))
    await add(registry, ModelRow, **model("put-away", is_active=False))
    await add(registry, CliRow, name="asks", answers_prompts=True)
    await add(registry, CliRow, name="git")
    await add(registry, CliRow, name="gone", answers_prompts=True, is_active=False)
    assert (await switch.get("/switch/status")).json()["registry"]["models"] == 0  # what it read is a moment old
    told = (await switch.post("/switch/registry/refresh")).json()
    assert (told["models"], told["clis"]) == (1, ["asks"])
    assert (await switch.get("/switch/status")).json()["registry"] == told


async def test_services_tell_it_through_their_client(settings_of, secrets, registry):
    settings = settings_of()
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        client = SwitchClient(settings, secrets, "hermes", line=over(httpx.ASGITransport(app)))
        await add(registry, ModelRow, **model("kept"))
        assert (await client.registry_changed()).models == 1
        assert (await client.status()).loaded == []
        await client.close()


async def test_a_client_that_may_ask_models_may_not_tell(switch, fleet_headers):
    as_client = fleet_headers | {"X-VX11-Scopes": "switch:*", "X-VX11-Caller": "token:t1"}
    problem(await switch.post("/switch/registry/refresh", headers=as_client), 403, "forbidden")


async def add_specialty(registry: Database, name: str, *related: str) -> None:
    async with registry.write() as session:
        await session.execute(
            insert(SpecialtyRow).values(name=name, description="", related_fields=list(related), priority=1)
        )


async def test_a_type_of_task_that_nobody_knows_is_refused_with_those_that_are_known(switch, registry):
    await add_specialty(registry, "code", "debugging")
    await add_specialty(registry, "poetry")
    assert (await switch.post("/switch/registry/refresh")).status_code == 200
    error = openai_error(await switch.post(CHAT, json=chat(model="auto:poety")), 404, "model_not_found")
    assert "'poety' is no type of task here, as these are: general, code, poetry" in error["message"]
    extras = {"model": "auto", "vx11": {"task_type": "poety"}}
    assert openai_error(await switch.post(CHAT, json=chat() | extras), 422, "invalid_request")["param"] == "task_type"
    assert "poetry" in problem(await switch.post("/switch/route", json={"prompt": "hi", "task_type": "poety"}), 422,
                               "invalid_request")["detail"]  # fmt: skip
    for known in (
        "poetry",
        "debugging",
        "general",
        "text_generation",
    ):  # nobody is there to answer, and that is what is said
        openai_error(await switch.post(CHAT, json=chat(model=f"auto:{known}")), 503, "no_model_reachable")


async def test_a_specialty_of_ones_own_is_a_type_of_task_once_switch_is_told(switch, registry):
    await add_specialty(registry, "code")
    await switch.post("/switch/registry/refresh")
    openai_error(await switch.post(CHAT, json=chat(model="auto:poetry")), 404, "model_not_found")
    await add_specialty(registry, "poetry")
    await switch.post("/switch/registry/refresh")
    openai_error(await switch.post(CHAT, json=chat(model="auto:poetry")), 503, "no_model_reachable")


async def test_what_there_is_a_budget_for_is_a_type_of_task(settings_of, client_of, registry):
    await add_specialty(registry, "code")
    async with client_of(create_app(settings_of(switch_budgets={"task:newsletter": 1.0}))) as client:
        await client.post("/switch/registry/refresh")
        openai_error(await client.post(CHAT, json=chat(model="auto:newsletter")), 503, "no_model_reachable")


async def test_while_no_specialty_is_known_every_type_of_task_is_one(switch):
    openai_error(await switch.post(CHAT, json=chat(model="auto:anything")), 503, "no_model_reachable")
