"""Models that are here: listed, read again, removed, kept within limits, and put right after a kill."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, text

from config import grants
from config.clock import utc_now
from config.contracts.switch import (
    LightStatus,
    LoadedModel,
    QueueStatus,
    RegistryStatus,
    RotationStatus,
    SwitchStats,
    SwitchStatus,
)
from hermes.store import ModelStore
from tests.fakes.model_files import gguf
from tests.fakes.neighbours import SWITCH_STATUS
from tests.hermes.conftest import Hermes, problem, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def fetched(hermes: Hermes, **body: Any) -> dict[str, Any]:
    answer = await hermes.http.post("/hermes/download", json=body)
    assert answer.status_code == 202, answer.text
    job = await hermes.finished(answer.json()["job_id"])
    assert job["status"] == "DONE", job["error"]
    model: dict[str, Any] = job["result"]
    return model


def granted(hermes: Hermes, operation: str, params: dict[str, Any]) -> dict[str, str]:
    issued = grants.issue(hermes.secrets, plan_id="plan_1", step_id="1", operation=operation, params=params)
    return {"X-VX11-Grant": issued}


def for_deleting(hermes: Hermes, model: dict[str, Any]) -> dict[str, str]:
    return granted(hermes, "hermes:delete_model", {"model_id": model["id"]})


def audited(hermes: Hermes, event: str) -> list[dict[str, Any]]:
    engine = create_engine(hermes.settings.sqlalchemy_url(driver="sync"))
    with engine.connect() as connection:
        rows = connection.execute(
            text("select details, subject from audit_log where service = 'hermes' and event = :e"), {"e": event}
        )
        found = [json.loads(row.details) | {"subject": row.subject} for row in rows]
    engine.dispose()
    return found


def exists(path: str) -> bool:
    return Path(path).exists()


def unlink(path: str | Path) -> None:
    Path(path).unlink()


def spoil(path: str, *, at: int = 100) -> None:
    content = bytearray(Path(path).read_bytes())
    content[at] ^= 0xFF
    Path(path).write_bytes(content)


@asynccontextmanager
async def a_switch_that_holds(path: str) -> AsyncIterator[str]:
    """Switch's word on what is loaded, on a real socket; its address."""
    registry = RegistryStatus(models=0, clis=[], read_at=utc_now())
    counters = dict.fromkeys(SwitchStats.model_fields, 0)
    light = dict.fromkeys(LightStatus.model_fields, 0) | {"name": "x", "state": "ready", "detail": "", "pid": None}
    status = SwitchStatus(
        active=True,
        models=[],
        light_llm=LightStatus.model_validate(light),
        rotation=RotationStatus.model_validate(SWITCH_STATUS["rotation"]),
        queue=QueueStatus.model_validate(SWITCH_STATUS["queue"]),
        shub_mode_active=False,
        loaded=[LoadedModel(name="x", path=path)],
        registry=registry,
        providers=[],
        stats=SwitchStats.model_validate(counters),
    )
    app = FastAPI()
    app.get("/switch/status")(lambda: status)
    app.post("/switch/registry/refresh")(lambda: registry)
    async with serving(app) as url:
        yield url


async def test_models_are_listed_with_what_they_take(hermes, hub):
    hub.add("list/one", {"a.gguf": gguf(seed=1)})
    model = await fetched(hermes, model_id="list/one")
    listed = (await hermes.http.get("/hermes/models")).json()
    assert model in listed["items"]
    assert listed["count"] >= 1
    assert listed["total_size_bytes"] == sum(one["size_bytes"] or 0 for one in listed["items"])


async def test_a_model_that_is_as_it_was_fetched_is_right(hermes, hub):
    hub.add("verify/good", {"a.gguf": gguf(seed=2), "config.json": b"{}"})
    model = await fetched(hermes, model_id="verify/good")
    told = (await hermes.http.post(f"/hermes/models/{model['id']}/verify")).json()
    assert told["is_right"] is True
    assert [(file["path"], file["is_right"]) for file in told["files"]] == [("a.gguf", True), ("config.json", True)]
    assert told["model"]["is_active"] is True


async def test_a_changed_file_takes_its_model_out_of_use_and_a_download_repairs_that_file_alone(hermes, hub):
    hub.add("verify/bad", {"a.gguf": gguf(seed=3), "config.json": b"{}"})
    model = await fetched(hermes, model_id="verify/bad")
    spoil(model["path"])
    told = (await hermes.http.post(f"/hermes/models/{model['id']}/verify")).json()
    assert (told["is_right"], told["model"]["is_active"]) == (False, False)
    wrong = next(file for file in told["files"] if not file["is_right"])
    assert wrong["path"] == "a.gguf"
    assert wrong["sha256"] != wrong["expected_sha256"] == model["sha256"]
    hub.asked.clear()
    again = await fetched(hermes, model_id="verify/bad")
    assert (again["id"], again["is_active"]) == (model["id"], True)
    assert len(hub.requests("/cdn/*")) == 1
    assert not hub.requests("*/resolve/*/config.json")
    assert (await hermes.http.post(f"/hermes/models/{model['id']}/verify")).json()["is_right"] is True


async def test_a_model_without_files_and_one_that_is_not_there_cannot_be_read(hermes):
    elsewhere = await hermes.register(name="elsewhere", source="openrouter")
    problem(await hermes.http.post(f"/hermes/models/{elsewhere['id']}/verify"), 409, "conflict")
    problem(await hermes.http.post("/hermes/models/99999/verify"), 404, "model_not_kept")


async def test_what_somebody_wrote_into_the_registry_leads_to_no_other_file_and_no_endless_one(hermes, hub, tmp_path):
    endless = await hermes.register(name="endless", path="/dev/zero")
    told = (await hermes.http.post(f"/hermes/models/{endless['id']}/verify")).json()
    assert [(file["is_right"], file["detail"]) for file in told["files"]] == [(False, "not a file")]
    hub.add("verify/noted", {"a.gguf": gguf(seed=33)})
    model = await fetched(hermes, model_id="verify/noted")
    sha256 = model["sha256"]
    for files in (
        ["x"],
        [{"path": "a.gguf"}],
        [{"path": "/etc/hosts", "size_bytes": 1, "sha256": sha256}],
        [{"path": "../../x", "size_bytes": 1, "sha256": sha256}],
    ):
        change = {"metadata": model["metadata"] | {"files": files}}
        answer = await hermes.hermes_db.patch(f"/hermes_db/models/{model['id']}", json=change)
        assert answer.status_code == 200, answer.text
        problem(await hermes.http.post(f"/hermes/models/{model['id']}/verify"), 409, "conflict")


async def test_a_model_is_removed_with_a_grant_for_exactly_it_and_only_once(hermes, hub):
    hub.add("remove/one", {"a.gguf": gguf(seed=4)})
    model = await fetched(hermes, model_id="remove/one")
    path = f"/hermes/models/{model['id']}"
    problem(await hermes.http.delete(path), 403, "grant_refused")
    other = granted(hermes, "hermes:delete_model", {"model_id": model["id"] + 1})
    problem(await hermes.http.delete(path, headers=other), 403, "grant_refused")
    assert exists(model["path"])
    headers = for_deleting(hermes, model) | {"Idempotency-Key": "remove-one"}
    removed = (await hermes.http.delete(path, headers=headers)).json()
    assert removed == {"model_id": model["id"], "name": model["name"], "freed_bytes": removed["freed_bytes"]}
    assert removed["freed_bytes"] >= model["size_bytes"]
    assert not exists(str(Path(model["path"]).parent.parent))
    row = (await hermes.hermes_db.get(f"/hermes_db/models/{model['id']}")).json()
    assert row["is_active"] is False
    assert (await hermes.http.delete(path, headers=headers)).json() == removed
    told = next(one for one in audited(hermes, "model_removed") if one["subject"] == f"model:{model['id']}")
    assert (told["name"], told["plan_id"]) == (model["name"], "plan_1")
    again = await fetched(hermes, model_id="remove/one")
    assert (again["id"], again["is_active"]) == (model["id"], True)
    assert exists(again["path"])


async def test_a_scope_that_names_the_operation_removes_and_a_star_does_not(hermes, hub):
    hub.add("remove/scope", {"a.gguf": gguf(seed=5)})
    model = await fetched(hermes, model_id="remove/scope")
    fleet = {"X-VX11-Token": hermes.secrets.fleet.get_secret_value(), "X-VX11-Caller": "token:1"}
    path = f"/hermes/models/{model['id']}"
    problem(await hermes.http.delete(path, headers=fleet | {"X-VX11-Scopes": "hermes:*"}), 403, "grant_refused")
    answer = await hermes.http.delete(path, headers=fleet | {"X-VX11-Scopes": "hermes:delete_model"})
    assert answer.status_code == 200, answer.text


async def test_a_loaded_model_stays(hermes_at, hub):
    hub.add("remove/loaded", {"a.gguf": gguf(seed=6)})
    async with hermes_at() as hermes:
        model = await fetched(hermes, model_id="remove/loaded")
    async with a_switch_that_holds(model["path"]) as url, hermes_at(switch_url=url) as hermes:
        answer = await hermes.http.delete(f"/hermes/models/{model['id']}", headers=for_deleting(hermes, model))
        problem(answer, 409, "model_in_use")
        assert exists(model["path"])


async def test_a_model_stays_while_switch_does_not_say_whether_it_is_loaded(hermes_at, hub):
    hub.add("remove/unsure", {"a.gguf": gguf(seed=8)})
    async with hermes_at() as hermes:
        model = await fetched(hermes, model_id="remove/unsure")
    confused = FastAPI()
    confused.get("/switch/status")(lambda: {"loaded": "who knows"})
    async with serving(confused) as url, hermes_at(switch_url=url) as hermes:
        answer = await hermes.http.delete(f"/hermes/models/{model['id']}", headers=for_deleting(hermes, model))
        problem(answer, 409, "model_in_use")
        assert exists(model["path"])


async def test_a_file_that_hermes_did_not_fetch_is_never_unlinked(hermes, tmp_path_factory):
    own = tmp_path_factory.mktemp("own") / "mine.gguf"
    own.write_bytes(gguf())
    model = await hermes.register(name="mine", source="local", path=str(own), size_bytes=own.stat().st_size)
    removed = (await hermes.http.delete(f"/hermes/models/{model['id']}", headers=for_deleting(hermes, model))).json()
    assert removed["freed_bytes"] == 0
    assert own.exists()
    assert (await hermes.hermes_db.get(f"/hermes_db/models/{model['id']}")).json()["is_active"] is False


async def test_the_light_model_s_file_counts_as_loaded_while_switch_cannot_be_asked(hermes_at, tmp_path):
    light = tmp_path / "light.gguf"
    light.write_bytes(gguf())
    async with hermes_at(light_model_path=light) as hermes:
        model = await hermes.register(name="light", source="local", path=str(light))
        answer = await hermes.http.delete(f"/hermes/models/{model['id']}", headers=for_deleting(hermes, model))
        problem(answer, 409, "model_in_use")


async def test_a_start_registers_what_lies_there_and_takes_out_of_use_what_is_gone(hermes_at, hub):
    for name in ("lost-row", "lost-files", "half"):
        hub.add(f"start/{name}", {"a.gguf": gguf(seed=7), "config.json": b"{}"})
    async with hermes_at() as hermes:
        models = {name: await fetched(hermes, model_id=f"start/{name}") for name in ("lost-row", "lost-files", "half")}
        database = hermes.settings.sqlalchemy_url(driver="sync")
    with create_engine(database).begin() as connection:
        ids = f"({models['lost-row']['id']}, {models['half']['id']})"
        connection.execute(text(f"delete from models where id in {ids}"))
    unlink(models["lost-files"]["path"])
    unlink(Path(models["half"]["path"]).parent / "config.json")
    trash, leftover = (hermes.settings.state_dir / "models" / name for name in (".trash/trash_x", ".parts/nobody"))
    trash.mkdir()
    leftover.mkdir()
    os.utime(leftover, (0, 0))
    async with hermes_at() as hermes:

        async def is_right() -> bool | None:
            rows = (await hermes.hermes_db.get("/hermes_db/models", params={"active": "all"})).json()["items"]
            active = {row["model_id"]: row["is_active"] for row in rows}
            return active == {"start/lost-row": True, "start/lost-files": False} or None

        await until(is_right)
        assert not exists(models["half"]["path"])
        assert not trash.exists()
        assert not leftover.exists()


async def test_a_removal_that_was_killed_is_finished_by_the_next_start(hermes_at, hub):
    hub.add("kill/removal", {"a.gguf": gguf(seed=8)})
    async with hermes_at() as hermes:
        model = await fetched(hermes, model_id="kill/removal")
        database = hermes.settings.sqlalchemy_url(driver="sync")
    with create_engine(database).begin() as connection:  # as a kill leaves it right after it was accepted
        state = {
            "name": model["name"],
            "folder": str(Path(model["path"]).parent),
            "size_bytes": 5,
            "subject": "model:1",
        }
        connection.execute(
            text(
                "insert into hermes_jobs (id, kind, status, caller, request, state, progress, created_at) "
                "values ('job_killed', 'removal', 'RUNNING', 'owner', :request, :state, 0, '2026-01-01')"
            ),
            {"request": json.dumps({"model_id": model["id"]}), "state": json.dumps(state)},
        )
    async with hermes_at() as hermes:
        job = await hermes.finished("job_killed")
        assert job["result"] == {"model_id": model["id"], "name": model["name"], "freed_bytes": 5}
        assert not exists(model["path"])
        assert (await hermes.http.get("/hermes/models")).json()["count"] == 0


async def test_upkeep_tells_what_it_would_do_and_does_it_with_a_grant(hermes_at, hub):
    for number in range(4):
        hub.add(f"up/m{number}", {"a.gguf": gguf(seed=20 + number)})
    async with hermes_at() as hermes:
        models = [await fetched(hermes, model_id=f"up/m{number}") for number in range(4)]
        database = hermes.settings.sqlalchemy_url(driver="sync")
    with create_engine(database).begin() as connection:
        connection.execute(text("update models set added_at = '2025-01-0' || id, last_used_at = null"))
    async with hermes_at(hermes_most_models=1) as hermes:
        planned = (await hermes.http.post("/hermes/maintenance")).json()
        assert planned["is_dry_run"] is True
        assert (planned["models_before"], planned["is_within_limits"]) == (4, False)
        assert [one["name"] for one in planned["removed"]] == [models[0]["name"], models[1]["name"]]
        assert "among the last 2" in planned["kept"][0]["reason"]
        hermes.app.state.maintenance._settings = hermes.settings.model_copy(update={"hermes_least_per_specialty": 3})
        assert len((await hermes.http.post("/hermes/maintenance")).json()["removed"]) == 1
        hermes.app.state.maintenance._settings = hermes.settings
        assert [one["source"] for one in planned["warnings"]] == ["switch"]
        assert all(exists(model["path"]) for model in models)
        real = "/hermes/maintenance?dry_run=false"
        problem(await hermes.http.post(real), 403, "grant_refused")
        done = (await hermes.http.post(real, headers=granted(hermes, "hermes:maintenance", {}))).json()
        assert (done["is_dry_run"], done["removed"]) == (False, planned["removed"])
        assert [exists(model["path"]) for model in models] == [False, False, True, True]
        assert (await hermes.http.get("/hermes/models")).json()["count"] == 2
        assert {one["why"].partition(":")[0] for one in audited(hermes, "model_removed")} == {"upkeep"}


async def test_upkeep_runs_by_itself(hermes_at, hub):
    for number in range(3):
        hub.add(f"auto/m{number}", {"a.gguf": gguf(seed=30 + number)})
    async with hermes_at() as hermes:
        models = [await fetched(hermes, model_id=f"auto/m{number}") for number in range(3)]
        database = hermes.settings.sqlalchemy_url(driver="sync")
    with create_engine(database).begin() as connection:
        connection.execute(text("update models set added_at = '2025-01-01'"))
    async with hermes_at(hermes_budget_bytes=0, hermes_upkeep_interval=0.05) as hermes:

        async def is_done() -> bool | None:
            return sum(exists(model["path"]) for model in models) == 2 or None

        await until(is_done)
        assert (await hermes.http.get("/hermes/models")).json()["count"] == 2


async def test_only_what_lies_in_a_model_s_own_folder_is_ours_to_remove(tmp_path):
    store = ModelStore(tmp_path / "models")
    store.open()
    inside = store.place_of("acme/m", "a" * 40, "Q4_0")
    assert store.holds(str(inside / "x" / "a.gguf")) == inside
    outside = [inside / ".." / ".." / ".." / "x", store.folder / "a.gguf", store.folder / ".parts" / "a" / "b"]
    for path in (None, "/etc/passwd", *map(str, outside)):
        assert store.holds(path) is None


async def test_nothing_starts_while_the_fleet_is_halted(hermes_at, hub):
    hub.add("halt/model", {"a.gguf": gguf(seed=31)})
    halted = {"halted": True, "since": "2026-01-01T00:00:00Z", "by": "owner", "reason": "a drill"}
    async with hermes_at() as hermes:
        with create_engine(hermes.settings.sqlalchemy_url(driver="sync")).begin() as connection:
            row = {
                "scope": "madre",
                "key": "halt",
                "value": json.dumps(halted),
                "updated_at": "2026-01-01 00:00:00.000000",
            }
            connection.execute(text("insert into context values (:scope, :key, :value, :updated_at)"), row)
        for path, body in (
            ("/hermes/download", {"model_id": "halt/model"}),
            ("/hermes/cli/discover", {"cli_name": "git"}),
            ("/hermes/improvements/search", None),
        ):
            refused = problem(await hermes.http.post(path, json=body), 409, "fleet_halted")
            assert "a drill" in refused["detail"]
        assert (await hermes.http.get("/hermes/jobs")).json()["items"] == []
        with create_engine(hermes.settings.sqlalchemy_url(driver="sync")).begin() as connection:
            connection.execute(text("delete from context"))
        assert (await hermes.http.post("/hermes/download", json={"model_id": "halt/model"})).status_code == 202
