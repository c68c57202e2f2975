"""Mixes as jobs, through the HTTP API: made, followed, repeated, cancelled, refused."""

import asyncio
import os
import signal
from typing import Any

import pytest
import pytest_asyncio

from config.contracts.common import Job
from config.contracts.shub import MixResult
from tests.shub.conftest import Shub, problem, until
from tests.shub.files import BAD_INSIDE, RATE, tone
from tests.shub.signals import Reading, uneven_stems, write

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def stems(shub, tmp_path) -> list[str]:
    return [(await shub.upload(path))["asset_id"] for path in uneven_stems(tmp_path, 4.0)]


@pytest_asyncio.fixture(loop_scope="module")
async def long_mix(shub, tmp_path) -> dict[str, Any]:
    """An order that takes a while: ten seconds, eight times, at 192 kHz."""
    asset = await shub.upload(write(tmp_path / "x.wav", tone(1, 10.0), RATE, "PCM_16"))
    return {"stems": [{"asset_id": asset["asset_id"]}] * 8, "sample_rate_hz": 192_000}


async def hold(shub: Shub, job_id: str) -> int:
    """Stop the process of a running job in its tracks, so that the job takes for ever; returns its pid."""
    await shub.job_when(job_id, lambda job: job["progress"] > 0.0)
    (pid,) = shub.app.state.pool.busy_pids
    os.kill(pid, signal.SIGSTOP)
    return pid


async def result_of(shub: Shub, order: dict[str, object], **headers: str) -> MixResult:
    answer = await shub.http.post("/shub/mix", json=order, headers=headers)
    assert answer.status_code == 202, answer.text
    job = await shub.finished(Job.model_validate(answer.json()).job_id)
    assert job["status"] == "DONE", job["error"]
    assert job["progress"] == 1.0
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    return MixResult.model_validate(job["result"])


@pytest.mark.parametrize(("format_", "bits"), [("wav", 24), ("flac", 16)])
async def test_three_uneven_stems_become_a_mix_at_its_target(shub, stems, tmp_path, format_, bits):
    order = {"stems": [{"asset_id": one} for one in stems], "target_lufs": -14, "format": format_, "bit_depth": bits}
    result = await result_of(shub, order | {"name": "canción"})
    asset = (await shub.http.get(f"/shub/assets/{result.asset_id}")).json()
    assert asset["name"] == f"canción.{format_}"
    got = await shub.http.get(f"/shub/assets/{result.asset_id}/content")
    (tmp_path / "mix").write_bytes(got.content)
    heard = Reading.of_file(tmp_path / "mix")
    assert heard.integrated_lufs == pytest.approx(-14.0, abs=0.1)
    assert heard.true_peak_dbtp <= -1.0
    assert result.integrated_lufs == pytest.approx(heard.integrated_lufs, abs=0.02)
    assert result.shortfall_lu == 0
    assert [stem.role for stem in result.stems] == ["vocal", "drums", "bass"]  # voz, bateria, bass
    assert {stem.role_source for stem in result.stems} == {"name"}
    assert asset["provenance"]["order"]["target_lufs"] == -14
    assert [one["asset_id"] for one in asset["provenance"]["inputs"]] == stems
    assert all(len(one["sha256"]) == 64 for one in asset["provenance"]["inputs"])
    assert {"shub", "numpy", "numba", "libsndfile", "soxr"} <= set(asset["provenance"]["versions"])
    assert shub.unfinished() == []


async def test_roles_gains_and_places_are_taken(shub, stems):
    asked = [{"asset_id": stems[0], "role": "pad", "gain_db": 3, "pan": -0.5}, {"asset_id": stems[1], "role": "vocal"}]
    pad, vocal = (await result_of(shub, {"stems": asked})).stems
    assert (pad.role, pad.role_source, pad.pan) == ("pad", "request", -0.5)
    assert pad.integrated_lufs + pad.gain_db == pytest.approx(-28.0 + 3.0, abs=0.01)
    assert vocal.integrated_lufs + vocal.gain_db == pytest.approx(-20.0, abs=0.01)


async def test_inputs_are_never_changed(shub, stems, tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in shub.files()}
    await result_of(shub, {"stems": [{"asset_id": one} for one in stems], "target_lufs": -20})
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in shub.files()}.items()


async def test_the_shortfall_is_told_where_the_ceiling_wins(shub, tmp_path):
    clicks = tone(1, 4.0) * 0.0
    clicks[::8_000] = 0.9
    asset = await shub.upload(write(tmp_path / "clicks.wav", clicks, RATE, "PCM_24"))
    result = await result_of(shub, {"stems": [{"asset_id": asset["asset_id"]}], "target_lufs": -5, "ceiling_dbtp": -3})
    assert result.true_peak_dbtp <= -3.0
    assert result.shortfall_lu > 3.0
    codes = {warning.code for warning in result.warnings}
    assert codes == {"loudness_target_implausible", "loudness_shortfall", "heavy_limiting"}
    assert all(warning.text_es for warning in result.warnings)


async def test_silence_is_mixed_with_a_word(shub, tmp_path):
    asset = await shub.upload(write(tmp_path / "nada.wav", tone(2, 1.0) * 0.0, RATE, "PCM_16"))
    result = await result_of(shub, {"stems": [{"asset_id": asset["asset_id"]}]})
    assert result.integrated_lufs is None
    assert result.true_peak_dbtp is None
    assert {warning.code for warning in result.warnings} == {"stem_silent", "mix_silent"}
    assert all(warning.text_es for warning in result.warnings)


async def test_the_ceiling_holds_for_a_mix_that_is_too_short_to_have_a_loudness(shub, tmp_path):
    loud = await shub.upload(write(tmp_path / "hit.wav", 3 * tone(2, 0.2), RATE, "FLOAT"))
    stems = [{"asset_id": loud["asset_id"], "gain_db": 12, "chain": [{"type": "gain", "gain_db": 20}]}]
    result = await result_of(shub, {"stems": stems, "preview": {"start_seconds": 0}})
    assert result.integrated_lufs is None
    assert result.true_peak_dbtp <= -1.0
    assert result.limiter_reduction_db > 20
    assert "may_clip" in {warning.code for warning in result.warnings}
    assert all(warning.text_es for warning in result.warnings)


async def test_a_stem_that_is_broken_inside_fails_the_job_and_is_named(shub, stems, tmp_path):
    bad = await shub.upload(BAD_INSIDE["a NaN"][1](tmp_path / "coro roto.wav"))
    held = shub.files()
    order = {"stems": [{"asset_id": stems[0]}, {"asset_id": bad["asset_id"]}]}
    job = await shub.finished((await shub.http.post("/shub/mix", json=order)).json()["job_id"])
    assert job["status"] == "ERROR"
    assert job["error"].startswith("not_finite_audio: stem 'coro roto.wav'")
    assert job["result"] is None
    assert shub.files() == held
    assert shub.unfinished() == []


async def test_the_same_key_at_the_same_time_is_one_job(shub, stems):
    order, headers = {"stems": [{"asset_id": stems[0]}], "target_lufs": -17}, {"Idempotency-Key": "plan_9:s2"}
    answers = await asyncio.gather(*(shub.http.post("/shub/mix", json=order, headers=headers) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    (job_id,) = {answer.json()["job_id"] for answer in answers}
    done = await shub.finished(job_id)
    again = await shub.http.post("/shub/mix", json=order, headers=headers)
    assert again.json() == done
    other = await shub.http.post("/shub/mix", json=order | {"target_lufs": -18}, headers=headers)
    problem(other, 409, "idempotency_conflict")


async def test_a_cancelled_job_stops_its_process_and_leaves_nothing(shub, long_mix):
    held = shub.files()
    job_id = (await shub.http.post("/shub/mix", json=long_mix)).json()["job_id"]
    pid = await hold(shub, job_id)
    cancelled = (await shub.http.post(f"/shub/jobs/{job_id}/cancel")).json()
    assert cancelled["status"] == "CANCELLED"
    assert cancelled["finished_at"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)  # gone before the answer was
    assert shub.files() == held
    assert shub.unfinished() == []
    assert (await shub.http.post(f"/shub/jobs/{job_id}/cancel")).json() == cancelled


async def test_behind_a_mix_jobs_wait_and_measuring_does_not_and_who_waits_can_be_cancelled(shub, long_mix, stems):
    first = (await shub.http.post("/shub/mix", json=long_mix)).json()["job_id"]
    second = (await shub.http.post("/shub/mix", json=long_mix | {"target_lufs": -20})).json()["job_id"]
    third = (await shub.http.post("/shub/mix", json={"stems": [{"asset_id": stems[0]}]})).json()["job_id"]
    await hold(shub, first)
    assert (await shub.http.post("/shub/analyze", json={"asset_id": stems[0]})).status_code == 200
    assert (await shub.http.get(f"/shub/jobs/{first}")).json()["status"] == "RUNNING"
    assert (await shub.http.get(f"/shub/jobs/{second}")).json()["status"] == "PENDING"
    assert (await shub.http.post(f"/shub/jobs/{second}/cancel")).json()["status"] == "CANCELLED"
    assert (await shub.http.post(f"/shub/jobs/{first}/cancel")).json()["status"] == "CANCELLED"
    assert (await shub.finished(third))["status"] == "DONE"


async def test_a_finished_job_stays_finished(shub, stems):
    job_id = (await shub.http.post("/shub/mix", json={"stems": [{"asset_id": stems[0]}]})).json()["job_id"]
    done = await shub.finished(job_id)
    assert (await shub.http.post(f"/shub/jobs/{job_id}/cancel")).json() == done
    problem(await shub.http.post("/shub/jobs/nope/cancel"), 404, "job_not_found")


async def test_jobs_are_listed_by_status(shub, stems):
    await result_of(shub, {"stems": [{"asset_id": stems[0]}]})
    done = (await shub.http.get("/shub/jobs", params={"status": ["DONE"], "limit": 1})).json()
    assert [job["status"] for job in done["items"]] == ["DONE"]
    running = (await shub.http.get("/shub/jobs", params={"status": ["PENDING", "RUNNING"]})).json()
    assert running == {"items": [], "next_cursor": None}
    assert (await shub.http.get("/shub/jobs", params={"status": "SLEEPING"})).status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stems": []}, "stems"),
        ({"stems": [{"asset_id": "x"}] * 65}, "stems"),
        ({"target_lufs": 3}, "target_lufs"),
        ({"target_lufs": "loud"}, "target_lufs"),
        ({"ceiling_dbtp": 1}, "ceiling_dbtp"),
        ({"format": "mp4"}, "format"),
        ({"bit_depth": 20}, "bit_depth"),
        ({"format": "flac", "bit_depth": 32}, "bit_depth"),
        ({"sample_rate_hz": 1_000}, "sample_rate_hz"),
        ({"name": "../x"}, "name"),
        ({"stems": [{"asset_id": "x", "pan": 2}]}, "pan"),
        ({"stems": [{"asset_id": "x", "gain_db": 100}]}, "gain_db"),
        ({"stems": [{"asset_id": "x", "role": "tuba solo"}]}, "role"),
        ({"stems": [{"asset_id": "x", "chain": [{"type": "sparkle"}]}]}, "chain"),
        ({"chain": [{"type": "normalize", "target_lufs": -14}]}, "chain.0 (normalize)"),
        ({"stems": [{"asset_id": "x", "is_muted": True}]}, "stems"),
        (
            {"stems": [{"asset_id": "x", "chain": [{"type": "gain", "gain_db": 0}] * 61}], "auto": {"masking": True}},
            "stems.0.chain: at most 60 effects",
        ),
    ],
)
async def test_an_impossible_order_names_the_field(shub, change, field):
    order = {"stems": [{"asset_id": "x"}]} | change
    assert field in problem(await shub.http.post("/shub/mix", json=order), 422, "invalid_request")["detail"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1e999"])
async def test_numbers_that_are_none_are_refused(shub, value):
    body = f'{{"stems": [{{"asset_id": "x"}}], "target_lufs": {value}}}'
    answer = await shub.http.post("/shub/mix", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)


async def test_a_stem_that_is_not_there_is_404_and_makes_no_job(shub, stems):
    before = (await shub.http.get("/shub/jobs")).json()
    order = {"stems": [{"asset_id": stems[0]}, {"asset_id": "asset_gone"}]}
    assert "asset_gone" in problem(await shub.http.post("/shub/mix", json=order), 404, "asset_not_found")["detail"]
    assert (await shub.http.get("/shub/jobs")).json() == before


async def test_a_worker_that_dies_is_replaced_and_the_mix_is_made(shub, long_mix):
    order = {"stems": long_mix["stems"][:2], "sample_rate_hz": 96_000}
    job_id = (await shub.http.post("/shub/mix", json=order)).json()["job_id"]
    pid = await hold(shub, job_id)
    os.kill(pid, signal.SIGKILL)

    async def another_worker() -> bool | None:
        return True if shub.app.state.pool.busy_pids not in ([], [pid]) else None

    await until(another_worker)
    assert (await shub.finished(job_id))["status"] == "DONE"
    assert shub.unfinished() == []


async def test_a_job_whose_workers_keep_dying_ends_with_an_error(shub, long_mix):
    job_id = (await shub.http.post("/shub/mix", json=long_mix)).json()["job_id"]
    killed: list[int] = []

    async def ended() -> bool | None:
        for pid in shub.app.state.pool.busy_pids:
            if pid not in killed:
                killed.append(pid)
                os.kill(pid, 9)
        return True if (await shub.http.get(f"/shub/jobs/{job_id}")).json()["status"] == "ERROR" else None

    await until(ended)
    assert len(killed) == 2
    job = await shub.finished(job_id)
    assert job["error"].startswith("audio_worker_lost")
