"""Second-order sections in series on a sound, with a gain: what every filter is, and what a run of filters is made into.

The form is the transposed direct form II in float64, with the output taken out of its own recursion:
    y = b0 x + s1,    s1 <- (c1 x + s2) - a1 s1,    s2 <- c2 x - a2 s1,    c1 = b1 - a1 b0,    c2 = b2 - a2 b0
The states are the same, and a sample waits for one product less of the sample before. Two sections on two channels go through one
loop, which keeps the processor's units busy where one recursion alone would wait for itself.
"""

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import NONE, Sections

_TILE: Final = 128
SILENCE: Final = 1e-20
"""What is below this (-400 dBFS) is put to zero, so that nothing ever becomes denormal; states after every tile, and tiles are counted from
the start of the sound, so the cut into blocks leaves no trace."""


class Cascade:
    """A Processor. Without sections and at a gain of 1, blocks pass as they are."""

    def __init__(self, sound: Sound, sections: Sections = NONE, gain: float = 1.0) -> None:
        self.out, self.sections, self.gain = sound, sections, gain
        pairs, twos = -(-len(sections) // 2), -(-sound.channels // 2)
        self._coefficients = np.zeros((2 * pairs, 5))
        self._coefficients[:, 0] = 1.0  # what is there to make the number even passes everything
        self._coefficients[: len(sections)] = _of_states(sections)
        self.state = np.zeros((pairs, twos, 8))
        self._frames = 0

    def followed_by(self, other: Self) -> "Cascade":
        """Both in one; only before the first block."""
        return Cascade(self.out, np.concatenate((self.sections, other.sections)), self.gain * other.gain)

    def process(self, block: Block, key: Block | None = None) -> Block:
        if not len(self.sections) and self.gain == 1.0:
            return block
        made = np.empty(block.shape, np.float32)
        _run(block, made, self.gain, self._coefficients, self.state, self._frames)
        self._frames = (self._frames + len(block)) % _TILE
        return made

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {}


def _of_states(sections: Sections) -> NDArray[np.float64]:
    """Rows of b0, c1, c2, a1, a2."""
    b0, b1, b2, a1, a2 = sections.T
    return np.stack([b0, b1 - a1 * b0, b2 - a2 * b0, a1, a2], axis=1)


@compiled
def _run(
    block: Block,
    made: Block,
    gain: float,
    coefficients: NDArray[np.float64],
    state: NDArray[np.float64],
    done: int,
) -> None:
    frames, channels = block.shape
    room = np.zeros((_TILE, 2))
    start = 0
    while start < frames:
        width = min(_TILE - (done + start) % _TILE, frames - start)
        is_whole = (done + start + width) % _TILE == 0
        for two in range(state.shape[1]):
            first, second = 2 * two, min(2 * two + 1, channels - 1)  # an odd last channel goes through twice
            one, other = block[start:, first], block[start:, second]  # an index that may be negative is no vector code
            for i in range(width):
                room[i, 0], room[i, 1] = np.float64(one[i]) * gain, np.float64(other[i]) * gain
            for pair in range(state.shape[0]):
                _two_by_two(room, width, coefficients[2 * pair], coefficients[2 * pair + 1], state[pair, two])
                if is_whole:
                    for j in range(8):
                        if abs(state[pair, two, j]) < SILENCE:
                            state[pair, two, j] = 0.0
            to_one, to_other = made[start:, first], made[start:, second]
            for i in range(width):
                value, value_of_other = room[i, 0], room[i, 1]
                to_other[i] = np.float32(value_of_other if abs(value_of_other) > SILENCE else 0.0)
                to_one[i] = np.float32(value if abs(value) > SILENCE else 0.0)
        start += width


@compiled
def _two_by_two(
    room: NDArray[np.float64],
    width: int,
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    state: NDArray[np.float64],
) -> None:
    """Two sections over two channels, in place. `state`: s1 of both channels, s2 of both, then of the other section."""
    b0, c1, c2, a1, a2 = one[0], one[1], one[2], one[3], one[4]
    e0, f1, f2, d1, d2 = other[0], other[1], other[2], other[3], other[4]
    p0, p1, q0, q1 = state[0], state[1], state[2], state[3]
    r0, r1, t0, t1 = state[4], state[5], state[6], state[7]
    for i in range(width):
        x0, x1 = room[i, 0], room[i, 1]
        y0, y1 = b0 * x0 + p0, b0 * x1 + p1
        p0, p1, q0, q1 = (c1 * x0 + q0) - a1 * p0, (c1 * x1 + q1) - a1 * p1, c2 * x0 - a2 * p0, c2 * x1 - a2 * p1
        room[i, 0], room[i, 1] = e0 * y0 + r0, e0 * y1 + r1
        r0, r1, t0, t1 = (f1 * y0 + t0) - d1 * r0, (f1 * y1 + t1) - d1 * r1, f2 * y0 - d2 * r0, f2 * y1 - d2 * r1
    state[0], state[1], state[2], state[3] = p0, p1, q0, q1
    state[4], state[5], state[6], state[7] = r0, r1, t0, t1
