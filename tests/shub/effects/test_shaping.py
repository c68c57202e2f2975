"""The sound's edges, its rate and its bits."""

import math

import numpy as np
import pytest

from shub.dsp.effects.processor import Sound
from shub.dsp.effects.registry import build
from shub.dsp.refusals import EmptyAudio
from tests.shub.effects.running import filled, made, noise, sound, through
from tests.shub.signals import sine

CURVES = {
    "linear": lambda t: t,
    "equal_power": lambda t: np.sin(t * math.pi / 2),
    "exponential": lambda t: (1_000.0**t - 1) / 999,
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("known", [True, False])
def test_fades_follow_their_curves_exactly(curve, known):
    ones = np.ones((10_000, 2), np.float32)
    out = made(ones, {"type": "fade", "in_seconds": 0.05, "out_seconds": 0.1, "curve": curve}, block=777, known=known)
    assert out[:2_400, 0] == pytest.approx(CURVES[curve](np.arange(2_400) / 2_400), abs=1e-6)
    assert out[:-4_801:-1, 1] == pytest.approx(CURVES[curve](np.arange(4_800) / 4_800), abs=1e-6)
    assert (out[2_400:-4_800] == 1.0).all()


def test_fades_longer_than_the_sound_meet():
    out = made(
        np.ones((100, 1), np.float32), {"type": "fade", "in_seconds": 1.0, "out_seconds": 1.0, "curve": "linear"}
    )
    frame = np.arange(100)
    assert out[:, 0] == pytest.approx(frame * frame[::-1] / 48_000**2, abs=1e-9)


@pytest.mark.parametrize("announced", [9_000, 11_000])
def test_a_fade_out_ends_where_the_sound_does_whatever_was_announced(announced):
    ones = np.ones((10_000, 2), np.float32)
    line = build(Sound(48_000, ("L", "R"), announced), filled({"type": "fade", "out_seconds": 0.1, "curve": "linear"}))
    assert through(line, ones, 700)[-4_800:, 0] == pytest.approx(np.arange(4_800)[::-1] / 4_800, abs=1e-6)


def test_a_fade_out_ends_with_the_tail_that_an_effect_before_it_added():
    samples = noise(5_000)
    out = made(samples, {"type": "delay", "time_ms": 20.0}, {"type": "fade", "out_seconds": 0.1})
    assert len(out) > 5_000
    assert not out[-1].any()
    assert out[-4_000:-3_000].any()


@pytest.mark.parametrize(
    ("start", "end", "first", "last"), [(0.0, None, 0, 9_000), (0.1, 0.15, 4_800, 7_200), (0.1, 9.0, 4_800, 9_000)]
)
def test_trim_keeps_these_frames(start, end, first, last):
    samples = noise(9_000)
    trim = {"type": "trim", "start_seconds": start, "end_seconds": end}
    assert np.array_equal(made(samples, trim, block=100), samples[first:last])
    assert build(sound(samples), filled(trim)).out.frames == last - first


def test_a_cut_that_leaves_nothing_is_refused():
    with pytest.raises(EmptyAudio, match=r"effect 1 \(trim\).*0\.188 s"):
        build(sound(noise(9_000)), filled({"type": "trim", "start_seconds": 1.0}))


@pytest.mark.parametrize(("rate", "to"), [(48_000, 44_100), (44_100, 96_000), (8_000, 192_000), (192_000, 8_000)])
def test_another_rate_is_the_same_sound_in_step(rate, to):
    hz = 997.0
    tone = sine(rate, 0.5, -6.0, hz).astype(np.float32)[:, None]
    out = made(tone, {"type": "resample", "sample_rate_hz": to}, rate=rate, block=1_001)
    assert len(out) == to // 2
    wanted = sine(to, 0.5, -6.0, hz)
    inner = slice(to // 20, -to // 20)
    assert out[inner, 0] == pytest.approx(wanted[inner], abs=2e-5)
    line = build(Sound(rate, ("C",)), filled({"type": "resample", "sample_rate_hz": to}))
    assert line.out.rate_hz == to


@pytest.mark.parametrize("bits", [8, 12, 16, 20, 24])
def test_dither_rounds_to_its_bits_with_an_error_that_hides_nothing(bits):
    step = 2.0 ** (1 - bits)
    samples = np.full((50_000, 1), 0.3 * step, np.float32)
    out = made(samples, {"type": "dither", "bit_depth": bits}, block=999)[:, 0].astype(float) / step
    assert np.array_equal(out, np.rint(out))
    assert set(out) <= {-1.0, 0.0, 1.0, 2.0}
    assert out.mean() == pytest.approx(0.3, abs=0.015)
    assert out.var() == pytest.approx(0.25, rel=0.03)  # of triangular dither and rounding, whatever the signal
