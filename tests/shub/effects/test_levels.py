"""Where the sound stands: placed, widened, folded, and taken apart into middle and sides."""

import math

import numpy as np
import pytest

from tests.shub.effects.running import made, noise
from tests.shub.signals import sine


def powers(samples: np.ndarray) -> np.ndarray:
    return np.square(samples.astype(float)).mean(axis=0)


@pytest.mark.parametrize("pan", [-1.0, -0.5, 0.0, 0.37, 1.0])
def test_a_panned_mono_sound_keeps_its_power_and_becomes_stereo(pan):
    samples = noise(20_000, 1)
    left, right = powers(made(samples, {"type": "pan", "pan": pan})) / powers(samples)
    assert left + right == pytest.approx(1.0, rel=1e-5)
    assert left == pytest.approx(math.cos((pan + 1) * math.pi / 4) ** 2, abs=1e-6)


def test_a_stereo_sound_is_balanced_and_surround_is_folded():
    samples = noise(20_000, 2)
    hard_right = made(samples, {"type": "pan", "pan": 1.0})
    assert not hard_right[:, 0].any()
    assert hard_right[:, 1] == pytest.approx(samples[:, 1] * math.sqrt(2), abs=1e-6)
    surround = noise(2_000, 6)
    folded = made(surround, {"type": "channels", "to": "stereo"}).astype(float)
    left, center, left_back = surround.T.astype(float)[[0, 2, 4]]
    assert folded[:, 0] == pytest.approx(left + (center + left_back) * math.sqrt(0.5), abs=1e-6)
    assert made(surround, {"type": "pan", "pan": 0.0}) == pytest.approx(folded, abs=1e-6)
    mono = made(surround, {"type": "channels", "to": "mono"})
    assert mono[:, 0] == pytest.approx(folded.sum(axis=1) * math.sqrt(0.5), abs=1e-6)


def test_down_and_up_again_is_the_same_mono():
    samples = noise(2_000, 1)
    assert np.array_equal(made(samples, {"type": "channels", "to": "mono"}), samples)
    up = made(samples, {"type": "channels", "to": "stereo"})
    assert powers(up).sum() == pytest.approx(powers(samples)[0], rel=1e-5)
    assert made(up, {"type": "channels", "to": "mono"}) == pytest.approx(samples, abs=1e-6)


@pytest.mark.parametrize("width", [0.0, 0.5, 2.0])
def test_width_changes_the_sides_alone(width):
    samples = noise(5_000, 6).astype(float)
    out = made(samples.astype(np.float32), {"type": "width", "width": width}).astype(float)
    for left, right in ((0, 1), (4, 5)):
        assert out[:, left] + out[:, right] == pytest.approx(samples[:, left] + samples[:, right], abs=1e-6)
        assert out[:, left] - out[:, right] == pytest.approx(width * (samples[:, left] - samples[:, right]), abs=1e-6)
    assert np.array_equal(out[:, 2:4], samples[:, 2:4].astype(np.float32))


def test_below_its_frequency_the_sound_is_mono_and_above_it_the_image_stays():
    def sides(hz: float) -> float:
        tone = np.stack([sine(48_000, 1, -6.0, hz), np.zeros(48_000)], axis=1).astype(np.float32)
        out = made(tone, {"type": "width", "mono_below_hz": 200.0})[24_000:]
        assert powers(out[:, :1] + out[:, 1:]) == pytest.approx(powers(tone[24_000:, :1]), rel=1e-3)
        return 10 * math.log10(powers(out[:, :1] - out[:, 1:])[0] / powers(tone[24_000:, :1])[0])

    assert sides(50.0) < -47.0  # 24 dB per octave
    assert sides(200.0) == pytest.approx(-6.02, abs=0.05)
    assert sides(2_000.0) == pytest.approx(0.0, abs=0.05)
    tone = np.stack([sine(48_000, 1, -6.0, 2_000.0), np.zeros(48_000)], axis=1).astype(np.float32)
    out = made(tone, {"type": "width", "mono_below_hz": 200.0})[24_000:]
    assert 10 * math.log10(powers(out)[1] / powers(out)[0]) < -35.0  # what was left alone is still left alone


def test_middle_and_sides_have_effects_of_their_own():
    samples = noise(5_000)
    middle, sides = (samples[:, 0] + samples[:, 1]) / 2, (samples[:, 0] - samples[:, 1]) / 2
    louder = made(samples, {"type": "mid_side", "mid": [{"type": "gain", "gain_db": 6.0}]})
    assert louder[:, 0] == pytest.approx(middle * 10 ** (6 / 20) + sides, abs=1e-6)
    assert louder[:, 1] == pytest.approx(middle * 10 ** (6 / 20) - sides, abs=1e-6)
    late = made(
        samples,
        {"type": "mid_side", "side": [{"type": "compressor", "threshold_db": 0.0, "ratio": 1.0, "lookahead_ms": 7.0}]},
        block=333,
    )
    assert late == pytest.approx(samples, abs=1e-6)  # the side is looked ahead, and the middle waits for it
