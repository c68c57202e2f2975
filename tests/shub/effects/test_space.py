"""Echoes and rooms."""

import numpy as np
import pytest
import scipy

from tests.shub.effects.running import impulse, made, noise

RATE = 48_000


def test_echoes_come_in_time_each_softer_than_the_one_before():
    out = made(impulse(100), {"type": "delay", "time_ms": 10.0, "feedback": 0.5, "wet": 0.25})[:, 0]
    at = np.flatnonzero(out)
    assert list(at) == [480 * echo for echo in range(len(at))]
    assert out[at[:4]] == pytest.approx([0.75, 0.25, 0.125, 0.0625])
    assert 0.25 * 0.5 ** (len(at) - 2) >= 1e-3 > 0.25 * 0.5 ** (len(at) - 1)  # down to -60 dB
    assert len(out) == 100 + 480 * (len(at) - 1)


def test_echoes_jump_from_side_to_side():
    bounce = {"type": "delay", "time_ms": 10.0, "feedback": 0.5, "wet": 0.5, "ping_pong": True}
    out = made(np.repeat(impulse(100), 2, axis=1), bounce)
    assert out[480] == pytest.approx([0.5, 0.0])
    assert out[960] == pytest.approx([0.0, 0.25])
    assert out[1_440] == pytest.approx([0.125, 0.0])
    spread = made(impulse(100), bounce)
    assert spread == pytest.approx(out * np.sqrt(0.5), abs=1e-6)


def test_every_echo_goes_through_the_filters_once_more():
    out = made(impulse(100), {"type": "delay", "time_ms": 100.0, "feedback": 0.9, "lowpass_hz": 1_000.0, "wet": 1.0})
    highs = [np.abs(np.fft.rfft(out[4_800 * echo :][:4_800, 0], RATE))[1_000] for echo in (1, 2, 3)]
    assert 20 * np.log10(highs) == pytest.approx([-3.01, -6.02 - 0.92, -9.03 - 1.83], abs=0.1)


def test_a_tail_that_would_not_end_is_faded_after_a_minute():
    out = made(impulse(80), {"type": "delay", "time_ms": 5_000.0, "feedback": 0.95, "wet": 1.0}, rate=8_000)
    assert len(out) == 80 + 60 * 8_000
    assert out[40_000, 0] == 1.0
    assert not out[-1].any()


def decay_seconds(response: np.ndarray, low: float, high: float, rate: int = RATE) -> float:
    """RT60 in a band, by Schroeder's backward integration from -5 to -35 dB (ISO 3382-1, T30)."""
    band = scipy.signal.sosfilt(scipy.signal.butter(3, (low, high), "bandpass", fs=rate, output="sos"), response)
    left = np.cumsum(np.square(band[::-1]))[::-1]
    level = 10 * np.log10(left / left[0] + 1e-30)
    start, end = np.argmax(level < -5.0), np.argmax(level < -35.0)
    slope = np.polyfit(np.arange(start, end) / rate, level[start:end], 1)[0]
    return float(-60.0 / slope)


def room(seconds: float, kind: str, channels: int = 2, **values: float) -> np.ndarray:
    reverb = {"type": "reverb", "kind": kind, "decay_s": seconds, "wet": 1.0, "lowcut_hz": 20.0, **values}
    return made(impulse(64, channels), reverb).astype(float)


@pytest.mark.parametrize("kind", ["room", "hall", "plate", "chamber"])
@pytest.mark.parametrize("seconds", [0.3, 1.8, 6.0])
def test_a_room_decays_as_long_as_it_should(kind, seconds):
    heard = room(seconds, kind)
    middle = [decay_seconds(heard[:, channel], low, 2 * low) for channel in (0, 1) for low in (354.0, 707.0)]
    assert np.mean(middle) == pytest.approx(seconds, rel=0.1)
    assert decay_seconds(heard[:, 0], 5_300.0, 6_800.0) == pytest.approx(seconds / 2, rel=0.15)  # at `damping_hz`
    level = 10 * np.log10(np.square(heard[-RATE // 100 :]).sum() / np.square(heard).max())
    assert level < -50.0  # nothing is heard of the cut at the end


def test_both_sides_have_rooms_of_their_own_and_the_lfe_none():
    heard = room(1.5, "hall")[RATE // 20 :]
    assert abs(np.corrcoef(heard.T)[0, 1]) < 0.15
    surround = room(0.5, "room", 6)[RATE // 20 : RATE // 2]
    assert not surround[:, 3].any()
    others = np.abs(np.corrcoef(surround[:, [0, 1, 2, 4, 5]].T) - np.eye(5))
    assert others.max() < 0.5
    lfe = noise(500, 6)
    assert np.array_equal(made(lfe, {"type": "reverb", "wet": 0.6})[:500, 3], lfe[:, 3])


def test_the_room_begins_after_the_predelay_and_the_first_reflections_before_the_rest():
    for kind, first_ms in (("room", 2.9), ("hall", 11.3), ("plate", 9.1)):
        heard = room(2.0, kind, 1, predelay_ms=30.0)[:, 0]
        begins = np.flatnonzero(np.abs(heard) > 1e-4)[0] / RATE
        assert begins == pytest.approx(0.03 + first_ms / 1000.0, abs=0.0005)


@pytest.mark.parametrize("kind", ["room", "hall", "plate", "chamber"])
def test_music_is_about_as_loud_in_the_room_as_without_it(kind):
    white = np.fft.rfft(noise(4 * RATE, 2), axis=0)
    hz = np.fft.rfftfreq(4 * RATE, 1 / RATE)[:, None]
    white *= (hz > 100.0) & (hz < 10_000.0)
    white[1:] /= np.sqrt(hz[1:])
    pink = np.fft.irfft(white, axis=0)
    pink = (0.2 * pink / pink.std()).astype(np.float32)
    for seconds in (0.4, 2.5):
        reverb = {"type": "reverb", "kind": kind, "decay_s": seconds, "wet": 1.0, "lowcut_hz": 20.0}
        heard = made(pink, reverb)[2 * RATE : 4 * RATE]
        assert 20 * np.log10(heard.std() / pink.std()) == pytest.approx(0.0, abs=2.0)


def test_wet_is_between_the_sound_and_its_room():
    samples = noise(4_000)
    reverb = {"type": "reverb", "decay_s": 0.2}
    alone, between = (made(samples, reverb | {"wet": wet}) for wet in (1.0, 0.3))
    dry = np.zeros_like(alone)
    dry[:4_000] = samples
    assert between == pytest.approx(0.7 * dry + 0.3 * alone, abs=1e-6)
