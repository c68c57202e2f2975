"""Uses are counted where they happened, all of a batch or none, and the statistics add up."""

import asyncio
from datetime import timedelta

import pytest

from config.clock import utc_now
from tests.hermes_db.answers import problem


def use(**fields) -> dict:
    return {"module": "switch", "action_type": "query", "duration_ms": 10.0, "success": True} | fields


def ago(**delta) -> str:
    return (utc_now() - timedelta(**delta)).isoformat()


@pytest.fixture
async def filled(registry):
    for name in ("a", "b"):
        await registry.post("/hermes_db/models", json={"name": name, "size_bytes": 2**30})
    await registry.put("/hermes_db/clis/git", json={})
    return registry


async def model(registry, model_id: int) -> dict:
    return (await registry.get(f"/hermes_db/models/{model_id}")).json()


async def test_one_use_without_a_body_is_counted(filled):
    answer = (await filled.post("/models/1/usage")).json()
    assert answer.items() >= {"status": "usage recorded", "model_id": 1, "usage_count": 1}.items()
    after = await model(filled, 1)
    assert (after["usage_count"], after["last_used_at"]) == (1, answer["last_used_at"])
    assert (await model(filled, 2))["usage_count"] == 0


async def test_a_use_counts_for_the_service_that_reports_it(filled, fleet_headers):
    await filled.post("/hermes_db/models/1/usage", json={"duration_ms": 5}, headers=fleet_headers)
    await filled.post("/hermes_db/models/1/usage", json={"module": "hermes"})
    await filled.post("/hermes_db/models/1/usage")
    by_module = (await filled.get("/hermes_db/stats")).json()["by_module"]
    assert {one["module"]: one["uses"] for one in by_module} == {"test": 1, "hermes": 1, "client": 1}


async def test_a_batch_counts_on_every_model_and_tool(filled):
    newest = utc_now() - timedelta(minutes=1)
    batch = [
        use(model_id=1, at=ago(hours=2)),
        use(model_id=1, at=newest.isoformat()),
        use(model_id=1, at=ago(hours=3)),
        use(model_id=2, cli_id=1),
        use(),
    ]
    assert (await filled.post("/usage", json=batch)).json() == {"recorded": 5}
    after = await model(filled, 1)
    assert after["usage_count"] == 3
    assert after["last_used_at"] == newest.isoformat().replace("+00:00", "Z")
    assert (await filled.get("/hermes_db/clis/git")).json()["usage_count"] == 1
    await filled.post("/hermes_db/usage", json=[use(model_id=1, at=ago(days=9))])
    assert (await model(filled, 1))["last_used_at"] == after["last_used_at"]


async def test_a_time_in_another_zone_is_the_same_instant(filled):
    await filled.post("/hermes_db/usage", json=[use(model_id=1, at="2026-03-01T01:30:00+02:00")])
    assert (await model(filled, 1))["last_used_at"] == "2026-02-28T23:30:00Z"


async def test_one_unknown_id_refuses_the_whole_batch_and_is_named(filled):
    batch = [use(model_id=1), use(model_id=99), use(cli_id=7), use(model_id=2**63 - 1)]
    body = problem(await filled.post("/hermes_db/usage", json=batch), 422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == ["body.1.model_id", "body.2.cli_id", "body.3.model_id"]
    assert "model 99" in body["detail"]
    assert "tool 7" in body["detail"]
    assert (await model(filled, 1))["usage_count"] == 0
    assert (await filled.get("/hermes_db/stats")).json()["total"]["uses"] == 0


async def test_a_batch_that_does_not_fit_is_refused(filled):
    for batch in [
        [],
        [use()] * 1001,
        {"module": "switch"},
        [use(module="")],
        [use(duration_ms=-1)],
        [use(duration_ms=1e13)],
        [use(duration_ms="long")],
        [use(success="perhaps")],
        [use(model_id=0)],
        [use(model_id=2**63)],
        [use(model_id="abc")],
        [use(at="yesterday")],
        [use(at="2026-03-01T01:30:00")],
        [use(at="0001-01-01T00:00:00+14:00")],
        [use(at="9999-12-31T23:59:59-14:00")],
        [use(error_message="x" * 4001)],
        [{}],
        [None],
    ]:
        problem(await filled.post("/hermes_db/usage", json=batch), 422, "invalid_request")
        assert (await filled.get("/hermes_db/stats")).json()["total"]["uses"] == 0


async def test_the_largest_batch_is_taken(filled):
    assert (await filled.post("/hermes_db/usage", json=[use(model_id=1)] * 1000)).json() == {"recorded": 1000}
    assert (await model(filled, 1))["usage_count"] == 1000


async def test_a_repeated_batch_counts_once(filled):
    key = {"Idempotency-Key": "batch-1"}
    for _ in range(2):
        assert (await filled.post("/hermes_db/usage", json=[use(model_id=1)], headers=key)).json() == {"recorded": 1}
        await filled.post("/hermes_db/models/2/usage", headers={"Idempotency-Key": "one"})
    assert ((await model(filled, 1))["usage_count"], (await model(filled, 2))["usage_count"]) == (1, 1)
    problem(await filled.post("/hermes_db/usage", json=[use()], headers=key), 409, "idempotency_conflict")


async def test_uses_reported_at_once_are_all_counted(filled):
    await asyncio.gather(*(filled.post("/hermes_db/models/1/usage") for _ in range(40)))
    assert (await model(filled, 1))["usage_count"] == 40
    assert (await filled.get("/hermes_db/stats")).json()["total"]["uses"] == 40


async def test_statistics_of_nothing_have_no_rates(registry):
    stats = (await registry.get("/stats")).json()
    nothing = {"uses": 0, "successes": 0, "failures": 0, "success_rate": None, "mean_duration_ms": None}
    assert stats["total"] == nothing | {"max_duration_ms": None, "total_duration_ms": 0.0}
    assert (stats["active_models"], stats["total_size_bytes"], stats["daily_usage"]) == (0, 0, 0)
    assert stats["by_day"] == stats["by_model"] == []


async def test_statistics_add_up_by_module_model_tool_action_and_day(filled):
    today, earlier = utc_now(), utc_now() - timedelta(days=3)
    batch = [
        use(model_id=1, duration_ms=10, at=today.isoformat()),
        use(model_id=1, duration_ms=30, success=False, error_message="out of memory", at=today.isoformat()),
        use(model_id=2, duration_ms=20, module="hermes", action_type="download", at=earlier.isoformat()),
        use(cli_id=1, duration_ms=1, at=earlier.isoformat()),
        use(model_id=2, duration_ms=1000, at=ago(days=50)),
    ]
    assert (await filled.post("/hermes_db/usage", json=batch)).status_code == 200
    await filled.delete("/hermes_db/models/2")
    stats = (await filled.get("/hermes_db/stats?days=30")).json()
    assert (stats["active_models"], stats["inactive_models"], stats["active_clis"]) == (1, 1, 1)
    assert (stats["total_size_bytes"], stats["total_size_gb"], stats["daily_usage"]) == (2**30, 1.0, 2)
    figures = {"successes": 1, "failures": 1, "success_rate": 0.5}
    of_a = {"uses": 2, **figures, "mean_duration_ms": 20.0, "max_duration_ms": 30.0, "total_duration_ms": 40.0}
    assert stats["by_model"][0] == of_a | {"model_id": 1, "name": "a"}
    assert [(one["name"], one["uses"]) for one in stats["by_model"]] == [("a", 2), ("b", 1)]
    assert [(one["module"], one["uses"]) for one in stats["by_module"]] == [("switch", 3), ("hermes", 1)]
    assert [(one["action_type"], one["uses"]) for one in stats["by_action"]] == [("query", 3), ("download", 1)]
    assert [(one["name"], one["uses"]) for one in stats["by_cli"]] == [("git", 1)]
    days = [(one["day"], one["uses"]) for one in stats["by_day"]]
    assert days == [(earlier.date().isoformat(), 2), (today.date().isoformat(), 2)]
    assert stats["total"]["uses"] == 4
    assert (await filled.get("/hermes_db/stats?days=60")).json()["total"]["max_duration_ms"] == 1000.0


async def test_a_span_that_makes_no_sense_is_refused(registry):
    for days in ["0", "-1", "abc", "99999", "1e3"]:
        problem(await registry.get(f"/hermes_db/stats?days={days}"), 422, "invalid_request")


async def test_a_model_is_scored_by_how_its_uses_went(filled):
    """From 0.5, which stands for ten uses: (0.5 * 10 + 3) / (10 + 4)."""
    await filled.post("/hermes_db/usage", json=[use(model_id=1)] * 3 + [use(model_id=1, success=False)])
    assert (await model(filled, 1))["performance_score"] == pytest.approx(8 / 14)
    assert (await model(filled, 2))["performance_score"] == 0.5
    await filled.post("/hermes_db/models/1/usage", json={"success": False})
    assert (await model(filled, 1))["performance_score"] == pytest.approx(8 / 15)


async def test_what_a_person_sets_as_score_is_where_it_goes_on_from(filled):
    await filled.post("/hermes_db/usage", json=[use(model_id=1, success=False)] * 1000)
    assert (await model(filled, 1))["performance_score"] < 0.01
    await filled.patch("/hermes_db/models/1", json={"performance_score": 0.9})
    assert (await model(filled, 1))["performance_score"] == 0.9
    await filled.post("/hermes_db/models/1/usage", json={"success": False})
    assert (await model(filled, 1))["performance_score"] == pytest.approx(90 / 101)
