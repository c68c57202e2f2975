"""What is found beside loudness: each measure on a signal whose answer is known by its making."""

from pathlib import Path

import numpy as np
import pytest

from shub.dsp.analysis import Details, analyze
from tests.shub.music import chords, clicks, pink
from tests.shub.signals import sine, stereo, write

RATE = 48_000


@pytest.fixture
def inspect(tmp_path: Path):
    def inspected(samples: np.ndarray, rate: int = RATE, subtype: str | None = "FLOAT", **options: str) -> Details:
        path = write(tmp_path / "x", samples, rate, subtype, **({"format": "WAV"} | options))
        details = analyze(path, lambda _part: None, with_details=True).details
        assert details is not None
        return details

    return inspected


# Levels


def test_a_sine_has_its_rms_its_crest_and_no_offset(inspect):
    levels = inspect(stereo(sine(RATE, 2.0, -6.0))).levels
    assert levels.rms_dbfs == pytest.approx(-9.01, abs=0.01)
    assert levels.crest_factor_db == pytest.approx(3.01, abs=0.01)
    assert levels.dc_offset == pytest.approx([0.0, 0.0], abs=1e-5)


def test_the_crest_is_that_of_the_channel_with_the_most_power(inspect):
    spiky = np.zeros(RATE)
    spiky[1_000] = 0.99
    levels = inspect(np.stack([sine(RATE, 1.0, -6.0), spiky], axis=1)).levels
    assert levels.crest_factor_db == pytest.approx(3.01, abs=0.01)


def test_an_offset_is_told_by_channel(inspect):
    tone = stereo(sine(RATE, 1.0, -12.0)) + np.array([0.02, -0.005])
    assert inspect(tone).levels.dc_offset == pytest.approx([0.02, -0.005], abs=1e-5)


def test_the_noise_floor_is_the_level_between_the_words(inspect):
    random = np.random.default_rng(2)
    noise = random.standard_normal(RATE * 6) * 10 ** (-70 / 20)
    words = sine(RATE, 6.0, -12.0) * (np.arange(RATE * 6) % RATE < 0.7 * RATE)
    assert inspect((words + noise)[:, None]).levels.noise_floor_dbfs == pytest.approx(-70.0, abs=0.5)
    gap = (words + noise) * (np.arange(RATE * 6) > RATE)  # digital silence is no noise
    assert inspect(gap[:, None]).levels.noise_floor_dbfs == pytest.approx(-70.0, abs=0.5)


# Silences


def test_silences_are_counted_and_placed(inspect):
    sound = stereo(sine(RATE, 6.0, -20.0))
    sound[: RATE * 3 // 4] = 0.0005
    sound[2 * RATE : 2 * RATE + RATE // 4] = 0.0  # too short for one
    sound[3 * RATE : 4 * RATE] = 0.0
    sound[5 * RATE :, 0] = 0.0  # only one channel
    silences = inspect(sound).silences
    assert (silences.count, silences.trailing_seconds) == (2, 0.0)
    assert silences.leading_seconds == pytest.approx(0.75, abs=0.001)
    assert silences.total_seconds == pytest.approx(1.75, abs=0.002)
    assert silences.places[1].start_seconds == pytest.approx(3.0, abs=0.001)
    assert inspect(np.concatenate([sound, np.zeros((RATE, 2))])).silences.trailing_seconds == pytest.approx(
        1.0, abs=0.001
    )


# Clipping


@pytest.mark.parametrize(
    ("subtype", "format_"), [("PCM_16", "WAV"), ("PCM_24", "FLAC"), ("PCM_U8", "WAV"), ("FLOAT", "WAV")]
)
def test_tops_that_are_cut_off_are_counted(inspect, subtype, format_):
    loud = 1.5 * sine(RATE, 1.0, 0.0, 400.0)
    clipping = inspect(
        (loud if subtype == "FLOAT" else np.clip(loud, -1, 1))[:, None], RATE, subtype, format=format_
    ).clipping
    assert clipping.count == 800  # both tops of every wave
    assert clipping.samples == pytest.approx(np.count_nonzero(np.abs(loud) >= 1.0), rel=0.02)
    assert clipping.places[0].start_seconds == pytest.approx(np.argmax(np.abs(loud) >= 1.0) / RATE, abs=1e-4)
    assert len(clipping.places) == 1  # they are 1 ms apart: one place to look at


@pytest.mark.parametrize("hz", [30.0, 100.0, 997.0, 12_000.0])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_whole_wave_that_touches_the_top_is_not_clipped(inspect, subtype, hz):
    assert inspect((32767 / 32768 * sine(RATE, 1.0, 0.0, hz))[:, None], RATE, subtype).clipping.count == 0


def test_tops_that_were_turned_down_after_clipping_are_found_by_their_flatness(inspect):
    cut = np.clip(2.0 * sine(RATE, 1.0, 0.0, 100.0), -1, 1) * 0.6
    quiet = 0.1 * sine(RATE, 1.0, 0.0, 100.0)
    clipping = inspect(np.stack([cut, quiet], axis=1), RATE, "PCM_24").clipping
    assert clipping.count == pytest.approx(200, abs=1)
    assert {place.channel for place in clipping.places} == {0}
    higher = np.concatenate([cut, 0.95 * sine(RATE, 0.1, 0.0, 1_000.0)])  # something stands higher: it was no ceiling
    assert inspect(higher[:, None], RATE, "PCM_24").clipping.count == 0


def test_clipped_places_far_apart_are_told_one_by_one_up_to_a_hundred(inspect):
    sound = np.zeros((RATE * 13, 2))
    for i in range(120):
        sound[5_000 * i : 5_000 * i + 5, i % 2] = 1.0
    clipping = inspect(sound, RATE, "PCM_16").clipping
    assert (clipping.count, clipping.samples, len(clipping.places)) == (120, 600, 100)
    assert [place.channel for place in clipping.places[:3]] == [0, 1, 0]
    assert clipping.places[7].start_seconds == pytest.approx(7 * 5_000 / RATE, abs=1e-4)


# Spectrum


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
@pytest.mark.parametrize("hz", [31.5, 1_000.0, 3_150.0])
def test_a_tone_stands_in_its_band_with_its_level(inspect, rate, hz):
    details = inspect(stereo(sine(rate, 3.0, 0.0, hz)), rate)
    for bands in (details.octaves, details.third_octaves):
        levels = {band.centre_hz: band.level_db for band in bands if band.level_db is not None}
        loudest = max(levels, key=lambda centre: levels[centre])
        assert abs(np.log2(loudest / hz)) < 0.5
        assert levels[loudest] == pytest.approx(-3.01, abs=0.05)


def test_bands_hold_all_the_power_and_noise_has_its_slope(inspect):
    details = inspect(pink(8.0, RATE, 2))
    bands = {band.centre_hz: band.level_db for band in details.third_octaves}
    assert len(bands) == 31
    assert len(details.octaves) == 10
    low, high = np.mean([bands[hz] for hz in (250.0, 315.0, 400.0)]), np.mean([bands[hz] for hz in (8_000.0, 10_000.0)])
    assert low == pytest.approx(high, abs=0.5)  # pink noise is flat by bands
    assert details.tonal_balance.tilt_db_per_octave == pytest.approx(-3.0, abs=0.15)
    octave = next(band.level_db for band in details.octaves if band.centre_hz == 1_000.0)
    thirds = 10 * np.log10(sum(10 ** (bands[hz] / 10) for hz in (800.0, 1_000.0, 1_250.0)))
    assert octave == pytest.approx(thirds, abs=0.01)


def test_the_balance_of_usual_music_is_zero_and_more_of_a_region_shows(inspect):
    usual = pink(10.0, RATE, slope_db=-5.0)
    balance = inspect(usual).tonal_balance
    assert [balance.low_mid_db, balance.mid_db, balance.high_mid_db] == pytest.approx([0.0] * 3, abs=1.5)
    spectrum = np.fft.rfft(usual[:, 0])
    hertz = np.fft.rfftfreq(len(usual), 1 / RATE)
    spectrum[(hertz > 560) & (hertz < 2_240)] *= 4
    boosted = np.fft.irfft(spectrum, len(usual))
    found = inspect((boosted / np.abs(boosted).max())[:, None]).tonal_balance
    assert found.mid_db - found.high_mid_db == pytest.approx(12.0, abs=2.0)
    assert found.mid_db > 3.0


# Stereo


def test_the_same_on_both_sides_is_mono(inspect):
    stereo_ = inspect(stereo(sine(RATE, 1.0, -6.0, 60.0))).stereo
    assert stereo_.correlation == pytest.approx(1.0)
    assert [stereo_.width, stereo_.balance_db, stereo_.mono_loss_db] == pytest.approx([0.0, 0.0, 0.0], abs=1e-3)
    assert stereo_.low_end_correlation == pytest.approx(1.0, abs=1e-3)


def test_opposite_sides_cancel(inspect):
    tone = sine(RATE, 1.0, -6.0, 60.0)
    found = inspect(np.stack([tone, -tone], axis=1)).stereo
    assert [found.correlation, found.width, found.mono_loss_db] == pytest.approx([-1.0, 1.0, 96.0])
    assert found.low_end_correlation == pytest.approx(-1.0, abs=1e-3)


def test_unrelated_sides_lose_3_db_in_mono(inspect):
    noise = np.random.default_rng(4).standard_normal((RATE * 4, 2)) * np.array([0.1, 0.05])
    found = inspect(noise).stereo
    assert found.correlation == pytest.approx(0.0, abs=0.02)
    assert [found.balance_db, found.mono_loss_db] == pytest.approx([6.02, 3.01], abs=0.1)
    assert found.width == pytest.approx(0.5, abs=0.01)


def test_a_moment_out_of_phase_is_found_and_silence_is_none(inspect):
    tone = sine(RATE, 5.0, -12.0)
    sides = np.stack([tone, tone], axis=1)
    sides[2 * RATE : 2 * RATE + RATE // 2, 1] *= -1.0
    sides[3 * RATE :] *= 1e-5
    sides[3 * RATE :, 1] *= -1.0  # below what is heard
    found = inspect(sides).stereo
    assert found.lowest_correlation == pytest.approx(-1.0, abs=1e-3)
    assert found.correlation == pytest.approx(0.667, abs=0.01)
    assert inspect(sides[:, :1]).stereo is None


def test_only_the_low_end_goes_apart(inspect):
    low, high = sine(RATE, 3.0, -10.0, 60.0), sine(RATE, 3.0, -10.0, 500.0)
    found = inspect(np.stack([high + low, high - low], axis=1)).stereo
    assert found.low_end_correlation == pytest.approx(-1.0, abs=0.01)
    assert found.correlation == pytest.approx(0.0, abs=0.01)


# Tempo and key


@pytest.mark.parametrize("bpm", [64.0, 90.0, 101.5, 120.0, 128.0, 140.0, 180.0])
def test_the_tempo_of_clicks_is_found(inspect, bpm):
    tempo = inspect(clicks(bpm)[:, None], 44_100).tempo
    assert tempo.bpm == pytest.approx(bpm, rel=0.01)
    assert tempo.confidence > 0.6


@pytest.mark.parametrize(("rate", "bpm"), [(8_000, 100.0), (96_000, 125.0)])
def test_the_tempo_is_found_at_any_rate_and_with_notes_between_the_beats(inspect, rate, bpm):
    tempo = inspect(clicks(bpm, rate=rate, swing=0.5)[:, None], rate).tempo
    assert tempo.bpm == pytest.approx(bpm, rel=0.01)


def test_noise_and_a_steady_tone_have_no_tempo_and_no_key(inspect):
    random = np.random.default_rng(6)
    noise = inspect(0.1 * random.standard_normal((44_100 * 10, 1)), 44_100)
    assert (noise.tempo.bpm, noise.key.name) == (None, None)
    assert max(noise.tempo.confidence, noise.key.confidence) < 0.15
    tone = inspect(sine(44_100, 6.0, -20.0)[:, None], 44_100)
    assert tone.tempo.bpm is None
    assert tone.key.confidence < 0.6  # a note is no key


@pytest.mark.parametrize(
    "key", ["C major", "F# major", "Eb major", "B major", "A minor", "C# minor", "F minor", "D minor"]
)
def test_the_key_of_a_cadence_is_found(inspect, key):
    found = inspect(chords(key)[:, None], 44_100).key
    assert found.name == key
    assert found.confidence > 0.4
    assert found.tuning_hz == pytest.approx(440.0, abs=1.0)


@pytest.mark.parametrize(("rate", "concert_hz"), [(44_100, 432.0), (96_000, 445.0), (8_000, 440.0)])
def test_the_tuning_is_found_at_any_rate(inspect, rate, concert_hz):
    found = inspect(chords("G major", rate, concert_hz=concert_hz)[:, None], rate).key
    assert found.name == "G major"
    assert found.tuning_hz == pytest.approx(concert_hz, abs=1.0)


def test_drums_have_a_tempo_and_no_key(inspect):
    details = inspect(clicks(120.0, swing=0.5)[:, None], 44_100)
    assert details.tempo.bpm == pytest.approx(120.0, rel=0.01)
    assert details.key.name is None


# Edges


def test_silence_and_a_single_sample_give_none_and_never_nan(inspect):
    silence = inspect(np.zeros((RATE * 5, 2)))
    assert (silence.levels.rms_dbfs, silence.levels.noise_floor_dbfs, silence.levels.crest_factor_db) == (
        None,
        None,
        None,
    )
    assert {band.level_db for band in silence.third_octaves} == {None}
    assert (silence.tonal_balance, silence.tempo.bpm, silence.key.name) == (None, None, None)
    assert (silence.stereo.correlation, silence.stereo.width) == (None, None)
    assert (silence.silences.count, silence.silences.total_seconds) == (1, 5.0)
    one = inspect(np.full((1, 1), 0.5))
    assert one.levels.rms_dbfs == pytest.approx(-6.02, abs=0.01)
    assert (one.tempo.bpm, one.key.name, one.silences.count) == (None, None, 0)


@pytest.mark.parametrize("block", [64, 997, 16_384])
def test_the_cut_into_blocks_leaves_no_trace(monkeypatch, inspect, block):
    sound = np.concatenate([np.zeros((RATE // 2, 2)), stereo(np.clip(1.2 * sine(RATE, 1.5, 0.0, 220.0), -1, 1))])
    whole = inspect(sound, RATE, "PCM_16")
    monkeypatch.setattr("shub.dsp.decode.AudioReader.blocks.__defaults__", (block,))
    cut = inspect(sound, RATE, "PCM_16")
    assert (cut.clipping, cut.silences) == (whole.clipping, whole.silences)
    assert cut.levels.noise_floor_dbfs == pytest.approx(whole.levels.noise_floor_dbfs, abs=1e-6)
    assert [band.level_db for band in cut.third_octaves] == pytest.approx(
        [b.level_db for b in whole.third_octaves], abs=1e-4
    )
    assert cut.stereo.correlation == pytest.approx(whole.stereo.correlation, abs=1e-9)
    assert cut.tempo == whole.tempo


def test_six_channels_are_measured_with_left_and_right_as_the_pair(inspect):
    channels = np.stack(
        [sine(RATE, 1.0, level, 200.0 + 50 * i) for i, level in enumerate((-6, -12, -20, -30, -20, -20))], axis=1
    )
    details = inspect(channels, RATE, "PCM_24", format="WAVEX")
    assert len(details.levels.dc_offset) == 6
    assert details.stereo.balance_db == pytest.approx(6.0, abs=0.05)
