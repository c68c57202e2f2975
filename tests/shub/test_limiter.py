"""The limiter: under its ceiling for other meters too, untouched below it, the same in blocks of any size."""

import numpy as np
import pytest

from shub.dsp.limiter import Limiter
from tests.shub.signals import Reading, peak_at_8x, sine

RATE = 48_000


def limit(samples: np.ndarray, ceiling_dbtp: float, rate: int = RATE, block: int = 65_536) -> np.ndarray:
    limiter = Limiter(rate, samples.shape[1], ceiling_dbtp)
    parts = [limiter.process(samples[start : start + block]) for start in range(0, len(samples), block)]
    return np.concatenate([*parts, limiter.flush()])


def hot_signals() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    time = np.arange(RATE * 2) / RATE
    hits = random.standard_normal(len(time)) * np.exp(-(time % 0.25) * 30)
    return {
        "white noise": 0.5 * random.standard_normal(len(time)),
        "drum hits": 2.0 * hits,
        "square": 1.5 * np.sign(np.sin(2 * np.pi * 997 * time)),
        "between samples": sine(RATE, 2, 3.0, RATE / 4, np.pi / 4),
        "close to the top": 1.4 * np.sin(2 * np.pi * 19_000 * time) * (1 + 0.3 * np.sin(2 * np.pi * 3 * time)),
        "single clicks": (random.random(len(time)) < 0.001) * 4.0 * random.standard_normal(len(time)),
        "low tone": sine(RATE, 2, 8.0, 60.0),
    }


@pytest.mark.parametrize("name", hot_signals())
@pytest.mark.parametrize("ceiling_dbtp", [-1.0, -9.0])
def test_no_meter_reads_above_the_ceiling(name, ceiling_dbtp):
    samples = hot_signals()[name].astype(np.float32)[:, None]
    out = limit(samples, ceiling_dbtp)
    assert Reading(out, RATE).true_peak_dbtp <= ceiling_dbtp + 0.001
    assert peak_at_8x(out) <= ceiling_dbtp + 0.1  # the margin that `loudness_target` keeps for other meters' filters
    assert peak_at_8x(out) > ceiling_dbtp - 0.6  # held, not squashed


def test_below_the_ceiling_every_bit_passes():
    quiet = (0.05 * np.random.default_rng(1).standard_normal((RATE, 2))).astype(np.float32)
    assert np.array_equal(limit(quiet, -1.0), quiet)


def test_after_a_peak_the_gain_comes_back_to_exactly_one():
    samples = np.full((RATE * 3, 1), 0.1, np.float32)
    samples[1_000] = 3.0
    out = limit(samples, -1.0)
    assert out[1_000] == pytest.approx(10 ** (-1 / 20), rel=0.05)
    assert np.array_equal(out[-RATE:], samples[-RATE:])


@pytest.mark.parametrize("block", [64, 997, 4_096])
def test_the_cut_into_blocks_leaves_no_trace(block):
    samples = hot_signals()["drum hits"].astype(np.float32)[: RATE // 2, None]
    assert np.array_equal(limit(samples, -1.0, block=block), limit(samples, -1.0))


@pytest.mark.parametrize("frames", [1, 5, 300, 4_801])
def test_as_many_frames_come_out_and_none_is_moved(frames):
    samples = np.zeros((frames, 2), np.float32)
    samples[frames // 2] = 0.25
    assert np.array_equal(limit(samples, -1.0), samples)


def test_both_channels_are_turned_down_together():
    both = np.stack([hot_signals()["drum hits"], 0.1 * sine(RATE, 2, 0.0)], axis=1).astype(np.float32)
    out = limit(both, -1.0)
    touched = np.abs(both[:, 1]) > 0.01
    gains = out[touched] / both[touched]
    assert gains[:, 0] == pytest.approx(gains[:, 1], abs=1e-4)
    assert gains.min() < 0.9


def test_the_gain_never_jumps():
    """A click would show as a step of the gain from one sample to the next."""
    samples = np.full((RATE, 1), 0.5, np.float32)
    samples[20_000:20_010] = 2.0
    gain = (limit(samples, -1.0) / samples)[:, 0]
    assert gain.min() == pytest.approx(0.40, abs=0.02)  # the curve overshoots the step to 2.2
    assert np.abs(np.diff(gain)).max() < 0.006  # the whole way down takes 5 ms, that is 240 samples
