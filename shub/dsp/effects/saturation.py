"""Bent waveforms."""

from typing import Final

import numpy as np
import soxr

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.cascade import Cascade
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import highpass

_CURVES: Final = {"tape": 0, "tube": 1, "soft_clip": 2}
BIAS: Final = 0.4
"""Where on the curve a tube stands: what makes it bend one side before the other, which gives even harmonics."""
BLOCKED_HZ: Final = 5.0
"""Below this the tube's offset is taken away."""
HIGH_RATE_HZ: Final = 100_000


class Saturation:
    """The sound times the drive through a curve whose slope is 1 at nothing, and back by the drive: what is soft keeps its level.

    With x driven: tape x / sqrt(1 + x^2); tube the same around a bias, with even harmonics; soft_clip x / (1 + x^4)^(1/4), straight for
    longer. The curve runs at 8 times the sample rate (4 times above 100 kHz; soxr VHQ both ways, aligned in time), so harmonics up to
    seven and a half times the sample rate stay out of what is heard. Algebraic curves, for they are the same on every machine.
    """

    def __init__(self, sound: Sound, *, kind: str, drive_db: float, mix: float) -> None:
        self.out, self._curve = sound, _CURVES[kind]
        self._drive, self._mix = 10.0 ** (drive_db / 20.0), mix
        factor = 4 if sound.rate_hz > HIGH_RATE_HZ else 8
        rate, high, channels = sound.rate_hz, sound.rate_hz * factor, sound.channels
        self._up = soxr.ResampleStream(rate, high, channels, dtype="float32", quality="VHQ")
        self._down = soxr.ResampleStream(high, rate, channels, dtype="float32", quality="VHQ")
        self._dry = np.empty((0, channels), np.float32)
        self._blocker = Cascade(sound, highpass(rate, BLOCKED_HZ, 1)) if kind == "tube" else None

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._mix == 0.0:
            return block
        return self._mixed(block, self._down.resample_chunk(self._bent(self._up.resample_chunk(block))))

    def flush(self) -> Block:
        empty = np.empty((0, self.out.channels), np.float32)
        if self._mix == 0.0:
            return empty
        high = self._bent(self._up.resample_chunk(empty, last=True))
        made = self._mixed(empty, self._down.resample_chunk(high, last=True))
        missing = self._mixed(empty, np.zeros((len(self._dry), self.out.channels), np.float32))
        return np.concatenate((made, missing))

    def told(self) -> dict[str, float]:
        return {}

    def _bent(self, high: Block) -> Block:
        made = np.empty_like(high)
        _bend(high, made, self._drive, self._curve)
        return made

    def _mixed(self, block: Block, wet: Block) -> Block:
        """The next frames of the result; `wet` comes late, and the sound itself waits for it."""
        dry = np.concatenate((self._dry, block))
        frames = min(len(wet), len(dry))
        self._dry, wet = dry[frames:], wet[:frames]
        if self._blocker is not None:
            wet = self._blocker.process(wet)
        if self._mix == 1.0:
            return wet
        return dry[:frames] * np.float32(1.0 - self._mix) + wet * np.float32(self._mix)


@compiled
def _bend(high: Block, made: Block, drive: float, curve: int) -> None:
    rest = BIAS / np.sqrt(1.0 + BIAS * BIAS)
    slope = (1.0 + BIAS * BIAS) ** -1.5
    for i in range(high.shape[0]):
        for channel in range(high.shape[1]):
            x = np.float64(high[i, channel]) * drive
            if curve == 0:
                y = x / np.sqrt(1.0 + x * x)
            elif curve == 1:
                shifted = x + BIAS
                y = (shifted / np.sqrt(1.0 + shifted * shifted) - rest) / slope
            else:
                square = x * x
                y = x / np.sqrt(np.sqrt(1.0 + square * square))
            made[i, channel] = np.float32(y / drive)
