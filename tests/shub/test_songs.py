"""Whole songs, mixed through the HTTP API: every stem where it should stand, buses, side-chains, proposals, stems out, excerpts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import soundfile

from config.contracts.shub import MixProposal, MixResult
from tests.shub.conftest import Shub, problem
from tests.shub.signals import Reading
from tests.shub.songs import RATE, write_song

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMPRESSOR = {"type": "compressor", "threshold_db": -26, "ratio": 4, "attack_ms": 5, "release_ms": 80}
ROOM = {"type": "reverb", "kind": "room", "decay_s": 0.4, "wet": 1.0}
BUSES = [{"name": "space", "chain": [ROOM], "gain_db": -3}, {"name": "rhythm", "chain": [COMPRESSOR]}]
DUCKED = {**COMPRESSOR, "threshold_db": -40, "ratio": 10, "attack_ms": 1, "release_ms": 60, "sidechain": "bombo"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def song(shub: Shub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The ids of its stems by name."""
    folder = tmp_path_factory.mktemp("song")
    return {name: (await shub.upload(path))["asset_id"] for name, path in write_song(folder).items()}


async def done(shub: Shub, path: str, order: dict[str, Any]) -> dict[str, Any]:
    answer = await shub.http.post(path, json=order)
    assert answer.status_code == 202, answer.text
    job = await shub.finished(answer.json()["job_id"])
    assert job["status"] == "DONE", job["error"]
    result: dict[str, Any] = job["result"]
    return result


async def mixed(shub: Shub, order: dict[str, Any]) -> MixResult:
    return MixResult.model_validate(await done(shub, "/shub/mix", order))


async def sound(shub: Shub, asset_id: str | None, folder: Path) -> np.ndarray:
    assert asset_id is not None
    (folder / asset_id).write_bytes((await shub.http.get(f"/shub/assets/{asset_id}/content")).content)
    samples: np.ndarray = soundfile.read(folder / asset_id, dtype="float32", always_2d=True)[0]
    return samples


def stems_of(song: dict[str, str], **changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"asset_id": asset_id, **changes.get(name, {})} for name, asset_id in song.items()]


async def test_after_the_automatic_mix_every_stem_stands_where_it_should_and_so_does_the_whole(shub, song, tmp_path):
    stems = stems_of(
        song,
        voz={"chain": [COMPRESSOR, {"type": "eq_peak", "freq_hz": 3000, "gain_db": 4}], "gain_db": 1.5},
        pad={"chain": [{"type": "highpass", "freq_hz": 400, "slope_db_oct": 24}]},
        bateria={"chain": [{"type": "saturation", "drive_db": 12}]},
    )
    result = await mixed(
        shub, {"stems": stems, "auto": {"pan": True, "masking": True}, "stems_out": True, "format": "flac"}
    )
    for stem in result.stems:
        heard = Reading(await sound(shub, stem.stem_asset_id, tmp_path), RATE)
        assert heard.integrated_lufs == pytest.approx(stem.level_lufs + (1.5 if stem.role == "vocal" else 0.0), abs=1.0)
        assert stem.mixed_lufs == pytest.approx(heard.integrated_lufs, abs=0.1)
    whole = Reading(await sound(shub, result.asset_id, tmp_path), RATE)
    assert whole.integrated_lufs == pytest.approx(-14.0, abs=0.1)
    assert whole.true_peak_dbtp <= -1.0
    by_role = {stem.role: stem for stem in result.stems}
    assert [by_role[role].pan for role in ("vocal", "kick", "bass", "lead")] == [0.0] * 4
    assert 0.0 < abs(by_role["guitar"].pan) <= 0.6
    assert by_role["vocal"].applied[-2]["type"] == "compressor"
    assert by_role["vocal"].applied[-2]["max_reduction_db"] > 1.0  # its threshold means something, as soft as it came
    assert {"pan_center", "low_cut", "masking_cut"} <= {reason.code for reason in result.reasons}
    asset = (await shub.http.get(f"/shub/assets/{by_role['bass'].stem_asset_id}")).json()
    assert asset["name"] == "bajo in mix.wav"
    assert asset["encoding"] == "FLOAT"


async def test_a_proposal_can_be_read_and_sent_back_and_makes_what_the_automatic_mix_makes(shub, song):
    order = {"stems": stems_of(song), "auto": {"pan": True, "masking": True}, "target_lufs": -18, "format": "ogg"}
    held = shub.files()
    proposal = MixProposal.model_validate(await done(shub, "/shub/mix", order | {"dry_run": True}))
    assert shub.files() == held  # nothing is made
    assert not proposal.mix.dry_run
    assert not proposal.mix.auto.pan
    assert {stem.level_lufs for stem in proposal.mix.stems} >= {-20.0, -23.0}
    assert {reason.code for reason in proposal.reasons} >= {"level", "pan_center", "low_cut"}
    automatic = await mixed(shub, order)
    edited = await mixed(shub, proposal.mix.model_dump(mode="json"))
    assert edited.asset_id == automatic.asset_id  # the same bytes
    assert [stem.chain for stem in edited.stems] == [stem.chain for stem in automatic.stems]
    assert edited.reasons == []


async def test_stems_and_buses_that_go_to_the_master_sum_to_the_mix(shub, song, tmp_path):
    stems = stems_of(
        song,
        voz={"sends": [{"bus": "space", "gain_db": -6}]},
        lead={"sends": [{"bus": "space"}], "pan": 0.3},
        bombo={"bus": "rhythm"},
        bateria={"bus": "rhythm", "gain_db": 2},
        pad={"is_muted": True},
        bajo={"chain": [DUCKED]},
    )
    order = {"stems": stems, "buses": BUSES, "target_lufs": -40, "bit_depth": 32, "stems_out": True}
    result = await mixed(shub, order)
    assert [stem.stem_asset_id is None for stem in result.stems] == [stem.is_muted for stem in result.stems]
    parts = [stem.stem_asset_id for stem in result.stems if stem.bus is None and not stem.is_muted]
    parts += [bus.bus_asset_id for bus in result.buses]
    total = sum([(await sound(shub, part, tmp_path)).astype(float) for part in parts])
    whole = await sound(shub, result.asset_id, tmp_path)
    assert result.limiter_reduction_db == 0.0
    assert total.shape == whole.shape
    gain = np.vdot(total, whole) / np.vdot(total, total)
    assert 20 * np.log10(gain) == pytest.approx(result.gain_db, abs=0.001)
    assert np.abs(whole - gain * total).max() < 3e-7 * np.abs(whole).max() * len(parts)
    assert len(whole) > 8.0 * RATE  # the room rings on


async def test_the_kick_turns_the_bass_down_also_where_it_is_muted_and_a_bus_can_be_the_key(shub, song, tmp_path):
    pair = {name: song[name] for name in ("bajo", "bombo")}
    order = {"target_lufs": -30, "bit_depth": 32, "stems_out": True}
    loudness = {}
    for name, chain, kick in (
        ("alone", [], {"is_muted": True}),
        ("ducked", [DUCKED], {"is_muted": True}),
        ("by a bus", [{**DUCKED, "sidechain": "low"}], {"bus": "low"}),
    ):
        result = await mixed(
            shub, order | {"stems": stems_of(pair, bajo={"chain": chain}, bombo=kick), "buses": [{"name": "low"}]}
        )
        bass = await sound(shub, result.stems[0].stem_asset_id, tmp_path)
        shape = np.sqrt((bass[: 8 * RATE // 2 * 2].reshape(-1, RATE // 20, 2).astype(float) ** 2).mean(axis=(1, 2)))
        by_beat = shape[: len(shape) // 10 * 10].reshape(-1, 10).mean(axis=0)
        loudness[name] = 20 * np.log10(by_beat[0] / by_beat[-1])  # with the kick, and just before the next
    assert loudness["alone"] == pytest.approx(0.0, abs=2.0)
    assert loudness["ducked"] < loudness["alone"] - 6.0
    assert loudness["by a bus"] == pytest.approx(
        loudness["ducked"], abs=3.1
    )  # there it is placed: 3 dB less on each side


async def test_a_preview_is_the_same_stretch_of_the_mix_and_by_itself_the_loudest(shub, song, tmp_path):
    stems = stems_of(song, voz={"chain": [COMPRESSOR]})
    order = {"stems": stems, "bit_depth": 32, "chain": [{**COMPRESSOR, "threshold_db": -10}]}
    whole = await sound(shub, (await mixed(shub, order)).asset_id, tmp_path)
    part = await mixed(shub, order | {"preview": {"start_seconds": 2.5, "duration_seconds": 2}})
    assert part.preview is not None
    assert part.duration_seconds == 2.0
    assert "preview" in {warning.code for warning in part.warnings}
    assert np.array_equal(await sound(shub, part.asset_id, tmp_path), whole[round(2.5 * RATE) : round(4.5 * RATE)])
    loudest = await mixed(shub, order | {"preview": {"duration_seconds": 2}})
    assert loudest.preview is not None
    energy = np.cumsum(np.concatenate(([0.0], (whole**2).sum(axis=1))))
    start = round((loudest.preview.start_seconds or 0.0) * RATE)
    window = energy[2 * RATE :] - energy[: -2 * RATE]
    assert window[start] > 0.85 * window.max()


@pytest.mark.parametrize("format_", ["mp3", "ogg"])
async def test_what_a_decoder_makes_of_a_lossy_mix_stays_under_the_ceiling(shub, song, tmp_path, format_):
    result = await mixed(
        shub, {"stems": stems_of(song), "format": format_, "bitrate_kbps": 96, "target_lufs": -11, "ceiling_dbtp": -1}
    )
    heard = Reading(await sound(shub, result.asset_id, tmp_path), RATE)
    assert heard.true_peak_dbtp <= -0.9
    assert heard.integrated_lufs == pytest.approx(-11.0, abs=0.2)
    assert result.true_peak_dbtp == pytest.approx(heard.true_peak_dbtp, abs=0.15)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stems": {"voz": {"bus": "spaec"}}}, "its buses: space, rhythm"),
        ({"stems": {"voz": {"sends": [{"bus": "x"}]}}}, "stems.0.sends"),
        (
            {"stems": {"voz": {"chain": [{**DUCKED, "sidechain": "kik"}]}}},
            "'kik' is no stem and no bus of this mix; its",
        ),
        ({"stems": {"bombo": {"chain": [DUCKED]}}}, "wait for each other"),
        ({"stems": {"bombo": {"bus": "rhythm", "chain": [{**DUCKED, "sidechain": "rhythm"}]}}}, "<- rhythm <-"),
        ({"stems": {"voz": {"name": "bombo"}, "bajo": {"chain": [DUCKED]}, "bombo": {"name": "bombo"}}}, "may be 2"),
        ({"stems": {"voz": {"chain": [{"type": "highpass", "freq_hz": 30_000}]}}}, "stems.0.chain.0 (highpass)"),
        ({"stems": {"voz": {"chain": [{"type": "width"}]}}}, "stems.0.chain.0 (width)"),
        ({"buses": [{"name": "space"}, {"name": "space"}]}, "two buses"),
        ({"chain": [{"type": "dither"}]}, "chain.0 (dither)"),
        ({"chain": [{"type": "channels", "to": "mono"}]}, "chain.0 (channels)"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place_and_with_what_there_is(shub, song, change, said):
    order = {"stems": stems_of(song, **change.pop("stems", {})), "buses": BUSES} | change
    detail = problem(await shub.http.post("/shub/mix", json=order), 422, "invalid_request")["detail"]
    assert said in detail


async def test_what_is_hardly_ever_meant_is_warned_of_with_the_stem(shub, song):
    stems = stems_of({"bajo": song["bajo"]}, bajo={"pan": 1.0, "chain": [{"type": "reverb", "wet": 0.3}]})
    result = await mixed(shub, {"stems": stems, "bit_depth": 16, "dither": "none", "target_lufs": -16})
    found = {warning.code: warning.text for warning in result.warnings}
    expected = {"low_frequency_hard_pan", "reverb_on_low_end", "dither_missing_on_bit_depth_reduction"}
    assert expected <= set(found)
    assert found["reverb_on_low_end"].startswith("bajo")
