"""From levels to gains: what every effect that rides a gain has in common.

Source: D. Giannoulis, M. Massberg, J. D. Reiss, Digital Dynamic Range Compressor Design - A Tutorial and Analysis, JAES 60 (6), 2012:
feed-forward, the static curve in dB with a quadratic knee (eq. 4), then smooth branching attack and release on the gain in dB (eq. 16).

Before the curve, peaks are held for a while (a quarter of the release, `LONGEST_HOLD_SECONDS` at most), so that the gain does not follow
the waveform: a steady tone from 50 Hz on meets its static curve exactly. What the hold takes off a release is given back by releasing
faster after it: the gain is at 63 % of a step when the release time is over.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.decibels import Gains, Levels, db_to_gain, to_db

Counters = NDArray[np.int64]

LONGEST_HOLD_SECONDS = 0.0105
"""Half a period of 50 Hz, and a little more."""
LONGEST_MEAN_SECONDS = 0.005
_BELOW_KNEE_DB = 0.0005
"""So far below the start of the knee a level surely asks for a gain of exactly 0 dB."""
_ARRIVED_DB: Final = 1e-6
"""So close to where it goes the gain arrives, instead of creeping for ever."""
_SILENCE: Final = 1e-12
"""Levels below -240 dB are taken for that."""

# What stands where in a curve (below, and the two coefficients of its ballistics), a state and its counters.
_THRESHOLD: Final = 0
_KNEE: Final = 1
_SLOPE: Final = 2
_SIGN: Final = 3
_LOWEST: Final = 4
_FLOOR: Final = 5
_FALLING: Final = 6
_RISING: Final = 7
_GAIN: Final = 0
_DEEPEST: Final = 1
_NEWEST: Final = 2
_PLACE: Final = 0
_QUIET: Final = 1


@dataclass(frozen=True)
class Ballistics:
    """How a gain follows a level: what is left of the way after one frame when it falls and when it rises, after a level that counts for
    `hold` frames."""

    falling: float
    rising: float
    hold: int

    @classmethod
    def after_peaks(cls, rate_hz: int, louder_seconds: float, softer_seconds: float) -> Self:
        """For a gain that falls when the level rises. The times: to 63 % of a step, after the level went up and down."""
        hold = hold_frames(rate_hz, softer_seconds)
        return cls(one_pole(rate_hz, louder_seconds), one_pole(rate_hz, softer_seconds - (hold - 1) / rate_hz), hold)

    @classmethod
    def after_power(cls, rate_hz: int, louder_seconds: float, softer_seconds: float, mean_frames: int) -> Self:
        """The same, where the level is the root of a mean of means of the power, each of `mean_frames`.

        That level (in dB) is late by about 0.65 of these frames on its way up and 1.3 of them on its way down (of 15 dB).
        """
        late = mean_frames / rate_hz
        return cls(one_pole(rate_hz, louder_seconds - late * 0.65), one_pole(rate_hz, softer_seconds - late * 1.3), 1)

    def reversed(self) -> Self:
        """For a gain that rises with the level."""
        return replace(self, falling=self.rising, rising=self.falling)


def hold_frames(rate_hz: int, softer_seconds: float) -> int:
    return max(1, round(rate_hz * min(LONGEST_HOLD_SECONDS, softer_seconds / 4)))


def mean_frames(rate_hz: int, softer_seconds: float) -> int:
    return max(1, round(rate_hz * min(LONGEST_MEAN_SECONDS, softer_seconds / 6)))


def one_pole(rate_hz: int, seconds: float) -> float:
    """What is left after one frame of the way to go, where 63 % of it are gone after `seconds`; 0 jumps at once."""
    return math.exp(-1.0 / (rate_hz * seconds)) if seconds > 0.0 else 0.0


class GainComputer:
    """A static curve and its ballistics, with the state of one stream: arrays for the kernels below."""

    def __init__(self, curve: tuple[float, ...], ballistics: Ballistics) -> None:
        self.curve = np.array([*curve, ballistics.falling, ballistics.rising])
        self.window = np.full(ballistics.hold + 1, self.curve[_FLOOR], np.float32)
        self.state = np.zeros(
            3
        )  # gain now and lowest gain in dB, highest level in the part of the window that is being filled
        self.counters = np.array(
            [0, ballistics.hold], np.int64
        )  # place in the window, frames since a level above the floor

    @classmethod
    def compressing(
        cls, threshold_db: float, ratio: float, knee_db: float, ballistics: Ballistics, most_db: float = 1000.0
    ) -> Self:
        """Of every dB above the threshold 1 / `ratio` is left; `most_db` are taken at most."""
        floor = db_to_gain(threshold_db - knee_db / 2 - _BELOW_KNEE_DB)
        return cls((threshold_db, knee_db, 1.0 / ratio - 1.0, 1.0, -most_db, floor), ballistics)

    @classmethod
    def expanding(
        cls, threshold_db: float, ratio: float, knee_db: float, ballistics: Ballistics, most_db: float
    ) -> Self:
        """Of every dB below the threshold `ratio` are made; `most_db` are taken at most."""
        return cls((threshold_db, knee_db, 1.0 - ratio, -1.0, -most_db, _SILENCE), ballistics.reversed())

    @property
    def max_reduction_db(self) -> float:
        return abs(float(self.state[_DEEPEST]))


@compiled
def peaks_of(samples: Block, start: int, levels: Levels) -> None:
    """Into `levels` the largest magnitude of any channel, from frame `start` on."""
    if samples.shape[1] == 2:  # said apart, so that it becomes vector code
        for i in range(levels.size):
            left, right = abs(samples[start + i, 0]), abs(samples[start + i, 1])
            levels[i] = left if left > right else right
        return
    for i in range(levels.size):
        largest = np.float32(0.0)
        for channel in range(samples.shape[1]):
            largest = max(largest, abs(samples[start + i, channel]))
        levels[i] = largest


@compiled
def is_at_rest(levels: Levels, curve: Gains, window: Levels, state: Gains, counters: Counters) -> bool:
    """Whether the gain is exactly 0 dB at all of these levels: then there is nothing to compute, nor to remember of them.

    The bits of magnitudes are in the order of the magnitudes, and compared as whole numbers they become vector code.
    """
    if state[_GAIN] != 0.0 or counters[_QUIET] < window.size - 1:
        return False
    floor = np.array([curve[_FLOOR]]).astype(np.float32).view(np.int32)[0]
    bits = levels.view(np.int32)
    highest = np.int32(0)
    for i in range(bits.size):
        highest = bits[i] if bits[i] > highest else highest
    return bool(highest <= floor)


@compiled
def gains_for(levels: Levels, curve: Gains, window: Levels, state: Gains, counters: Counters, gains_db: Gains) -> None:
    """The gains in dB that answer these levels, for TILE of them at most. Changes `levels`."""
    floor = np.float32(curve[_FLOOR])
    for i in range(levels.size):
        is_quiet = levels[i] <= floor
        counters[_QUIET] = counters[_QUIET] + 1 if is_quiet else 0
        levels[i] = floor if is_quiet else levels[i]
    if window.size > 2:
        hold_peaks(levels, window, state, counters)
    wanted = np.empty(levels.size, np.float32)
    to_db(levels, wanted)
    _curve(wanted, curve)
    glide(wanted, curve[_FALLING], curve[_RISING], state, gains_db)


@compiled
def glide(wanted: Levels, falling: float, rising: float, state: Gains, gains_db: Gains) -> None:
    """The gain on its way to what is wanted of it, in dB; `state` begins with the gain now and the lowest gain."""
    gain, deepest = state[_GAIN], state[_DEEPEST]
    for i in range(wanted.size):
        target = np.float64(wanted[i])
        when_falling = gain * falling + target * (1.0 - falling)
        when_rising = gain * rising + target * (1.0 - rising)
        has_arrived = abs(target - gain) < _ARRIVED_DB
        gain = target if has_arrived else (when_falling if target < gain else when_rising)
        deepest = gain if gain < deepest else deepest
        gains_db[i] = gain
    state[_GAIN], state[_DEEPEST] = gain, deepest


@compiled
def hold_peaks(levels: Levels, window: Levels, state: Gains, counters: Counters) -> None:
    """Replaces every level by the highest of the last `window.size - 1`.

    Source: M. van Herk, A fast algorithm for local minimum and maximum filters, Pattern Recognition Letters 13, 1992: the window is filled
    in turns; from every place of the last turn on the maximum to its end is known, and that of the turn under way.
    """
    size = window.size - 1
    place, newest = counters[_PLACE], np.float32(state[_NEWEST])
    for i in range(levels.size):
        level = levels[i]
        newest = level if level > newest else newest
        window[place] = level
        place += 1
        older = window[place]
        levels[i] = newest if newest > older else older
        if place == size:
            for j in range(size - 2, -1, -1):
                window[j] = max(window[j], window[j + 1])
            place, newest = 0, np.float32(0.0)
    counters[_PLACE], state[_NEWEST] = place, np.float64(newest)


@compiled
def _curve(decibels: Levels, curve: Gains) -> None:
    """Replaces every level by the gain that it asks for, both in dB."""
    threshold, sign, slope = np.float32(curve[_THRESHOLD]), np.float32(curve[_SIGN]), np.float32(curve[_SLOPE])
    knee, lowest = np.float32(curve[_KNEE]), np.float32(curve[_LOWEST])
    half = np.float32(0.5) * knee
    bend = np.float32(0.5) / knee if knee > np.float32(0.0) else np.float32(0.0)
    none = np.float32(0.0)
    for i in range(decibels.size):
        over = sign * (decibels[i] - threshold)
        inside = over + half if over + half > none else none
        inside = inside if inside < knee else knee
        beyond = over - half if over - half > none else none
        gain = slope * (inside * inside * bend + beyond)
        decibels[i] = gain if gain > lowest else lowest


@compiled
def multiply(samples: Block, start: int, factors: Gains, out: Block) -> None:
    """Into `out`, from frame `start` on, the frames of `samples` at the same place, each times its factor."""
    if samples.shape[1] == 2:
        for i in range(factors.size):
            out[start + i, 0] = np.float32(np.float64(samples[start + i, 0]) * factors[i])
            out[start + i, 1] = np.float32(np.float64(samples[start + i, 1]) * factors[i])
        return
    for i in range(factors.size):
        for channel in range(samples.shape[1]):
            out[start + i, channel] = np.float32(np.float64(samples[start + i, channel]) * factors[i])
