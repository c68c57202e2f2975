"""A hub that is down, slow, unwell or a liar: nothing wrong is registered, nothing partial is seen, and the error says what to do."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from config.errors import UpstreamUnavailable
from hermes import fetch
from hermes.registry import ModelRegistry
from tests.fakes.hub import GOOD_TOKEN
from tests.fakes.model_files import gguf
from tests.hermes.conftest import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = gguf(parameters=65536, seed=3)
FILE = "tiny.Q4_K_M.gguf"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(fetch, "FIRST_DELAY_SECONDS", 0.01)


async def ordered(hermes, model_id: str, **more: Any) -> str:
    answer = await hermes.http.post("/hermes/download", json={"model_id": model_id, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


async def outcome(hermes, model_id: str, **more: Any) -> dict[str, Any]:
    return await hermes.finished(await ordered(hermes, model_id, **more))


def content_of(path: str) -> bytes:
    return Path(path).read_bytes()


def seen(hermes) -> list[Path]:
    """Everything in the folder of the models that is not a room for the unfinished."""
    folder = hermes.settings.state_dir / "models"
    return [path for path in folder.glob("*--*/*/*") if not path.is_relative_to(folder / ".parts")]


def unfinished(hermes) -> list[Path]:
    return [path for path in (hermes.settings.state_dir / "models" / ".parts").rglob("*") if path.is_file()]


async def require_nothing_seen(hermes, model_id: str) -> None:
    assert not [path for path in seen(hermes) if model_id.replace("/", "--") in str(path)]
    rows = (await hermes.hermes_db.get("/hermes_db/models", params={"active": "all", "search": model_id})).json()
    assert rows["items"] == []


@pytest.mark.parametrize("kind", ["corrupt", "truncate", "long_length", "endless"])
async def test_wrong_bytes_are_fetched_again_then_the_job_fails_and_nothing_is_kept(hermes, hub, kind):
    hub.add(f"liar/{kind}", {FILE: CONTENT, "config.json": b"{}"})
    hub.inject("/cdn/*", kind)
    before = unfinished(hermes)
    job = await outcome(hermes, f"liar/{kind}")
    assert job["status"] == "ERROR"
    assert job["error"].startswith("hub_file_wrong: ")
    assert FILE in job["error"]
    assert len(hub.requests("/cdn/*")) == 1 + fetch.MOST_WRONG
    await require_nothing_seen(hermes, f"liar/{kind}")
    assert unfinished(hermes) == before


async def test_a_file_that_came_wrong_once_is_fetched_again_alone(hermes, hub):
    hub.add("liar/once", {FILE: CONTENT, "config.json": b"{}", "README.md": b"x"})
    hub.inject("/cdn/*", "corrupt", times=1)
    hub.inject("*/config.json", "corrupt", times=1)
    job = await outcome(hermes, "liar/once")
    assert job["status"] == "DONE", job["error"]
    assert content_of(job["result"]["path"]) == CONTENT
    assert len(hub.requests("/cdn/*")) == 2
    assert len(hub.requests("*/resolve/*/config.json")) == 2
    assert len(hub.requests("*/resolve/*/README.md")) == 1


@pytest.mark.parametrize("told", [{"size_bytes": len(CONTENT) - 7}, {"size_bytes": 10**8}, {"sha256": "ab" * 32}])
async def test_a_hub_that_lies_about_size_or_hash_is_not_believed(hermes, hub, told):
    name = f"liar/says-{next(iter(told))}-{next(iter(told.values()))}"
    hub.add(name, {FILE: CONTENT})
    hub.lie(name, FILE, **told)
    job = await outcome(hermes, name)
    assert job["status"] == "ERROR", job
    assert job["error"].startswith(("hub_file_wrong: ", "download_broken: ")), job["error"]
    await require_nothing_seen(hermes, name)


async def test_a_cut_connection_goes_on_where_it_broke(hermes, hub):
    hub.add("cutter/one", {FILE: CONTENT})
    hub.inject("/cdn/*", "cut", times=1)
    job = await outcome(hermes, "cutter/one")
    assert job["status"] == "DONE", job["error"]
    half = len(CONTENT) // 2
    assert [asked.range for asked in hub.requests("/cdn/*")] == [None, f"bytes={half}-"]
    assert hub.sent_bytes("/cdn/*") == len(CONTENT)


async def test_a_server_without_ranges_begins_anew_and_the_file_is_whole(hermes, hub):
    hub.add("cutter/norange", {FILE: CONTENT})
    hub.inject("/cdn/*", "ignore_range")
    hub.inject("/cdn/*", "cut", times=1)
    job = await outcome(hermes, "cutter/norange")
    assert job["status"] == "DONE", job["error"]
    assert content_of(job["result"]["path"]) == CONTENT


async def test_a_hub_that_always_breaks_off_is_given_up_and_asking_again_goes_on(hermes, hub):
    hub.add("cutter/all", {FILE: CONTENT})
    fault = hub.inject("/cdn/*", "cut", at_byte=1000)
    job = await outcome(hermes, "cutter/all")
    assert job["status"] == "ERROR"
    assert job["error"].startswith("download_broken: ")
    assert f"{1000 * fetch.MOST_FRUITLESS} of its {len(CONTENT)} bytes are here" in job["error"]
    await require_nothing_seen(hermes, "cutter/all")
    fault.times = 0
    again = await outcome(hermes, "cutter/all")
    assert again["status"] == "DONE", again["error"]
    assert hub.requests("/cdn/*")[-1].range == f"bytes={1000 * fetch.MOST_FRUITLESS}-"


async def test_what_a_download_that_was_given_up_left_is_there_after_a_restart_and_gone_after_a_day(hermes_at, hub):
    hub.add("cutter/restart", {FILE: CONTENT})
    fault = hub.inject("/cdn/*", "cut", at_byte=1000)
    async with hermes_at() as hermes:
        assert "asking again goes on there" in (await outcome(hermes, "cutter/restart"))["error"]
        [part] = unfinished(hermes)
    fault.times = 0
    async with hermes_at() as hermes:
        job = await outcome(hermes, "cutter/restart")
        assert job["status"] == "DONE", job["error"]
        assert hub.requests("/cdn/*")[-1].range == f"bytes={1000 * fetch.MOST_FRUITLESS}-"
    old = part.parent.parent / "somebody-gave-up"
    old.mkdir()
    os.utime(old, (0, 0))
    async with hermes_at():
        assert not old.exists()


async def test_retry_after_is_waited_for_and_shown(hermes, hub):
    hub.add("busy/one", {FILE: CONTENT})
    hub.inject("*/resolve/*", "status", status=429, headers={"Retry-After": "1"}, times=1)
    job_id = await ordered(hermes, "busy/one")
    waiting = await hermes.job_when(job_id, lambda job: "429" in job["detail"] or job["status"] == "DONE")
    assert "going on in 1 s" in waiting["detail"]
    assert (await hermes.finished(job_id))["status"] == "DONE"


async def test_a_hub_that_asks_for_an_hour_is_not_waited_for(hermes, hub):
    hub.add("busy/long", {FILE: CONTENT})
    hub.inject("*/resolve/*", "status", status=503, headers={"Retry-After": "3600"})
    job = await outcome(hermes, "busy/long")
    assert job["error"].startswith("download_broken: ")
    assert "3600 seconds" in job["error"]


async def test_a_hub_that_fails_now_and_then_does_not_matter(hermes, hub):
    hub.add("busy/unwell", {FILE: CONTENT})
    hub.inject("/cdn/*", "close", times=1)
    hub.inject("*/resolve/*", "status", status=502, times=1)
    job = await outcome(hermes, "busy/unwell")
    assert job["status"] == "DONE", job["error"]


async def test_circles_and_addresses_that_are_none_end_the_download(hermes, hub):
    hub.add("circle/one", {FILE: CONTENT})
    hub.inject("*/resolve/*", "redirect_loop")
    job = await outcome(hermes, "circle/one")
    assert "redirected more than 5 times" in job["error"]
    assert len(hub.requests("*/resolve/*")) == 6
    hub.add("circle/file", {FILE: CONTENT})
    hub.inject("*/resolve/*", "status", status=302, headers={"Location": "file:///etc/passwd"})
    job = await outcome(hermes, "circle/file")
    assert "not an address to fetch from" in job["error"]
    for number, location in enumerate(
        ("http://[bad", "http://a..b/x", f"http://{'x' * 70}/", "http://127.0.0.1:99999/")
    ):
        hub.add(f"circle/no{number}", {FILE: CONTENT})
        hub.inject("*/resolve/*", "status", status=302, headers={"Location": location})
        job = await outcome(hermes, f"circle/no{number}")
        assert job["error"].startswith("download_broken: "), (location, job["error"])


async def test_a_redirect_never_leads_from_https_to_http():
    assert fetch.redirected("https://a/x", "https://b/y?q=ñ") == "https://b/y?q=%C3%B1"
    assert fetch.redirected("https://a/x/y", "../z") == "https://a/z"
    with pytest.raises(fetch.DownloadBroken, match="from https to http"):
        fetch.redirected("https://a/x", "http://a/x")


async def test_a_silent_hub_is_given_up_and_says_which_setting_counts(hermes_at, hub):
    hub.add("slow/one", {FILE: CONTENT})
    hub.inject("/cdn/*", "hold", at_byte=100)
    async with hermes_at(hermes_hub_timeout=0.2) as hermes:
        job_id = await ordered(hermes, "slow/one")
        job = await hermes.finished(job_id)
    assert "fell silent" in job["error"]


async def test_slow_is_not_silent(hermes_at, hub):
    hub.add("slow/two", {FILE: CONTENT})
    hub.inject("/cdn/*", "slow", pause_seconds=0.03)
    async with hermes_at(hermes_hub_timeout=0.5) as hermes:
        job = await outcome(hermes, "slow/two")
    assert job["status"] == "DONE", job["error"]


async def test_a_hub_that_lets_fall_a_drop_now_and_then_is_given_up_and_asking_again_goes_on(hermes, hub, monkeypatch):
    hub.add("slow/drops", {FILE: CONTENT})
    monkeypatch.setattr(fetch, "CRAWL_SECONDS", 0.0)
    monkeypatch.setattr(fetch, "CRAWL_BYTES", 2**40)
    fault = hub.inject("/cdn/*", "slow", pause_seconds=0.0)
    large = gguf(parameters=1024 * 1024, seed=5)
    hub.add("slow/drops", {FILE: large})
    job = await outcome(hermes, "slow/drops")
    assert job["error"].startswith("download_broken: ")
    assert "bytes came in" in job["error"]
    monkeypatch.setattr(fetch, "CRAWL_BYTES", 0)
    fault.times = 0
    job = await outcome(hermes, "slow/drops")
    assert job["status"] == "DONE", job["error"]
    assert hub.requests("/cdn/*")[-1].range is not None


async def test_a_disk_that_others_fill_meanwhile_ends_the_download_while_there_is_room_to_tell(
    hermes, hub, monkeypatch
):
    hub.add("large/meanwhile", {FILE: CONTENT})
    monkeypatch.setattr(fetch, "LEAST_FREE_BYTES", 2**62)
    job = await outcome(hermes, "large/meanwhile")
    assert job["error"].startswith("storage_full: ")
    await require_nothing_seen(hermes, "large/meanwhile")


async def test_a_folder_with_the_name_of_our_own_record_is_refused(hermes, hub):
    hub.add("liar/record", {f".vx11.json/{FILE}": CONTENT})
    answer = await hermes.http.post("/hermes/download", json={"model_id": "liar/record"})
    assert "hidden folder" in problem(answer, 422, "file_refused")["detail"]


async def test_a_gated_model_says_where_its_licence_is_accepted(hermes, hub):
    hub.add("gate/one", {FILE: CONTENT}, gated="manual")
    job = await outcome(hermes, "gate/one")
    assert job["error"].startswith("gated_model: ")
    assert f"{hub.url}/gate/one" in job["error"]
    assert "VX11_HERMES_HUB_TOKEN" in job["error"]


async def test_a_bad_token_says_which_setting_to_change(hermes_at, hub):
    hub.add("gate/two", {FILE: CONTENT})
    async with hermes_at(hermes_hub_token="hf_wrong") as hermes:
        told = problem(
            await hermes.http.post("/hermes/download", json={"model_id": "gate/two"}), 403, "hub_token_refused"
        )
    assert "VX11_HERMES_HUB_TOKEN" in told["detail"]


async def test_a_gated_model_comes_with_a_token_that_was_granted(hermes_at, hub):
    hub.add("gate/three", {FILE: CONTENT}, gated="auto").granted.add(GOOD_TOKEN)
    async with hermes_at(hermes_hub_token=GOOD_TOKEN) as hermes:
        assert (await outcome(hermes, "gate/three"))["status"] == "DONE"
    assert not hub.leaked


async def test_an_absent_hub_is_told_at_once(hermes_at):
    async with hermes_at(hermes_hub_url="http://127.0.0.1:1") as hermes:
        told = problem(await hermes.http.post("/hermes/download", json={"model_id": "a/b"}), 503, "hub_unreachable")
    assert "VX11_HERMES_HUB_URL" in told["detail"]


async def test_more_than_the_limit_is_refused_before_anything_is_fetched(hermes_at, hub):
    hub.add("large/one", {FILE: CONTENT})
    async with hermes_at(hermes_download_limit_bytes=len(CONTENT) - 1) as hermes:
        told = problem(
            await hermes.http.post("/hermes/download", json={"model_id": "large/one"}), 422, "model_too_large"
        )
    assert "VX11_HERMES_DOWNLOAD_LIMIT_BYTES" in told["detail"]
    assert not hub.requests("*/resolve/*")


async def test_a_full_disk_is_told_before_anything_is_fetched(hermes, hub, monkeypatch):
    hub.add("large/two", {FILE: CONTENT})
    monkeypatch.setattr("hermes.store.ModelStore.free_bytes", lambda _self: len(CONTENT))
    told = problem(await hermes.http.post("/hermes/download", json={"model_id": "large/two"}), 507, "storage_full")
    assert "remove models" in told["detail"]
    assert not hub.requests("*/resolve/*")


async def test_what_the_hub_lists_and_is_no_model_is_refused_whole(hermes, hub):
    hub.add("broken/gguf", {FILE: b"GGUF" + b"\xff" * 500})
    job = await outcome(hermes, "broken/gguf")
    assert job["error"].startswith("hub_file_wrong: ")
    assert "no gguf file" in job["error"]
    await require_nothing_seen(hermes, "broken/gguf")
    hub.add("broken/tensors", {"model.safetensors": b"\xff" * 64})
    assert "no safetensors file" in (await outcome(hermes, "broken/tensors"))["error"]


async def test_a_cancelled_download_leaves_nothing(hermes, hub):
    hub.add("cancel/one", {FILE: CONTENT})
    hub.inject("/cdn/*", "hold", at_byte=5000)
    before = unfinished(hermes)
    job_id = await ordered(hermes, "cancel/one")
    await hermes.job_when(job_id, lambda job: job["done_bytes"] == 5000)
    assert len(unfinished(hermes)) == len(before) + 1
    cancelled = (await hermes.http.post(f"/hermes/jobs/{job_id}/cancel")).json()
    assert cancelled["status"] == "CANCELLED"
    assert unfinished(hermes) == before
    await require_nothing_seen(hermes, "cancel/one")


async def test_the_same_download_twice_at_once_is_one_job(hermes, hub):
    hub.add("twice/one", {FILE: CONTENT})
    hub.inject("/cdn/*", "hold", at_byte=10)
    first = await ordered(hermes, "twice/one")
    second = await ordered(hermes, "twice/one", quantization="Q4_K_M")
    assert first == second
    hub.go_on.set()
    assert (await hermes.finished(first))["status"] == "DONE"
    assert len(hub.requests("/cdn/*")) == 1


async def test_no_more_than_two_downloads_run_at_once(hermes, hub):
    for number in range(3):
        hub.add(f"queue/m{number}", {FILE: gguf(seed=50 + number)})
    hub.inject("/cdn/*", "hold", at_byte=10)
    jobs = [await ordered(hermes, f"queue/m{number}") for number in range(3)]
    for job_id in jobs[:2]:
        await hermes.job_when(job_id, lambda job: job["done_bytes"] == 10)
    assert (await hermes.http.get(f"/hermes/jobs/{jobs[2]}")).json()["status"] == "PENDING"
    hub.go_on.set()
    assert [(await hermes.finished(job_id))["status"] for job_id in jobs] == ["DONE"] * 3


async def test_a_registry_that_is_down_at_the_end_leaves_nothing_to_be_seen_and_nothing_to_be_fetched_again(
    hermes, hub, monkeypatch
):
    hub.add("late/one", {FILE: CONTENT, "config.json": b"{}"})
    kept = ModelRegistry.keep

    async def is_down(*_args: Any, **_options: Any) -> Any:
        raise UpstreamUnavailable("hermes_db cannot be reached")

    monkeypatch.setattr(ModelRegistry, "keep", is_down)
    job = await outcome(hermes, "late/one")
    assert job["error"] == "upstream_unavailable: hermes_db cannot be reached"
    await require_nothing_seen(hermes, "late/one")
    monkeypatch.setattr(ModelRegistry, "keep", kept)
    hub.asked.clear()
    assert (await outcome(hermes, "late/one"))["status"] == "DONE"
    assert not hub.requests("*/resolve/*")


async def test_a_download_that_is_ordered_while_the_same_one_is_being_cancelled_is_not_swept_away(hermes, hub):
    hub.add("cancel/again", {FILE: CONTENT})
    hub.inject("/cdn/*", "hold", at_byte=5000, times=1)
    first = await ordered(hermes, "cancel/again")
    await hermes.job_when(first, lambda job: job["done_bytes"] == 5000)
    cancelling = asyncio.create_task(hermes.http.post(f"/hermes/jobs/{first}/cancel"))
    second = await ordered(hermes, "cancel/again")
    assert (await cancelling).json()["status"] == "CANCELLED"
    if second == first:  # it came before the cancellation
        second = await ordered(hermes, "cancel/again")
    done = await hermes.finished(second)
    assert done["status"] == "DONE", done["error"]
    assert content_of(done["result"]["path"]) == CONTENT
