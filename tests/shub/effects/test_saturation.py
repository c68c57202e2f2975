"""Bent waveforms: harmonics that were meant, and none that fold back."""

import numpy as np
import pytest

from tests.shub.effects.running import made
from tests.shub.signals import sine

KINDS = ["tape", "tube", "soft_clip"]


def spectrum_db(samples: np.ndarray) -> np.ndarray:
    """Of one second from the middle, in bins of 1 Hz; a full-scale sine in a bin is 0 dB."""
    rate = len(samples) // 3
    middle = samples[rate : 2 * rate].astype(float) * np.blackman(rate)
    return 20 * np.log10(np.abs(np.fft.rfft(middle)) / (0.42 * rate / 2) + 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rate", "hz"), [(44_100, 1_001), (44_100, 4_999), (96_000, 7_001)])
def test_nothing_folds_back(kind, rate, hz):
    tone = sine(rate, 3, 0.0, hz).astype(np.float32)[:, None]
    heard = spectrum_db(made(tone, {"type": "saturation", "kind": kind, "drive_db": 12.0}, rate=rate)[:, 0])
    harmonics = np.arange(0, rate // 2 + 1, hz)
    away = np.abs(np.arange(len(heard))[:, None] - harmonics).min(axis=1)
    assert heard[(away > 4) & (np.arange(len(heard)) > 10)].max() < -80.0
    assert heard[3 * hz] > -40.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("drive_db", [0.0, 24.0])
def test_a_small_signal_keeps_its_level(kind, drive_db):
    quiet = sine(48_000, 0.5, -80.0, 440.0).astype(np.float32)[:, None]
    out = made(quiet, {"type": "saturation", "kind": kind, "drive_db": drive_db})
    off = 20 * np.log10(out[2_400:-2_400].std() / quiet[2_400:-2_400].std())
    assert off == pytest.approx(0.0, abs=0.02)
    if kind != "tube":  # whose offset is filtered away, which turns the phase a little
        assert out[2_400:-2_400] == pytest.approx(quiet[2_400:-2_400], abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "even", "odd"), [("tape", False, True), ("tube", True, True), ("soft_clip", False, True)]
)
def test_each_kind_has_its_harmonics(kind, even, odd):
    tone = sine(48_000, 3, -3.0, 500.0).astype(np.float32)[:, None]
    heard = spectrum_db(made(tone, {"type": "saturation", "kind": kind, "drive_db": 9.0})[:, 0])
    assert (heard[1_000] > -50.0) == even
    assert (heard[1_500] > -50.0) == odd
    assert heard[0] < -80.0  # no offset remains


def test_more_drive_bends_more_and_mix_lets_the_sound_through():
    tone = sine(48_000, 1, -6.0, 200.0).astype(np.float32)[:, None]
    peaks = [np.abs(made(tone, {"type": "saturation", "drive_db": drive})[4_000:]).max() for drive in (0.0, 12.0, 24.0)]
    assert peaks[0] > peaks[1] > peaks[2]
    bent = made(tone, {"type": "saturation"})
    assert made(tone, {"type": "saturation", "mix": 0.25}) == pytest.approx(0.75 * tone + 0.25 * bent, abs=1e-6)
