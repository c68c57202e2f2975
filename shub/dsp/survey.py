"""What one look at every sample gives: levels, offset, noise floor, silences, and how two channels go together."""

import math
from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.meter import decibels

HOPS_PER_SECOND: Final = 20
QUIET: Final = 0.001
"""-60 dBFS: no sample of a silence reaches it."""
SHORTEST_SILENCE_SECONDS: Final = 0.5
FLOOR_SHARE: Final = 0.05
CORRELATION_HOPS: Final = 8
"""0.4 s, the window of momentary loudness."""
HEARD_POWER: Final = 10.0**-7
"""-70 dBFS: below it two channels may go together as they like."""
MOST_LOSS_DB: Final = 96.0
"""A fold to mono that leaves nothing is told as this, the range of 16 bit."""


@dataclass(frozen=True)
class Levels:
    rms_dbfs: float | None
    crest_factor_db: float | None
    dc_offset: list[float]
    noise_floor_dbfs: float | None


@dataclass(frozen=True)
class Stretch:
    start_seconds: float
    duration_seconds: float
    channel: int | None = None


@dataclass(frozen=True)
class Silences:
    count: int
    total_seconds: float
    leading_seconds: float
    trailing_seconds: float
    places: list[Stretch]


@dataclass(frozen=True)
class Stereo:
    correlation: float | None
    lowest_correlation: float | None
    width: float | None
    balance_db: float | None
    mono_loss_db: float | None
    low_end_correlation: float | None


class Survey:
    """Feed it blocks with `add`, then ask. `pair` are the channels of the left and the right speaker, None for mono."""

    def __init__(self, rate_hz: int, channels: int, pair: tuple[int, int] | None) -> None:
        self._rate, self._pair = rate_hz, pair
        self._clock = np.zeros(2, np.int64)  # frames seen, hops closed
        self._totals = np.zeros((channels, 3))  # sum, sum of squares, largest magnitude
        self._open = np.zeros(4)  # of the hop that is not over: power of all channels, left, right, their product
        self._hops = array("d")
        self._quiet_since = np.zeros(1, np.int64)
        self._silences: list[tuple[int, int]] = []

    def add(self, block: Block) -> None:
        closed = np.empty((len(block) * HOPS_PER_SECOND // self._rate + 2, 4))
        shortest = math.ceil(SHORTEST_SILENCE_SECONDS * self._rate)
        silent = np.empty((len(block) // shortest + 2, 2), np.int64)
        left, right = self._pair or (-1, -1)
        made, found = _survey(
            *(block, self._totals, self._clock, self._open, self._rate, left, right, closed),
            *(self._quiet_since, shortest, silent),
        )
        self._hops.frombytes(closed[:made].tobytes())
        self._silences += [(int(start), int(end)) for start, end in silent[:found]]

    def levels(self) -> Levels:
        """RMS of all channels' mean power, crest factor of the channel with the most power, mean of every channel, noise floor.

        The noise floor is a definition of ours: what the quietest 5 % of all windows of 50 ms stay below, those of digital silence
        left out. In music without pauses it is the quietest music.
        """
        frames = max(1, int(self._clock[0]))
        means, powers, peaks = self._totals[:, 0] / frames, self._totals[:, 1] / frames, self._totals[:, 2]
        loudest = int(np.argmax(powers))
        heard = self._hop_rows()[:, 0]
        heard = heard[heard > 0.0] / len(powers)
        floor = float(np.quantile(heard, FLOOR_SHARE)) * HOPS_PER_SECOND / self._rate if heard.size else 0.0
        return Levels(
            rms_dbfs=_power_db(float(powers.mean())),
            crest_factor_db=20.0 * math.log10(peaks[loudest] / math.sqrt(powers[loudest]))
            if powers[loudest] > 0.0
            else None,
            dc_offset=[float(mean) for mean in means],
            noise_floor_dbfs=_power_db(floor),
        )

    def silences(self, most: int) -> Silences:
        """Stretches of half a second and more in which no sample of any channel reaches -60 dBFS; the first `most` one by one."""
        frames, since = int(self._clock[0]), int(self._quiet_since[0])
        ended = [*self._silences]
        if frames - since >= math.ceil(SHORTEST_SILENCE_SECONDS * self._rate):
            ended.append((since, frames))
        lengths = [(start / self._rate, (end - start) / self._rate) for start, end in ended]
        return Silences(
            count=len(ended),
            total_seconds=sum(length for _, length in lengths),
            leading_seconds=lengths[0][1] if ended and ended[0][0] == 0 else 0.0,
            trailing_seconds=lengths[-1][1] if ended and ended[-1][1] == frames else 0.0,
            places=[Stretch(*one) for one in lengths[:most]],
        )

    def stereo(self, low_end_correlation: float | None) -> Stereo | None:
        """How left and right go together; None for mono. What is silent has no correlation."""
        if self._pair is None:
            return None
        left, right = (float(self._totals[channel, 1]) for channel in self._pair)
        rows = self._hop_rows()
        product = float(rows[:, 3].sum() + self._open[3])
        both = left + right
        if both <= 0.0:
            return Stereo(None, None, None, None, None, None)
        middle = (both + 2.0 * product) / 2.0
        loss = decibels(math.sqrt(both / middle)) if middle > both * 10.0 ** (-MOST_LOSS_DB / 10.0) else MOST_LOSS_DB
        return Stereo(
            correlation=correlation_of(left, right, product),
            lowest_correlation=self._lowest_correlation(rows),
            width=min(1.0, max(0.0, (both - 2.0 * product) / (2.0 * both))),
            balance_db=10.0 * math.log10(left / right) if left > 0.0 < right else None,
            mono_loss_db=None if loss is None else max(0.0, loss),
            low_end_correlation=low_end_correlation,
        )

    def _lowest_correlation(self, rows: NDArray[np.float64]) -> float | None:
        if len(rows) < CORRELATION_HOPS:
            return None
        sums = np.cumsum(np.vstack((np.zeros(4), rows)), axis=0)
        _, left, right, product = (sums[CORRELATION_HOPS:] - sums[:-CORRELATION_HOPS]).T
        heard = np.minimum(left, right) > HEARD_POWER * CORRELATION_HOPS * self._rate / HOPS_PER_SECOND
        if not heard.any():
            return None
        return max(-1.0, float((product[heard] / np.sqrt(left[heard] * right[heard])).min()))

    def _hop_rows(self) -> NDArray[np.float64]:
        return np.array(self._hops).reshape(-1, 4)


def correlation_of(left: float, right: float, product: float) -> float | None:
    """Of two powers and the product of their signals: -1 to 1, None where one is silent."""
    return max(-1.0, min(1.0, product / math.sqrt(left * right))) if left > 0.0 < right else None


def _power_db(power: float) -> float | None:
    return 10.0 * math.log10(power) if power > 0.0 else None


@compiled
def _is_loud(frame: NDArray[np.float32]) -> bool:
    for x in frame:  # noqa: SIM110 - compiled
        if abs(x) >= QUIET:
            return True
    return False


@compiled
def _survey(
    block: Block,
    totals: NDArray[np.float64],
    clock: NDArray[np.int64],
    opened: NDArray[np.float64],
    rate: int,
    left: int,
    right: int,
    closed: NDArray[np.float64],
    quiet_since: NDArray[np.int64],
    shortest: int,
    silent: NDArray[np.int64],
) -> tuple[int, int]:
    """Adds the block to all sums; returns how many hops ended, and how many silences."""
    made, found, start, frames = 0, 0, 0, block.shape[0]
    while start < frames:
        hop_end = (clock[1] + 1) * rate // HOPS_PER_SECOND
        stop = min(frames, start + hop_end - clock[0])
        loudest = 0.0
        for channel in range(block.shape[1]):
            total, power, largest = totals[channel, 0], 0.0, 0.0
            for i in range(start, stop):
                x = np.float64(block[i, channel])
                total += x
                power += x * x
                largest = max(largest, abs(x))
            totals[channel, 0] = total
            totals[channel, 1] += power
            totals[channel, 2] = max(totals[channel, 2], largest)
            loudest = max(loudest, largest)
            opened[0] += power
            if channel == left:
                opened[1] += power
            elif channel == right:
                opened[2] += power
        if left >= 0:
            product = opened[3]
            for i in range(start, stop):
                product += np.float64(block[i, left]) * np.float64(block[i, right])
            opened[3] = product
        if loudest >= QUIET:  # a hop is shorter than a silence: only its first and its last loud frame matter
            first, last = start, stop - 1
            while not _is_loud(block[first]):
                first += 1
            while not _is_loud(block[last]):
                last -= 1
            if clock[0] + first - start - quiet_since[0] >= shortest:
                silent[found, 0], silent[found, 1] = quiet_since[0], clock[0] + first - start
                found += 1
            quiet_since[0] = clock[0] + last - start + 1
        clock[0] += stop - start
        start = stop
        if clock[0] == hop_end:
            for k in range(4):
                closed[made, k] = opened[k]
                opened[k] = 0.0
            made += 1
            clock[1] += 1
    return made, found
