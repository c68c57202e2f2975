"""The de-esser."""

import math

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.cascade import SILENCE, Cascade
from shub.dsp.effects.decibels import TILE, Gains, Levels, from_db
from shub.dsp.effects.gain_computer import Ballistics, Counters, GainComputer, gains_for, is_at_rest, peaks_of
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import below_nyquist, highpass


class Deesser:
    """Turns down what is above `freq_hz`, all channels alike, by as much as its level there is over the threshold, `max_reduction_db` at
    most.

    What is turned down is a high shelf, not a band that was split off: without a reduction it passes every bit, with one it has no bump,
    the lows keep their phase too, and at `freq_hz` half of the reduction (in dB) is there.
    """

    def __init__(
        self,
        sound: Sound,
        *,
        freq_hz: float,
        threshold_db: float,
        max_reduction_db: float,
        attack_ms: float,
        release_ms: float,
    ) -> None:
        self.out = sound
        hz = below_nyquist(sound, "freq_hz", freq_hz)
        self._highs = Cascade(sound, highpass(sound.rate_hz, hz, 4))
        ballistics = Ballistics.after_peaks(sound.rate_hz, attack_ms / 1000, release_ms / 1000)
        self._gain = GainComputer.compressing(threshold_db, math.inf, 0.0, ballistics, max_reduction_db)
        self._corner = math.tan(math.pi * hz / sound.rate_hz)
        self._shelf = np.zeros((sound.channels, 2))
        self._frames = 0
        self._does_nothing = max_reduction_db == 0.0

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._does_nothing:
            return block
        out, gain = np.empty(block.shape, np.float32), self._gain
        highs = self._highs.process(block)
        _soften(
            block, highs, out, self._corner, self._shelf, self._frames, gain.curve, gain.window, gain.state, gain.counters
        )  # fmt: skip
        self._frames = (self._frames + len(block)) % TILE
        return out

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {"max_reduction_db": self._gain.max_reduction_db}


@compiled
def _soften(
    block: Block,
    highs: Block,
    out: Block,
    corner: float,
    shelf: NDArray[np.float64],
    done: int,
    curve: Gains,
    window: Levels,
    state: Gains,
    counters: Counters,
) -> None:
    """A high shelf of the gain that the highs ask for; its states are looked at for silence at the end of every tile of the stream.

    Source: A. Simper, Solving the continuous SVF equations using trapezoidal integration and equivalent currents, Cytomic, 2013: the high
    shelf, with k = sqrt(2), which is monotonous. Its integrators keep their meaning while the gain moves, so it moves without clicks.
    """
    frames, channels = block.shape
    levels, gains_db, amplitude = np.empty(TILE, np.float32), np.empty(TILE), np.empty(TILE)
    through, mixed = np.empty((3, TILE)), np.empty((3, TILE))
    k = math.sqrt(2.0)
    start = 0
    while start < frames:
        width = min(TILE - (done + start) % TILE, frames - start)
        is_whole = (done + start + width) % TILE == 0
        peaks_of(highs, start, levels[:width])
        if is_at_rest(levels[:width], curve, window, state, counters):
            for i in range(width):
                gains_db[i] = 0.0
        else:
            gains_for(levels[:width], curve, window, state, counters, gains_db[:width])
        for i in range(width):
            gains_db[i] *= 0.5
        from_db(gains_db[:width], amplitude[:width])
        for i in range(width):
            a = amplitude[i]
            g = corner * np.sqrt(a)
            through[0, i] = 1.0 / (1.0 + g * (g + k))
            through[1, i] = g * through[0, i]
            through[2, i] = g * through[1, i]
            mixed[0, i] = a * a
            mixed[1, i] = k * (1.0 - a) * a
            mixed[2, i] = 1.0 - a * a
        for channel in range(channels):
            first, second = shelf[channel, 0], shelf[channel, 1]
            for i in range(width):
                sample = np.float64(block[start + i, channel])
                rest = sample - second
                band = through[0, i] * first + through[1, i] * rest
                low = second + through[1, i] * first + through[2, i] * rest
                first = 2.0 * band - first
                second = 2.0 * low - second
                out[start + i, channel] = np.float32(mixed[0, i] * sample + mixed[1, i] * band + mixed[2, i] * low)
            if is_whole and abs(first) < SILENCE:
                first = 0.0
            if is_whole and abs(second) < SILENCE:
                second = 0.0
            shelf[channel, 0], shelf[channel, 1] = first, second
        start += width
