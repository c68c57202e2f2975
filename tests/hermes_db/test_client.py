"""The typed client speaks to the real service."""

import httpx
import pytest
from asgi_lifespan import LifespanManager
from pydantic import SecretStr

from config.clients.hermes_db import HermesDbClient
from config.contracts.hermes_db import (
    CliFacts,
    CliNew,
    ModelChange,
    ModelKept,
    ModelNew,
    ModelUse,
    SpecialtyChange,
    SpecialtyNew,
    TokenNew,
    Use,
)
from config.errors import Conflict, InvalidRequest, NotFound, TooManyRequests, UpstreamUnavailable
from hermes_db.main import create_app
from tests.fakes.line import over


@pytest.fixture
async def client(settings, secrets):
    async with LifespanManager(create_app(settings)) as up:
        client = HermesDbClient(settings, secrets, "switch", line=over(httpx.ASGITransport(up.app)))
        yield client
        await client.close()


async def test_models_go_round(client):
    made = await client.register_model(ModelNew(name="m", specialty="code"), idempotency_key="k")
    assert await client.register_model(ModelNew(name="m", specialty="code"), idempotency_key="k") == made
    assert (await client.models(specialty="code", search="M", limit=1)).items == [made]
    changed = await client.change_model(made.id, ModelChange(specialty=None, version="2"))
    assert (changed.specialty, changed.version, changed.name) == (None, "2", "m")
    assert not (await client.deactivate_model(made.id)).is_active
    assert await client.change_model(made.id, ModelChange(is_active=True)) == await client.model(made.id)


async def test_tools_uses_and_statistics_go_round(client):
    await client.add_specialty(SpecialtyNew(name="music_mixing", parent="audio"))
    assert len((await client.specialties()).items) == 9
    git = await client.register_cli(CliNew(name="git"))
    assert (await client.put_cli("g++", CliFacts(path="/usr/bin/g++"))).path == "/usr/bin/g++"
    assert (await client.cli("g++")).name == "g++"
    assert [cli.name for cli in (await client.clis()).items] == ["git", "g++"]
    await client.deactivate_cli("git")
    made = await client.register_model(ModelNew(name="m"))
    assert (await client.record_model_use(made.id, ModelUse(duration_ms=2))).usage_count == 1
    use = Use(module="switch", action_type="query", model_id=made.id, cli_id=git.id, duration_ms=4, success=False)
    assert (await client.record_uses([use, use])).recorded == 2
    stats = await client.stats(days=1)
    assert [(one.module, one.uses, one.failures) for one in stats.by_module] == [("switch", 3, 2)]


async def test_kept_models_the_tree_and_keys_go_round(client):
    made = await client.keep_model(ModelKept(name="m", path="/a"))
    await client.deactivate_model(made.id)
    kept = await client.keep_model(ModelKept(name="m", path="/b", is_active=True))
    assert (kept.id, kept.path, kept.is_active) == (made.id, "/b", True)
    await client.add_specialty(SpecialtyNew(name="music"))
    moved = await client.change_specialty("music", SpecialtyChange(parent="audio"))
    assert moved == await client.specialty("music")
    assert moved.ancestors == ["audio"]
    new = TokenNew(service="huggingface", token=SecretStr("hf_value"), limit_per_day=1)
    told = await client.put_token(new, idempotency_key="k")
    assert await client.put_token(new, idempotency_key="k") == told
    assert (await client.tokens()).items == [told]
    value = await client.token_value("huggingface")
    assert value.token.get_secret_value() == "hf_value"
    assert "hf_value" not in repr(value) + repr(new)
    with pytest.raises(TooManyRequests, match="limit_per_day") as refusal:
        await client.token_value("huggingface")
    assert 0 < int(refusal.value.headers["Retry-After"]) <= 86_400


async def test_refusals_come_back_as_our_errors(client, settings, secrets):
    await client.register_model(ModelNew(name="m"))
    with pytest.raises(Conflict, match="exists"):
        await client.register_model(ModelNew(name="m"))
    with pytest.raises(NotFound, match="99"):
        await client.model(99)
    with pytest.raises(InvalidRequest, match="model 99"):
        await client.record_uses([Use(module="s", action_type="q", model_id=99, duration_ms=0, success=True)])
    down = HermesDbClient(settings.model_copy(update={"hermes_db_port": 1}), secrets, "switch")
    with pytest.raises(UpstreamUnavailable):
        await down.models()
    await down.close()
