"""The meter against libebur128, and at the edges: silence, blocks of any size, odd layouts."""

import numpy as np
import pytest
import scipy

from shub.dsp.kweighting import k_filter, speakers_of
from shub.dsp.meter import Meter
from shub.dsp.refusals import UnknownLayout
from tests.shub.signals import Reading
from tests.shub.test_meter_ebu import meter_of, read


def programme(rate: int, channels: int, seconds: float = 30.0) -> np.ndarray:
    """Noise whose level wanders, so that gates and range have something to do; low-passed, since the meters' filters differ at the top."""
    random = np.random.default_rng(rate + channels)
    frames = round(rate * seconds)
    level = 10 ** (np.interp(np.arange(frames), np.linspace(0, frames, 7), [-10, -35, -18, -60, -12, -25, -8]) / 20)
    noise = scipy.signal.lfilter(scipy.signal.firwin(101, 0.7), 1.0, random.standard_normal((frames, channels)), axis=0)
    return (noise * level[:, None] * 0.3).astype(np.float32)


@pytest.mark.parametrize(
    ("rate", "channels"), [(48_000, 2), (44_100, 1), (96_000, 2), (48_000, 5), (44_100, 6), (22_050, 2)]
)
def test_it_agrees_with_libebur128(rate, channels):
    samples = programme(rate, channels)
    found, other = read(samples, rate, speakers_of(channels)), Reading(samples, rate)
    assert found.integrated_lufs == pytest.approx(other.integrated_lufs, abs=0.02)
    assert found.loudness_range_lu == pytest.approx(other.loudness_range_lu, abs=0.1)
    assert found.sample_peak_dbfs == pytest.approx(other.sample_peak_dbfs, abs=0.001)
    assert found.true_peak_dbtp == pytest.approx(other.true_peak_dbtp, abs=0.1)


def test_the_k_filter_at_48_khz_is_the_one_in_the_standard():
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585]
    highpass = [-1.99004745483398, 0.99007225036621]
    assert k_filter(48_000) == pytest.approx([*shelf, *highpass], abs=1e-9)


@pytest.mark.parametrize("rate", [44_100, 11_025])
def test_the_cut_into_blocks_leaves_no_trace(rate):
    samples = programme(rate, 2, 5.0)
    whole = read(samples, rate, block=len(samples))
    assert read(samples, rate, block=64) == whole
    assert read(samples, rate, block=65_536) == whole
    assert read(samples, rate, block=997) == whole


def test_silence_has_no_value_and_no_nan():
    found = meter_of(np.zeros((48_000 * 4, 2)), 48_000)
    assert set(vars(found.read()).values()) == {None}
    assert set(found.series().momentary_lufs) == {None}


def test_what_is_too_short_for_a_window_has_a_peak_and_no_loudness():
    found = read(np.full((100, 1), 0.5), 48_000, ("C",))
    assert found.integrated_lufs is None
    assert found.loudness_range_lu is None
    assert found.max_momentary_lufs is None
    assert found.sample_peak_dbfs == pytest.approx(-6.02, abs=0.01)


def test_a_peak_at_the_very_end_is_not_lost():
    late = np.zeros((4_800, 1), np.float32)
    late[-2:] = 0.7  # two equal samples: the curve between them is higher
    found = read(late, 48_000, ("C",))
    assert found.true_peak_dbtp > found.sample_peak_dbfs + 0.5


def test_reading_does_not_disturb_what_is_added_later():
    samples = programme(48_000, 2, 4.0)
    meter = Meter(48_000, ("L", "R"))
    for start in range(0, len(samples), 9_000):
        meter.add(samples[start : start + 9_000])
        meter.read()
    assert meter.read() == read(samples, 48_000)


def test_the_low_frequency_channel_does_not_count():
    loud = np.zeros((48_000, 6), np.float32)
    loud[:, 3] = 0.5 * np.sin(np.arange(48_000) * 0.01)
    assert read(loud, 48_000, speakers_of(6)).integrated_lufs is None
    assert read(loud, 48_000, speakers_of(6, vorbis_order=True)).integrated_lufs is not None  # there it is a surround


@pytest.mark.parametrize(("channels", "layout"), [(2, "5.1"), (6, "stereo"), (9, None)])
def test_a_layout_that_does_not_fit_is_refused(channels, layout):
    with pytest.raises(UnknownLayout):
        speakers_of(channels, layout)
