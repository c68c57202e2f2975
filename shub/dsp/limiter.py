"""A look-ahead limiter that holds the true peak, not only the samples, under a ceiling.

It comes in two halves. `PeakFinder` says how high the curve rises at every sample, looked at closely (at 8x: between 4x points a tone
near half the sample rate hides up to 0.69 dB, between 8x points 0.17). That is the slow half, and it scales with the gain, so whoever
tries several gains asks it once. `GainRider` asks for a gain at every sample: 1, or what brings that height down to the ceiling. The
lowest gain asked for within the look-ahead is held, released exponentially, and smoothed by two moving averages that together are as long
as the look-ahead, so the full reduction is reached when the peak arrives and the gain never jumps. Gains are summed as integers: the
averages are exact, a signal below the ceiling passes bit for bit, and block sizes leave no trace.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.interpolation import (
    CLOSE_CONTEXT,
    CLOSE_LATENCY,
    LATENCY,
    TAPS,
    close_reach,
    closest_look,
    half_bands,
    interpolator,
    largest_between,
    shorter_interpolator,
)

LOOKAHEAD_SECONDS = 0.005
RELEASE_SECONDS = 0.08
CEILING_MARGIN_DB = 0.1
"""Who promises a ceiling aims so much lower: meters with other filters read up to 0.08 dB more than the ones it listens with."""
_TILE: Final = 512
_PART: Final = 128
"""Peaks are looked for in so many frames at once: few, so that what is quiet around is left out."""
_MAGNITUDE: Final = np.int32(0x7FFFFFFF)
_FINDER_LATENCY: Final = CLOSE_CONTEXT - CLOSE_LATENCY + 1
"""A height needs so many samples after its own."""

Heights = NDArray[np.float32]
"""For every frame the largest magnitude of any channel from the sample before it to the one after it, between them too."""


class PeakFinder:
    """Heights of a signal, in blocks. Together, `process` and then `flush` give one height for every frame that went in.

    Heights that are surely not above `floor` are given as 0, which is quicker.
    """

    def __init__(self, channels: int, floor: float = 0.0) -> None:
        self._floor = floor
        self._taps = half_bands()
        self._phases = np.concatenate((interpolator(8), shorter_interpolator()))
        self._reaches = np.array([close_reach(), float(np.abs(self._phases).sum(axis=1).max()) * 1.0001])
        self._past = np.zeros((CLOSE_CONTEXT, channels), np.float32)
        self._before = np.zeros(1, np.float32)
        self._skip = _FINDER_LATENCY

    def process(self, block: Block) -> Heights:
        samples = np.concatenate((self._past, block))
        heights = np.empty(len(block), np.float32)
        _find(samples, heights, self._floor, self._taps, self._phases, self._reaches, self._before)
        self._past = samples[-CLOSE_CONTEXT:].copy()
        skipped = min(self._skip, len(heights))
        self._skip -= skipped
        return heights[skipped:]

    def flush(self) -> Heights:
        return self.process(np.zeros((_FINDER_LATENCY, self._past.shape[1]), np.float32))


class GainRider:
    """Applies a gain and turns it down where heights would exceed the ceiling; all channels alike, so the image does not move.

    Together, `process` and then `flush` give as many frames as went in. `max_reduction_db` says how far it went.
    """

    def __init__(
        self,
        rate_hz: int,
        channels: int,
        ceiling_dbtp: float,
        gain_db: float = 0.0,
        *,
        release_seconds: float = RELEASE_SECONDS,
        lookahead_seconds: float = LOOKAHEAD_SECONDS,
    ) -> None:
        self._ceiling, self._gain = 10.0 ** (ceiling_dbtp / 20.0), 10.0 ** (gain_db / 20.0)
        half = max(1, round(rate_hz * lookahead_seconds / 2))
        one = 1 << min(
            40, 62 - (half * (half + 1)).bit_length()
        )  # so that the sums of the longest averages fit in 64 bits
        self._averages = np.array(
            [half, half + 1, one], np.int64
        )  # their lengths, and the whole number that stands for 1
        self._look = 2 * half
        self._release = 1.0 - float(np.exp(-1.0 / (rate_hz * release_seconds)))
        # What the future of the signal needs of its past: the delayed samples, and the gains under way.
        self._past = np.zeros((self._look, channels), np.float32)
        self._queue_gain, self._queue_at = np.zeros(self._look + 4), np.zeros(self._look + 4, np.int64)
        self._rings = np.full((2, half + 1), one, np.int64)
        self._rings[1] *= half
        self._sums = np.array([one * half, one * half * (half + 1)], np.int64)
        # counters: frames in, head and length of the queue, place in each ring, frames since a reduction was asked for
        self._counters = np.array([0, 0, 0, 0, 0, 2 * self._look], np.int64)
        self._gains = np.array([1.0, 1.0])  # released gain, lowest gain applied
        self._skip = self._look

    @property
    def max_reduction_db(self) -> float:
        return abs(float(20.0 * np.log10(max(self._gains[1], 1e-20))))

    def process(self, block: Block, heights: Heights) -> Block:
        samples = np.concatenate((self._past, block))
        out = np.empty_like(block)
        _ride(
            samples, heights, out, self._gain, self._ceiling, self._release, self._queue_gain, self._queue_at,
            self._averages, self._rings, self._sums, self._counters, self._gains,
        )  # fmt: skip
        self._past = samples[-self._look :].copy()
        skipped = min(self._skip, len(out))
        self._skip -= skipped
        return out[skipped:]

    def flush(self) -> Block:
        silence = np.zeros((self._look, self._past.shape[1]), np.float32)
        return self.process(silence, np.zeros(self._look, np.float32))


class Limiter:
    """Both halves for one gain: feed blocks to `process`, then take `flush`. As many frames come out, at the same place in time."""

    def __init__(
        self,
        rate_hz: int,
        channels: int,
        ceiling_dbtp: float,
        gain_db: float = 0.0,
        *,
        release_seconds: float = RELEASE_SECONDS,
        lookahead_seconds: float = LOOKAHEAD_SECONDS,
    ) -> None:
        self._finder = PeakFinder(channels, floor=10.0 ** ((ceiling_dbtp - gain_db) / 20.0))
        self._rider = GainRider(
            rate_hz,
            channels,
            ceiling_dbtp,
            gain_db,
            release_seconds=release_seconds,
            lookahead_seconds=lookahead_seconds,
        )
        self._waiting = np.empty((0, channels), np.float32)

    @property
    def max_reduction_db(self) -> float:
        return self._rider.max_reduction_db

    def process(self, block: Block) -> Block:
        return self._ride(block, self._finder.process(block))

    def flush(self) -> Block:
        rest = self._ride(self._waiting[:0], self._finder.flush())
        return np.concatenate((rest, self._rider.flush()))

    def _ride(self, block: Block, heights: Heights) -> Block:
        waiting = np.concatenate((self._waiting, block))
        self._waiting = waiting[len(heights) :]
        return self._rider.process(waiting[: len(heights)], heights)


@compiled
def _largest(samples: NDArray[np.float32]) -> float:
    """The largest magnitude, compared by its bits, which are in the same order: as whole numbers they become vector code."""
    bits = samples.view(np.int32)
    largest = np.int32(0)
    for i in range(bits.size):
        magnitude = bits[i] & _MAGNITUDE
        largest = magnitude if magnitude > largest else largest
    return float(np.array([largest], np.int32).view(np.float32)[0])


@compiled
def _find(
    samples: Block,
    heights: Heights,
    floor: float,
    taps: NDArray[np.float32],
    phases: NDArray[np.float32],
    reaches: NDArray[np.float64],
    before: NDArray[np.float32],
) -> None:
    """`samples` is CLOSE_CONTEXT frames of history, then the block; heights[i] belongs to frame i + CLOSE_LATENCY - 1 of it."""
    channels = samples.shape[1]
    column = np.empty(_PART + CLOSE_CONTEXT, np.float32)
    at_2x, at_4x = np.empty(2 * column.size, np.float32), np.empty(4 * column.size, np.float32)
    room, values = np.empty(4 * column.size, np.float32), np.empty(_PART, np.float32)
    peaks = np.empty(_PART, np.float32)
    for start in range(0, heights.size, _PART):
        width = min(_PART, heights.size - start)
        for i in range(width):
            peaks[i] = 0.0
        for channel in range(channels):
            for i in range(width + CLOSE_CONTEXT):
                column[i] = samples[start + i, channel]
            if _largest(column[: width + CLOSE_CONTEXT]) * reaches[0] <= floor:
                continue
            closest_look(column[: width + CLOSE_CONTEXT], taps, at_2x, at_4x, room, values[:width])
            for i in range(width):
                peaks[i] = max(peaks[i], values[i])
            # The meters' shorter filters, at the same place: they need less of the past and of the future, and reach less high.
            near = column[CLOSE_LATENCY - LATENCY : CLOSE_LATENCY - LATENCY + width + TAPS - 1]
            if _largest(near) * reaches[1] <= floor:
                continue
            largest_between(near, phases, values[:width])
            for i in range(width):
                peaks[i] = max(peaks[i], values[i])
        for i in range(width):
            # peaks[i] lies at or after the sample at start + i + CLOSE_LATENCY - 1: it counts for both of its neighbours.
            heights[start + i] = max(before[0], peaks[i])
            before[0] = peaks[i]


@compiled
def _wrapped(place: int, size: int) -> int:
    """A place of a ring, where `place` is less than once around: a division takes longer than all the rest of a frame."""
    return place - size if place >= size else place


@compiled
def _ride(
    samples: Block,
    heights: Heights,
    out: Block,
    drive: float,
    ceiling: float,
    release: float,
    queue_gain: NDArray[np.float64],
    queue_at: NDArray[np.int64],
    averages: NDArray[np.int64],
    rings: NDArray[np.int64],
    sums: NDArray[np.int64],
    counters: NDArray[np.int64],
    gains: NDArray[np.float64],
) -> None:
    """`samples` is the look-ahead's length of history, then the block; `out` gets the block that much late, driven and limited."""
    frames, channels = out.shape
    hold = averages[0] + averages[1] + 1  # one frame more than the averages on each side
    capacity = queue_gain.size
    one = averages[2]
    scale = drive / (np.float64(averages[0] * averages[1]) * np.float64(one))
    for start in range(0, frames, _TILE):
        width = min(_TILE, frames - start)
        highest = np.float32(0.0)
        for i in range(start, start + width):
            highest = max(highest, heights[i])
        if np.float64(highest) * drive <= ceiling and counters[5] > hold and gains[0] == 1.0:
            # Nothing exceeds the ceiling and no reduction is under way: every gain in the averages is exactly 1.
            counters[0] += width
            counters[2] = 0
            counters[5] += width
            for i in range(start, start + width):
                for channel in range(channels):
                    out[i, channel] = np.float32(np.float64(samples[i, channel]) * drive)
            continue
        now, head, length = counters[0], counters[1], counters[2]
        first, second, since = counters[3], counters[4], counters[5]
        gain, deepest = gains[0], gains[1]
        for i in range(start, start + width):
            height = np.float64(heights[i]) * drive
            asked = ceiling / height if height > ceiling else 1.0
            # The lowest gain of the last `hold` frames: a queue of falling ages and rising gains.
            while length > 0 and queue_gain[_wrapped(head + length - 1, capacity)] >= asked:
                length -= 1
            last = _wrapped(head + length, capacity)
            queue_gain[last] = asked
            queue_at[last] = now
            length += 1
            while queue_at[head] <= now - hold:
                head = _wrapped(head + 1, capacity)
                length -= 1
            lowest = queue_gain[head]
            if lowest <= gain:
                gain = lowest
            else:
                gain += (lowest - gain) * release
                if lowest - gain < 1e-6:  # 0.00001 dB: arrive, instead of creeping for ever
                    gain = lowest
            since = 0 if asked < 1.0 or gain < 1.0 else since + 1
            now += 1
            value = np.int64(gain * np.float64(one))
            sums[0] += value - rings[0, first]
            rings[0, first] = value
            first = _wrapped(first + 1, averages[0])
            sums[1] += sums[0] - rings[1, second]
            rings[1, second] = sums[0]
            second = _wrapped(second + 1, averages[1])
            applied = np.float64(sums[1]) * scale
            deepest = min(deepest, applied / drive)
            for channel in range(channels):
                out[i, channel] = np.float32(np.float64(samples[i, channel]) * applied)
        counters[0], counters[1], counters[2] = now, head, length
        counters[3], counters[4], counters[5] = first, second, since
        gains[0], gains[1] = gain, deepest
