"""Overlapping frames out of blocks of any size."""

import numpy as np
from numpy.typing import NDArray

from shub.dsp.decode import Block

Frames = NDArray[np.float32]
"""Frames by channels by samples; a view, only good until the next block."""


class Framing:
    """Frames of `size` samples, one every `hop`. Half a frame of silence stands before the sound, and what is needed after it, so that
    every sample counts as much as the others."""

    def __init__(self, channels: int, size: int, hop: int) -> None:
        self._size, self._hop = size, hop
        self._held = np.zeros((channels, size // 2), np.float32)

    def add(self, block: Block) -> Frames:
        """Every frame that is whole now; there may be none."""
        return self._cut(block.T)

    def flush(self) -> Frames:
        """The frames that the end of the sound falls into."""
        rest = self._held.shape[1]
        return self._cut(np.zeros((len(self._held), max(self._size, rest) + self._hop - rest), np.float32))

    def _cut(self, samples: Frames) -> Frames:
        held = np.concatenate((self._held, samples), axis=1)
        count = max(0, (held.shape[1] - self._size) // self._hop + 1)
        self._held = held[:, count * self._hop :].copy()
        if not count:
            return np.empty((0, len(held), self._size), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(held, self._size, axis=1)[:, :: self._hop]
        return windows[:, :count].transpose(1, 0, 2)
