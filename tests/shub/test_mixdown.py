"""Mixing: very uneven stems land on the target, under the ceiling, where they were put; judged by libebur128."""

import math
import time

import numpy as np
import pytest

from shub.dsp.decode import Limits
from shub.dsp.mixdown import Bus, Mix, MixOrder, Send, Stem, mix_down
from shub.dsp.refusals import NotFinite
from tests.shub.files import BAD_INSIDE, samples_of
from tests.shub.signals import Reading, peak_at_8x, sine, stereo, uneven_stems, write


def mix(tmp_path, stems, *, target=-14.0, ceiling=-1.0, container="wav", bits=24, rate=None, progress=None) -> Mix:
    order = MixOrder(tuple(stems), target, ceiling, container, bits, rate)
    return mix_down(order, tmp_path / "out", tmp_path / "scratch", progress or (lambda _part: None), Limits())


@pytest.mark.parametrize(("container", "bits", "rate"), [("wav", 24, None), ("flac", 16, 44_100), ("wav", 32, 48_000)])
def test_three_very_uneven_stems_land_on_the_target_under_the_ceiling(tmp_path, container, bits, rate):
    stems = [Stem(path, level) for path, level in zip(uneven_stems(tmp_path), (-20.0, -22.0, -24.0), strict=True)]
    progress: list[float] = []
    made = mix(tmp_path, stems, container=container, bits=bits, rate=rate, progress=progress.append)
    samples, heard = samples_of(tmp_path / "out"), Reading.of_file(tmp_path / "out")
    assert heard.integrated_lufs == pytest.approx(-14.0, abs=0.1)
    assert heard.true_peak_dbtp <= -1.0
    assert peak_at_8x(samples) <= -1.0
    assert made.levelled.loudness.integrated_lufs == pytest.approx(heard.integrated_lufs, abs=0.02)
    assert made.levelled.shortfall_lu == 0.0
    assert made.rate_hz == (rate or 96_000)
    assert samples.shape == (made.frames, 2)
    assert made.frames == pytest.approx(6.0 * made.rate_hz, abs=2)
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert not (tmp_path / "scratch").exists()


def test_each_stem_is_staged_to_its_own_target(tmp_path):
    """Tones of different pitch, each in the middle: their levels can be told apart in the mix itself."""
    rate, pitches, targets = 48_000, (300, 900, 2500), (-20.0, -23.0, -26.0)
    tones = [sine(rate, 4, level, hz) for hz, level in zip(pitches, (-50, -3, -25), strict=True)]
    paths = [write(tmp_path / f"{hz}.wav", tone, rate, "PCM_24") for hz, tone in zip(pitches, tones, strict=True)]
    made = mix(tmp_path, [Stem(path, target) for path, target in zip(paths, targets, strict=True)], target=-24.0)
    left = samples_of(tmp_path / "out")[rate : 3 * rate, 0]
    spectrum = np.abs(np.fft.rfft(left)) / rate
    alone = [Reading(stereo(spectrum[2 * hz] * sine(rate, 4, 0.0, hz)), rate).integrated_lufs for hz in pitches]
    assert [level - made.levelled.gain_db for level in alone] == pytest.approx(targets, abs=0.1)


def test_how_far_it_is_moves_while_a_stem_goes_through_its_chain(tmp_path):
    path = write(tmp_path / "long.wav", np.zeros((48_000 * 8, 1)), 48_000, "PCM_16")
    stem = Stem(path, -20.0, chain=({"type": "gain", "gain_db": 1.0},))
    told: list[float] = []
    mix_down(MixOrder((stem,), -14.0, -1.0, "wav", 24), tmp_path / "mix", tmp_path / "room", told.append)
    assert told == sorted(told)
    assert len({part for part in told if 0.0 < part < 0.4}) > 8  # of staging alone
    assert told[-1] == 1.0


def test_gain_and_pan_are_what_they_say(tmp_path):
    tone = write(tmp_path / "a.wav", sine(48_000, 4, -10.0), 48_000, "PCM_24")
    other = write(tmp_path / "b.wav", sine(48_000, 4, -10.0, 3000.0), 48_000, "PCM_24")
    loudness = {}
    for name, stems in {
        "left": [Stem(tone, -20.0, pan=-1.0)],
        "half right": [Stem(tone, -20.0, pan=0.5)],
        "6 dB less": [Stem(tone, -20.0, pan=-1.0), Stem(other, -20.0, gain_db=-6.0, pan=1.0)],
    }.items():
        mix(tmp_path, stems, target=-20.0)
        loudness[name] = np.sqrt((samples_of(tmp_path / "out") ** 2).mean(axis=0))
    assert loudness["left"][1] == 0.0
    assert loudness["half right"][1] / loudness["half right"][0] == pytest.approx(
        math.tan(0.75 * math.pi / 2), rel=1e-3
    )
    left, right = loudness["6 dB less"]
    weighing = Reading(samples_of(other), 48_000).integrated_lufs - Reading(samples_of(tone), 48_000).integrated_lufs
    assert 20 * math.log10(right / left) == pytest.approx(-6.0 - weighing, abs=0.05)


def test_a_single_stereo_stem_that_needs_nothing_passes_unchanged(tmp_path):
    samples = (stereo(sine(48_000, 4, -20.0)) * [1.0, 0.5]).astype(np.float32)
    level = Reading(samples, 48_000).integrated_lufs
    source = write(tmp_path / "a.wav", samples, 48_000, "FLOAT")
    mix(tmp_path, [Stem(source, level)], target=level, bits=32)
    assert np.allclose(samples_of(tmp_path / "out"), samples, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("container", "bits"), [("flac", 16), ("wav", 24), ("wav", 32)])
def test_the_same_order_gives_the_same_bytes_at_any_time(tmp_path, container, bits):
    stems = [Stem(path, -20.0) for path in uneven_stems(tmp_path, 3.0)]
    mix(tmp_path, stems, container=container, bits=bits)
    first = (tmp_path / "out").read_bytes()
    before = int(time.time())
    while int(time.time()) == before:  # libsndfile would write the second into the file
        pass
    mix(tmp_path, stems, container=container, bits=bits)
    assert (tmp_path / "out").read_bytes() == first


def test_the_ceiling_wins_and_the_shortfall_is_told(tmp_path):
    clicks = np.zeros(48_000 * 5)
    clicks[::12_000] = 1.0  # nothing but peaks: no limiter makes that loud
    source = write(tmp_path / "a.wav", clicks, 48_000, "PCM_24")
    made = mix(tmp_path, [Stem(source, -20.0)], target=-6.0, ceiling=-2.0)
    heard = Reading.of_file(tmp_path / "out")
    assert heard.true_peak_dbtp <= -2.0
    assert made.levelled.shortfall_lu == pytest.approx(-6.0 - heard.integrated_lufs, abs=0.05)
    assert made.levelled.shortfall_lu > 3.0


def test_heavy_limiting_still_lands_on_the_target(tmp_path):
    stems = [Stem(path, -20.0) for path in uneven_stems(tmp_path)]
    made = mix(tmp_path, stems, target=-8.0)
    heard = Reading.of_file(tmp_path / "out")
    assert heard.integrated_lufs == pytest.approx(-8.0, abs=0.1)
    assert heard.true_peak_dbtp <= -1.0
    assert made.levelled.max_reduction_db > 3.0


@pytest.mark.parametrize("frames", [1, 480, 48_000])
def test_silent_and_tiny_stems_make_a_file_without_loudness(tmp_path, frames):
    source = write(tmp_path / "a.wav", np.zeros((frames, 2)), 48_000, "PCM_16")
    made = mix(tmp_path, [Stem(source, -20.0)])
    assert made.levelled.loudness.integrated_lufs is None
    assert made.levelled.loudness.true_peak_dbtp is None
    assert not samples_of(tmp_path / "out").any()
    assert made.frames == frames


def test_a_stem_that_is_almost_silence_is_raised_only_so_far(tmp_path):
    source = write(tmp_path / "a.wav", sine(48_000, 3, -66.0), 48_000, "PCM_24")
    (stem,) = mix(tmp_path, [Stem(source, -18.0)]).stems
    assert stem.is_clamped
    assert stem.gain_db == 48.0


def test_surround_is_folded_down_and_still_staged(tmp_path):
    surround = np.stack(
        [
            sine(48_000, 4, level, hz)
            for level, hz in zip((-20, -20, -10, -1, -16, -16), (300, 400, 500, 40, 700, 800), strict=True)
        ],
        axis=1,
    )
    source = write(tmp_path / "a.wav", surround, 48_000, "PCM_24", format="WAVEX")
    made = mix(tmp_path, [Stem(source, -20.0)], target=-20.0)
    assert made.levelled.gain_db == pytest.approx(0.0, abs=0.05)  # it already stood where the whole should
    assert Reading.of_file(tmp_path / "out").integrated_lufs == pytest.approx(-20.0, abs=0.05)


def test_a_nan_in_a_stem_stops_the_mix_and_leaves_no_scratch(tmp_path):
    bad = BAD_INSIDE["a NaN"][1](tmp_path / "bad")
    with pytest.raises(NotFinite):
        mix(tmp_path, [Stem(bad, -20.0)])
    assert not (tmp_path / "scratch").exists()


def test_the_bits_do_not_depend_on_how_many_threads_there_are(tmp_path, monkeypatch):
    paths = uneven_stems(tmp_path, 3.0)
    bell = {"type": "eq_peak", "freq_hz": 900.0, "gain_db": 3.0, "q": 1.0}
    stems = [Stem(path, -20.0, pan=0.2, chain=(bell,), sends=(Send("bus", -3.0),)) for path in paths]
    order = MixOrder(tuple(stems), -14.0, -1.0, "wav", 32, buses=(Bus("bus", -2.0, (bell,)),))
    made = set()
    for count in (1, 2, 7):
        monkeypatch.setattr("os.cpu_count", lambda count=count: count)
        mix_down(order, tmp_path / "out", tmp_path / "scratch", lambda _part: None)
        made.add((tmp_path / "out").read_bytes())
    assert len(made) == 1
    assert not list(tmp_path.glob("scratch*"))
