"""De-esser and multiband compressor: what they do to their bands, and that they leave the others alone."""

import numpy as np
import pytest

from shub.dsp.refusals import FrequencyAboveNyquist
from tests.shub.effects.playing import effect, level_db, play
from tests.shub.signals import sine

RATE = 48_000


def amplitude_db(samples: np.ndarray, hz: float, rate: int = RATE) -> float:
    """Of the part of the samples at this frequency, in dB."""
    wave = np.exp(2j * np.pi * hz * np.arange(len(samples)) / rate) * np.hanning(len(samples))
    return float(20 * np.log10(2 * np.abs(np.vdot(wave, samples)) / np.hanning(len(samples)).sum()))


@pytest.mark.parametrize("max_reduction_db", [3, 6, 24])
def test_a_deesser_turns_sibilants_down_to_the_threshold_and_no_further_than_it_may(max_reduction_db):
    for level in (-40, -28, -22, -6):
        hiss = sine(RATE, 0.5, level, 13_000.0)
        processor = effect("deesser", freq_hz=3_000, threshold_db=-30, max_reduction_db=max_reduction_db, release_ms=30)
        gain = level_db(play(processor, hiss)[-9_600:]) - level_db(hiss[-9_600:])
        asked = min(max_reduction_db, max(0, level + 30))
        assert gain == pytest.approx(-asked, abs=0.3)
        assert gain >= -max_reduction_db - 1e-6
        assert processor.told()["max_reduction_db"] == pytest.approx(asked, abs=0.5)  # the filter rings at the onset


@pytest.mark.parametrize("rate", [16_000, 48_000, 192_000])
def test_a_deesser_leaves_the_lows_alone_while_it_works(rate):
    lows = sine(rate, 1.0, -6.0, 440.0) + sine(rate, 1.0, -12.0, 880.0)
    hiss = sine(rate, 1.0, -12.0, 7_700.0)
    out = play(effect("deesser", rate, max_reduction_db=12), lows + hiss)[rate // 2 :, 0]
    for hz, before in ((440, -6.0), (880, -12.0)):
        assert amplitude_db(out, hz, rate) == pytest.approx(before, abs=0.02)
    assert amplitude_db(out, 7_700, rate) < -18


def test_at_half_of_its_reduction_a_deesser_has_no_bump():
    """Two bands with other phases would add up to more than there was."""
    noise = 0.001 * np.random.default_rng(5).standard_normal(4 * RATE)
    hiss = sine(RATE, 4.0, -10.0, 15_000.0)
    out = play(effect("deesser", max_reduction_db=10), noise + hiss)[:, 0]
    into, came = (np.abs(np.fft.rfft(part[RATE:])) for part in (noise + hiss, out))
    hz = np.fft.rfftfreq(3 * RATE, 1 / RATE)
    gains = [
        10 * np.log10(np.sum(came[band] ** 2) / np.sum(into[band] ** 2))
        for band in ((hz > low) & (hz < low * 1.1) for low in 300 * 1.1 ** np.arange(38))
    ]
    assert max(gains) < 0.02
    assert np.diff(gains).max() < 0.02  # ever more, the higher


def test_without_sibilants_a_deesser_passes_every_bit():
    voice = sine(RATE, 0.5, -3.0, 300.0)
    assert np.array_equal(play(effect("deesser"), voice)[:, 0], voice.astype(np.float32))


def test_a_deesser_that_would_stand_above_half_the_sample_rate_is_refused():
    with pytest.raises(FrequencyAboveNyquist, match="6500"):
        effect("deesser", 8_000)


LEFT_ALONE = {"threshold_db": 0.0, "ratio": 2.0, "knee_db": 0.0}


@pytest.mark.parametrize("crossovers", [[1_000], [120, 2_000], [60, 250, 1_000, 4_000, 12_000], [1_000, 1_100, 1_200]])
@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_bands_that_are_left_alone_sum_to_a_flat_magnitude(crossovers, rate):
    click = np.zeros(4 * rate)
    click[100] = 0.5
    bands = [LEFT_ALONE] * (len(crossovers) + 1)
    out = play(effect("multiband", rate, crossovers_hz=crossovers, bands=bands), click)[:, 0]
    magnitudes = 20 * np.log10(np.abs(np.fft.rfft(out)) / 0.5)
    assert np.abs(magnitudes).max() < 0.05


@pytest.mark.parametrize("band", [0, 1, 2])
def test_each_band_compresses_alone(band):
    tones = (40.0, 500.0, 10_000.0)
    sound = np.sum([sine(RATE, 2.0, -12.0, hz) for hz in tones], axis=0)
    works = {"threshold_db": -30.0, "ratio": 3.0, "knee_db": 0.0}
    bands = [works if number == band else LEFT_ALONE for number in range(3)]
    processor = effect("multiband", crossovers_hz=[140, 2_500], bands=bands)
    out = play(processor, sound)[RATE:, 0]
    for number, hz in enumerate(tones):
        wanted = -12.0 - 12.0 * (number == band)
        assert amplitude_db(out, hz) == pytest.approx(wanted, abs=0.2)
    told = processor.told()
    assert told[f"band_{band + 1}_max_reduction_db"] == told["max_reduction_db"] == pytest.approx(12.0, abs=0.2)


def test_the_makeup_of_a_band_raises_that_band():
    sound = sine(RATE, 1.0, -30.0, 40.0) + sine(RATE, 1.0, -30.0, 8_000.0)
    bands = [LEFT_ALONE, {**LEFT_ALONE, "makeup_db": 6.0}]
    out = play(effect("multiband", crossovers_hz=[600], bands=bands), sound)[RATE // 2 :, 0]
    assert amplitude_db(out, 40) == pytest.approx(-30.0, abs=0.05)
    assert amplitude_db(out, 8_000) == pytest.approx(-24.0, abs=0.05)
