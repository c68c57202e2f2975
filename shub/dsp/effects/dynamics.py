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
    hold_frames,
    is_at_rest,
    multiply,
    peaks_of,
)
from shub.dsp.effects.lookahead import LookAhead
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sidechain import SideChain

MOST_CHANNELS = 8


class Compressor:
    """Turns down what is above the threshold, all channels alike.

    The level is the largest sample of any channel (`peak`), or the largest root of the mean power of any channel over 10 ms (`rms`: 3 dB
    less for a sine).
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
            mean = hold_frames(sound.rate_hz, release)
            ballistics = Ballistics.after_power(sound.rate_hz, attack, release, mean)
        else:
            mean = 0
            ballistics = Ballistics.after_peaks(sound.rate_hz, attack, release)
        self._gain = GainComputer.compressing(threshold_db, ratio, knee_db, ballistics)
        self._power = np.zeros((MOST_CHANNELS, mean + 1))
        self._power_place = np.zeros(1, np.int64)
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
            samples, keys, out, self._power, self._power_place, gain.curve, gain.window, gain.state, gain.counters,
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
            block, block, out, _NO_POWER, _NO_PLACE, gain.curve, gain.window, gain.state, gain.counters, 0.0, 1.0
        )  # fmt: skip
        return out

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {"max_reduction_db": self._gain.max_reduction_db}


_NO_POWER, _NO_PLACE = np.zeros((1, 1)), np.zeros(1, np.int64)


@compiled
def _ride(
    samples: Block,
    keys: Block,
    out: Block,
    power: NDArray[np.float64],
    power_place: Counters,
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
            _roots_of_power(keys, start, levels[:width], power, power_place)
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
def _roots_of_power(keys: Block, start: int, levels: Levels, power: NDArray[np.float64], power_place: Counters) -> None:
    """Into `levels` the root of the mean power of every channel over the last frames, that of the loudest channel.

    `power` has a row per channel: the frames of the mean, filled in turns, then the sum of the turn under way. As in the window of the
    maxima, what is left of the last turn is kept as its sums from every place to its end, so errors do not add up.
    """
    size = power.shape[1] - 1
    for i in range(levels.size):
        levels[i] = 0.0
    place = power_place[0]
    for channel in range(keys.shape[1]):
        row = power[channel]
        place, sum_ = power_place[0], row[size]
        for i in range(levels.size):
            square = np.float64(keys[start + i, channel]) ** 2
            sum_ += square
            row[place] = square
            place += 1
            older = row[place] if place < size else 0.0
            levels[i] = max(levels[i], np.float32(np.sqrt((sum_ + older) / size)))
            if place == size:
                for j in range(size - 2, -1, -1):
                    row[j] += row[j + 1]
                place, sum_ = 0, 0.0
        row[size] = sum_
    power_place[0] = place
