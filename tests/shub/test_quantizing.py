"""Dither and rounding: the error of a 16-bit file is noise, that of a 24-bit file is nothing."""

import numpy as np
import pytest

from shub.dsp.quantizing import to_integers


def as_floats(block: np.ndarray, bits: int, **options: int) -> np.ndarray:
    made = to_integers(block, bits, options.get("first_frame", 0), options.get("seed", 0))
    assert not (made & ((1 << (32 - bits)) - 1)).any()  # nothing below the last bit
    return made / 2**31


def test_what_24_bits_hold_passes_exactly():
    samples = (np.random.default_rng(0).integers(-(2**23), 2**23, (5_000, 2)) / 2**23).astype(np.float32)
    assert np.array_equal(as_floats(samples, 24), samples)


def test_a_tone_below_the_last_bit_survives_in_the_noise():
    """Without dither a tone of a quarter of a step would round to silence."""
    step = 2.0**-15
    tone = (0.25 * step * np.sin(2 * np.pi * np.arange(480_000) * 0.01))[:, None].astype(np.float32)
    spectrum = np.abs(np.fft.rfft(as_floats(tone, 16)[:, 0])) / 240_000
    assert spectrum[4_800] == pytest.approx(0.25 * step, rel=0.05)


def test_the_error_is_triangular_noise_that_does_not_know_the_signal():
    step = 2.0**-15
    for level in (0.0, 0.3 * step, 0.5):
        samples = np.full((200_000, 1), level, np.float32)
        error = (as_floats(samples, 16) - samples)[:, 0] / step
        assert error.mean() == pytest.approx(0.0, abs=0.01)
        assert error.var() == pytest.approx(0.25, rel=0.03)  # 1/6 of the dither and 1/12 of the rounding
        assert abs(np.corrcoef(error[:-1], error[1:])[0, 1]) < 0.01


def test_channels_get_noise_of_their_own():
    error = as_floats(np.zeros((100_000, 2), np.float32), 16)
    assert abs(np.corrcoef(error.T)[0, 1]) < 0.02


def test_full_scale_is_clipped_not_wrapped():
    loud = np.array([[1.5, -1.5], [1.0, -1.0]], np.float32)
    made = as_floats(loud, 16)
    assert made[:, 0] == pytest.approx(1.0, abs=1e-4)
    assert made[:, 1] == pytest.approx(-1.0, abs=1e-4)


def test_the_cut_into_blocks_leaves_no_trace_and_a_seed_changes_the_noise():
    samples = np.random.default_rng(0).standard_normal((1_000, 2)).astype(np.float32) * 0.1
    whole = as_floats(samples, 16)
    parts = [as_floats(samples[:333], 16), as_floats(samples[333:], 16, first_frame=333)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(as_floats(samples, 16, seed=1), whole)
