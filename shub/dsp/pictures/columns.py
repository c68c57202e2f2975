"""A sound as columns of a picture: smallest, largest and mean power of what falls into each."""

import numpy as np
from numpy.typing import NDArray

from shub.dsp.decode import Block


class Columns:
    """Feed it blocks; `frames` is how many are announced, which a lossy file may miss by some."""

    def __init__(self, count: int, frames: int, channels: int) -> None:
        self.count, self._frames = min(count, frames), frames
        self.lows = np.full((self.count, channels), np.inf, np.float32)
        self.highs = np.full((self.count, channels), -np.inf, np.float32)
        self._squares, self._seen = np.zeros((self.count, channels)), np.zeros(self.count, np.int64)
        self.done = 0

    def add(self, block: Block) -> None:
        first, last = self.of(self.done), self.of(self.done + len(block) - 1)
        columns = np.arange(first, last + 1)
        starts = np.maximum(0, -(-columns * self._frames // self.count) - self.done)
        here = slice(first, last + 1)
        self.lows[here] = np.minimum(self.lows[here], np.minimum.reduceat(block, starts, axis=0))
        self.highs[here] = np.maximum(self.highs[here], np.maximum.reduceat(block, starts, axis=0))
        self._squares[here] += np.add.reduceat(np.square(block, dtype=np.float64), starts, axis=0)
        self._seen[here] += np.diff(np.append(starts, len(block)))
        self.done += len(block)

    def of(self, frame: int) -> int:
        """The column that a frame falls into."""
        return min(self.count - 1, frame * self.count // self._frames)

    @property
    def used(self) -> int:
        """How many columns the sound reached."""
        return self.of(self.done - 1) + 1

    def rms(self) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(self._squares / np.maximum(1, self._seen)[:, None]))

    def edges_seconds(self, rate_hz: int) -> NDArray[np.float64]:
        """When each used column begins, and when the last one ends."""
        return np.minimum(np.arange(self.used + 1) * self._frames / self.count, self.done) / rate_hz
