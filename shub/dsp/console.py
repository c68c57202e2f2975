"""Where tracks meet: sums of what is placed and at its level, and buses with effects of their own."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shub.dsp.decode import Block
from shub.dsp.effects.keying import Keys
from shub.dsp.effects.line import Line
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.registry import build
from shub.dsp.panning import pan_matrix
from shub.dsp.staging import named
from shub.dsp.tracks import STEREO, Track, add_placed, regular


@dataclass(frozen=True)
class Feed:
    """A track on its way into a sum; `matrix`, a row for each of its channels, has its place and its gain."""

    track: Track
    matrix: NDArray[np.float64]

    @classmethod
    def of(cls, track: Track, pan: float, gain_db: float) -> "Feed":
        return cls(track, pan_matrix(track.sound.speakers, pan) * factor(gain_db))

    def at(self, gain_db: float) -> "Feed":
        """The same, so much louder."""
        return Feed(self.track, self.matrix * factor(gain_db))


def factor(gain_db: float) -> float:
    return float(10.0 ** (gain_db / 20.0))


def summed(feeds: Sequence[Feed], threads: ThreadPoolExecutor | None = None) -> Iterator[Block]:
    """The sum in stereo, as long as the longest. Tracks are read in threads and added in their order, so the bits are always the same."""
    sources = [feed.track.blocks() for feed in feeds]

    def pull(source: Iterator[Block]) -> Block | None:
        return next(source, None)

    while True:
        blocks = list(threads.map(pull, sources) if threads else map(pull, sources))
        there = [(block, feed.matrix) for block, feed in zip(blocks, feeds, strict=True) if block is not None]
        if not there:
            return
        total = np.zeros((max(len(block) for block, _ in there), len(STEREO)))
        for block, matrix in there:
            add_placed(block, matrix, total[: len(block)])
        yield total.astype(np.float32)


class BusTrack:
    """A bus as it comes out of its chain; it is rendered again for whoever reads it."""

    def __init__(
        self, name: str, feeds: Sequence[Feed], chain: tuple[Mapping[str, Any], ...], rate_hz: int, keys: Keys
    ) -> None:
        self._name, self._feeds, self._chain, self._keys = name, feeds, chain, keys
        frames = max((feed.track.sound.frames or 0 for feed in feeds), default=0)
        self._in = Sound(rate_hz, STEREO, frames)
        self._line = self._new_line(None)
        self.sound = self._line.out

    def blocks(self) -> Iterator[Block]:
        self._line = self._new_line(self._keys)
        return regular(self._line.run(summed(self._feeds)), self.sound.channels)

    def applied(self) -> list[dict[str, Any]]:
        """What its effects did when it was read last."""
        return self._line.told()

    def _new_line(self, keys: Keys | None) -> Line:
        with named("bus", self._name):
            return build(self._in, self._chain, keys)
