"""A file whose level moves a gain somewhere else: a side-chain."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from shub.dsp.decode import AudioReader, Block, Limits
from shub.dsp.resampling import resampled


class FileKey:
    """A file from `start_seconds` on, given out in the sizes and at the rate of the sound that it moves; silence after its end."""

    def __init__(self, path: Path, start_seconds: float = 0.0, limits: Limits | None = None) -> None:
        self._reader, self._start = AudioReader(path, limits), start_seconds
        self._blocks: Iterator[Block] | None = None
        self._rest = np.empty((0, self._reader.info.channels), np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def take(self, frames: int, rate_hz: int) -> Block:
        """The next frames at this rate, which is the same every time."""
        if self._blocks is None:
            info = self._reader.info
            copies = (block.copy() for block in self._reader.blocks())
            self._blocks = resampled(copies, info.sample_rate_hz, rate_hz, info.channels)
            self._skip(self._blocks, round(self._start * rate_hz))
        return self._next(self._blocks, frames)

    def _skip(self, blocks: Iterator[Block], frames: int) -> None:
        """Block by block: an hour that is passed over needs no memory."""
        while frames > 0 and (block := next(blocks, None)) is not None:
            self._rest = block[frames:]
            frames -= len(block)

    def _next(self, blocks: Iterator[Block], frames: int) -> Block:
        pieces, there = [self._rest], len(self._rest)
        while there < frames:
            block = next(blocks, None)
            if block is None:
                block = np.zeros((frames - there, self._rest.shape[1]), np.float32)
            pieces.append(block)
            there += len(block)
        joined = np.concatenate(pieces)
        self._rest = joined[frames:]
        return joined[:frames]
