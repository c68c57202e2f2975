"""Three small stems that belong to nobody: a beat, a bass and a pad, made from sines and noise."""

import io
import wave

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 44_100
SECONDS = 6.0
BEATS_PER_MINUTE = 120

Signal = NDArray[np.float64]


def make_stems() -> dict[str, bytes]:
    """The stems by file name, as 16-bit WAV; the same bytes every time."""
    time = np.arange(int(SECONDS * RATE_HZ)) / RATE_HZ
    beat = time % (60 / BEATS_PER_MINUTE)
    return {
        "beat.wav": _wav(_beat(beat)[:, np.newaxis]),
        "bass.wav": _wav(_bass(time, beat)[:, np.newaxis]),
        "pad.wav": _wav(np.stack([_pad(time, 0.0), _pad(time, 0.4)], axis=1)),
    }


def _beat(beat: Signal) -> Signal:
    noise = np.random.default_rng(11).standard_normal(beat.size)
    kick = np.sin(2 * np.pi * 50 * beat + 12 * np.exp(-40 * beat)) * np.exp(-9 * beat)
    return np.asarray(0.6 * kick + 0.12 * noise * np.exp(-60 * ((beat + 0.25) % 0.5)))


def _bass(time: Signal, beat: Signal) -> Signal:
    root = np.where(time % 4 < 2, 55.0, 41.2)
    return np.asarray(0.4 * np.sin(2 * np.pi * root * time) * np.exp(-2 * beat))


def _pad(time: Signal, phase: float) -> Signal:
    chord = sum(np.sin(2 * np.pi * tone * time + phase * tone) for tone in (220.0, 277.2, 329.6))
    return np.asarray(0.08 * chord * (0.7 + 0.3 * np.sin(2 * np.pi * 0.5 * time + phase)))


def _wav(frames: Signal) -> bytes:
    """Frames by channels, full scale at 1.0."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(frames.shape[1])
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(frames, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()
