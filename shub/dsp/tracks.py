"""Sound that a mix is made of: at the mix's rate, mono or stereo, and read as often as somebody wants to hear it."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import AudioInfo, AudioReader, Block, Limits
from shub.dsp.effects.processor import Sound
from shub.dsp.kweighting import speakers_of
from shub.dsp.panning import pan_matrix
from shub.dsp.resampling import resampled
from shub.dsp.scratch import Scratch

STEREO = ("L", "R")
MIX_BLOCK_FRAMES = 32_768
"""What all tracks of a mix are read in; with 64 stems a block of each is 16 MiB."""


class Track(Protocol):
    sound: Sound
    """Mono or stereo; `frames` is how many will come, or nearly."""

    def blocks(self) -> Iterator[Block]:
        """From its start, in blocks of MIX_BLOCK_FRAMES (the last may be shorter), each only good until the next."""
        ...


class FileTrack:
    """A file. What has more than two channels is folded down."""

    def __init__(self, path: Path, rate_hz: int, limits: Limits | None = None) -> None:
        self._path, self._limits = path, limits
        with AudioReader(path, limits) as reader:
            self.info = reader.info
        self._speakers = speakers_in(self.info)
        frames = math.ceil(self.info.frames * rate_hz / self.info.sample_rate_hz)
        self.sound = Sound(rate_hz, self._speakers if len(self._speakers) < 3 else STEREO, frames)

    def blocks(self) -> Iterator[Block]:
        return regular(self._read(), self.sound.channels)

    def _read(self) -> Iterator[Block]:
        with AudioReader(self._path, self._limits) as reader:
            blocks = folded(reader.blocks(MIX_BLOCK_FRAMES), self._speakers)
            yield from resampled(blocks, self.info.sample_rate_hz, self.sound.rate_hz, self.sound.channels)


class ScratchTrack:
    """What was made on the way."""

    def __init__(self, scratch: Scratch, sound: Sound) -> None:
        self._scratch, self.sound = scratch, sound

    def blocks(self) -> Iterator[Block]:
        return self._scratch.blocks(MIX_BLOCK_FRAMES)


class TrackKey:
    """A track at its level as what decides in a side-chain: read forward in step with whoever listens, silence after its end."""

    def __init__(self, track: Track, gain: float) -> None:
        self._blocks, self._gain = track.blocks(), np.float32(gain)
        self._rate = track.sound.rate_hz
        self._rest = np.empty((0, track.sound.channels), np.float32)

    def take(self, frames: int, rate_hz: int) -> Block:
        assert rate_hz == self._rate  # a mix has one rate
        pieces, there = [self._rest], len(self._rest)
        while there < frames:
            block = next(self._blocks, None)
            made = np.zeros((frames - there, self._rest.shape[1]), np.float32) if block is None else block * self._gain
            pieces.append(made)
            there += len(made)
        joined = np.concatenate(pieces)
        self._rest = joined[frames:]
        return joined[:frames]


def speakers_in(info: AudioInfo) -> tuple[str, ...]:
    return speakers_of(info.channels, vorbis_order=info.has_vorbis_order)


def folded(blocks: Iterable[Block], speakers: tuple[str, ...]) -> Iterator[Block]:
    """Mono and stereo as they are; the rest in stereo."""
    matrix = pan_matrix(speakers, 0.0) if len(speakers) > 2 else None
    for block in blocks:
        yield block if matrix is None else placed(block, matrix)


def regular(blocks: Iterable[Block], channels: int, frames: int = MIX_BLOCK_FRAMES) -> Iterator[Block]:
    """The same sound in blocks of `frames`; the last may be shorter."""
    held, there = list[Block](), 0
    for block in blocks:
        if not held and len(block) == frames:
            yield block
            continue
        held.append(block.copy())
        there += len(block)
        if there >= frames:
            joined = np.concatenate(held)
            whole = there - there % frames
            for start in range(0, whole, frames):
                yield joined[start : start + frames]
            held, there = ([joined[whole:]] if there > whole else []), there - whole
    if there:
        yield np.concatenate(held)


def placed(block: Block, matrix: NDArray[np.float64]) -> Block:
    """The block in stereo; `matrix` has a row per channel: what it gives to left and to right."""
    sum_ = np.zeros((len(block), len(STEREO)))
    add_placed(block, matrix, sum_)
    return sum_.astype(np.float32)


@compiled
def add_placed(block: Block, matrix: NDArray[np.float64], sum_: NDArray[np.float64]) -> None:
    """Our own product: a BLAS may sum in another order with another number of threads, and a mix must repeat bit for bit."""
    for i in range(block.shape[0]):
        for channel in range(block.shape[1]):
            value = np.float64(block[i, channel])
            sum_[i, 0] += value * matrix[channel, 0]
            sum_[i, 1] += value * matrix[channel, 1]
