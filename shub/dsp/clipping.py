"""Where the tops of the wave are cut off.

Two signs: samples in a row at the top of what the file can hold, and flat tops below it, which is what clipping looks like after the
level was turned down. A whole wave that just touches the top also stays there for some samples; the corners tell them apart: a wave
bends into its top, a cut one runs into it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import AudioInfo, Block
from shub.dsp.survey import Stretch

SHORTEST_AT_TOP: Final = 3
SHORTEST_FLAT: Final = 4
LOWEST_FLAT: Final = np.float32(0.25)
"""Flat tops below -12 dBFS are rather a square wave."""
CORNER_STEPS: Final = 4
"""A corner falls by more than this many steps of the quantizer from one sample to the next. The top of a rounded sine, where n samples
in a row have its value, falls by less than 3 to the next."""
SAME_TOP: Final = 0.98
APART_SECONDS: Final = 0.05
"""Cuts nearer to each other than this are one place to go to."""

_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


@dataclass(frozen=True)
class Clipping:
    count: int
    samples: int
    places: list[Stretch]


Runs = NDArray[np.int64]
"""Rows of channel, first frame, frames, and 1 where the run is a flat top below the top of the file."""


class ClipFinder:
    """Feed it blocks with `add`, which tells the runs that ended there."""

    def __init__(self, info: AudioInfo, most: int) -> None:
        bits = _BITS.get(info.subtype)
        step = 2.0 ** (1 - min(bits or 16, 16))
        # Without a fixed number of bits (floating point, lossy) the top is 1.0, and what is beyond is lost at the next fixed one.
        self._top = np.float32(1.0 - 2.0 ** (1 - min(bits, 24)) if bits else 1.0)
        self._top_corner = np.float32(CORNER_STEPS * step if bits else -1.0)
        self._corner = np.float32(2 * CORNER_STEPS * step)
        self._rate, self._most, self._frames = info.sample_rate_hz, most, 0
        self._state = np.zeros((info.channels, 3), np.float32)  # value of the run, the one before it, largest magnitude
        self._runs = np.zeros((info.channels, 2), np.int64)  # first frame and length of the run that is not over
        self._at_top = np.zeros((info.channels, 2), np.int64)  # runs, samples
        self._flat = np.zeros((info.channels, 2), np.int64)
        self._flat_level = np.zeros(info.channels, np.float32)
        self._places: dict[tuple[int, int], list[list[int]]] = {}

    def add(self, block: Block) -> Runs:
        """Also tells of flat tops which a higher top, later, shows to be none."""
        return self._look(block, is_end=False)

    def finish(self) -> Runs:
        """The runs that the end of the sound ends."""
        return self._look(np.zeros((1, len(self._state)), np.float32), is_end=True)

    def clipping(self) -> Clipping:
        """Counts, and the first places: runs less than 50 ms apart are one."""
        tops = self._flat_level >= SAME_TOP * self._state[:, 2]  # a flat top is one where nothing stands higher
        count, samples = self._at_top.sum(axis=0) + self._flat[tops].sum(axis=0)
        stretches = [
            (start, end, channel)
            for (channel, is_flat), places in self._places.items()
            if not is_flat or tops[channel]
            for start, end in places
        ]
        return Clipping(
            int(count),
            int(samples),
            [
                Stretch(start / self._rate, (end - start) / self._rate, channel)
                for start, end, channel in sorted(stretches)[: self._most]
            ],
        )

    def _look(self, block: Block, *, is_end: bool) -> Runs:
        ended = np.empty((block.size // SHORTEST_AT_TOP + 2 * len(self._state), 4), np.int64)
        levels = self._flat_level.copy()
        found = _find(
            *(block, self._frames, is_end, self._top, self._top_corner, self._corner, self._state, self._runs),
            *(self._at_top, self._flat, self._flat_level, ended),
        )
        self._frames += 0 if is_end else len(block)
        runs = ended[:found]
        for channel in np.flatnonzero(self._flat_level * SAME_TOP > levels):
            self._places.pop((int(channel), 1), None)  # what stood there was no top
        kinds = runs[:, 0] * 2 + runs[:, 3]
        for kind in np.unique(kinds):
            self._remember(runs[kinds == kind], (int(kind) // 2, int(kind) % 2))
        return runs

    def _remember(self, runs: Runs, kind: tuple[int, int]) -> None:
        places = self._places.setdefault(kind, [])
        starts, ends = runs[:, 1], runs[:, 1] + runs[:, 2]
        apart = round(APART_SECONDS * self._rate)
        borders = np.flatnonzero(starts[1:] - ends[:-1] > apart) + 1
        for first, last in zip([0, *borders], [*borders - 1, len(runs) - 1], strict=True):
            start, end = int(starts[first]), int(ends[last])
            if places and start - places[-1][1] <= apart:
                places[-1][1] = end
            elif len(places) < self._most:
                places.append([start, end])
            else:
                break


@compiled
def _find(
    block: Block,
    done: int,
    is_end: bool,
    top: np.float32,
    top_corner: np.float32,
    corner: np.float32,
    state: NDArray[np.float32],
    runs: Runs,
    at_top: Runs,
    flat: Runs,
    flat_level: NDArray[np.float32],
    ended: Runs,
) -> int:
    """Writes the runs that end in the block; returns how many."""
    found = 0
    for channel in range(block.shape[1]):
        value, before, largest = state[channel]
        start, length = runs[channel]
        for i in range(block.shape[0]):
            x = block[i, channel]
            is_top = abs(value) >= top
            if not is_end and length and (x == value or (is_top and abs(x) >= top and (x > 0.0) == (value > 0.0))):
                length += 1
                continue
            if length >= SHORTEST_AT_TOP:
                sign = np.float32(1.0 if value > 0.0 else -1.0)
                falls_in, falls_out = sign * (value - before), sign * (value - x)
                if is_end:
                    falls_out = falls_in
                if is_top:
                    if max(falls_in, falls_out) > top_corner:
                        at_top[channel, 0] += 1
                        at_top[channel, 1] += length
                        ended[found, 0], ended[found, 1], ended[found, 2], ended[found, 3] = channel, start, length, 0
                        found += 1
                elif length >= SHORTEST_FLAT and abs(value) >= LOWEST_FLAT and min(falls_in, falls_out) > corner:
                    if abs(value) * np.float32(SAME_TOP) > flat_level[channel]:
                        flat_level[channel] = abs(value)
                        flat[channel, 0] = flat[channel, 1] = 0
                    if abs(value) >= flat_level[channel] * np.float32(SAME_TOP):
                        flat_level[channel] = max(flat_level[channel], abs(value))
                        flat[channel, 0] += 1
                        flat[channel, 1] += length
                        ended[found, 0], ended[found, 1], ended[found, 2], ended[found, 3] = channel, start, length, 1
                        found += 1
            before, value, start, length = value, x, done + i, 1
            largest = max(largest, abs(x))
        state[channel, 0], state[channel, 1], state[channel, 2] = value, before, largest
        runs[channel, 0], runs[channel, 1] = start, length
    return found
