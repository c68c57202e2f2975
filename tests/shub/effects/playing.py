"""An effect as its contract describes it, at work on samples."""

from typing import Any

import numpy as np

from shub.dsp.effects.processor import Processor, Sound
from shub.dsp.effects.registry import PROCESSORS
from shub.dsp.kweighting import speakers_of
from tests.shub.effects.running import filled


def effect(kind: str, rate: int = 48_000, channels: int = 1, **values: Any) -> Processor:
    """With the defaults of the contract for what is not said."""
    [told] = filled({"type": kind, **values})
    return PROCESSORS[told.pop("type")](Sound(rate, speakers_of(channels)), **told)


def play(processor: Processor, samples: np.ndarray, block: int = 65_536, key: np.ndarray | None = None) -> np.ndarray:
    """What comes out of samples (frames, or frames x channels), fed in blocks."""
    frames = np.ascontiguousarray(samples.reshape(len(samples), -1), np.float32)
    keys = None if key is None else np.ascontiguousarray(key.reshape(len(key), -1), np.float32)
    parts = [
        processor.process(frames[at : at + block], None if keys is None else keys[at : at + block])
        for at in range(0, len(frames), block)
    ]
    return np.concatenate([*parts, processor.flush()])


def gain_db(out: np.ndarray, into: np.ndarray) -> np.ndarray:
    """Of every frame of the first channel; the input must nowhere be 0."""
    first = into.reshape(len(into), -1)[:, 0]
    return 20 * np.log10(np.abs(out[:, 0]) / np.abs(first))


def level_db(samples: np.ndarray) -> float:
    """Root of the mean power, in dB."""
    return float(10 * np.log10(np.mean(np.square(samples.astype(float)))))
