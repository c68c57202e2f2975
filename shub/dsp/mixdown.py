"""Stems to one stereo mix: each staged to its loudness, placed, summed, and the sum brought to its target."""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shub.dsp.analysis import Progress
from shub.dsp.compiled import compiled
from shub.dsp.decode import BLOCK_FRAMES, AudioInfo, AudioReader, Block, Limits, probe
from shub.dsp.encode import AudioWriter, BitDepth, Format
from shub.dsp.kweighting import speakers_of
from shub.dsp.loudness_target import Levelled, Leveller, Write
from shub.dsp.meter import Loudness, Meter
from shub.dsp.panning import pan_matrix
from shub.dsp.refusals import AudioRefused
from shub.dsp.resampling import resampled
from shub.dsp.scratch import Scratch

STEREO = ("L", "R")
LARGEST_STAGING_DB = 48.0
"""A stem quieter than that below its target is mostly noise; it is raised so far and no further, with a warning."""


@dataclass(frozen=True)
class Stem:
    """One file of the mix. `target_lufs` is where it is staged to before `gain_db`; both are relative, the sum is levelled after."""

    path: Path
    target_lufs: float
    gain_db: float = 0.0
    pan: float = 0.0
    name: str = ""
    """How the stem is called where it is refused."""


@dataclass(frozen=True)
class MixOrder:
    """What to make. `rate_hz` None: the highest rate among the stems."""

    stems: tuple[Stem, ...]
    target_lufs: float
    ceiling_dbtp: float
    container: Format
    bits: BitDepth
    rate_hz: int | None = None


@dataclass(frozen=True)
class StagedStem:
    """How a stem went into the sum: its own loudness where it stands (None: silence), and the gain it got."""

    info: AudioInfo
    integrated_lufs: float | None
    gain_db: float
    is_clamped: bool


@dataclass(frozen=True)
class Mix:
    stems: tuple[StagedStem, ...]
    levelled: Levelled
    rate_hz: int
    frames: int


def mix_down(order: MixOrder, target: Path, scratch: Path, progress: Progress, limits: Limits | None = None) -> Mix:
    """Write the mix to `target`; `scratch` is room for the sum, 12 bytes a frame, gone again when done.

    Raises AudioRefused, with the stem's name, for a stem that cannot be used, and OSError when the disk is full.
    """
    infos = [_probe(stem, limits) for stem in order.stems]
    rate = order.rate_hz or max(info.sample_rate_hz for info in infos)
    total = Scratch(scratch, len(STEREO))
    try:
        with ThreadPoolExecutor(min(len(infos), os.cpu_count() or 1)) as threads:
            staged = []
            for number, one in enumerate(threads.map(lambda stem: _stage(stem, limits), order.stems), start=1):
                staged.append(one)
                progress(0.35 * number / len(infos))
            loudness = _sum(order, staged, rate, total, threads, lambda part: progress(0.35 + 0.25 * part), limits)
        levelled = _level(order, rate, total, loudness, target, lambda part: progress(0.6 + 0.4 * part))
    finally:
        total.remove()
    return Mix(tuple(staged), levelled, rate, total.frames)


def _probe(stem: Stem, limits: Limits | None) -> AudioInfo:
    with _named(stem):
        return probe(stem.path, limits)


@contextmanager
def _named(stem: Stem) -> Iterator[None]:
    """Refusals say which stem they are about."""
    try:
        yield
    except AudioRefused as refusal:
        raise type(refusal)(f"stem {stem.name!r}: {refusal.detail}") from refusal


def _stage(stem: Stem, limits: Limits | None) -> StagedStem:
    with _named(stem), AudioReader(stem.path, limits) as reader:
        info = reader.info
        speakers = _speakers(info)
        matrix = pan_matrix(speakers, stem.pan)
        # Measured as it will stand: folded and placed. A mono stem keeps its power at every place, so it is measured as it is.
        meter = Meter(info.sample_rate_hz, STEREO if len(speakers) > 1 else speakers, peaks=False)
        for block in reader.blocks():
            meter.add(_placed(block, matrix) if len(speakers) > 1 else block)
    loudness = meter.integrated_lufs()
    wanted = 0.0 if loudness is None else stem.target_lufs - loudness
    clamped = min(LARGEST_STAGING_DB, max(-LARGEST_STAGING_DB, wanted))
    return StagedStem(info, loudness, clamped + stem.gain_db, clamped != wanted)


def _sum(
    order: MixOrder,
    staged: list[StagedStem],
    rate: int,
    total: Scratch,
    threads: ThreadPoolExecutor,
    progress: Progress,
    limits: Limits | None,
) -> Loudness:
    """Write the sum of the stems into `total`; its reading comes back."""
    sources = [_Source(stem, one, rate, limits) for stem, one in zip(order.stems, staged, strict=True)]
    expected = max(source.expected_frames for source in sources)
    meter = Meter(rate, STEREO)
    try:
        while any(not source.is_done for source in sources):
            parts = list(threads.map(_Source.next_block, sources))
            block = np.zeros((max(len(part) for part in parts), len(STEREO)))
            for part in parts:
                block[: len(part)] += part
            rounded = block.astype(np.float32)
            total.write(rounded)
            meter.add(rounded)
            progress(min(1.0, meter.frames / expected))
    finally:
        for source in sources:
            source.close()
    return meter.read()


class _Source:
    """A stem at the mix's rate, placed and at its gain, given out in blocks of BLOCK_FRAMES (less at its end)."""

    def __init__(self, stem: Stem, staged: StagedStem, rate: int, limits: Limits | None) -> None:
        self._reader = AudioReader(stem.path, limits)
        info = self._reader.info
        self.expected_frames = math.ceil(info.frames * rate / info.sample_rate_hz)
        self._matrix = pan_matrix(_speakers(info), stem.pan) * 10.0 ** (staged.gain_db / 20.0)
        self._blocks: Iterator[Block] = resampled(self._reader.blocks(), info.sample_rate_hz, rate, info.channels)
        self._rest = np.empty((0, 2))
        self.is_done = False

    def next_block(self) -> NDArray[np.float64]:
        pieces, there = [self._rest], len(self._rest)
        while there < BLOCK_FRAMES and not self.is_done:
            block = next(self._blocks, None)
            if block is None:
                self.is_done = True
            else:
                pieces.append(_placed_exactly(block, self._matrix))
                there += len(block)
        joined = np.concatenate(pieces)
        self._rest = joined[BLOCK_FRAMES:]
        self.is_done = self.is_done and not len(self._rest)
        return joined[:BLOCK_FRAMES]

    def close(self) -> None:
        self._reader.close()


def _level(
    order: MixOrder, rate: int, total: Scratch, loudness: Loudness, target: Path, progress: Progress
) -> Levelled:
    """Bring the sum to the order's loudness, into the file `target`."""
    leveller = Leveller(
        total,
        rate,
        STEREO,
        loudness,
        target_lufs=order.target_lufs,
        ceiling_dbtp=order.ceiling_dbtp,
        progress=progress,
    )
    with ExitStack() as stack:

        def start_writing() -> Write:
            stack.close()  # the file that was not good enough
            writer = AudioWriter(target, order.container, rate, len(STEREO), order.bits, frames=total.frames)
            return stack.enter_context(writer).write

        return leveller.render(start_writing)


def _speakers(info: AudioInfo) -> tuple[str, ...]:
    return speakers_of(info.channels, vorbis_order=info.has_vorbis_order)


def _placed(block: Block, matrix: NDArray[np.float64]) -> Block:
    return _placed_exactly(block, matrix).astype(np.float32)


def _placed_exactly(block: Block, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    placed = np.zeros((block.shape[0], 2))
    _add_placed(block, matrix, placed)
    return placed


@compiled
def _add_placed(block: Block, matrix: NDArray[np.float64], placed: NDArray[np.float64]) -> None:
    """Our own product: a BLAS may sum in another order with another number of threads, and a mix must repeat bit for bit."""
    for i in range(block.shape[0]):
        for channel in range(block.shape[1]):
            value = np.float64(block[i, channel])
            placed[i, 0] += value * matrix[channel, 0]
            placed[i, 1] += value * matrix[channel, 1]
