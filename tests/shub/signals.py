"""Signals and files for the tests, and the independent meters that judge what shub makes of them."""

from itertools import accumulate
from pathlib import Path

import numpy as np
import pyebur128
import scipy
import soundfile

EBU = pyebur128.MeasurementMode


def sine(rate: int, seconds: float, peak_dbfs: float, hz: float = 1000.0, phase: float = 0.0) -> np.ndarray:
    """A mono sine; its level is that of its peak."""
    frames = round(rate * seconds)
    return 10 ** (peak_dbfs / 20) * np.resize(_cycle(rate, hz, phase, frames), frames)


def _cycle(rate: int, hz: float, phase: float, frames: int) -> np.ndarray:
    """As much of a sine as it takes until it comes again: of whole hertz a second, which is far less than its sines."""
    if hz == int(hz):
        frames = min(frames, rate)
    return np.sin(2 * np.pi * hz * np.arange(frames) / rate + phase)


def steps(rate: int, parts: list[tuple[float, float | None]], hz: float = 1000.0) -> np.ndarray:
    """A continuous sine whose level changes: (seconds, peak dBFS or None for silence)."""
    lengths = [round(rate * seconds) for seconds, _ in parts]
    sound = np.resize(_cycle(rate, hz, 0.0, sum(lengths)), sum(lengths))
    for (_, level), end, length in zip(parts, accumulate(lengths), lengths, strict=True):
        sound[end - length : end] *= 0.0 if level is None else 10 ** (level / 20)
    return sound


def stereo(mono: np.ndarray) -> np.ndarray:
    return np.repeat(mono.astype(np.float32), 2).reshape(-1, 2)


def write(path: Path, samples: np.ndarray, rate: int, subtype: str | None = None, **options: str) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype, **options)
    return path


def uneven_stems(folder: Path, seconds: float = 6.0) -> list[Path]:
    """A whisper of a voice (mono, 48 kHz, 24 bit), drums at full scale (stereo, 44.1 kHz, FLAC), a bass in between (mono, 96 kHz)."""
    random = np.random.default_rng(11)
    time = np.arange(round(48_000 * seconds)) / 48_000
    voice = 0.004 * np.sin(2 * np.pi * 220 * time) * (1 + np.sin(2 * np.pi * 0.7 * time))
    time = np.arange(round(44_100 * seconds)) / 44_100
    hits = random.standard_normal((len(time), 2)) * np.exp(-(time % 0.5) * 25)[:, None] * 0.9
    time = np.arange(round(96_000 * seconds * 0.8)) / 96_000
    bass = 0.3 * np.tanh(3 * np.sin(2 * np.pi * 55 * time))
    return [
        write(folder / "voz.wav", voice, 48_000, "PCM_24"),
        write(folder / "bateria.flac", np.clip(hits, -1, 1), 44_100, "PCM_16"),
        write(folder / "bass.wav", bass, 96_000, "FLOAT"),
    ]


class Reading:
    """What libebur128 says of some audio."""

    def __init__(self, samples: np.ndarray, rate: int) -> None:
        samples = np.ascontiguousarray(samples.reshape(len(samples), -1), np.float32)
        channels = samples.shape[1]
        state = pyebur128.R128State(
            channels, rate, EBU.MODE_I | EBU.MODE_LRA | EBU.MODE_TRUE_PEAK | EBU.MODE_SAMPLE_PEAK
        )
        state.add_frames(samples.ravel(), len(samples))
        self.integrated_lufs = pyebur128.get_loudness_global(state)
        self.loudness_range_lu = pyebur128.get_loudness_range(state)
        self.true_peak_dbtp = decibels(max(pyebur128.get_true_peak(state, one) for one in range(channels)))
        self.sample_peak_dbfs = decibels(max(pyebur128.get_sample_peak(state, one) for one in range(channels)))

    @classmethod
    def of_file(cls, path: Path) -> "Reading":
        return cls(*soundfile.read(path, dtype="float32"))


def peak_at_8x(samples: np.ndarray) -> float:
    """True peak in dBTP by scipy's own 8x oversampling."""
    samples = samples.reshape(len(samples), -1).astype(float)
    return decibels(max(np.abs(scipy.signal.resample_poly(channel, 8, 1)).max() for channel in samples.T))


def decibels(magnitude: float) -> float:
    return float(20 * np.log10(magnitude))
