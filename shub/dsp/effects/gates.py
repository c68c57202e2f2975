"""The gate."""

import numpy as np

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.decibels import TILE, Gains, db_to_gain, from_db
from shub.dsp.effects.gain_computer import Counters, glide, multiply, one_pole, peaks_of
from shub.dsp.effects.lookahead import LookAhead
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sidechain import SideChain


class Gate:
    """Opens when a sample of any channel reaches the threshold, and closes when none has been above the threshold less the hysteresis for
    as long as it holds. Opening and closing the gain moves by the range, in dB, 63 % of it in the attack and in the release."""

    def __init__(
        self,
        sound: Sound,
        *,
        threshold_db: float,
        range_db: float,
        attack_ms: float,
        hold_ms: float,
        release_ms: float,
        hysteresis_db: float,
        lookahead_ms: float,
        sidechain: str | None,
    ) -> None:
        self.out = sound
        rate = sound.rate_hz
        self._side = SideChain(sound, sidechain)
        self._look = LookAhead(round(rate * lookahead_ms / 1000), sound.channels)
        self._rule = np.array(
            [
                db_to_gain(threshold_db),
                db_to_gain(threshold_db - hysteresis_db),
                -range_db,
                one_pole(rate, release_ms / 1000),
                one_pole(rate, attack_ms / 1000),
            ]
        )
        self._state = np.array([-range_db, 0.0])  # gain now, lowest gain: it starts closed
        # whether it is open, frames since a level above the closing threshold, frames that it holds, frames and open frames so far
        self._counters = np.array([0, 0, round(rate * hold_ms / 1000), 0, 0], np.int64)
        self._does_nothing = range_db == 0.0

    def process(self, block: Block, key: Block | None = None) -> Block:
        return block if self._does_nothing else self._ride(block, self._side.heard(block, key))

    def flush(self) -> Block:
        silence = self._look.silence()
        return silence[:0] if self._does_nothing else self._ride(silence, self._side.silence(len(silence)))

    def told(self) -> dict[str, float]:
        """`open_share`: the part of the time that it was open."""
        frames, opened = int(self._counters[3]), int(self._counters[4])
        return {
            "max_reduction_db": abs(float(self._state[1])),
            "open_share": opened / frames if frames else float(self._does_nothing),
        }

    def _ride(self, block: Block, keys: Block) -> Block:
        samples, out = self._look.joined(block), np.empty(block.shape, np.float32)
        _ride(samples, keys, out, self._rule, self._state, self._counters)
        return self._look.in_step(out)


@compiled
def _ride(samples: Block, keys: Block, out: Block, rule: Gains, state: Gains, counters: Counters) -> None:
    """`out` is as long as `keys`; `samples` begins as many frames earlier as are looked ahead."""
    levels, wanted = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    gains_db, factors = np.empty(TILE), np.empty(TILE)
    opens, closes, closed = np.float32(rule[0]), np.float32(rule[1]), np.float32(rule[2])
    for start in range(0, len(keys), TILE):
        width = min(TILE, len(keys) - start)
        peaks_of(keys, start, levels[:width])
        is_open, below = counters[0], counters[1]
        for i in range(width):
            below = 0 if levels[i] >= closes else below + 1
            if levels[i] >= opens:
                is_open = 1
            elif below > counters[2]:
                is_open = 0
            wanted[i] = np.float32(0.0) if is_open else closed
            counters[4] += is_open
        counters[0], counters[1] = is_open, below
        counters[3] += width
        glide(wanted[:width], rule[3], rule[4], state, gains_db[:width])
        from_db(gains_db[:width], factors[:width])
        multiply(samples, start, factors[:width], out)
