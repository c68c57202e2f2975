"""Songs made of oscillators, noise and envelopes, in stems that nobody has levelled."""

from pathlib import Path

import numpy as np

from tests.shub.signals import write

RATE = 44_100
LEVELS_DB = {"voz": -46.0, "bombo": 0.0, "bateria": -3.0, "bajo": -28.0, "pad": -1.0, "guitarra": -34.0, "lead": -12.0}
"""As wildly unbalanced as people send them: the voice a whisper, the pad at full scale."""


def song(seconds: float = 8.0) -> dict[str, np.ndarray]:
    """Stems by name, each with its highest sample at its LEVELS_DB; voice, kick, bass and guitar mono."""
    random = np.random.default_rng(5)
    time = np.arange(round(RATE * seconds)) / RATE
    beat, chord = time % 0.5, np.array([110.0, 98.0, 130.8, 87.3])[(time // 2).astype(int) % 4]
    phase = 2 * np.pi * np.cumsum(chord) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 1.7 * time), 0, 1) ** 0.5 * (1 + 0.3 * np.sin(2 * np.pi * 0.3 * time))
    sung = sum(np.sin(2 * phase * n + 0.3 * np.sin(2 * np.pi * 5 * time)) / n**0.8 for n in range(1, 24))
    stems = {
        "voz": sung * syllables + 0.05 * random.standard_normal(len(time)) * syllables,
        "bombo": np.sin(2 * np.pi * (45 * beat + 4 * (1 - np.exp(-beat * 40)))) * np.exp(-beat * 12),
        "bateria": random.standard_normal((len(time), 2)) * (np.exp(-((time + 0.25) % 0.5) * 30))[:, None],
        "bajo": np.tanh(2 * np.sin(phase / 2)) + 0.3 * np.sin(phase),
        "pad": np.stack([_saw(phase * ratio) + _saw(phase * 1.5 * ratio) for ratio in (1.002, 0.998)], axis=1),
        "guitarra": _saw(phase * 2) * np.exp(-(time % 0.25) * 8),
        "lead": _saw(phase * 4) * (np.sin(2 * np.pi * 0.25 * time) > 0),
    }
    return {name: 10 ** (LEVELS_DB[name] / 20) * samples / np.abs(samples).max() for name, samples in stems.items()}


def write_song(folder: Path, seconds: float = 8.0) -> dict[str, Path]:
    return {
        name: write(folder / f"{name}.wav", samples.astype(np.float32), RATE, "PCM_24")
        for name, samples in song(seconds).items()
    }


def _saw(phase: np.ndarray) -> np.ndarray:
    """With its overtones up to 10 or so: none of them is above half the sample rate."""
    return sum(np.sin(phase * n) / n for n in range(1, 13))
