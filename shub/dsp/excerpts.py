"""A part of a file, to listen to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shub.dsp.analysis import analyze
from shub.dsp.decode import Block, Limits, probe
from shub.dsp.meter import Series
from shub.dsp.refusals import EmptyAudio


@dataclass(frozen=True)
class Excerpt:
    """What was asked for; without a start, the loudest part."""

    start_seconds: float | None
    duration_seconds: float


@dataclass(frozen=True)
class Part:
    """A stretch of frames of one file."""

    start_frame: int
    frames: int
    rate_hz: int

    @property
    def start_seconds(self) -> float:
        return self.start_frame / self.rate_hz

    def cut(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Of the file's blocks, those of the part; what comes after it is not read."""
        at, end = 0, self.start_frame + self.frames
        for block in blocks:
            first, last = max(0, self.start_frame - at), min(len(block), end - at)
            if first < last:
                yield block[first:last]
            at += len(block)
            if at >= end:
                return


def part_of(path: Path, asked: Excerpt, limits: Limits | None = None) -> Part:
    """Where the excerpt lies in the file. Raises EmptyAudio when it starts behind the end."""
    info = probe(path, limits)
    start = 0.0
    if asked.start_seconds is None:
        series = analyze(path, lambda _part: None, with_series=True, limits=limits).series
        assert series is not None
        start = loudest_start(series, asked.duration_seconds)
    return part_in(asked, start, info.frames, info.sample_rate_hz)


def part_in(asked: Excerpt, loudest_seconds: float, frames: int, rate_hz: int) -> Part:
    """Where the excerpt lies in a sound that is loudest from there on. Raises EmptyAudio when it starts behind the end."""
    start = loudest_seconds if asked.start_seconds is None else asked.start_seconds
    first = round(start * rate_hz)
    if first >= frames:
        raise EmptyAudio(f"the excerpt starts at {start:g} s, the sound ends at {frames / rate_hz:.3f} s")
    return Part(first, min(round(asked.duration_seconds * rate_hz), frames - first), rate_hz)


def loudest_start(series: Series, seconds: float) -> float:
    """Start of the stretch with the most K-weighted energy, in seconds, on a grid of 0.1 s."""
    momentary = [0.0 if level is None else 10.0 ** (level / 10.0) for level in series.momentary_lufs]
    width = max(1, round(seconds / series.step_seconds))
    if len(momentary) <= width:
        return 0.0
    sums = np.cumsum([0.0, *momentary])
    return float(np.argmax(sums[width:] - sums[:-width])) * series.step_seconds
