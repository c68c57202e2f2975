"""Where the sound stands: left and right, narrow and wide, from how many channels to how many."""

import math

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.cascade import Cascade
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import NONE, below_nyquist, linkwitz_riley
from shub.dsp.panning import FOLD_DOWN, pan_matrix

MONO, STEREO = ("C",), ("L", "R")
PAIRS = (("L", "R"), ("Ls", "Rs"), ("Lrs", "Rrs"))


class Matrix:
    """A Processor: every channel that comes out is a sum of those that go in, times gains. Where that changes nothing, blocks pass."""

    def __init__(self, sound: Sound, speakers: tuple[str, ...], gains: NDArray[np.float64]) -> None:
        """`gains` has a row per channel that goes in and a column per channel that comes out."""
        self.out = Sound(sound.rate_hz, speakers, sound.frames)
        self._gains = np.ascontiguousarray(gains)
        self._is_nothing = sound.speakers == speakers and np.array_equal(gains, np.eye(len(speakers)))

    def process(self, block: Block, key: Block | None = None) -> Block:
        return block if self._is_nothing else matrixed(block, self._gains)

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {}


class Pan(Matrix):
    """Placed between left and right by the law of `panning.pan_matrix`; surround is folded down."""

    def __init__(self, sound: Sound, *, pan: float) -> None:
        super().__init__(sound, STEREO, pan_matrix(sound.speakers, pan))


class Channels(Matrix):
    """To one channel or two. Source: ITU-R BS.775-4, annex 4, tables 2 and 3: mono spreads at -3.01 dB, so that down and up are inverse."""

    def __init__(self, sound: Sound, *, to: str) -> None:
        folded = np.array([FOLD_DOWN[speaker] for speaker in sound.speakers])
        if sound.speakers == (MONO if to == "mono" else STEREO):
            gains = np.eye(sound.channels)
        else:
            gains = folded.sum(axis=1, keepdims=True) * math.sqrt(0.5) if to == "mono" else folded
        super().__init__(sound, MONO if to == "mono" else STEREO, gains)


class Width:
    """Sides against the middle, in every pair of left and right speakers; others, and mono, have no sides and pass.

    Below `mono_below_hz` the sides are taken away by a Linkwitz-Riley crossover; the middle goes through the all-pass that the sides'
    phase follows, so that above the crossover the image does not move.
    """

    def __init__(self, sound: Sound, *, width: float, mono_below_hz: float | None) -> None:
        self.out = sound
        self._pairs = [
            (sound.speakers.index(left), sound.speakers.index(right)) for left, right in PAIRS if left in sound.speakers
        ]
        one = Sound(sound.rate_hz, MONO, sound.frames)
        high, turned = NONE, NONE
        if mono_below_hz is not None:
            _, high, turned = linkwitz_riley(sound.rate_hz, below_nyquist(sound, "mono_below_hz", mono_below_hz))
        self._filters = [(Cascade(one, turned), Cascade(one, high, width)) for _ in self._pairs]
        self._is_nothing = width == 1.0 and mono_below_hz is None

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._is_nothing or not self._pairs:
            return block
        made = block.copy()
        for (left, right), (of_middle, of_sides) in zip(self._pairs, self._filters, strict=True):
            middle, sides = middle_and_sides(block, left, right)
            put_left_and_right(made, left, right, of_middle.process(middle), of_sides.process(sides))
        return made

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {}


def middle_and_sides(block: Block, left: int, right: int) -> tuple[Block, Block]:
    """Half the sum and half the difference of two channels, each as a block of one."""
    half = np.float32(0.5)
    one, other = block[:, left : left + 1], block[:, right : right + 1]
    return np.ascontiguousarray((one + other) * half), np.ascontiguousarray((one - other) * half)


def put_left_and_right(made: Block, left: int, right: int, middle: Block, sides: Block) -> None:
    """What `middle_and_sides` took apart, into two channels of `made`."""
    made[:, left], made[:, right] = middle[:, 0] + sides[:, 0], middle[:, 0] - sides[:, 0]


def matrixed(block: Block, gains: NDArray[np.float64]) -> Block:
    """The product, summed channel by channel in float64: a BLAS may sum in another order with another number of threads."""
    made = np.empty((len(block), gains.shape[1]), np.float32)
    _matrix(block, gains, made)
    return made


@compiled
def _matrix(block: Block, gains: NDArray[np.float64], made: Block) -> None:
    if gains.shape == (2, 2):  # by far the most common, and four times as fast without loops inside
        for i in range(block.shape[0]):
            left, right = np.float64(block[i, 0]), np.float64(block[i, 1])
            made[i, 0] = np.float32(left * gains[0, 0] + right * gains[1, 0])
            made[i, 1] = np.float32(left * gains[0, 1] + right * gains[1, 1])
        return
    for i in range(block.shape[0]):
        for out in range(gains.shape[1]):
            total = 0.0
            for channel in range(block.shape[1]):
                total += np.float64(block[i, channel]) * gains[channel, out]
            made[i, out] = np.float32(total)
