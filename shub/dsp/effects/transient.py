"""The transient shaper."""

from typing import Final

import numpy as np

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.decibels import TILE, Gains, Levels, from_db, to_db
from shub.dsp.effects.gain_computer import (
    LONGEST_HOLD_SECONDS,
    Counters,
    hold_peaks,
    multiply,
    one_pole,
    peaks_of,
)
from shub.dsp.effects.processor import Sound

FAST_ATTACK_SECONDS, SLOW_ATTACK_SECONDS = 0.001, 0.015
FAST_RELEASE_SECONDS, SLOW_RELEASE_SECONDS = 0.02, 0.4
"""Our choice: an onset is over after some 30 ms, and what decays slower than 22 dB a second is not taken for a tail."""
_FULL_DB: Final = 12.0
"""So far apart the envelopes call for the whole gain that is set; less far, for its share."""
_SILENCE: Final = 1e-7
"""The level of silence, -140 dBFS."""


class Transient:
    """More or less of the onsets and of what follows them, all channels alike, whatever the level.

    An onset is where an envelope with a fast attack runs ahead of one with a slow attack, and what follows it is where one with a slow
    release stays above one with a fast release. The envelopes are one-pole filters of the peaks, so their ratio does not depend on the
    level; for a steady sound they are all the same, and its gain is 0 dB.
    """

    def __init__(self, sound: Sound, *, attack_db: float, sustain_db: float) -> None:
        self.out = sound
        times = FAST_ATTACK_SECONDS, SLOW_ATTACK_SECONDS, FAST_RELEASE_SECONDS, SLOW_RELEASE_SECONDS
        self._rule = np.array([*(1.0 - one_pole(sound.rate_hz, time) for time in times), attack_db, sustain_db])
        self._envelopes = np.full(3, _SILENCE)
        self._window = np.full(max(1, round(sound.rate_hz * LONGEST_HOLD_SECONDS)) + 1, _SILENCE, np.float32)
        self._state, self._counters = np.zeros(3), np.zeros(2, np.int64)  # as `hold_peaks` wants them
        self._reached = np.zeros(2)  # lowest and highest gain in dB
        self._does_nothing = attack_db == 0.0 and sustain_db == 0.0

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._does_nothing:
            return block
        out = np.empty(block.shape, np.float32)
        _shape(block, out, self._rule, self._envelopes, self._window, self._state, self._counters, self._reached)
        return out

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        return {"max_reduction_db": abs(float(self._reached[0])), "max_boost_db": float(self._reached[1])}


@compiled
def _shape(
    block: Block,
    out: Block,
    rule: Gains,
    envelopes: Gains,
    window: Levels,
    state: Gains,
    counters: Counters,
    reached: Gains,
) -> None:
    levels, onsets, tails = np.empty(TILE, np.float32), np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    gains_db, factors = np.empty(TILE), np.empty(TILE)
    fast_attack, slow_attack, fast_release, slow_release = rule[0], rule[1], rule[2], rule[3]
    for start in range(0, len(block), TILE):
        width = min(TILE, len(block) - start)
        peaks_of(block, start, levels[:width])
        for i in range(width):
            levels[i] = levels[i] if levels[i] > np.float32(_SILENCE) else np.float32(_SILENCE)
        hold_peaks(levels[:width], window, state, counters)
        both_fast, late, long = envelopes[0], envelopes[1], envelopes[2]
        for i in range(width):
            level = np.float64(levels[i])
            both_fast += (level - both_fast) * (fast_attack if level > both_fast else fast_release)
            late += (level - late) * (slow_attack if level > late else fast_release)
            long += (level - long) * (fast_attack if level > long else slow_release)
            onsets[i] = np.float32(both_fast / late)
            tails[i] = np.float32(long / both_fast)
        envelopes[0], envelopes[1], envelopes[2] = both_fast, late, long
        to_db(onsets[:width], onsets[:width])
        to_db(tails[:width], tails[:width])
        for i in range(width):
            onset = min(1.0, max(0.0, np.float64(onsets[i]) / _FULL_DB))
            tail = min(1.0, max(0.0, np.float64(tails[i]) / _FULL_DB))
            gains_db[i] = rule[4] * onset + rule[5] * tail
            reached[0] = min(reached[0], gains_db[i])
            reached[1] = max(reached[1], gains_db[i])
        from_db(gains_db[:width], factors[:width])
        multiply(block, start, factors[:width], out)
