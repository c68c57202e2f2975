"""The sound's edges, its rate and its bits."""

import math
from collections import deque
from dataclasses import replace
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.processor import Sound
from shub.dsp.quantizing import to_integers
from shub.dsp.refusals import EmptyAudio

_CURVES: Final = {"linear": 0, "equal_power": 1, "exponential": 2}
_EXPONENTIAL_RANGE: Final = 1000.0
"""60 dB, less what is left of it at the start, so that it begins at nothing."""


class Fade:
    """In from silence, out into silence. With t from 0 to 1 over the fade's frames: t, sin(pi t / 2), or (1000^t - 1) / 999.

    The first frame of a fade in and the last one of a fade out are 0. As many frames as the fade out has are held back, for only the end
    of the sound tells where it is: what a header or the effects before announced may be some frames off.
    """

    def __init__(self, sound: Sound, *, in_seconds: float, out_seconds: float, curve: str) -> None:
        self.out, self._curve = sound, _CURVES[curve]
        self._in, self._out = round(in_seconds * sound.rate_hz), round(out_seconds * sound.rate_hz)
        self._waiting: deque[Block] = deque()
        self._held = self._done = 0

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._out:
            self._waiting.append(block.copy())  # whoever gave it may use its memory again
            self._held += len(block)
            block = self._released(max(0, self._held - self._out))
        return self._faded(block, out_frames=0)

    def flush(self) -> Block:
        return self._faded(self._released(self._held), self._out)

    def told(self) -> dict[str, float]:
        return {}

    def _released(self, frames: int) -> Block:
        """The oldest frames that wait."""
        self._held -= frames
        pieces = [np.empty((0, self.out.channels), np.float32)]
        while frames:
            piece = self._waiting.popleft()
            pieces.append(piece[:frames])
            if len(piece) > frames:
                self._waiting.appendleft(piece[frames:])
            frames -= len(pieces[-1])
        return np.concatenate(pieces)

    def _faded(self, block: Block, out_frames: int) -> Block:
        first, self._done = self._done, self._done + len(block)
        if first >= self._in and not out_frames:
            return block
        made = block.copy()
        _fade(made, first, self._in, out_frames, self._curve)
        return made


@compiled
def _fade(made: Block, first: int, in_frames: int, out_frames: int, curve: int) -> None:
    """`out_frames`: 0, or the block ends with the sound."""
    for i in range(made.shape[0]):
        gain = _height(first + i, in_frames, curve) * _height(made.shape[0] - 1 - i, out_frames, curve)
        if gain != 1.0:
            for channel in range(made.shape[1]):
                made[i, channel] = np.float32(np.float64(made[i, channel]) * gain)


@compiled
def _height(frame: int, frames: int, curve: int) -> float:
    if frame >= frames:
        return 1.0
    t = frame / frames
    if curve == 1:
        return math.sin(t * math.pi / 2)
    if curve == 2:
        return (math.exp(t * math.log(_EXPONENTIAL_RANGE)) - 1.0) / (_EXPONENTIAL_RANGE - 1.0)
    return t


class Trim:
    """The frames from one moment (rounded to a frame) up to another. Raises EmptyAudio where nothing would be left of a known length."""

    def __init__(self, sound: Sound, *, start_seconds: float, end_seconds: float | None) -> None:
        self._start = round(start_seconds * sound.rate_hz)
        self._end = None if end_seconds is None else round(end_seconds * sound.rate_hz)
        frames = sound.frames
        if frames is not None:
            frames = min(frames, frames if self._end is None else self._end) - self._start
            if frames <= 0:
                length = f"{(sound.frames or 0) / sound.rate_hz:.3f} s"
                raise EmptyAudio(f"nothing is left from {start_seconds:g} s on: the sound has {length}")
        self.out = replace(sound, frames=frames)
        self._done = 0

    def process(self, block: Block, key: Block | None = None) -> Block:
        first, self._done = self._done, self._done + len(block)
        end = len(block) if self._end is None else max(0, self._end - first)
        return block[max(0, self._start - first) : end]

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {}


def trim_start(sound: Sound, *, start_seconds: float, end_seconds: float | None) -> Trim:
    """As a key is cut where the sound is: at the start, while it goes on as long as anybody listens."""
    del end_seconds
    return Trim(sound, start_seconds=start_seconds, end_seconds=None)


class Resample:
    """At another rate, aligned in time, as many frames as the length asks for, rounded. Quality: soxr's VHQ, as in `resampling`."""

    def __init__(self, sound: Sound, *, sample_rate_hz: int) -> None:
        self._from = sound.rate_hz
        frames = None if sound.frames is None else self._length(sound.frames, sample_rate_hz)
        self.out = replace(sound, rate_hz=sample_rate_hz, frames=frames)
        self._is_nothing = sample_rate_hz == sound.rate_hz
        self._stream = soxr.ResampleStream(
            sound.rate_hz, sample_rate_hz, sound.channels, dtype="float32", quality="VHQ"
        )
        self._taken = self._given = 0

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._is_nothing:
            return block
        self._taken += len(block)
        return self._counted(self._stream.resample_chunk(np.ascontiguousarray(block)))

    def flush(self) -> Block:
        empty = np.empty((0, self.out.channels), np.float32)
        if self._is_nothing:
            return empty
        made = self._counted(self._stream.resample_chunk(empty, last=True))
        missing = self._length(self._taken, self.out.rate_hz) - self._given
        return np.concatenate((made, np.zeros((max(0, missing), self.out.channels), np.float32)))

    def told(self) -> dict[str, float]:
        return {}

    def _length(self, frames: int, rate_hz: int) -> int:
        return (2 * frames * rate_hz + self._from) // (2 * self._from)

    def _counted(self, made: NDArray[np.float32]) -> Block:
        most = self._length(self._taken, self.out.rate_hz) - self._given
        made = made[:most]
        self._given += len(made)
        return made


class Dither:
    """Rounded to so many bits with triangular noise, still as float32, which holds 24 bits exactly; clipped at full scale."""

    def __init__(self, sound: Sound, *, bit_depth: int) -> None:
        self.out, self._bits, self._done = sound, bit_depth, 0

    def process(self, block: Block, key: Block | None = None) -> Block:
        whole = to_integers(block, self._bits, self._done, 0, dithered=True)
        self._done += len(block)
        return np.asarray(whole * np.float64(2.0**-31), np.float32)

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {}
