"""Chains of effects as jobs, through the HTTP API: checked, made, repeated, refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from config.contracts.common import Job
from config.contracts.shub import ChainResult
from tests.shub.conftest import Shub, problem
from tests.shub.files import RATE, tone
from tests.shub.signals import Reading, peak_at_8x, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

Samples = NDArray[np.float64]
NOISE = np.random.default_rng(7).uniform(-0.5, 0.5, (RATE * 4, 2)).astype(np.float32)


async def uploaded(shub: Shub, path: Path, samples: Any, subtype: str = "PCM_24", rate: int = RATE) -> str:
    asset_id: str = (await shub.upload(write(path, samples, rate, subtype)))["asset_id"]
    return asset_id


async def made(shub: Shub, asset_id: str, *effects: dict[str, Any], **order: Any) -> ChainResult:
    body = {"asset_id": asset_id, "chain": {"name": "test", "effects": list(effects)}} | order
    answer = await shub.http.post("/shub/chain", json=body)
    assert answer.status_code == 202, answer.text
    job = await shub.finished(Job.model_validate(answer.json()).job_id)
    assert job["status"] == "DONE", job["error"]
    return ChainResult.model_validate(job["result"])


async def sound_of(shub: Shub, asset_id: str, tmp_path: Path) -> tuple[Samples, int]:
    (tmp_path / "got").write_bytes((await shub.http.get(f"/shub/assets/{asset_id}/content")).content)
    samples, rate = soundfile.read(tmp_path / "got", always_2d=True)
    return samples, rate


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 16), ("PCM_24", 24), ("FLOAT", 32)])
async def test_no_effects_give_every_sample_back_as_it_was(shub, tmp_path, subtype, bits):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE, subtype)
    result = await made(shub, asset, bit_depth=bits, format="wav" if bits == 32 else "flac")
    samples, rate = await sound_of(shub, result.asset_id, tmp_path)
    before, _ = soundfile.read(tmp_path / "in.wav", always_2d=True)
    assert rate == RATE
    assert np.array_equal(samples, before)


async def test_a_chain_makes_a_new_file_says_what_it_did_and_leaves_the_old_one(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE)
    before = (await shub.http.get(f"/shub/assets/{asset}")).json()
    result = await made(
        shub,
        asset,
        {"type": "highpass", "freq_hz": 100},
        {"type": "gain", "gain_db": -6},
        {"type": "normalize", "target_lufs": -20},
        {"type": "fade", "out_seconds": 0.5},
        name="noise.flac",
        format="flac",
    )
    assert result.name == "noise.flac"
    assert [did["type"] for did in result.applied] == ["highpass", "gain", "normalize", "fade"]
    kept = (await shub.http.get(f"/shub/assets/{result.asset_id}")).json()
    assert kept["provenance"]["made_by"] == "chain"
    assert kept["provenance"]["inputs"] == [
        {"asset_id": asset, "sha256": before["sha256"], "name": before["name"]},
    ]
    assert kept["provenance"]["order"]["chain"]["effects"][1] == {"type": "gain", "gain_db": -6.0}
    assert (await shub.http.get(f"/shub/assets/{asset}")).json() == before
    assert not shub.unfinished()


async def test_the_same_order_makes_the_same_file(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE)
    effects = [{"type": "reverb", "decay_s": 0.5}, {"type": "normalize", "target_lufs": -16}, {"type": "dither"}]
    first = await made(shub, asset, *effects, bit_depth=16)
    again = await made(shub, asset, *effects, bit_depth=16)
    assert again.asset_id == first.asset_id


@pytest.mark.parametrize("output", [{"format": "wav", "sample_rate_hz": 48_000}, {"format": "mp3"}, {"format": "ogg"}])
async def test_a_loudness_is_met_and_the_ceiling_kept_in_what_is_written(shub, tmp_path, output):
    asset = await uploaded(shub, tmp_path / "in.wav", tone(2, 4.0) * np.float32(0.1))
    result = await made(shub, asset, {"type": "normalize", "target_lufs": -15, "ceiling_dbtp": -1}, **output)
    (tmp_path / "out").write_bytes((await shub.http.get(f"/shub/assets/{result.asset_id}/content")).content)
    heard = Reading.of_file(tmp_path / "out")
    assert heard.integrated_lufs == pytest.approx(-15.0, abs=0.1)
    assert heard.integrated_lufs == pytest.approx(result.integrated_lufs, abs=0.05)
    if output["format"] == "wav":
        assert heard.true_peak_dbtp <= -1.0
        assert result.sample_rate_hz == 48_000


async def test_a_true_peak_is_met_by_a_gain_alone(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "in.wav", tone(2, 2.0))
    result = await made(shub, asset, {"type": "normalize", "peak_dbtp": -3})
    assert result.true_peak_dbtp == pytest.approx(-3.0, abs=0.02)
    before, _ = soundfile.read(tmp_path / "in.wav", always_2d=True)
    samples, _ = await sound_of(shub, result.asset_id, tmp_path)
    gain = float((samples * before).sum() / (before * before).sum())
    assert np.abs(samples - gain * before).max() < 1e-6


async def test_the_ceiling_holds_for_what_is_too_short_to_have_a_loudness(shub, tmp_path):
    square = np.sign(np.sin(np.arange(RATE // 5) * 0.05))[:, None].repeat(2, axis=1)
    asset = await uploaded(shub, tmp_path / "in.wav", square, "FLOAT")
    result = await made(shub, asset, {"type": "normalize", "target_lufs": -14, "ceiling_dbtp": -1})
    assert result.integrated_lufs is None
    assert peak_at_8x((await sound_of(shub, result.asset_id, tmp_path))[0]) <= -1.0


async def test_what_is_next_to_nothing_is_raised_to_a_peak_only_so_far(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "in.wav", np.full((RATE, 1), 1e-40, np.float32), "FLOAT")
    result = await made(shub, asset, {"type": "normalize", "peak_dbtp": -1})
    assert result.applied[0]["gain_db"] == 144.0


@pytest.mark.parametrize("output", [{"format": "flac", "bit_depth": 16}, {"format": "mp3"}])
async def test_peaks_that_were_cut_off_are_told_and_what_is_measured_is_the_file(shub, tmp_path, output):
    asset = await uploaded(shub, tmp_path / "in.wav", tone())  # at -10.5 dBFS
    result = await made(shub, asset, {"type": "gain", "gain_db": 20}, **output)
    (tmp_path / "got").write_bytes((await shub.http.get(f"/shub/assets/{result.asset_id}/content")).content)
    heard = Reading.of_file(tmp_path / "got")
    assert result.integrated_lufs == pytest.approx(heard.integrated_lufs, abs=0.05)
    assert result.true_peak_dbtp == pytest.approx(heard.true_peak_dbtp, abs=0.1)
    (clipped,) = [warning for warning in result.warnings if warning.code == "clipped"]
    assert "9.5 dB" in clipped.text
    assert "9.5 dB" in (clipped.text_es or "")


async def test_what_coding_lifts_above_the_ceiling_is_told(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE)
    result = await made(shub, asset, {"type": "limiter", "drive_db": 12}, format="ogg", bitrate_kbps=64)
    assert result.true_peak_dbtp > -1.0
    assert "peak_above_ceiling" in {warning.code for warning in result.warnings}


async def test_another_file_turns_this_one_down_through_a_side_chain(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "pad.wav", tone(2, 3.0))
    kick = np.zeros((RATE * 2, 1), np.float32)
    kick[RATE : 2 * RATE] = 0.9
    key = await uploaded(shub, tmp_path / "kick.wav", kick)
    duck = {"type": "compressor", "threshold_db": -30, "ratio": 8, "attack_ms": 5, "release_ms": 50, "sidechain": key}
    result = await made(shub, asset, duck)
    samples, _ = await sound_of(shub, result.asset_id, tmp_path)
    levels = [float(np.abs(samples[int(RATE * at) : int(RATE * (at + 0.3))]).max()) for at in (0.5, 1.5, 2.6)]
    assert levels[1] < 0.2 * levels[0]
    assert levels[2] == pytest.approx(levels[0], rel=0.05)
    assert result.applied[0]["max_reduction_db"] > 15
    assert {
        one["asset_id"]
        for one in (await shub.http.get(f"/shub/assets/{result.asset_id}")).json()["provenance"]["inputs"]
    } == {asset, key}


async def test_a_preview_is_the_loudest_part_or_the_one_that_was_asked_for(shub, tmp_path):
    samples = NOISE * np.float32(0.05)
    samples[2 * RATE : 3 * RATE] *= 10
    asset = await uploaded(shub, tmp_path / "in.wav", samples)
    loudest = await made(shub, asset, preview={"duration_seconds": 1})
    first = await made(shub, asset, preview={"start_seconds": 0.5, "duration_seconds": 1})
    assert loudest.duration_seconds == first.duration_seconds == 1.0
    got, _ = await sound_of(shub, first.asset_id, tmp_path)
    written, _ = soundfile.read(tmp_path / "in.wav", always_2d=True)
    assert np.array_equal(got, written[RATE // 2 : RATE * 3 // 2])
    got, _ = await sound_of(shub, loudest.asset_id, tmp_path)
    assert float(np.abs(got).mean()) > 0.08


async def test_a_dry_run_checks_fills_in_what_was_not_said_and_makes_nothing(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE)
    before = shub.files()
    body = {
        "asset_id": asset,
        "chain": {
            "effects": [
                {"type": "eq_peak", "freq_hz": 10, "gain_db": 30},
                {"type": "resample", "sample_rate_hz": 48000},
            ]
        },
        "bit_depth": 16,
        "dither": "none",
        "dry_run": True,
    }
    answer = await shub.http.post("/shub/chain", json=body)
    assert answer.status_code == 200, answer.text
    check = answer.json()
    assert check["chain"]["effects"][0] == {"type": "eq_peak", "freq_hz": 10.0, "gain_db": 30.0, "q": 1.0}
    assert check["sample_rate_hz"] == 48_000
    codes = {warning["code"] for warning in check["warnings"]}
    assert {"gain_out_of_range", "freq_inaudible", "dither_missing_on_bit_depth_reduction"} <= codes
    assert shub.files() == before


async def test_the_chains_of_the_house_can_be_listed_and_named(shub, tmp_path):
    chains = (await shub.http.get("/shub/chains")).json()["items"]
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE[: RATE // 2])
    for chain in chains:
        name = f"{chain['name']}@{chain['version']}"
        answer = await shub.http.post("/shub/chain", json={"asset_id": asset, "chain": name, "dry_run": True})
        assert answer.status_code == 200, answer.text
        assert answer.json()["chain"]["effects"] == chain["effects"]
    result = await made(shub, asset, chain="vocal")
    assert result.chain.name == "vocal"
    assert result.name == "in vocal.wav"
    refused = await shub.http.post("/shub/chain", json={"asset_id": asset, "chain": "vocal@9"})
    assert "vocal@1" in problem(refused, 404, "chain_not_found")["detail"]


@pytest.mark.parametrize(
    ("effects", "output", "said"),
    [
        ([{"type": "lowpass", "freq_hz": RATE / 2}], {}, "chain.0 (lowpass): freq_hz"),
        ([{"type": "channels", "to": "mono"}, {"type": "width"}], {}, "chain.1 (width): it needs two channels"),
        ([{"type": "dither"}, {"type": "gain", "gain_db": 1}], {}, "only the last effect can dither"),
        ([{"type": "mid_side", "side": [{"type": "notch", "freq_hz": 90_000}]}], {}, "chain.0 (mid_side).side.0"),
        ([{"type": "trim", "start_seconds": 0.5}], {}, "chain.0 (trim): nothing is left from 0.5 s on"),
        ([], {"format": "flac", "bit_depth": 32}, "FLAC holds 16 or 24"),
        ([], {"format": "mp3", "sample_rate_hz": 96_000}, "MP3 has no 96000 Hz"),
        ([], {"format": "wav", "bitrate_kbps": 128}, "keeps every bit"),
        (
            [],
            {"preview": {"start_seconds": 0.5}},
            "preview.start_seconds: it starts at 0.5 s, the sound ends at 0.500 s",
        ),
    ],
)
async def test_what_cannot_be_is_refused_by_its_place_and_makes_no_job(shub, tmp_path, effects, output, said):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE[: RATE // 2])
    before = (await shub.http.get("/shub/jobs")).json()["items"]
    answer = await shub.http.post("/shub/chain", json={"asset_id": asset, "chain": {"effects": effects}, **output})
    assert said in problem(answer, 422, "invalid_request")["detail"]
    assert (await shub.http.get("/shub/jobs")).json()["items"] == before


async def test_a_format_that_holds_fewer_channels_is_refused_unless_they_are_folded_down(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "in.wav", np.zeros((96_000, 6)), rate=96_000)
    order = {"asset_id": asset, "format": "mp3"}
    for path in ("chain", "master"):
        refused = await shub.http.post(f"/shub/{path}", json=order)
        assert "mono and stereo here, not with 6 channels" in problem(refused, 422, "invalid_request")["detail"]
    folded = order | {"chain": {"effects": [{"type": "channels", "to": "stereo"}]}, "dry_run": True}
    check = (await shub.http.post("/shub/chain", json=folded)).json()
    assert (check["sample_rate_hz"], check["channels"]) == (48_000, 2)  # the highest that MP3 has


@pytest.mark.parametrize(
    "effect",
    [
        {"type": "wobble"},
        {"type": "gain"},
        {"type": "gain", "gain_db": 99},
        {"type": "gain", "gain_db": "NaN"},
        {"type": "normalize"},
        {"type": "multiband", "crossovers_hz": [500, 100], "bands": [{}, {}, {}]},
        {"type": "trim", "start_seconds": 2, "end_seconds": 1},
    ],
)
async def test_an_effect_that_is_none_is_refused(shub, tmp_path, effect):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE[: RATE // 2])
    answer = await shub.http.post("/shub/chain", json={"asset_id": asset, "chain": {"effects": [effect]}})
    assert answer.status_code == 422


async def test_a_chain_that_leaves_nothing_ends_in_an_error_that_says_so(shub, tmp_path):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE[: RATE // 2])
    effects = [{"type": "delay", "time_ms": 10}, {"type": "trim", "start_seconds": 60}]  # no echo reaches that far
    body = {"asset_id": asset, "chain": {"effects": effects}}
    job = await shub.finished((await shub.http.post("/shub/chain", json=body)).json()["job_id"])
    assert job["status"] == "ERROR"
    assert job["error"].startswith("empty_audio:")
    assert not shub.unfinished()


async def test_effects_that_raise_a_sound_beyond_all_numbers_are_refused_and_a_limiter_holds_what_is_just_below(
    shub, tmp_path
):
    asset = await uploaded(shub, tmp_path / "in.wav", NOISE[: RATE // 2])
    gains = [{"type": "gain", "gain_db": 36}, {"type": "compressor", "threshold_db": 0, "ratio": 1}]  # kept apart
    order = {"asset_id": asset, "bit_depth": 32, "chain": {"effects": gains * 24}}
    job = await shub.finished((await shub.http.post("/shub/chain", json=order)).json()["job_id"])
    assert job["error"] == "not_finite_audio: the effects raise it beyond what numbers hold"
    held = await made(shub, asset, *gains * 14, {"type": "limiter"})
    assert held.true_peak_dbtp is None or held.true_peak_dbtp <= -1.0


async def test_a_job_whose_input_has_lost_its_bytes_says_which_file_that_is(shub, tmp_path):
    asset = await shub.upload(write(tmp_path / "lost.wav", NOISE[:500], RATE, "PCM_16"))
    (path,) = [path for path in shub.files() if path.name == asset["sha256"]]
    path.unlink()
    answer = await shub.http.post("/shub/chain", json={"asset_id": asset["asset_id"]})
    job = await shub.finished(answer.json()["job_id"])
    assert job["error"] == f"asset_lost: the bytes of {asset['asset_id']} (lost.wav) are gone from the store"


async def test_a_file_that_is_not_there_is_not_found(shub):
    answer = await shub.http.post("/shub/chain", json={"asset_id": "asset_none", "chain": {"effects": []}})
    problem(answer, 404, "asset_not_found")
