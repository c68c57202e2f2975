"""Effects as the worker runs them: orders as on the wire, defaults filled in, blocks of a size through a line."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from config.contracts.effects import Chain
from shub.dsp.effects.keying import Keys
from shub.dsp.effects.line import Line
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.registry import build
from shub.dsp.kweighting import speakers_of

CHAIN: TypeAdapter[Any] = TypeAdapter(Chain)


def filled(*effects: Mapping[str, Any]) -> list[dict[str, Any]]:
    """With every default."""
    return [effect.model_dump() for effect in CHAIN.validate_python(list(effects))]


def sound(samples: np.ndarray, rate: int = 48_000, *, known: bool = True) -> Sound:
    return Sound(rate, speakers_of(samples.shape[1]), len(samples) if known else None)


def through(line: Line, samples: np.ndarray, block: int = 65_536) -> np.ndarray:
    """All that comes out of a line. What goes in is handed over in copies, and must not be changed."""
    parts = []
    for start in range(0, len(samples), block):
        given = samples[start : start + block].copy()
        parts.append(line.process(given).copy())
        assert np.array_equal(given, samples[start : start + block])
    return np.concatenate([*parts, line.flush()])


def made(
    samples: np.ndarray,
    *effects: Mapping[str, Any],
    rate: int = 48_000,
    block: int = 65_536,
    keys: Keys | None = None,
    known: bool = True,
) -> np.ndarray:
    """The samples after these effects."""
    return through(build(sound(samples, rate, known=known), filled(*effects), keys), samples, block)


def noise(frames: int, channels: int = 2, peak: float = 0.5, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-peak, peak, (frames, channels)).astype(np.float32)


def impulse(frames: int, channels: int = 1, at: int = 0, height: float = 1.0) -> np.ndarray:
    samples = np.zeros((frames, channels), np.float32)
    samples[at] = height
    return samples


class SampleKey:
    """A key that is held in memory."""

    def __init__(self, samples: np.ndarray) -> None:
        self._samples, self._place = samples, 0

    def take(self, frames: int, rate_hz: int) -> np.ndarray:
        given = self._samples[self._place : self._place + frames]
        self._place += frames
        return np.concatenate((given, np.zeros((frames - len(given), given.shape[1]), np.float32)))
