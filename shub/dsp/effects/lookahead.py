"""Delaying a signal, so that a gain is known before the sound that asked for it."""

import numpy as np

from shub.dsp.decode import Block


class LookAhead:
    """What a kernel needs of the past of a stream that it gives out `frames` late, and what is kept back of what it gives."""

    def __init__(self, frames: int, channels: int) -> None:
        self._past = np.zeros((frames, channels), np.float32)
        self._owed = frames

    def joined(self, block: Block) -> Block:
        """The look-ahead's length of the past, then the block: frame i of it is heard with what frame i of the block asks for."""
        if not len(self._past):
            return block
        samples = np.concatenate((self._past, block))
        self._past = samples[len(block) :].copy()
        return samples

    def in_step(self, made: Block) -> Block:
        """Without the frames from before the stream began."""
        dropped = min(self._owed, len(made))
        self._owed -= dropped
        return made[dropped:]

    def silence(self) -> Block:
        """What to feed at the end so that everything comes out."""
        return np.zeros_like(self._past)
