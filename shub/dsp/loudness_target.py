"""To a loudness, under a ceiling: measure, gain, limit, measure again, correct."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from shub.dsp.decode import Block
from shub.dsp.limiter import Limiter
from shub.dsp.meter import Loudness, Meter

TOLERANCE_LU = 0.03
CEILING_MARGIN_DB = 0.1
"""The limiter aims so much lower: meters with other filters read up to 0.08 dB more than the one it listens with."""
LARGEST_REDUCTION_DB = 24.0
"""Beyond that a limiter only destroys; what is missing to the target is reported instead."""
_MOST_PASSES = 8

Source = Callable[[], Iterable[Block]]
"""Gives the same sound from its start at every call."""


@dataclass(frozen=True)
class Levelling:
    """What a signal needs to sit at its target: the gain in front of the limiter, and the limiter's ceiling."""

    gain_db: float
    ceiling_dbtp: float


@dataclass(frozen=True)
class Levelled:
    """What came out, measured at the output."""

    loudness: Loudness
    gain_db: float
    max_reduction_db: float
    shortfall_lu: float
    """By how much the target was missed because the ceiling wins; 0 when it was met."""


def levelling_for(
    source: Source, rate_hz: int, speakers: tuple[str, ...], measured: Loudness, target_lufs: float, ceiling_dbtp: float
) -> Levelling:
    """The gain that brings `source` (whose reading is `measured`) to the target through the limiter.

    Louder in front of the limiter is ever less loud behind it, so the gain is found by the secant method, a pass over the
    signal for each try. Silence gets no gain.
    """
    aim = ceiling_dbtp - CEILING_MARGIN_DB
    if measured.integrated_lufs is None or measured.true_peak_dbtp is None:
        return Levelling(0.0, aim)
    gain = target_lufs - measured.integrated_lufs
    most = aim - measured.true_peak_dbtp + LARGEST_REDUCTION_DB
    best = Levelling(min(gain, most), aim)
    if measured.true_peak_dbtp + gain < aim - 1.0:
        return best  # a decibel below the ceiling the limiter finds nothing to do, whatever it looks with
    tried: list[tuple[float, float]] = []
    smallest_error = float("inf")
    for _ in range(_MOST_PASSES):
        gain = min(gain, most)
        meter = Meter(rate_hz, speakers, peaks=False)
        for block in limited(source(), Limiter(rate_hz, len(speakers), aim), gain):
            meter.add(block)
        reading = meter.integrated_lufs()
        if reading is None:
            break
        error = target_lufs - reading
        if abs(error) < smallest_error:
            best, smallest_error = Levelling(gain, aim), abs(error)
        if abs(error) <= TOLERANCE_LU or (gain >= most and error > 0.0):
            break
        tried.append((gain, reading))
        gain += error / _slope(tried)
    return best


def apply_levelling(
    source: Source,
    rate_hz: int,
    speakers: tuple[str, ...],
    levelling: Levelling,
    target_lufs: float,
    write: Callable[[Block], None],
) -> Levelled:
    """Run the signal through, hand each block to `write`, and say what a meter at the output reads."""
    limiter = Limiter(rate_hz, len(speakers), levelling.ceiling_dbtp)
    meter = Meter(rate_hz, speakers)
    for block in limited(source(), limiter, levelling.gain_db):
        meter.add(block)
        write(block)
    loudness = meter.read()
    missing = 0.0 if loudness.integrated_lufs is None else target_lufs - loudness.integrated_lufs
    return Levelled(loudness, levelling.gain_db, limiter.max_reduction_db, missing if missing > 0.1 else 0.0)


def limited(blocks: Iterable[Block], limiter: Limiter, gain_db: float) -> Iterator[Block]:
    factor = np.float32(10.0 ** (gain_db / 20.0))
    for block in blocks:
        made = limiter.process(block * factor)
        if len(made):
            yield made
    yield limiter.flush()


def _slope(tried: list[tuple[float, float]]) -> float:
    """LU gained per dB of gain between the last two tries, kept between a tenth and one: the limiter only takes away."""
    if len(tried) < 2 or tried[-1][0] == tried[-2][0]:
        return 0.7
    (gain_before, reading_before), (gain, reading) = tried[-2:]
    return min(1.0, max(0.1, (reading - reading_before) / (gain - gain_before)))
