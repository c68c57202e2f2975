"""Music rendered in code: clicks in time, chords in a key."""

import numpy as np

from tests.shub.signals import stereo

RATE = 44_100
TONES = {"C": 0, "C#": 1, "D": 2, "Eb": 3, "E": 4, "F": 5, "F#": 6, "G": 7, "Ab": 8, "A": 9, "Bb": 10, "B": 11}
MAJOR, MINOR = (0, 4, 7), (0, 3, 7)
CADENCES = {
    "major": [(0, MAJOR), (5, MAJOR), (7, MAJOR), (0, MAJOR)],
    "minor": [(0, MINOR), (5, MINOR), (7, MAJOR), (0, MINOR)],
}
"""I IV V I, by half tones from the tonic."""


def clicks(bpm: float, seconds: float = 12.0, rate: int = RATE, *, swing: float = 0.0) -> np.ndarray:
    """A short burst of noise on every beat, and a softer one `swing` of the way to the next."""
    random = np.random.default_rng(3)
    sound = 0.001 * random.standard_normal(round(seconds * rate))
    burst = random.standard_normal(round(0.03 * rate)) * np.exp(-np.arange(round(0.03 * rate)) / (0.006 * rate))
    for beat in np.arange(0.1, seconds - 0.2, 60.0 / bpm):
        for when, gain in ((beat, 0.6), (beat + swing * 60.0 / bpm, 0.2 if swing else 0.0)):
            start = round(when * rate)
            sound[start : start + burst.size] += gain * burst[: max(0, sound.size - start)]
    return np.clip(sound, -1.0, 1.0)


def chords(
    key: str, rate: int = RATE, *, bar_seconds: float = 1.0, concert_hz: float = 440.0, bars: int = 8
) -> np.ndarray:
    """A cadence in the key over its bass, every note with six overtones."""
    name, mode = key.split()
    parts = []
    for bar in range(bars):
        degree, triad = CADENCES[mode][bar % 4]
        time = np.arange(round(bar_seconds * rate)) / rate
        root = TONES[name] + degree
        notes = [root % 12 - 21, *((root + step) % 12 - 9 for step in triad)]  # from A4, in half tones
        tone = sum(
            np.sin(2 * np.pi * concert_hz * 2 ** (note / 12) * overtone * time) / overtone**1.3
            for note in notes
            for overtone in range(1, 7)
        )
        parts.append(tone * np.exp(-time * 1.5) * 0.08)
    return np.concatenate(parts)


def pink(seconds: float, rate: int, channels: int = 1, slope_db: float = -3.0) -> np.ndarray:
    """Noise whose density falls by so many dB an octave, above 10 Hz."""
    random = np.random.default_rng(8)
    count = round(seconds * rate)
    spectrum = np.fft.rfft(random.standard_normal((count, channels)), axis=0)
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / rate), 10.0)
    shaped = np.fft.irfft(spectrum * (hertz ** (slope_db / (20 * np.log10(2.0))))[:, None], count, axis=0)
    return shaped / np.abs(shaped).max() * 0.7


def song(seconds: float = 8.0) -> np.ndarray:
    """Chords over clicks, in stereo."""
    return stereo(chords("A minor", bars=round(seconds)) + 0.3 * clicks(120, seconds))
