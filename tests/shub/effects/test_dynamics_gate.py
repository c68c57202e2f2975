"""The gate: when it opens and closes, to the frame, and how far."""

import numpy as np
import pytest

from tests.shub.effects.playing import effect, gain_db, level_db, play
from tests.shub.signals import sine

RATE = 48_000
AT_ONCE = {"attack_ms": 0, "release_ms": 1, "hold_ms": 0, "threshold_db": -20}


def levels(*parts: tuple[int, float]) -> np.ndarray:
    """A constant for so many frames at a level in dB, one after the other."""
    return np.concatenate([np.full(frames, 10 ** (level / 20)) for frames, level in parts])


def test_it_opens_at_the_threshold_and_closes_below_it_less_the_hysteresis():
    parts = [(4_000, level) for level in (-30.0, -20.1, -19.9, -20.1, -25.9, -26.1, -20.1, -19.9)]
    sound = levels(*parts)
    gain = gain_db(play(effect("gate", hysteresis_db=6, range_db=40, **AT_ONCE), sound), sound)
    assert gain[3_999::4_000] == pytest.approx([-40, -40, 0, 0, 0, -40, -40, 0], abs=1e-4)


@pytest.mark.parametrize("rate", [8_000, 48_000, 192_000])
@pytest.mark.parametrize("hold_ms", [0, 20, 333])
def test_it_holds_for_exactly_as_long_as_told(rate, hold_ms):
    sound = levels((1_000, -10), (rate, -50))
    gain = gain_db(play(effect("gate", rate, **{**AT_ONCE, "hold_ms": hold_ms}), sound), sound)
    closing = 1_000 + round(rate * hold_ms / 1000)
    assert gain[:closing] == pytest.approx(0.0, abs=1e-6)
    assert gain[closing] < -0.1


@pytest.mark.parametrize("range_db", [0, 12, 80, 120])
def test_what_is_closed_is_turned_down_by_the_range(range_db):
    sound = levels((RATE, -60))
    out = play(effect("gate", range_db=range_db), sound)
    assert gain_db(out, sound) == pytest.approx(-range_db, abs=1e-4)


def test_attack_and_release_move_63_percent_of_the_range():
    sound = levels((4_800, -60), (RATE, -6), (RATE, -60))
    values = {"attack_ms": 8, "release_ms": 50, "hold_ms": 0, "range_db": 60}
    gain = gain_db(play(effect("gate", **values), sound), sound)
    assert gain[4_800 + 8 * 48 - 1] == pytest.approx(-60 * np.exp(-1), abs=0.1)
    assert gain[4_800 + RATE + 50 * 48 - 1] == pytest.approx(-60 * (1 - np.exp(-1)), abs=0.1)


def test_a_low_tone_keeps_it_open():
    tone = sine(RATE, 1.0, -10.0, 30.0)
    out = play(effect("gate", threshold_db=-20, attack_ms=0), tone)[:, 0]
    first = int(np.argmax(np.abs(tone) >= 0.1))
    assert np.array_equal(out[first:], tone[first:].astype(np.float32))


def test_looking_ahead_it_is_open_when_the_sound_comes():
    sound = levels((RATE // 2, -60), (RATE // 2, -6))
    values = {"threshold_db": -20, "attack_ms": 1, "range_db": 40}
    late = gain_db(play(effect("gate", **values), sound), sound)
    early = gain_db(play(effect("gate", lookahead_ms=10, **values), sound), sound)
    assert late[RATE // 2] < -30
    assert early[RATE // 2] > -0.01
    assert early[:-480] == pytest.approx(late[480:], abs=1e-5)


def test_a_key_opens_it_and_the_sound_does_not():
    loud = sine(RATE, 1.0, -3.0)
    key = np.zeros((RATE, 1))
    key[RATE // 2 :] = 0.5
    out = play(effect("gate", sidechain="snare", threshold_db=-20, range_db=30), loud, 1_000, key)[:, 0]
    assert level_db(out[: RATE // 2]) == pytest.approx(level_db(loud[: RATE // 2]) - 30, abs=0.01)
    assert level_db(out[-4_800:]) == pytest.approx(level_db(loud[-4_800:]), abs=0.01)


def test_the_report_tells_how_long_it_was_open():
    processor = effect("gate", range_db=20, **AT_ONCE)
    play(processor, levels((3_000, -60), (1_000, -6)))
    assert processor.told() == {"max_reduction_db": 20.0, "open_share": 0.25}
