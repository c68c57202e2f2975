"""The limiter as an effect: no other meter reads above its ceiling, whatever comes in and however it is set."""

import numpy as np
import pytest

from tests.shub.effects.playing import effect, play
from tests.shub.signals import Reading, peak_at_8x, sine


def hot(rate: int) -> dict[str, np.ndarray]:
    """0.6 s each of what rises high between its samples."""
    random = np.random.default_rng(3)
    time = np.arange(int(rate * 0.6)) / rate
    return {
        "noise": 0.5 * random.standard_normal(len(time)),
        "drum hits": 2.0 * random.standard_normal(len(time)) * np.exp(-(time % 0.25) * 30),
        "square": np.sign(np.sin(2 * np.pi * 997 * time)),
        "a quarter of the rate": sine(rate, 0.6, 3.0, rate / 4, np.pi / 4),
        "close to half the rate": 1.4 * np.sin(0.8 * np.pi * np.arange(len(time))) * (1 + 0.3 * np.sin(20 * time)),
        "random signs": np.sign(random.standard_normal(len(time))),
    }


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 192_000])
@pytest.mark.parametrize("values", [
    {},
    {"drive_db": 24.0, "ceiling_dbtp": -3.0, "lookahead_ms": 50},
    {"drive_db": 12.0, "release_ms": 1.0, "lookahead_ms": 0.5},
])  # fmt: skip
def test_no_meter_reads_above_the_ceiling(rate, values):
    ceiling = values.get("ceiling_dbtp", -1.0)
    for name, samples in hot(rate).items():
        out = play(effect("limiter", rate, **values), samples)
        read = max(Reading(out, rate).true_peak_dbtp, peak_at_8x(out))
        assert ceiling - 1.2 < read <= ceiling, name


@pytest.mark.parametrize("channels", [2, 6, 8])
def test_the_loudest_of_all_channels_counts_and_all_are_turned_down_alike(channels):
    signals = list(hot(44_100).values())
    share = 1.0 - np.arange(channels) / 9
    sound = np.stack([signals[number % 6] for number in range(channels)], axis=1) * share
    out = play(effect("limiter", 44_100, channels, drive_db=9.0), sound)
    assert max(Reading(out, 44_100).true_peak_dbtp, peak_at_8x(out)) <= -1.0
    heard = np.all(np.abs(sound) > 0.01, axis=1)
    gains = out[heard] / sound[heard]
    assert gains == pytest.approx(np.repeat(gains[:, :1], channels, axis=1), rel=1e-5)


def test_what_stays_below_the_ceiling_passes_bit_for_bit():
    quiet = (0.1 * np.random.default_rng(1).standard_normal((20_000, 2))).astype(np.float32)
    assert np.array_equal(play(effect("limiter", channels=2), quiet, 1_000), quiet)


def test_the_release_is_as_told():
    """63 % of the way from the lowest gain back to 1."""
    rate = 48_000
    for release in (20, 200):
        samples = np.full(2 * rate, 0.1)
        samples[rate // 4 : rate // 4 + 480] = 3.0
        gain = play(effect("limiter", rate, release_ms=release), samples)[:, 0] / samples
        after = gain[rate // 4 + 480 :]
        from_here = int(np.argmax(after > gain.min() + 1e-4))
        back = gain.min() + (1 - np.exp(-1)) * (1 - gain.min())
        took = (int(np.argmax(after >= back)) - from_here) / rate * 1000
        assert took == pytest.approx(release, rel=0.05, abs=5)  # the averages of the look-ahead round its beginning


def test_the_report_tells_how_far_it_went():
    processor = effect("limiter", ceiling_dbtp=-1.0, drive_db=10.0)
    play(processor, sine(48_000, 0.3, 0.0))
    assert processor.told() == {"max_reduction_db": pytest.approx(11.1, abs=0.2)}
