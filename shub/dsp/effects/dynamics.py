"""Compressor and expander."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.decibels import TILE, Gains, Levels, db_to_gain, from_db
from shub.dsp.effects.gain_computer import (
    Ballistics,
    Counters,
    GainComputer,
    gains_for,
    is_at_rest,
    mean_frames,
    multiply,
    peaks_of,
)
from shub.dsp.effects.lookahead import LookAhead
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sidechain import SideChain

MOST_CHANNELS = 8


class Compressor:
    """Turns down what is above the threshold, all channels alike.

    The level is the largest sample of any channel (`peak`), or the largest root of the mean power of any channel over some 10 ms (`rms`:
    3 dB less for a sine; an attack of less than 4 ms takes 4).
    """

    def __init__(
        self,
        sound: Sound,
        *,
        threshold_db: float,
        ratio: float,
        attack_ms: float,
        release_ms: float,
        knee_db: float,
        makeup_db: float,
        lookahead_ms: float,
        detector: Literal["peak", "rms"],
        sidechain: str | None,
        sidechain_highpass_hz: float | None,
        mix: float,
    ) -> None:
        self.out = sound
        self._side = SideChain(sound, sidechain, sidechain_highpass_hz)
        self._look = LookAhead(round(sound.rate_hz * lookahead_ms / 1000), sound.channels)
        attack, release = attack_ms / 1000, release_ms / 1000
        if detector == "rms":
            mean = mean_frames(sound.rate_hz, release)
            ballistics = Ballistics.after_power(sound.rate_hz, attack, release, mean)
        else:
            mean = 0
            ballistics = Ballistics.after_peaks(sound.rate_hz, attack, release)
        self._gain = GainComputer.compressing(threshold_db, ratio, knee_db, ballistics)
        self._power = np.zeros((2 * MOST_CHANNELS, mean + 1))
        self._places = np.zeros(1, np.int64)
        self._dry, self._wet = 1.0 - mix, mix * db_to_gain(makeup_db)
        self._does_nothing = mix == 0.0 or (ratio == 1.0 and makeup_db == 0.0)

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._does_nothing:
            return block
        keys = self._side.heard(block, key)
        return self._ride(block, keys)

    def flush(self) -> Block:
        silence = self._look.silence()
        return silence[:0] if self._does_nothing else self._ride(silence, self._side.silence(len(silence)))

    def told(self) -> dict[str, float]:
        return {"max_reduction_db": self._gain.max_reduction_db}

    def _ride(self, block: Block, keys: Block) -> Block:
        samples, out, gain = self._look.joined(block), np.empty(block.shape, np.float32), self._gain
        _ride(
            samples, keys, out, self._power, self._places, gain.curve, gain.window, gain.state, gain.counters,
            self._dry, self._wet,
        )  # fmt: skip
        return self._look.in_step(out)


class Expander:
    """Turns down what is below the threshold, all channels alike; the attack is that of sound that comes back."""

    def __init__(
        self,
        sound: Sound,
        *,
        threshold_db: float,
        ratio: float,
        range_db: float,
        attack_ms: float,
        release_ms: float,
        knee_db: float,
    ) -> None:
        self.out = sound
        ballistics = Ballistics.after_peaks(sound.rate_hz, attack_ms / 1000, release_ms / 1000)
        self._gain = GainComputer.expanding(threshold_db, ratio, knee_db, ballistics, range_db)
        self._does_nothing = ratio == 1.0 or range_db == 0.0

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._does_nothing:
            return block
        out, gain = np.empty(block.shape, np.float32), self._gain
        _ride(
            block, block, out, _NO_POWER, _NO_PLACES, gain.curve, gain.window, gain.state, gain.counters, 0.0, 1.0
        )  # fmt: skip
        return out

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {"max_reduction_db": self._gain.max_reduction_db}


_NO_POWER, _NO_PLACES = np.zeros((1, 1)), np.zeros(1, np.int64)


@compiled
def _ride(
    samples: Block,
    keys: Block,
    out: Block,
    power: NDArray[np.float64],
    places: Counters,
    curve: Gains,
    window: Levels,
    state: Gains,
    counters: Counters,
    dry: float,
    wet: float,
) -> None:
    """`out` is as long as `keys`; `samples` begins as many frames earlier as are looked ahead."""
    levels, gains_db, factors = np.empty(TILE, np.float32), np.empty(TILE), np.empty(TILE)
    for start in range(0, len(keys), TILE):
        width = min(TILE, len(keys) - start)
        if power.shape[1] > 1:
            _roots_of_power(keys, start, levels[:width], power, places)
        else:
            peaks_of(keys, start, levels[:width])
        if is_at_rest(levels[:width], curve, window, state, counters):
            for i in range(width):
                factors[i] = dry + wet
        else:
            gains_for(levels[:width], curve, window, state, counters, gains_db[:width])
            from_db(gains_db[:width], factors[:width])
            for i in range(width):
                factors[i] = dry + wet * factors[i]
        multiply(samples, start, factors[:width], out)


@compiled
def _roots_of_power(keys: Block, start: int, levels: Levels, power: NDArray[np.float64], places: Counters) -> None:
    """Into `levels` the root of the mean power of every channel, that of the loudest channel.

    The mean is one of means, both over as many frames (a triangle of twice the length), which leaves less of the waveform than a plain one.
    `power` has the windows of the first means of all channels, then those of the second.
    """
    squares = np.empty(levels.size)
    for i in range(levels.size):
        levels[i] = 0.0
    place = places[0]
    for channel in range(min(keys.shape[1], MOST_CHANNELS)):
        for i in range(levels.size):
            squares[i] = np.float64(keys[start + i, channel]) ** 2
        _means(squares, power[channel], places[0])
        place = _means(squares, power[channel + MOST_CHANNELS], places[0])
        for i in range(levels.size):
            levels[i] = max(levels[i], np.float32(np.sqrt(squares[i])))
    places[0] = place


@compiled
def _means(values: NDArray[np.float64], window: NDArray[np.float64], place: int) -> int:
    """Replaces every value by the mean of the last ones; gives the next place in the window.

    The window is filled in turns, and ends with the sum of the turn under way. As for the maxima, what is left of the last turn is kept as
    its sums from every place to its end: nothing is ever subtracted, so errors do not add up.
    """
    size = window.size - 1
    sum_, part = window[size], 1.0 / size
    for i in range(values.size):
        value = values[i]
        sum_ += value
        window[place] = value
        place += 1
        values[i] = (sum_ + (window[place] if place < size else 0.0)) * part
        if place == size:
            for j in range(size - 2, -1, -1):
                window[j] += window[j + 1]
            place, sum_ = 0, 0.0
    window[size] = sum_
    return place
