"""Sound on its way: raw float32 on the disk, with the heights that a limiter needs beside it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shub.dsp.decode import BLOCK_FRAMES, Block
from shub.dsp.limiter import Heights, PeakFinder


class Scratch:
    """Written once with `write`, then read as often as needed. Raises OSError when the disk is full."""

    def __init__(self, path: Path, channels: int) -> None:
        self.path, self._heights_path, self._channels = path, path.with_name(f"{path.name}.heights"), channels
        self._file = path.open("wb")
        self.frames = 0

    def write(self, block: Block) -> None:
        self._file.write(block.tobytes())
        self.frames += len(block)

    def blocks(self, frames: int = BLOCK_FRAMES) -> Iterator[Block]:
        self._file.flush()
        with self.path.open("rb") as raw:
            while len(block := np.fromfile(raw, np.float32, self._channels * frames)):
                yield block.reshape(-1, self._channels)

    def find_heights(self, floor: float) -> Iterator[int]:
        """Find and keep the heights of the whole; gives the frames done, block by block."""
        finder = PeakFinder(self._channels, floor)
        with self._heights_path.open("wb") as kept:
            done = 0
            for block in self.blocks():
                kept.write(finder.process(block).tobytes())
                done += len(block)
                yield done
            kept.write(finder.flush().tobytes())

    def blocks_with_heights(self) -> Iterator[tuple[Block, Heights]]:
        """Blocks and their heights; all heights are 0 where they were never looked for."""
        if not self._heights_path.exists():
            yield from ((block, np.zeros(len(block), np.float32)) for block in self.blocks())
            return
        with self._heights_path.open("rb") as kept:
            for block in self.blocks():
                yield block, np.fromfile(kept, np.float32, len(block))

    def remove(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)
        self._heights_path.unlink(missing_ok=True)
