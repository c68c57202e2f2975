"""Measuring through the HTTP API, judged by libebur128."""

import asyncio

import numpy as np
import pytest
import soundfile

from config.contracts.shub_analysis import AudioAnalysis
from tests.shub.conftest import problem
from tests.shub.files import BAD_INSIDE, GOOD, RATE, good, tone
from tests.shub.music import song
from tests.shub.signals import Reading, steps, stereo, write

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def measured(shub, path, **options) -> AudioAnalysis:
    asset = await shub.upload(path)
    answer = await shub.http.post("/shub/analyze", json={"asset_id": asset["asset_id"], **options})
    assert answer.status_code == 200, answer.text
    return AudioAnalysis.model_validate(answer.json())


@pytest.mark.parametrize("kind", ["wav24", "flac", "mp3", "vorbis"])
async def test_it_reads_what_libebur128_reads(shub, tmp_path, kind):
    samples = stereo(steps(RATE, [(4, -30), (6, -12), (5, -20)]))
    path = write(tmp_path / "x", samples, RATE, **GOOD[kind])
    found, heard = await measured(shub, path), Reading.of_file(path)
    assert found.integrated_lufs == pytest.approx(heard.integrated_lufs, abs=0.05)
    assert found.true_peak_dbtp == pytest.approx(heard.true_peak_dbtp, abs=0.1)
    assert found.sample_peak_dbfs == pytest.approx(heard.sample_peak_dbfs, abs=0.02)
    assert (found.sample_rate_hz, found.channels, found.series) == (RATE, 2, None)
    assert found.duration_seconds == pytest.approx(soundfile.info(path).duration, abs=0.001)


async def test_everything_is_found_in_one_answer(shub, tmp_path):
    path = write(tmp_path / "song.wav", song(), RATE, "PCM_24")
    found = await measured(shub, path, target="apple_music")
    assert found.key is not None
    assert found.tempo is not None
    assert (found.key.name, round(found.tempo.bpm or 0)) == ("A minor", 120)
    assert found.peak_to_loudness_lu == pytest.approx(found.true_peak_dbtp - found.integrated_lufs, abs=0.002)
    assert found.stereo is not None
    assert found.stereo.correlation == 1.0
    assert len(found.octaves or []) == 10
    assert len(found.dc_offset or []) == 2
    said = {one.measure: one for one in found.verdicts}
    assert "Apple Music" in said["integrated_lufs"].text
    assert said["key"].text_es.startswith("La menor")
    assert {"clipping", "silences", "stereo", "tempo", "tonal_balance"} <= set(said)


async def test_without_details_there_is_loudness_alone_and_it_is_the_same(shub, tmp_path):
    path = write(tmp_path / "song.wav", song(), RATE, "PCM_24")
    whole, quick = await measured(shub, path), await measured(shub, path, details=False)
    assert (quick.clipping, quick.key, quick.octaves, quick.stereo) == (None, None, None, None)
    assert (quick.integrated_lufs, quick.true_peak_dbtp) == (whole.integrated_lufs, whole.true_peak_dbtp)
    assert {one.measure for one in quick.verdicts} < {one.measure for one in whole.verdicts}


async def test_silence_is_null(shub, tmp_path):
    path = write(tmp_path / "x.wav", np.zeros((RATE, 2)), RATE, "PCM_16")
    found = (await measured(shub, path, series=True)).model_dump()
    levels = {name: value for name, value in found.items() if name.endswith(("lufs", "lu", "dbtp", "dbfs", "_db"))}
    assert set(levels.values()) == {None}
    assert {band["level_db"] for band in found["third_octaves"]} == {None}
    assert {one["measure"]: one["verdict"] for one in found["verdicts"]}["silences"] == "problem"
    assert set(found["series"]["momentary_lufs"]) == {None}


async def test_one_sample_has_a_peak_and_no_loudness(shub, tmp_path):
    found = await measured(shub, write(tmp_path / "x.wav", np.full((1, 1), 0.5), RATE, "PCM_16"))
    assert found.integrated_lufs is None
    assert found.sample_peak_dbfs == pytest.approx(-6.02, abs=0.01)


async def test_the_series_follows_the_sound(shub, tmp_path):
    path = write(tmp_path / "x.wav", stereo(steps(RATE, [(3, -30), (3, -20)])), RATE, "PCM_24")
    series = (await measured(shub, path, series=True)).series
    assert series is not None
    assert series.step_seconds == 0.1
    assert len(series.momentary_lufs) == 57  # 6 s in steps of 0.1 s, less the first 0.4 s window
    assert series.momentary_lufs[0] == pytest.approx(-30, abs=0.1)
    assert series.momentary_lufs[-1] == pytest.approx(-20, abs=0.1)
    assert len(series.short_term_lufs) == 31


async def test_the_layout_changes_the_weights(shub, tmp_path):
    path = write(tmp_path / "x.wav", np.repeat(tone(1, 2.0), 4, axis=1), RATE, "PCM_24", format="WAVEX")
    usual = await measured(shub, path)
    asset = await shub.upload(path)
    body = {"asset_id": asset["asset_id"], "channel_layout": "5.1"}
    problem(await shub.http.post("/shub/analyze", json=body), 422, "unknown_channel_layout")
    same = await measured(shub, path, channel_layout="quad")
    assert same == usual


@pytest.mark.parametrize("name", BAD_INSIDE)
async def test_what_is_broken_inside_gets_a_clear_4xx(shub, tmp_path, name):
    code, make = BAD_INSIDE[name]
    asset = await shub.upload(make(tmp_path / "x"))
    problem(await shub.http.post("/shub/analyze", json={"asset_id": asset["asset_id"]}), 422, code)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "asset_id"),
        ({"asset_id": 5}, "asset_id"),
        ({"asset_id": "x", "series": "maybe"}, "series"),
        ({"asset_id": "x", "channel_layout": "9.1"}, "channel_layout"),
        ([], "body"),
    ],
)
async def test_a_wrong_request_names_the_field(shub, body, field):
    found = problem(await shub.http.post("/shub/analyze", json=body), 422, "invalid_request")
    assert any(field in one["field"] for one in found["errors"])


async def test_unknown_files_are_404_and_unknown_fields_do_no_harm(shub, tmp_path):
    problem(await shub.http.post("/shub/analyze", json={"asset_id": "nope"}), 404, "asset_not_found")
    asset = await shub.upload(good("wav16", tmp_path / "x.wav"))
    answer = await shub.http.post("/shub/analyze", json={"asset_id": asset["asset_id"], "colour": "blue"})
    assert answer.status_code == 200


async def test_a_measurement_that_takes_too_long_is_stopped(shub_at, tmp_path):
    async with shub_at() as shub:
        asset = await shub.upload(write(tmp_path / "x.wav", tone(1, 1.0), RATE, "PCM_16"))
    async with shub_at(shub_analyze_timeout="PT0.01S") as shub:
        answer = await shub.http.post("/shub/analyze", json={"asset_id": asset["asset_id"]})
        problem(answer, 504, "analysis_too_slow")
        async with asyncio.timeout(120):  # another worker may still be compiling
            while shub.app.state.pool.busy_pids:
                await asyncio.sleep(0.01)
