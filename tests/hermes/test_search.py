"""Searching: the real client against a hub on a real socket, and a catalogue."""

import asyncio
import json
from typing import Any

import pytest

from tests.fakes.hub import GOOD_TOKEN
from tests.fakes.model_files import gguf, onnx, pickled, safetensors
from tests.hermes.conftest import Hermes, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIG, SMALL = gguf(quantization="Q8_0", parameters=8192), gguf(quantization="Q4_K_M", parameters=8192)


async def search(hermes: Hermes, query: str = "code", **more: Any) -> dict[str, Any]:
    answer = await hermes.http.post("/hermes/search", json={"query": query} | more)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def names(found: dict[str, Any]) -> list[str]:
    return [item["model_id"] for item in found["items"]]


async def test_a_found_model_tells_its_files_sizes_hashes_licence_and_the_parts_of_its_score(hermes, hub, openrouter):
    made = hub.add(
        "lab/tiny-coder",
        {"tiny-Q8_0.gguf": BIG, "tiny-Q4_K_M.gguf": SMALL, "config.json": b"{}"},
        tags=["gguf", "arxiv:2401.00001", "dataset:x", "code"],
        downloads=100_000,
        likes=2_000,
        gguf={"context_length": 4096},
    )
    found = await search(hermes)
    assert found["warnings"] == []
    (item,) = found["items"]
    files = made.files_of("main")
    assert {file["path"]: (file["size_bytes"], file["sha256"]) for file in item["files"]} == {
        "tiny-Q8_0.gguf": (len(BIG), files["tiny-Q8_0.gguf"].sha256),
        "tiny-Q4_K_M.gguf": (len(SMALL), files["tiny-Q4_K_M.gguf"].sha256),
        "config.json": (2, None),
    }
    assert item["size_bytes"] == len(SMALL) < len(BIG)
    assert item["quantizations"] == ["Q4_K_M", "Q8_0"]
    assert (item["license"], item["model_type"], item["specialty"]) == ("apache-2.0", "gguf", "code")
    assert (item["revision"], item["context_length"], item["is_gated"], item["is_kept"]) == (
        made.sha,
        4096,
        False,
        False,
    )
    parts = item["parts"]
    assert parts["popularity"] == pytest.approx(0.7143, abs=1e-3)  # log(100001) / log(10000001)
    assert parts["like_ratio"] == pytest.approx(2_000 / 101_000 / 0.1, abs=1e-3)
    assert parts["quality_tags"] == 0.75  # a paper, its data, its licence; no evaluation
    assert parts["recency"] == pytest.approx(1.0, abs=0.01)
    weighted = 0.4 * parts["popularity"] + 0.2 * (parts["like_ratio"] + parts["quality_tags"] + parts["recency"])
    assert item["score"] == pytest.approx(weighted, abs=1e-3)


async def test_recency_is_how_long_ago_the_model_changed_whatever_its_downloads(hermes, hub, openrouter):
    hub.add("lab/old-code", {"a.gguf": SMALL}, downloads=9_000_000, last_modified="2020-01-01T00:00:00.000Z")
    hub.add("lab/new-code", {"a.gguf": SMALL}, downloads=1)
    found = await search(hermes, filters={"sort_by": "recency"})
    assert names(found) == ["lab/new-code", "lab/old-code"]
    assert found["items"][1]["parts"]["recency"] < 0.01 < 0.99 < found["items"][0]["parts"]["recency"]


async def test_results_come_from_all_pages_of_the_hub_and_no_more_than_asked_for(hermes, hub, openrouter):
    hub.page_size = 3
    for number in range(12):
        hub.add(f"lab/code-{number}", {"a-Q4_0.gguf": SMALL}, downloads=4**number, likes=0)
    found = await search(hermes, limit=5)
    assert names(found) == [f"lab/code-{number}" for number in (11, 10, 9, 8, 7)]
    assert len(hub.requests("/api/models")) > 1


@pytest.mark.parametrize(
    ("sort_by", "expected"),
    [
        ("downloads", ["lab/code-many", "lab/code-liked", "lab/code-light"]),
        ("likes", ["lab/code-liked", "lab/code-many", "lab/code-light"]),
        ("size", ["lab/code-light", "lab/code-liked", "lab/code-many"]),
    ],
)
async def test_results_are_sorted_as_asked(hermes, hub, openrouter, sort_by, expected):
    hub.add("lab/code-light", {"a-Q4_K_M.gguf": SMALL}, downloads=10, likes=1)
    hub.add("lab/code-many", {"a-F16.gguf": BIG + bytes(99)}, downloads=1000, likes=2)
    hub.add("lab/code-liked", {"a-Q8_0.gguf": BIG}, downloads=100, likes=90)
    assert names(await search(hermes, source="huggingface", filters={"sort_by": sort_by})) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"size_max": len(SMALL)}, {"lab/code-two"}),
        ({"license": "MIT"}, {"lab/code-safe", "lab/code-pickle"}),
        ({"model_type": "safetensors"}, {"lab/code-safe"}),
        ({"model_type": "onnx"}, {"lab/code-onnx"}),
        ({"specialty": "vision"}, {"lab/code-onnx"}),
        ({"specialty": "no_such_field"}, set()),
    ],
)
async def test_filters_keep_what_fits(hermes, hub, openrouter, filters, expected):
    hub.add("lab/code-two", {"a-Q8_0.gguf": BIG, "a-Q4_K_M.gguf": SMALL}, tags=["gguf"])
    hub.add("lab/code-safe", {"model.safetensors": safetensors(parameters=4096)}, tags=["safetensors"], license="mit")
    hub.add("lab/code-pickle", {"pytorch_model.bin": pickled()}, license="mit")
    hub.add(
        "lab/code-onnx",
        {"onnx/model.onnx": onnx() + bytes(len(SMALL))},
        tags=["onnx"],
        pipeline_tag="object-detection",
        license="gpl-3.0",
    )
    assert set(names(await search(hermes, source="huggingface", filters=filters))) == expected


async def test_filters_choose_between_models_here_and_elsewhere(hermes_at, hub, openrouter):
    hub.add("lab/code-here", {"a-Q4_K_M.gguf": SMALL}, tags=["gguf"])
    openrouter.add("far/code-away")
    async with hermes_at() as hermes:
        for filters, expected in (
            ({}, {"lab/code-here", "far/code-away"}),
            ({"model_type": "api"}, {"far/code-away"}),
            ({"model_type": "gguf"}, {"lab/code-here"}),
            ({"license": "apache-2.0"}, {"lab/code-here"}),  # the catalogue tells none
            ({"size_max": 1}, {"far/code-away"}),  # takes no room here
        ):
            assert set(names(await search(hermes, filters=filters))) == expected, filters


async def test_an_unknown_type_of_model_is_refused_with_the_ones_there_are(hermes, hub, openrouter):
    answer = await hermes.http.post("/hermes/search", json={"query": "x", "filters": {"model_type": "pytorch"}})
    assert "gguf, safetensors, onnx, api" in problem(answer, 422, "invalid_request")["detail"]
    assert hub.asked == []


async def test_a_model_with_nothing_but_pickle_is_shown_and_nothing_of_it_can_be_downloaded(hermes, hub, openrouter):
    hub.add("lab/code-pickle", {"pytorch_model.bin": pickled(), "config.json": b"{}"})
    (item,) = (await search(hermes))["items"]
    assert (item["model_type"], item["size_bytes"], item["quantizations"]) == (None, None, [])
    assert {file["path"]: file["format"] for file in item["files"]} == {
        "pytorch_model.bin": None,
        "config.json": "text",
    }
    assert item["fit"]["is_fitting"] is None
    assert "pickle" in item["fit"]["detail"]


async def test_names_that_lead_out_of_a_folder_or_hide_what_they_are_are_never_offered(hermes, hub, openrouter):
    bad = [
        "../up.gguf",
        "a/../../b.gguf",
        "/etc/c.gguf",
        "d\\..\\e.gguf",
        "f\u202egguf.exe",
        "g\n.gguf",
        "a//h.gguf",
        "./i.gguf",
    ]
    good = ["ordinary-Q4_0.gguf", "sub/modèle-Q8_0.gguf", "模型.gguf"]
    hub.add("lab/code-names", dict.fromkeys([*bad, *good], SMALL))
    (item,) = (await search(hermes))["items"]
    assert sorted(file["path"] for file in item["files"]) == sorted(good)


async def test_a_model_with_a_name_that_is_none_is_left_out(hermes, hub, openrouter):
    hub.add("lab/code", {"a.gguf": SMALL})
    hub.add("../../code", {"a.gguf": SMALL})
    hub.add("code/\u202egnp", {"a.gguf": SMALL})
    assert names(await search(hermes)) == ["lab/code"]


async def test_parts_of_one_quantisation_count_together_and_a_projector_is_no_version(hermes, hub, openrouter):
    hub.add(
        "lab/code-parts",
        {
            "m-Q4_K_M-00001-of-00002.gguf": SMALL,
            "m-Q4_K_M-00002-of-00002.gguf": SMALL + b"x",
            "mmproj-m-F16.gguf": b"GGUF",
            "Q8_0/m-Q8_0.gguf": BIG * 3,
        },
    )
    (item,) = (await search(hermes))["items"]
    assert item["size_bytes"] == 2 * len(SMALL) + 1
    assert item["quantizations"] == ["Q4_K_M", "Q8_0"]


async def test_a_gated_model_is_found_and_tells_where_its_licence_is_accepted(hermes, hub, openrouter):
    hub.add("lab/gated-code", {"a-Q4_0.gguf": SMALL}, gated="manual")
    (item,) = (await search(hermes))["items"]
    assert item["is_gated"]
    assert item["access_url"] == f"{hub.url}/lab/gated-code"
    assert item["size_bytes"] == len(SMALL)


async def test_what_is_too_large_for_this_machine_says_so_and_what_is_small_fits(hermes, hub, openrouter):
    hub.add("lab/code-small", {"a-Q4_0.gguf": SMALL})
    hub.add("lab/code-huge", {"a-Q4_0.gguf": SMALL})
    hub.lie("lab/code-huge", "a-Q4_0.gguf", size_bytes=10**15)
    fits = {item["model_id"]: item["fit"] for item in (await search(hermes))["items"]}
    assert fits["lab/code-small"]["is_fitting"]
    assert fits["lab/code-huge"]["is_fitting"] is False
    assert fits["lab/code-huge"]["needs_disk_bytes"] == 10**15 > fits["lab/code-huge"]["free_disk_bytes"] > 0
    assert "disk" in fits["lab/code-huge"]["detail"]
    assert "memory" in fits["lab/code-huge"]["detail"]


async def test_a_model_that_this_box_has_is_marked(hermes, hub, openrouter):
    hub.add("lab/code-here", {"a-Q4_0.gguf": SMALL})
    hub.add("lab/code-there", {"a-Q4_0.gguf": SMALL})
    await hermes.register(name="here", model_id="lab/code-here", source="huggingface")
    found = await search(hermes, source="huggingface")
    assert {item["model_id"]: item["is_kept"] for item in found["items"]} == {
        "lab/code-here": True,
        "lab/code-there": False,
    }


async def test_a_model_that_runs_elsewhere_has_prices_and_no_size(hermes_at, hub, openrouter):
    openrouter.add("far/coder", prompt="0.00000015", completion="-1", created=1_700_000_000, context_length=32_000)
    openrouter.add("far/painter", outputs=("image",))
    async with hermes_at() as hermes:
        (item,) = (await search(hermes, "coder", source="openrouter"))["items"]
    assert (item["source"], item["model_type"], item["size_bytes"]) == ("openrouter", "api", None)
    assert item["price_prompt_usd_per_token"] == 1.5e-7
    assert item["price_completion_usd_per_token"] is None  # it varies
    assert (item["context_length"], item["specialty"]) == (32_000, "code")
    assert item["created_at"].startswith("2023-11-14")
    assert item["fit"]["is_fitting"] is None
    assert hub.asked == []


# --- sources that misbehave ----------------------------------------------------------------------------------------


async def test_the_catalogue_is_read_to_its_last_page_and_asked_once_for_several_searches(hermes_at, hub, openrouter):
    openrouter.page_size = 2
    for number in range(5):
        openrouter.add(f"far/code-{number}")
    openrouter.models.insert(1, {"id": 7, "pricing": "free"})
    async with hermes_at() as hermes:
        first, second = await asyncio.gather(*(search(hermes, source="openrouter") for _ in range(2)))
    assert sorted(names(first)) == sorted(names(second)) == [f"far/code-{number}" for number in range(5)]
    assert len(openrouter.asked) == 3


async def test_the_catalogue_does_not_lead_to_another_host(hermes_at, hub, openrouter):
    openrouter.add("far/code")
    body = b'{"data": [{"id": "far/code"}], "links": {"next": "%s/api/v1/models"}}' % hub.url.encode()
    openrouter.answer = (200, body, {})
    async with hermes_at() as hermes:
        assert names(await search(hermes, source="openrouter")) == ["far/code"]
        for following in ("http://[bad", f"{openrouter.url}:x/", f"{openrouter.url}/\x01"):
            openrouter.answer = (
                200,
                json.dumps({"data": [{"id": "far/code"}], "links": {"next": following}}).encode(),
                {},
            )
            hermes.app.state.search._openrouter._kept = None
            answer = await hermes.http.post("/hermes/search", json={"query": "code", "source": "openrouter"})
            assert answer.status_code in (200, 503), answer.text
    assert hub.asked == []


async def test_a_catalogue_that_fails_is_a_warning_and_alone_it_is_the_error(hermes_at, hub, openrouter):
    hub.add("lab/code", {"a-Q4_0.gguf": SMALL})
    async with hermes_at() as hermes:
        for status, body in (
            (500, b""),
            (429, b""),
            (302, b""),
            (200, b"<html>"),
            (200, b'{"data": {}}'),
            (200, b'{"data": [1, 2]}'),
            (200, b"[" * 200_000),
        ):
            openrouter.answer = (status, body, {"Location": "/", "Retry-After": "9"})
            found = await search(hermes)
            assert names(found) == ["lab/code"]
            assert [(one["source"], one["code"]) for one in found["warnings"]] == [
                ("openrouter", "catalogue_unavailable")
            ]
            alone = await hermes.http.post("/hermes/search", json={"query": "code", "source": "openrouter"})
            assert "VX11_HERMES_OPENROUTER_URL" in problem(alone, 503, "catalogue_unavailable")["detail"]


@pytest.mark.parametrize(
    ("kind", "options", "status", "code", "says"),
    [
        ("close", {}, 503, "hub_unreachable", "VX11_HERMES_HUB_URL"),
        ("status", {"status": 503}, 503, "hub_unreachable", "503"),
        ("status", {"status": 429, "headers": {"Retry-After": "3000"}}, 429, "hub_rate_limited", "3000 s"),
        ("status", {"status": 429, "headers": {"RateLimit": '"api";r=0;t=55'}}, 429, "hub_rate_limited", "55 s"),
        (
            "status",
            {"status": 429, "headers": {"RateLimit": f"r=0;t={'9' * 400}"}},
            429,
            "hub_rate_limited",
            "999999999 s",
        ),
        ("redirect_loop", {}, 502, "hub_broken", "circles"),
        ("not_json", {}, 502, "hub_broken", "VX11_HERMES_HUB_URL"),
        ("nonsense", {"body": b'{"hello": "world"}'}, 502, "hub_broken", "no hub answers"),
        ("nonsense", {"body": b"[1, null]"}, 502, "hub_broken", "no hub answers"),
        ("status", {"status": 403}, 403, "hub_token_refused", "VX11_HERMES_HUB_TOKEN"),
    ],
)
async def test_a_hub_that_fails_is_a_warning_and_alone_it_is_the_error(
    hermes, hub, openrouter, kind, options, status, code, says
):
    hub.add("lab/code", {"a-Q4_0.gguf": SMALL})
    hub.inject("/api/models", kind, **options)
    both = await search(hermes)  # the catalogue is empty, and answers
    assert both["items"] == []
    assert [(one["source"], one["code"]) for one in both["warnings"]] == [("huggingface", code)]
    alone = await hermes.http.post("/hermes/search", json={"query": "code", "source": "huggingface"})
    assert says in problem(alone, status, code)["detail"]
    if "Retry-After" in options.get("headers", {}):
        assert alone.headers["retry-after"] == "3000"
    if kind != "redirect_loop":
        assert len(hub.requests("/api/models")) == 2  # a refusal is not asked again at once


async def test_a_silent_hub_is_left_after_the_time_that_the_setting_gives(hermes_at, hub, openrouter):
    hub.inject("/api/models", "silent")
    async with hermes_at(hermes_hub_timeout=0.5) as hermes:
        answer = await hermes.http.post("/hermes/search", json={"query": "code", "source": "huggingface"})
    assert "VX11_HERMES_HUB_TIMEOUT" in problem(answer, 503, "hub_unreachable")["detail"]


async def test_no_hub_and_no_catalogue_is_an_error_that_says_where_they_should_be(hermes_at, hub, openrouter):
    nowhere = {"hermes_hub_url": "http://127.0.0.1:1", "hermes_openrouter_url": "http://127.0.0.1:1"}
    async with hermes_at(**nowhere) as hermes:
        answer = await hermes.http.post("/hermes/search", json={"query": "code"})
    assert "VX11_HERMES_HUB_URL" in problem(answer, 503, "hub_unreachable")["detail"]


async def test_sizes_that_the_hub_does_not_tell_are_unknown_and_a_warning_says_why(hermes, hub, openrouter):
    hub.add("lab/code-a", {"a-Q4_0.gguf": SMALL}, downloads=100)
    hub.add("lab/code-b", {"a-Q4_0.gguf": SMALL}, downloads=10)
    hub.inject("/api/models/lab/code-b", "status", status=429)
    found = await search(hermes)
    assert [(item["model_id"], item["size_bytes"]) for item in found["items"]] == [
        ("lab/code-a", len(SMALL)),
        ("lab/code-b", None),
    ]
    assert [one["code"] for one in found["warnings"]] == ["hub_rate_limited"]
    below = await search(hermes, filters={"size_max": 10**9})
    assert names(below) == ["lab/code-a"]  # a size that nobody knows is not below a limit


async def test_a_model_that_goes_away_between_two_questions_is_left_out(hermes, hub, openrouter):
    hub.add("lab/code-a", {"a-Q4_0.gguf": SMALL})
    hub.add("lab/code-b", {"a-Q4_0.gguf": SMALL})
    hub.inject("/api/models/lab/code-b", "status", status=404, headers={"X-Error-Code": "RepoNotFound"})
    found = await search(hermes)
    assert (names(found), found["warnings"]) == (["lab/code-a"], [])


async def test_sizes_and_hashes_that_cannot_be_are_unknown(hermes, hub, openrouter):
    hub.add("lab/code", {"a-Q4_0.gguf": SMALL, "b-Q8_0.gguf": BIG})
    hub.lie("lab/code", "a-Q4_0.gguf", size_bytes=-5, sha256="../../x")
    (item,) = (await search(hermes))["items"]
    (told,) = [file for file in item["files"] if file["path"] == "a-Q4_0.gguf"]
    assert (told["size_bytes"], told["sha256"]) == (None, None)
    assert item["size_bytes"] == len(BIG)


# --- tokens --------------------------------------------------------------------------------------------------------


async def test_a_private_model_is_found_with_the_token_of_the_setting_and_a_refused_token_names_it(
    hermes_at, hub, openrouter
):
    hub.add("lab/private-code", {"a-Q4_0.gguf": SMALL}, is_private=True)
    async with hermes_at(hermes_hub_token=GOOD_TOKEN) as hermes:
        assert names(await search(hermes)) == ["lab/private-code"]
    hub.tokens.clear()
    async with hermes_at(hermes_hub_token=GOOD_TOKEN) as hermes:
        answer = await hermes.http.post("/hermes/search", json={"query": "code", "source": "huggingface"})
    detail = problem(answer, 403, "hub_token_refused")["detail"]
    assert "VX11_HERMES_HUB_TOKEN" in detail
    assert GOOD_TOKEN not in answer.text


async def test_the_token_that_hermes_db_keeps_is_used_where_no_setting_has_one(hermes_at, hub, openrouter):
    hub.add("lab/private-code", {"a-Q4_0.gguf": SMALL}, is_private=True)
    async with hermes_at() as hermes:
        kept = await hermes.hermes_db.post("/hermes_db/tokens", json={"service": "huggingface", "token": GOOD_TOKEN})
        assert kept.status_code in (200, 201), kept.text
        assert names(await search(hermes)) == ["lab/private-code"]
    assert {one.headers.get("authorization") for one in hub.asked} == {f"Bearer {GOOD_TOKEN}"}


async def test_a_token_that_is_stored_after_a_question_is_used_by_the_next(hermes_at, hub, openrouter):
    hub.add("lab/private-code", {"a-Q4_0.gguf": SMALL}, is_private=True)
    async with hermes_at() as hermes:
        assert names(await search(hermes)) == []
        await hermes.hermes_db.post("/hermes_db/tokens", json={"service": "huggingface", "token": GOOD_TOKEN})
        assert names(await search(hermes)) == ["lab/private-code"]


async def test_a_stored_token_that_may_not_be_read_now_is_told_where_it_is_missed(hermes_at, hub, openrouter):
    order = {"service": "huggingface", "token": GOOD_TOKEN, "addresses": ["192.0.2.1"]}
    async with hermes_at() as hermes:
        await hermes.hermes_db.post("/hermes_db/tokens", json=order)
        answer = await hermes.http.post("/hermes/download", json={"model_id": "lab/private-code"})
    assert (
        "the token `huggingface` in hermes_db could not be used: " in problem(answer, 404, "model_not_on_hub")["detail"]
    )


async def test_the_token_is_shown_to_no_other_host_by_a_redirect_or_a_next_page(hermes_at, hub, openrouter):
    hub.add("lab/code", {"a-Q4_0.gguf": SMALL})
    away = f"{hub.cdn_url}/api/models"
    for fault in (
        {"status": 307, "headers": {"Location": away}},
        {"status": 200, "body": b"[]", "headers": {"Link": f'<{away}>; rel="next"'}},
    ):
        hub.inject("/api/models", "status", **fault, times=1)
        async with hermes_at(hermes_hub_token=GOOD_TOKEN) as hermes:
            answer = await hermes.http.post("/hermes/search", json={"query": "code", "source": "huggingface"})
        problem(answer, 502, "hub_broken")
    assert [one.server for one in hub.requests("/api/models")] == ["hub", "cdn"] * 2
    assert hub.leaked == []


async def test_nothing_but_questions_about_models_reaches_the_hub_and_without_a_token_none_is_shown(
    hermes, hub, openrouter, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_theTokenOfThisUser")
    hub.add("lab/code", {"a-Q4_0.gguf": SMALL})
    await search(hermes)
    assert {one.path for one in hub.asked} == {"/api/models", "/api/models/lab/code"}
    assert all("authorization" not in one.headers for one in hub.asked)
