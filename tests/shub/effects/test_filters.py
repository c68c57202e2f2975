"""Filters against their formulas: the magnitude of what comes out of an impulse, and what remains when it has gone."""

import math

import numpy as np
import pytest
import scipy

from shub.dsp.effects import sections
from shub.dsp.effects.registry import PROCESSORS
from tests.shub.effects.running import filled, impulse, made, noise, sound

RATES = [8_000, 44_100, 48_000, 192_000]


def magnitude_db(effect: dict, rate: int, hz: list[float], seconds: float = 1.0) -> np.ndarray:
    """At these frequencies, from the impulse response. The impulse is low, that is far from any limit, and exact."""
    response = made(impulse(round(rate * seconds), height=0.25), effect, rate=rate)[:, 0].astype(float) * 4.0
    turns = np.exp(-2j * np.pi * np.outer(hz, np.arange(len(response))) / rate)
    return 20 * np.log10(np.abs(turns @ response))


def cookbook_db(kind: str, rate: int, hz: list[float], freq_hz: float, gain_db: float, q: float) -> np.ndarray:
    """The digital transfer function of the Audio EQ Cookbook, written down a second time."""
    a, w = 10 ** (gain_db / 40), 2 * math.pi * freq_hz / rate
    alpha, c, r = math.sin(w) / 2 / q, math.cos(w), 2 * math.sqrt(a) * math.sin(w) / 2 / q
    b, d = {
        "eq_peak": ([1 + alpha * a, -2 * c, 1 - alpha * a], [1 + alpha / a, -2 * c, 1 - alpha / a]),
        "eq_low_shelf": (
            [a * (a + 1 - (a - 1) * c + r), 2 * a * (a - 1 - (a + 1) * c), a * (a + 1 - (a - 1) * c - r)],
            [a + 1 + (a - 1) * c + r, -2 * (a - 1 + (a + 1) * c), a + 1 + (a - 1) * c - r],
        ),
        "eq_high_shelf": (
            [a * (a + 1 + (a - 1) * c + r), -2 * a * (a - 1 + (a + 1) * c), a * (a + 1 + (a - 1) * c - r)],
            [a + 1 - (a - 1) * c + r, 2 * (a - 1 - (a + 1) * c), a + 1 - (a - 1) * c - r],
        ),
    }[kind]
    return 20 * np.log10(np.abs(scipy.signal.freqz(b, d, hz, fs=rate)[1]))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("kind", "q"), [("eq_peak", 0.7), ("eq_peak", 6.0), ("eq_low_shelf", 0.7071), ("eq_high_shelf", 1.2)]
)
def test_the_equalizer_keeps_to_its_curve(rate, kind, q):
    for freq_hz, gain_db in ((60.0, 12.0), (1_000.0, -9.0), (0.4 * rate, 6.0)):
        hz = [freq_hz / 8, freq_hz / 1.5, freq_hz, min(1.3 * freq_hz, 0.49 * rate), 0.45 * rate]
        effect = {"type": kind, "freq_hz": freq_hz, "gain_db": gain_db, "q": q}
        found = magnitude_db(effect, rate, hz)
        assert found == pytest.approx(cookbook_db(kind, rate, hz, freq_hz, gain_db, q), abs=0.01)


def test_gain_and_q_are_where_they_are_said_to_be():
    peak = {"type": "eq_peak", "freq_hz": 500.0, "gain_db": 8.0, "q": 2.0}
    low, high = (500.0 * (math.sqrt(1 + 1 / 16) + side / 4) for side in (-1, 1))  # 250 Hz apart, around 500
    assert magnitude_db(peak, 48_000, [500.0, low, high]) == pytest.approx([8.0, 4.0, 4.0], abs=0.02)
    for kind, far in (("eq_low_shelf", 10.0), ("eq_high_shelf", 20_000.0)):
        shelf = {"type": kind, "freq_hz": 500.0, "gain_db": -8.0}
        assert magnitude_db(shelf, 48_000, [500.0, far]) == pytest.approx([-4.0, -8.0], abs=0.02)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("slope", [6, 12, 18, 24, 36, 48])
def test_butterworth_is_3_db_down_at_its_frequency_and_falls_as_said(rate, slope):
    cut = 0.05 * rate
    for kind, btype, beyond in (("highpass", "high", 1 / 4), ("lowpass", "low", 4)):
        effect = {"type": kind, "freq_hz": cut, "slope_db_oct": slope}
        hz = [cut, cut / 2, cut * 2, cut * math.sqrt(beyond)]
        found = magnitude_db(effect, rate, hz, 0.2)
        assert found[0] == pytest.approx(-3.0103, abs=0.005)
        wanted = scipy.signal.sosfreqz(scipy.signal.butter(slope // 6, cut, btype, fs=rate, output="sos"), hz, fs=rate)[
            1
        ]
        assert found == pytest.approx(20 * np.log10(np.abs(wanted)), abs=0.02)
    octaves = magnitude_db({"type": "highpass", "freq_hz": 1_000.0, "slope_db_oct": slope}, rate, [500.0, 250.0], 1.0)
    order = slope // 6
    falls = 10 * math.log10((1 + 4 ** (2 * order)) / (1 + 2 ** (2 * order)))  # 5.3 dB at first, then 6 of each order
    assert octaves[0] - octaves[1] == pytest.approx(falls, rel=0.03)


def test_a_notch_takes_its_frequency_out_and_leaves_the_rest():
    effect = {"type": "notch", "freq_hz": 50.0, "q": 10.0}
    found = magnitude_db(effect, 48_000, [50.0, 47.56, 52.56, 25.0, 1_000.0])
    assert found[0] < -80.0
    assert found[1:3] == pytest.approx([-3.0, -3.0], abs=0.1)
    assert found[3:] == pytest.approx([0.0, 0.0], abs=0.1)


def test_a_deep_filter_at_the_highest_rate_is_still_exact():
    """20 Hz at 192 kHz: the poles lie 0.0005 from where they would ring for ever, where float32 could not hold them."""
    found = magnitude_db({"type": "highpass", "freq_hz": 20.0, "slope_db_oct": 48}, 192_000, [20.0, 40.0, 1_000.0], 1.5)
    assert found == pytest.approx([-3.01, 0.0, 0.0], abs=0.03)


def test_gain_is_exact():
    samples = noise(500, 6)
    wanted = (samples.astype(float) * 10 ** (-6 / 20)).astype(np.float32)
    assert np.array_equal(made(samples, {"type": "gain", "gain_db": -6.0}), wanted)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_every_channel_is_filtered_alike_and_alone(channels):
    samples = noise(3_000, channels)
    chain = [
        {"type": "eq_peak", "freq_hz": 900.0, "gain_db": 6.0},
        {"type": "lowpass", "freq_hz": 5_000.0, "slope_db_oct": 36},
    ]
    together = made(samples, *chain)
    alone = [made(samples[:, [channel]], *chain) for channel in range(channels)]
    assert np.array_equal(together, np.concatenate(alone, axis=1))


def test_a_crossover_sums_to_an_all_pass():
    hz = np.geomspace(20.0, 20_000.0, 50)
    low, high, turned = (sections.response(one, 48_000, hz) for one in sections.linkwitz_riley(48_000, 800.0))
    assert low + high == pytest.approx(turned, abs=1e-9)
    assert np.abs(turned) == pytest.approx(np.ones(50), abs=1e-9)


@pytest.mark.parametrize(
    "effect",
    [
        {"type": "lowpass", "freq_hz": 20.0, "slope_db_oct": 6},
        {"type": "eq_peak", "freq_hz": 3_000.0, "gain_db": -20.0, "q": 0.3},
        {"type": "delay", "time_ms": 1.0, "feedback": 0.3, "lowpass_hz": 50.0},
        {"type": "reverb", "decay_s": 0.1, "damping_hz": 400.0},
    ],
    ids=lambda effect: effect["type"],
)
def test_no_state_ever_becomes_denormal(effect):
    """A number below 2e-308 costs a hundred times as much as another."""
    (values,) = filled(effect)
    kind = values.pop("type")
    samples = noise(8_000)
    processor = PROCESSORS[kind](sound(samples, 8_000, known=False), **values)
    processor.process(samples)
    silence = np.zeros((777, 2), np.float32)
    for _ in range(120):
        processor.process(silence)
        for name in ("state", "ring", "rings"):
            held = np.abs(getattr(processor, name, np.zeros(1)))
            assert (held[held > 0.0] > 1e-250).all()
    assert not processor.state.any()
