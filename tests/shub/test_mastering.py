"""Masters through the HTTP API: to a place, to a reference, in part, again by their chain; a proposal first, if it is asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import scipy
import soundfile

from config.contracts.shub import ChainResult, MasterProposal, MasterResult
from shub.dsp.matching import matching_bands, remaining_db
from shub.dsp.profiling import profile_of
from shub.targets import TARGETS
from tests.shub.conftest import Shub, problem
from tests.shub.signals import Reading, peak_at_8x, write
from tests.shub.songs import RATE, song

pytestmark = pytest.mark.asyncio(loop_scope="module")


def rough_mix(seconds: float = 10.0) -> np.ndarray:
    """All stems of a song in stereo, none too loud, the second half louder."""
    parts = [samples / np.abs(samples).max() for samples in song(seconds).values()]
    total = sum(np.broadcast_to(part.reshape(len(part), -1), (len(part), 2)) for part in parts)
    total = total * np.linspace(0.5, 1.0, len(total))[:, None]
    return 0.3 * total / np.abs(total).max()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mix(shub: Shub, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write(tmp_path_factory.mktemp("mix") / "song.wav", rough_mix(), RATE, "PCM_24")
    asset_id: str = (await shub.upload(path))["asset_id"]
    return asset_id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reference(shub: Shub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Darker in the middle, brighter above, narrower, louder."""
    samples = rough_mix()
    bright = scipy.signal.sosfilt(scipy.signal.butter(1, 4_000, "highpass", fs=RATE, output="sos"), samples, axis=0)
    low = scipy.signal.sosfilt(scipy.signal.butter(1, 250, "lowpass", fs=RATE, output="sos"), samples, axis=0)
    made = 0.5 * samples + 1.5 * bright + 0.7 * low
    middle = made.mean(axis=1, keepdims=True)
    made = middle + 0.4 * (made - middle)
    path = write(tmp_path_factory.mktemp("reference") / "ref.flac", 0.9 * made / np.abs(made).max(), RATE, "PCM_16")
    asset_id: str = (await shub.upload(path))["asset_id"]
    return asset_id


async def done(shub: Shub, path: str, order: dict[str, Any]) -> dict[str, Any]:
    answer = await shub.http.post(path, json=order)
    assert answer.status_code == 202, answer.text
    job = await shub.finished(answer.json()["job_id"])
    assert job["status"] == "DONE", job["error"]
    result: dict[str, Any] = job["result"]
    return result


async def mastered(shub: Shub, order: dict[str, Any]) -> MasterResult:
    return MasterResult.model_validate(await done(shub, "/shub/master", order))


async def saved(shub: Shub, asset_id: str, folder: Path) -> Path:
    (folder / asset_id).write_bytes((await shub.http.get(f"/shub/assets/{asset_id}/content")).content)
    return folder / asset_id


@pytest.mark.parametrize(
    ("target", "form"),
    [
        ("spotify", {"format": "flac", "bit_depth": 16}),
        ("ebu_r128", {"format": "wav", "bit_depth": 24}),
        ("apple_music", {"format": "mp3"}),
    ],
)
async def test_a_master_lands_where_it_is_to_be_heard(shub, mix, tmp_path, target, form):
    result = await mastered(shub, {"asset_id": mix, "target": target, **form})
    path = await saved(shub, result.asset_id, tmp_path)
    heard, place = Reading.of_file(path), TARGETS[target]
    assert heard.integrated_lufs == pytest.approx(place.target_lufs, abs=0.1)
    assert peak_at_8x(soundfile.read(path)[0]) <= place.ceiling_dbtp
    assert (result.target_lufs, result.ceiling_dbtp, result.shortfall_lu) == (place.target_lufs, place.ceiling_dbtp, 0)
    assert result.after.integrated_lufs == pytest.approx(heard.integrated_lufs, abs=0.05)
    assert result.before.integrated_lufs != result.after.integrated_lufs
    assert result.chain.effects[-1].type == "normalize"
    assert "loudness" in {reason.code for reason in result.reasons}
    assert result.name == f"song master.{form['format']}"


async def test_a_cd_has_no_loudness_and_is_only_as_loud_as_its_peaks_allow(shub, mix, tmp_path):
    result = await mastered(shub, {"asset_id": mix, "target": "cd", "bit_depth": 16})
    assert result.target_lufs is None
    assert result.limiter_reduction_db == 0.0
    assert result.after.true_peak_dbtp == pytest.approx(-0.2, abs=0.02)  # meters differ by a tenth
    heard = await saved(shub, result.asset_id, tmp_path)
    assert Reading.of_file(heard).true_peak_dbtp == pytest.approx(-0.2, abs=0.1)
    assert peak_at_8x(soundfile.read(heard)[0]) <= -0.1


async def test_the_chain_of_a_master_makes_the_same_bytes_again_and_a_proposal_is_that_chain(shub, mix, reference):
    order = {
        "asset_id": mix,
        "reference_asset_id": reference,
        "target": "youtube",
        "chain": [{"type": "highpass", "freq_hz": 35}],
        "format": "flac",
        "bit_depth": 16,
    }
    held = shub.files()
    proposal = MasterProposal.model_validate(await done(shub, "/shub/master", order | {"dry_run": True}))
    assert shub.files() == held  # nothing is made
    result = await mastered(shub, order)
    assert result.chain == proposal.chain
    assert result.reasons == proposal.reasons
    kinds = [effect.type for effect in result.chain.effects]
    assert (kinds[0], kinds[-1]) == ("highpass", "normalize")
    assert {"eq_peak", "width"} <= set(kinds)
    chain = {"asset_id": mix, "chain": result.chain.model_dump(mode="json"), "format": "flac", "bit_depth": 16}
    again = ChainResult.model_validate(await done(shub, "/shub/chain", chain))
    provenance = (await shub.http.get(f"/shub/assets/{result.asset_id}")).json()["provenance"]
    assert provenance["rendered"]["chain"] == chain["chain"]["effects"]
    assert again.asset_id == result.asset_id


async def test_a_reference_is_come_near_to(shub, mix, reference, tmp_path):
    result = await mastered(shub, {"asset_id": mix, "reference_asset_id": reference, "match": 1.0, "bit_depth": 32})
    paths = [await saved(shub, asset_id, tmp_path) for asset_id in (mix, result.asset_id, reference)]
    before, after, theirs = (profile_of(path, lambda _part: None, with_spectrum=True) for path in paths)
    far, near = (remaining_db(one.thirds_db, theirs.thirds_db, RATE) for one in (before, after))
    assert far > 2.0
    assert near < far / 2
    assert abs(after.side_db - theirs.side_db) < abs(before.side_db - theirs.side_db) / 2
    assert result.target_lufs == pytest.approx(theirs.loudness.integrated_lufs, abs=0.06)  # no target was said
    assert all(abs(effect.gain_db) <= 9.0 for effect in result.chain.effects if effect.type.startswith("eq"))
    untouched = await mastered(shub, {"asset_id": mix, "reference_asset_id": reference, "match": 0, "target": "cd"})
    assert [effect.type for effect in untouched.chain.effects] == ["normalize"]


async def test_a_preview_is_the_loudest_part_as_it_sounds_in_the_whole(shub, mix, tmp_path):
    order = {"asset_id": mix, "target": "streaming", "bit_depth": 32}
    whole = soundfile.read(await saved(shub, (await mastered(shub, order)).asset_id, tmp_path))[0]
    part = await mastered(shub, order | {"preview": {"duration_seconds": 3}})
    assert part.preview is not None
    start = round((part.preview.start_seconds or 0.0) * RATE)
    assert start > 5 * RATE  # it grows towards its end
    heard = soundfile.read(await saved(shub, part.asset_id, tmp_path))[0]
    assert np.array_equal(heard, whole[start : start + 3 * RATE])
    assert part.after.integrated_lufs > -14.0  # louder than the whole, which is what it is brought to
    assert "preview" in {warning.code for warning in part.warnings}


async def test_peaks_far_above_the_loudness_get_a_compressor_and_the_shortfall_is_told(shub, tmp_path):
    clicks = np.zeros((6 * RATE, 2))
    clicks[:: RATE // 4] = 0.9
    clicks += 0.01 * np.random.default_rng(3).standard_normal(clicks.shape)
    asset = await shub.upload(write(tmp_path / "clicks.wav", np.clip(clicks, -1, 1), RATE, "PCM_24"))
    result = await mastered(shub, {"asset_id": asset["asset_id"], "target_lufs": -6.0})
    assert "glue" in {reason.code for reason in result.reasons}
    assert result.after.true_peak_dbtp <= -1.0
    assert result.shortfall_lu == pytest.approx(-6.0 - result.after.integrated_lufs, abs=0.05)
    assert "loudness_shortfall" in {warning.code for warning in result.warnings}


async def test_silence_is_mastered_with_a_word(shub, tmp_path):
    asset = await shub.upload(write(tmp_path / "nada.wav", np.zeros((RATE, 2)), RATE, "PCM_16"))
    result = await mastered(shub, {"asset_id": asset["asset_id"], "dither": "none", "bit_depth": 16})
    assert result.after.integrated_lufs is None
    assert "silent" in {warning.code for warning in result.warnings}


@pytest.mark.parametrize(
    ("change", "status", "code", "said"),
    [
        ({"reference_asset_id": "asset_gone"}, 404, "asset_not_found", "asset_gone"),
        ({"format": "flac", "bit_depth": 32}, 422, "invalid_request", "bit_depth"),
        ({"chain": [{"type": "dither"}]}, 422, "invalid_request", "chain.0 (dither)"),
        ({"chain": [{"type": "lowpass", "freq_hz": 30_000}]}, 422, "invalid_request", "chain.0 (lowpass)"),
        ({"target": "vinyl"}, 422, "invalid_request", "target"),
        ({"chain": [{"type": "gain", "gain_db": 0}] * 52}, 422, "invalid_request", "chain: at most 51 effects"),
        ({"preview": {"start_seconds": 10}}, 422, "invalid_request", "preview.start_seconds"),
        ({"match": 2}, 422, "invalid_request", "match"),
    ],
)
async def test_what_cannot_be_is_refused(shub, mix, change, status, code, said):
    assert (
        said in problem(await shub.http.post("/shub/master", json={"asset_id": mix} | change), status, code)["detail"]
    )


@pytest.mark.parametrize("preview", [None, {"start_seconds": 1}])
async def test_behind_an_encoder_the_ceiling_still_wins_and_what_is_missing_then_is_told(shub, tmp_path, preview):
    noise = np.random.default_rng(4).standard_normal((3 * RATE, 2)) * 0.2
    asset_id = (await shub.upload(write(tmp_path / "noise.wav", noise, RATE, "FLOAT")))["asset_id"]
    order = {"asset_id": asset_id, "target_lufs": -6, "format": "mp3", "bitrate_kbps": 96, "preview": preview}
    result = await mastered(shub, order)
    path = await saved(shub, result.asset_id, tmp_path)
    assert peak_at_8x(soundfile.read(path)[0]) <= -1.0
    if preview is None:
        assert result.shortfall_lu == pytest.approx(-6 - Reading.of_file(path).integrated_lufs, abs=0.05)
        assert result.shortfall_lu > 0.1
        assert "loudness_shortfall" in {warning.code for warning in result.warnings}


async def test_a_ceiling_as_low_as_it_goes_is_one_that_a_chain_can_say(shub, tmp_path):
    noise = np.random.default_rng(4).standard_normal((RATE, 1)) * 0.2
    asset_id = (await shub.upload(write(tmp_path / "noise.wav", noise, RATE, "FLOAT")))["asset_id"]
    result = await mastered(shub, {"asset_id": asset_id, "ceiling_dbtp": -24, "format": "mp3", "bitrate_kbps": 64})
    assert result.chain.effects[-1].ceiling_dbtp == -24.0


async def test_a_tilt_is_matched_by_a_handful_of_bands_and_never_beyond_its_limit():
    hertz = [31.5 * 2 ** (n / 3) for n in range(28)]
    flat, tilted = dict.fromkeys(hertz, -20.0), {hz: -40.0 - 1.2 * np.log2(hz / 1000) for hz in hertz}
    bands = matching_bands(flat, tilted, 1.0, 48_000)
    assert 2 <= len(bands) <= 10
    assert bands[0]["gain_db"] > 2.0 > -2.0 > bands[-1]["gain_db"]
    assert matching_bands(flat, dict.fromkeys(hertz, -40.0), 1.0, 48_000) == []  # how loud it is does not count
    steep = matching_bands(flat, {hz: -40.0 - 12 * np.log2(hz / 1000) for hz in hertz}, 1.0, 48_000)
    assert max(abs(band["gain_db"]) for band in steep) <= 9.0
    assert matching_bands(flat, tilted, 0.0, 48_000) == []


async def test_the_same_key_is_one_master_and_a_cancelled_one_leaves_nothing(shub, mix):
    order, headers = {"asset_id": mix, "target": "tidal"}, {"Idempotency-Key": "plan_7:s1"}
    answers = [await shub.http.post("/shub/master", json=order, headers=headers) for _ in range(2)]
    (job_id,) = {answer.json()["job_id"] for answer in answers}
    other = await shub.http.post("/shub/master", json=order | {"target": "cd"}, headers=headers)
    problem(other, 409, "idempotency_conflict")
    assert (await shub.finished(job_id))["status"] == "DONE"
    held = shub.files()
    long = {"asset_id": mix, "target_lufs": -8, "sample_rate_hz": 192_000}
    job_id = (await shub.http.post("/shub/master", json=long)).json()["job_id"]
    await shub.job_when(job_id, lambda job: job["progress"] > 0.0)
    assert (await shub.http.post(f"/shub/jobs/{job_id}/cancel")).json()["status"] == "CANCELLED"
    assert shub.files() == held
    assert shub.unfinished() == []
