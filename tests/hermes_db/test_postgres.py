"""The same service on Postgres: where its SQL differs, and where several processes share one database."""

import asyncio

import pytest
from sqlalchemy import create_engine

from config.forensics import verify
from hermes_db.main import create_app
from hermes_db.settings import HermesDbSettings
from tests.hermes_db.answers import problem
from tests.postgres import ADMIN


@pytest.fixture
def settings(state_dir, postgres_url) -> HermesDbSettings:
    return HermesDbSettings(
        state_dir=state_dir, database_url=postgres_url, hermes_db_default_model=False, _env_file=None
    )


async def test_models_are_kept_filtered_and_counted(registry):
    large = {"name": "a", "tags": ["ñ", "code"], "specialty": "code", "size_bytes": 2**62, "metadata": {"x": [1, None]}}
    made = (await registry.post("/hermes_db/models", json=large)).json()
    assert made.items() >= large.items()
    problem(await registry.post("/hermes_db/models", json={"name": "a"}), 409, "conflict")
    await registry.post("/hermes_db/specialties", json={"name": "rust", "parent": "code"})
    await registry.post("/hermes_db/models", json={"name": "B_1", "specialty": "rust"})
    for query, found in (
        ("tag=ñ", ["a"]),
        ("tag=cod", []),
        ("specialty=code", ["a", "B_1"]),
        ("search=b_", ["B_1"]),
        ("search=%25", []),
        ("max_size_bytes=1", []),
    ):
        listed = (await registry.get(f"/hermes_db/models?{query}")).json()
        assert [model["name"] for model in listed["items"]] == found, query
        assert listed["count"] == len(found)
    problem(await registry.get(f"/hermes_db/models/{2**63 - 1}"), 404, "not_found")


async def test_uses_and_statistics_add_up(registry):
    await registry.post("/hermes_db/models", json={"name": "a", "size_bytes": 2**40})
    await registry.put("/hermes_db/clis/git", json={})
    use = {"module": "switch", "action_type": "query", "model_id": 1, "duration_ms": 10, "success": True}
    batch = [use, use | {"success": False, "duration_ms": 30}, use | {"at": "2026-03-01T01:30:00+02:00", "cli_id": 1}]
    assert (await registry.post("/hermes_db/usage", json=batch)).json() == {"recorded": 3}
    problem(await registry.post("/hermes_db/usage", json=[use, use | {"model_id": 9}]), 422, "invalid_request")
    stats = (await registry.get("/hermes_db/stats?days=3660")).json()
    assert (stats["total"]["uses"], stats["total"]["failures"], stats["total_size_gb"]) == (3, 1, 1024.0)
    assert stats["by_model"][0].items() >= {"uses": 3, "mean_duration_ms": 50 / 3, "max_duration_ms": 30.0}.items()
    assert stats["by_day"][0].items() >= {"day": "2026-02-28", "uses": 1}.items()
    assert (await registry.get("/hermes_db/models/1")).json()["usage_count"] == 3


async def test_keys_turns_and_the_tree_work_as_they_do_on_sqlite(registry, fleet_headers):
    for limit in (1, 2):
        body = {"service": "s", "token": "value", "limit_per_day": limit, "addresses": ["127.0.0.0/8"]}
        assert (await registry.post("/hermes_db/tokens", json=body)).status_code == 200 + (limit == 1)
        assert (await registry.get("/tokens/s/value", headers=fleet_headers)).json()["token"] == "value"
    problem(await registry.get("/hermes_db/tokens/s/value", headers=fleet_headers), 429, "too_many_requests")
    assert (await registry.post("/hermes_db/tokens/rotate")).json()["rotated"] == 1
    assert len((await registry.get("/hermes_db/tokens/renewals?days=90")).json()["items"]) == 1
    await registry.put("/hermes_db/clis/git", json={"max_concurrent": 2, "rate_limit_per_hour": 3})
    for number in range(3):
        lease = (await registry.post("/hermes_db/clis/git/leases")).json()
        assert (await registry.delete(f"/hermes_db/clis/git/leases/{lease['lease_id']}")).status_code == 200, number
    assert (
        problem(await registry.post("/hermes_db/clis/git/leases"), 429, "too_many_requests")["limit"]
        == "rate_limit_per_hour"
    )
    for name, parent in [("music", "audio"), ("mixing", "music")]:
        await registry.post("/hermes_db/specialties", json={"name": name, "parent": parent})
    assert (await registry.get("/hermes_db/specialties/mixing")).json()["ancestors"] == ["music", "audio"]
    problem(await registry.patch("/hermes_db/specialties/audio", json={"parent": "mixing"}), 409, "conflict")
    await registry.put("/hermes_db/models", json={"name": "m"})
    await registry.post("/hermes_db/models/1/usage")
    assert (await registry.get("/hermes_db/models/1")).json()["performance_score"] == pytest.approx(6 / 11)


async def test_health_names_the_database(registry):
    health = (await registry.get("/hermes_db/health")).json()
    assert health["checks"]["database"] == {"status": "ok", "detail": "postgresql"}


async def test_two_replicas_share_one_registry(settings, client_of, postgres_url):
    async with client_of(create_app(settings)) as one, client_of(create_app(settings)) as two:
        key = {"Idempotency-Key": "k"}
        answers = await asyncio.gather(
            *(side.post("/hermes_db/models", json={"name": "m"}, headers=key) for side in (one, two) * 4)
        )
        assert {(answer.status_code, answer.json()["id"]) for answer in answers} == {(201, 1)}
        await asyncio.gather(*(side.post("/hermes_db/models/1/usage") for side in (one, two) * 10))
        assert (await two.get("/hermes_db/models/1")).json()["usage_count"] == 20
        assert (await one.get("/hermes_db/specialties")).json()["count"] == 8
    engine = create_engine(settings.sqlalchemy_url(driver="sync"))
    with engine.connect() as connection:
        assert verify(connection, settings.state_dir) == (1, [])
    engine.dispose()


async def test_a_lost_connection_is_made_again(registry, postgres, postgres_url):
    await registry.post("/hermes_db/models", json={"name": "m"})
    name = postgres_url.rpartition("/")[2]
    postgres.run(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND usename = '{ADMIN}'"
    )
    assert (await registry.get("/hermes_db/models")).json()["count"] == 1
    assert (await registry.post("/hermes_db/models/1/usage")).json()["usage_count"] == 1
