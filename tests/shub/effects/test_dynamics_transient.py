"""The transient shaper: onsets and what follows them, at any level."""

import numpy as np
import pytest

from tests.shub.effects.playing import effect, level_db, play
from tests.shub.signals import sine

RATE = 48_000


def hits(rate: int = RATE) -> np.ndarray:
    """A decaying tone, twice, 0.5 s each."""
    time = np.arange(rate // 2) / rate
    return np.tile(0.4 * np.sin(2 * np.pi * 400 * time) * np.exp(-time * 12), 2)


def part_gain_db(out: np.ndarray, into: np.ndarray, start: float, end: float, rate: int = RATE) -> float:
    there = slice(int(start * rate), int(end * rate))
    return level_db(out[there]) - level_db(into[there])


@pytest.mark.parametrize("rate", [8_000, 48_000, 192_000])
@pytest.mark.parametrize("attack_db", [-12, 9])
def test_the_attack_raises_or_lowers_onsets_alone(rate, attack_db):
    sound = hits(rate)
    processor = effect("transient", rate, attack_db=attack_db)
    out = play(processor, sound)[:, 0]
    assert part_gain_db(out, sound, 0.501, 0.505, rate) == pytest.approx(attack_db, abs=1.0)
    assert part_gain_db(out, sound, 0.7, 0.95, rate) == pytest.approx(0.0, abs=0.1)
    told = processor.told()["max_boost_db" if attack_db > 0 else "max_reduction_db"]
    assert told == pytest.approx(abs(attack_db), abs=0.5)


@pytest.mark.parametrize("sustain_db", [-18, 6])
def test_the_sustain_raises_or_lowers_what_follows_alone(sustain_db):
    sound = hits()
    out = play(effect("transient", sustain_db=sustain_db), sound)[:, 0]
    assert part_gain_db(out, sound, 0.501, 0.515) == pytest.approx(0.0, abs=0.3)
    assert part_gain_db(out, sound, 0.8, 0.95) == pytest.approx(sustain_db, abs=1.0)


def test_the_level_does_not_matter():
    sound = hits()
    values = {"attack_db": 10, "sustain_db": -10}
    loud, quiet = (play(effect("transient", **values), sound * level)[:, 0] / level for level in (1.0, 0.003))
    heard = np.abs(loud) > 1e-3
    assert quiet[heard] == pytest.approx(loud[heard], rel=0.001)


@pytest.mark.parametrize("hz", [50, 1_000])
def test_a_steady_sound_stays_as_it_is(hz):
    tone = sine(RATE, 2.0, -6.0, hz)
    out = play(effect("transient", attack_db=24, sustain_db=24), tone)[:, 0]
    assert out[RATE:] == pytest.approx(tone[RATE:], rel=0.002, abs=1e-6)
