"""A look-ahead limiter that holds the true peak, not only the samples, under a ceiling.

Peaks are looked for at 8x: between 4x points a tone close to half the sample rate hides up to 0.69 dB, between 8x points 0.17.
Every sample asks for a gain: 1, or what brings the largest value at or right after it down to the ceiling. The lowest gain asked
for within the look-ahead is held, released exponentially, and smoothed by two moving averages that together are as long as the
look-ahead, so the full reduction is reached when the peak arrives and the gain never jumps. Gains are summed as integers: the
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
_ONE: Final = 1 << 40
_TILE: Final = 512


class Limiter:
    """Feed blocks to `process`, then take `flush`. Together they give as many frames as went in, at the same place in time.

    Channels share one gain, so the image does not move. `max_reduction_db` says how far it went.
    """

    def __init__(self, rate_hz: int, channels: int, ceiling_dbtp: float) -> None:
        self._ceiling = 10.0 ** (ceiling_dbtp / 20.0)
        half = max(1, round(rate_hz * LOOKAHEAD_SECONDS / 2))
        self._average = np.array([half, half + 1], np.int64)
        look = int(self._average.sum()) - 1
        self._delay = look + CLOSE_LATENCY
        self._release = 1.0 - float(np.exp(-1.0 / (rate_hz * RELEASE_SECONDS)))
        self._taps = half_bands()
        self._phases = np.concatenate((interpolator(8), shorter_interpolator()))
        self._reach = max(close_reach(), float(np.abs(self._phases).sum(axis=1).max()) * 1.0001)
        # What the future of the signal needs of its past: the delayed samples, and the gains under way.
        self._past = np.zeros((self._delay + CLOSE_CONTEXT, channels), np.float32)
        self._queue_gain, self._queue_at = np.zeros(look + 4), np.zeros(look + 4, np.int64)
        self._rings = np.full((2, int(self._average.max())), _ONE, np.int64)
        self._sums = self._average * _ONE
        self._sums[1] *= self._average[0]
        self._rings[1] *= self._average[0]
        # counters: frames in, queue head, queue length, place in ring 0, place in ring 1, samples since the last reduction
        self._counters = np.zeros(6, np.int64)
        self._counters[5] = self._delay + CLOSE_CONTEXT
        self._gains = np.array(
            [1.0, 1.0, 0.0]
        )  # released gain, lowest gain applied, largest value between the last two samples
        self._skip = self._delay

    @property
    def max_reduction_db(self) -> float:
        return float(-20.0 * np.log10(self._gains[1]))

    def process(self, block: Block) -> Block:
        samples = np.concatenate((self._past, block))
        out = np.empty_like(block)
        _limit(
            samples, out, self._delay, self._ceiling, self._release, self._taps, self._phases, self._reach,
            self._queue_gain, self._queue_at, self._average, self._rings, self._sums, self._counters, self._gains,
        )  # fmt: skip
        self._past = samples[-len(self._past) :].copy()
        skipped = min(self._skip, len(out))
        self._skip -= skipped
        return out[skipped:]

    def flush(self) -> Block:
        return self.process(np.zeros((self._delay, self._past.shape[1]), np.float32))


@compiled
def _limit(
    samples: Block,
    out: Block,
    delay: int,
    ceiling: float,
    release: float,
    taps: NDArray[np.float32],
    phases: NDArray[np.float32],
    reach: float,
    queue_gain: NDArray[np.float64],
    queue_at: NDArray[np.int64],
    average: NDArray[np.int64],
    rings: NDArray[np.int64],
    sums: NDArray[np.int64],
    counters: NDArray[np.int64],
    gains: NDArray[np.float64],
) -> None:
    """`samples` is `delay + CLOSE_CONTEXT` frames of history, then the block; `out` gets the block `delay` frames late, limited.

    At block frame i the newest sample is samples[history + i]; the gain asked for is that of the sample CLOSE_LATENCY earlier, the
    newest one whose surroundings are known.
    """
    frames, channels = out.shape
    history = samples.shape[0] - frames
    hold = average[0] + average[1] + 1  # one frame more than the averages on each side
    capacity = queue_gain.size
    scale = 1.0 / (np.float64(average[0] * average[1]) * _ONE)
    column = np.empty(_TILE + CLOSE_CONTEXT, np.float32)
    at_2x, at_4x, room = (
        np.empty(2 * column.size, np.float32),
        np.empty(4 * column.size, np.float32),
        np.empty(4 * column.size, np.float32),
    )
    values = np.empty(_TILE, np.float32)
    peaks = np.empty(_TILE, np.float32)
    for start in range(0, frames, _TILE):
        width = min(_TILE, frames - start)
        base = history + start - CLOSE_CONTEXT
        largest = np.float32(0.0)
        for i in range(base, base + width + CLOSE_CONTEXT):
            for channel in range(channels):
                largest = max(largest, abs(samples[i, channel]))
        if largest * reach <= ceiling and counters[5] >= hold and gains[0] == 1.0 and gains[2] <= ceiling:
            # Nothing can exceed the ceiling and no reduction is under way: the gain is exactly 1.
            counters[0] += width
            counters[2] = 0
            counters[5] += width
            gains[2] = 0.0
            for i in range(width):
                for channel in range(channels):
                    out[start + i, channel] = samples[history + start + i - delay, channel]
            continue
        for i in range(width):
            peaks[i] = 0.0
        for channel in range(channels):
            for i in range(width + CLOSE_CONTEXT):
                column[i] = samples[base + i, channel]
            closest_look(column[: width + CLOSE_CONTEXT], taps, at_2x, at_4x, room, values[:width])
            for i in range(width):
                peaks[i] = max(peaks[i], values[i])
            # The meters' shorter filters, at the same place: they need less of the past and of the future.
            largest_between(
                column[CLOSE_LATENCY - LATENCY : CLOSE_LATENCY - LATENCY + width + TAPS - 1], phases, values[:width]
            )
            for i in range(width):
                peaks[i] = max(peaks[i], values[i])
        for i in range(width):
            # peaks[i] lies at or after the sample at base + i + CLOSE_LATENCY - 1; both of its neighbours must come down.
            peak = max(np.float64(peaks[i]), gains[2])
            gains[2] = np.float64(peaks[i])
            asked = ceiling / peak if peak > ceiling else 1.0
            now = counters[0]
            counters[0] += 1
            counters[5] = 0 if asked < 1.0 else counters[5] + 1
            # The lowest gain of the last `hold` frames: a queue of falling ages and rising gains.
            head, length = counters[1], counters[2]
            while length > 0 and queue_gain[(head + length - 1) % capacity] >= asked:
                length -= 1
            queue_gain[(head + length) % capacity] = asked
            queue_at[(head + length) % capacity] = now
            length += 1
            while queue_at[head] <= now - hold:
                head = (head + 1) % capacity
                length -= 1
            counters[1], counters[2] = head, length
            lowest = queue_gain[head]
            gain = gains[0]
            if lowest <= gain:
                gain = lowest
            else:
                gain += (lowest - gain) * release
                if lowest - gain < 1e-6:  # 0.00001 dB: arrive, instead of creeping for ever
                    gain = lowest
            gains[0] = gain
            value = np.int64(gain * _ONE)
            for stage in range(2):
                place = counters[3 + stage]
                sums[stage] += value - rings[stage, place]
                rings[stage, place] = value
                counters[3 + stage] = (place + 1) % average[stage]
                value = sums[stage]
            applied = np.float64(value) * scale
            gains[1] = min(gains[1], applied)
            at = history + start + i - delay
            for channel in range(channels):
                out[start + i, channel] = np.float32(np.float64(samples[at, channel]) * applied)
