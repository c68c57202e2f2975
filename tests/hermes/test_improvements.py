"""Better models than those kept: what is reported, what is fetched, and a search that goes on by itself whatever happens."""

from typing import Any

from tests.fakes.model_files import gguf, pickled
from tests.hermes.conftest import Hermes, until

SMALL, MIDDLE, LARGE = (gguf(quantization="Q4_K_M", parameters=size) for size in (4096, 8192, 16384))


async def searched(hermes: Hermes) -> dict[str, Any]:
    """The improvements after a search that must come to a good end."""
    ordered = await hermes.http.post("/hermes/improvements/search")
    assert ordered.status_code == 202, ordered.text
    job = await hermes.finished(ordered.json()["job_id"])
    assert job["status"] == "DONE", job
    answer = await hermes.http.get("/hermes/improvements")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def told(found: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    return {one["found"]["model_id"]: (one["specialty"], one["instead_of"]) for one in found["items"]}


async def keep(hermes: Hermes, model_id: str, **facts: Any) -> dict[str, Any]:
    return await hermes.register(
        **{"name": model_id.rpartition("/")[2], "model_id": model_id, "source": "huggingface", "model_type": "gguf"}
        | facts
    )


def publish(hub: Any, model_id: str, content: bytes = MIDDLE, **facts: Any) -> Any:
    return hub.add(model_id, {"m-Q4_K_M.gguf": content}, **{"tags": ["gguf"], "downloads": 1000, "likes": 10} | facts)


async def test_before_the_first_search_there_is_nothing_and_it_says_so(hermes_at):
    async with hermes_at() as hermes:
        found = (await hermes.http.get("/hermes/improvements")).json()
    assert found == {
        "searched_at": None,
        "is_periodic": False,
        "next_search_at": None,
        "items": [],
        "newer_revisions": [],
        "warnings": [],
    }


async def test_better_models_and_equal_smaller_ones_are_reported_and_no_others(hermes_at, hub):
    kept = publish(hub, "lab/kept-code")
    publish(hub, "lab/better-code", downloads=900_000, likes=50_000)
    publish(hub, "lab/small-code", SMALL)
    publish(hub, "lab/large-code", LARGE)
    publish(hub, "lab/worse-code", SMALL, downloads=1, likes=0, last_modified="2021-01-01T00:00:00.000Z")
    publish(hub, "lab/gated-code", SMALL, downloads=900_000, gated="manual")
    hub.add("lab/pickle-code", {"pytorch_model.bin": pickled()}, downloads=900_000, likes=50_000)
    publish(hub, "lab/better-writer", downloads=900_000, likes=50_000)  # of a specialty without models
    async with hermes_at() as hermes:
        await keep(hermes, "lab/kept-code", specialty="code", size_bytes=len(MIDDLE), revision=kept.sha)
        found = await searched(hermes)
    assert told(found) == {
        "lab/better-code": ("code", "kept-code"),
        "lab/small-code": ("code", "kept-code"),
    }
    reasons = {one["found"]["model_id"]: one["reason"] for one in found["items"]}
    assert "score" in reasons["lab/better-code"]
    assert str(len(SMALL)) in reasons["lab/small-code"]
    assert (found["newer_revisions"], found["warnings"]) == ([], [])
    assert all(one["job_id"] is None for one in found["items"])
    assert hub.requests("*/resolve/*") == []  # nothing is downloaded unless the setting says so


async def test_a_specialty_with_too_few_models_is_reported_where_the_setting_asks_for_more(hermes_at, hub):
    publish(hub, "lab/kept-code")
    for number in range(4):
        publish(hub, f"lab/code-{number}", LARGE, downloads=10 + number, likes=0)
    publish(hub, "lab/translator", pipeline_tag="translation")
    async with hermes_at(hermes_least_per_specialty=3) as hermes:
        await keep(hermes, "lab/kept-code", specialty="code", size_bytes=len(SMALL))
        found = await searched(hermes)
    assert told(found) == {
        "lab/code-3": ("code", None),
        "lab/code-2": ("code", None),
        "lab/translator": ("translation", None),
    }
    assert "VX11_HERMES_LEAST_PER_SPECIALTY" in found["items"][0]["reason"]


async def test_newer_revisions_of_kept_models_are_reported_and_models_that_left_the_hub(hermes_at, hub):
    made = publish(hub, "lab/writer")
    before = made.sha
    after = hub.commit("lab/writer", {"m-Q4_K_M.gguf": LARGE})
    async with hermes_at() as hermes:
        row = await keep(hermes, "lab/writer", revision=before, specialty="text_generation", size_bytes=1)
        await keep(hermes, "lab/gone", revision=before)
        await hermes.register(name="mine", source="local", specialty="text_generation")
        found = await searched(hermes)
    assert found["newer_revisions"] == [
        {
            "id": row["id"],
            "name": "writer",
            "model_id": "lab/writer",
            "kept_revision": before,
            "newest_revision": after,
        }
    ]
    assert [(one["code"], "lab/gone" in one["detail"]) for one in found["warnings"]] == [("model_not_on_hub", True)]


async def test_an_improvement_is_fetched_verified_and_registered_only_where_the_setting_says_so(hermes_at, hub):
    publish(hub, "lab/kept-code")
    publish(hub, "lab/better-code", downloads=900_000, likes=50_000)
    publish(hub, "lab/good-code", downloads=800_000, likes=20_000)
    async with hermes_at(hermes_auto_download=True) as hermes:
        await keep(hermes, "lab/kept-code", specialty="code", size_bytes=len(MIDDLE))
        found = await searched(hermes)
        jobs = {one["found"]["model_id"]: one["job_id"] for one in found["items"]}
        assert jobs["lab/good-code"] is None  # one for each specialty at a time
        done = await hermes.finished(jobs["lab/better-code"])
        assert done["status"] == "DONE", done
        kept = (await hermes.http.get("/hermes/models")).json()["items"]
        again = await searched(hermes)
    assert {(one["model_id"], one["specialty"]) for one in kept} == {
        ("lab/kept-code", "code"),
        ("lab/better-code", "code"),
    }
    assert told(again) == {}  # it is the one to beat now


async def test_nothing_is_fetched_beyond_the_limits_of_the_house(hermes_at, hub):
    publish(hub, "lab/kept-code")
    publish(hub, "lab/better-code", downloads=900_000, likes=50_000)
    async with hermes_at(hermes_auto_download=True, hermes_most_models=1) as hermes:
        await keep(hermes, "lab/kept-code", specialty="code", size_bytes=len(MIDDLE))
        (item,) = (await searched(hermes))["items"]
    assert (item["found"]["model_id"], item["job_id"]) == ("lab/better-code", None)


async def test_a_search_that_fails_is_an_error_of_its_job_and_the_last_result_stays(hermes_at, hub):
    publish(hub, "lab/kept-code")
    publish(hub, "lab/better-code", downloads=900_000, likes=50_000)
    async with hermes_at() as hermes:
        await keep(hermes, "lab/kept-code", specialty="code", size_bytes=len(MIDDLE))
        before = await searched(hermes)
        hub.inject("/api/models*", "close")
        job = (await hermes.http.post("/hermes/improvements/search")).json()
        ended = await hermes.finished(job["job_id"])
        assert (ended["status"], ended["error"].partition(":")[0]) == ("ERROR", "hub_unreachable")
        assert (await hermes.http.get("/hermes/improvements")).json() == before
    async with hermes_at() as hermes:  # a restart has it too
        assert (await hermes.http.get("/hermes/improvements")).json() == before


async def test_a_hub_that_stops_half_way_leaves_what_was_found_and_a_warning(hermes_at, hub):
    publish(hub, "lab/kept-writer")
    publish(hub, "lab/better-writer", downloads=900_000, likes=50_000)
    publish(hub, "lab/kept-code")
    async with hermes_at() as hermes:
        await keep(hermes, "lab/kept-writer", specialty="text_generation", size_bytes=len(MIDDLE))
        await keep(hermes, "lab/kept-code", specialty="code", size_bytes=len(MIDDLE))
        hub.inject("/api/models", "status", status=429)
        hub.inject("/api/models", "ignore_range", times=1)  # the first search is answered
        found = await searched(hermes)
    assert told(found) == {"lab/better-writer": ("text_generation", "kept-writer")}
    assert [one["code"] for one in found["warnings"]] == ["hub_rate_limited"]


async def test_two_who_ask_at_once_get_one_search_and_a_key_stands_for_its_job(hermes_at, hub):
    publish(hub, "lab/kept-code")
    async with hermes_at() as hermes:
        await keep(hermes, "lab/kept-code", specialty="code")
        fault = hub.inject("/api/models/lab/kept-code", "silent")
        first, second = [
            (await hermes.http.post("/hermes/improvements/search", headers={"Idempotency-Key": "k"})).json()
            for _ in range(2)
        ]
        third = (await hermes.http.post("/hermes/improvements/search")).json()
        assert first["job_id"] == second["job_id"] == third["job_id"]
        fault.times = 0
        hub.go_on.set()
        await hermes.finished(first["job_id"])


# --- by itself -----------------------------------------------------------------------------------------------------


async def test_the_search_runs_by_itself_again_and_again_and_keeps_few_jobs(hermes_at, hub, monkeypatch):
    monkeypatch.setattr("hermes.improvements.KEPT_RESULTS", 2)
    publish(hub, "lab/kept-code")
    async with hermes_at(hermes_search_interval=0.05) as hermes:
        await keep(hermes, "lab/kept-code", specialty="code")

        async def later_than(before: str | None) -> str | None:
            now: str | None = (await hermes.http.get("/hermes/improvements")).json()["searched_at"]
            return now if now != before else None

        seen = None
        for _ in range(4):
            seen = await until(lambda seen=seen: later_than(seen))
        state = (await hermes.http.get("/hermes/improvements")).json()
        assert state["is_periodic"]
        assert state["next_search_at"] is not None

        async def few() -> bool | None:
            jobs = (await hermes.http.get("/hermes/jobs", params={"kind": "improvements"})).json()["items"]
            return True if len(jobs) <= 3 else None  # two, and the one that may be under way

        await until(few)


async def test_without_network_the_search_is_off_makes_no_jobs_and_comes_back(hermes_at, hub):
    publish(hub, "lab/kept-code")
    away = hub.inject("/api/models*", "close")
    async with hermes_at(hermes_search_interval=0.05) as hermes:
        await keep(hermes, "lab/kept-code", specialty="code")

        async def is_off() -> bool | None:
            return None if (await hermes.http.get("/hermes/improvements")).json()["is_periodic"] else True

        await until(is_off)
        assert (await hermes.http.get("/hermes/jobs", params={"kind": "improvements"})).json()["items"] == []
        away.times = 0

        async def has_searched() -> bool | None:
            state = (await hermes.http.get("/hermes/improvements")).json()
            return True if state["searched_at"] and state["is_periodic"] else None

        await until(has_searched)


async def test_a_search_that_breaks_does_not_end_the_loop(hermes_at, hub):
    publish(hub, "lab/kept-code")
    fault = hub.inject("/api/models/lab/kept-code", "status", status=500)
    async with hermes_at(hermes_search_interval=0.05) as hermes:
        await keep(hermes, "lab/kept-code", specialty="code")

        async def failed() -> bool | None:
            jobs = (await hermes.http.get("/hermes/jobs", params={"status": "ERROR"})).json()["items"]
            return True if jobs else None

        await until(failed)
        fault.times = 0

        async def has_searched() -> bool | None:
            return (await hermes.http.get("/hermes/improvements")).json()["searched_at"] and True

        await until(has_searched)
