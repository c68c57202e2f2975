"""Compressor and expander: the static curve, the times, the image, look-ahead, side-chain and parallel mix."""

import numpy as np
import pytest

from tests.shub.effects.playing import effect, gain_db, level_db, play
from tests.shub.signals import sine, steps

RATE = 48_000


def curve_db(level: float, threshold: float, ratio: float, knee: float) -> float:
    """The level that comes out (Giannoulis et al. 2012, equation 4)."""
    over = level - threshold
    if 2 * over < -knee:
        return level
    if knee and 2 * abs(over) <= knee:
        return level + (1 / ratio - 1) * (over + knee / 2) ** 2 / (2 * knee)
    return threshold + over / ratio


def time_to_63(gain: np.ndarray, at: int, rate: int) -> float:
    """In ms from frame `at`, where the level steps, until 63 % of the way from the gain before to the gain at the end."""
    start, end = gain[at - 1], gain[-1]
    way = (gain[at:] - start) / (end - start)
    over = int(np.argmax(way >= 1 - np.exp(-1)))
    before = way[over - 1] if over else 0.0
    return 1000 * (over + (1 - np.exp(-1) - before) / (way[over] - before)) / rate


@pytest.mark.parametrize("ratio", [1.5, 4, 20, 100])
@pytest.mark.parametrize("knee", [0, 6, 30])
@pytest.mark.parametrize("hz", [0, 60, 997])
def test_a_steady_level_meets_the_static_curve(ratio, knee, hz):
    levels = np.arange(-47, 1, 5)
    tone = (
        steps(RATE, [(0.4, level) for level in levels], hz) if hz else np.repeat(10 ** (levels / 20), int(RATE * 0.4))
    )
    processor = effect("compressor", threshold_db=-25, ratio=ratio, knee_db=knee, attack_ms=5, release_ms=50)
    out = play(processor, tone)[:, 0]
    for part, came, level in zip(np.split(tone, len(levels)), np.split(out, len(levels)), levels, strict=True):
        gain = level_db(came[-4_800:]) - level_db(part[-4_800:])
        assert level + gain == pytest.approx(curve_db(level, -25, ratio, knee), abs=0.1)


@pytest.mark.parametrize("hz", [100, 997, 7_350])
def test_an_rms_detector_hears_a_sine_3_db_lower(hz):
    tone = sine(RATE, 1.0, -6.0, hz)
    out = play(effect("compressor", threshold_db=-30, ratio=4, knee_db=0, detector="rms"), tone)
    gain = level_db(out[-4_800:]) - level_db(tone[-4_800:])
    assert gain == pytest.approx(curve_db(-9.01, -30, 4, 0) + 9.01, abs=0.1)


TIMES = [(0.5, 5), (1, 30), (10, 120), (80, 900)]


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
@pytest.mark.parametrize(("attack", "release"), TIMES)
def test_attack_and_release_are_the_times_to_63_percent_of_a_step_in_db(rate, attack, release):
    settled = int(rate * (12 * attack + 2 * release) / 1000) + 10
    step = np.repeat([0.05, 0.5], settled)
    values = {"threshold_db": -20, "ratio": 4, "knee_db": 0, "attack_ms": attack, "release_ms": release}
    falling = gain_db(play(effect("compressor", rate, **values), step), step)
    frame = 1000 / rate
    assert time_to_63(falling, settled, rate) == pytest.approx(attack, rel=0.05, abs=frame)
    settled = int(rate * 12 * release / 1000)
    step = np.repeat([0.5, 0.05], settled)
    rising = gain_db(play(effect("compressor", rate, **values), step), step)
    assert time_to_63(rising, settled, rate) == pytest.approx(release, rel=0.05, abs=frame)


def test_the_times_hold_for_a_tone_and_for_the_rms_of_one():
    tone = steps(RATE, [(1.0, -30.0), (1.0, -6.0), (1.5, -30.0)], 1_000)
    envelope = np.exp(2j * np.pi * 1_000 * np.arange(len(tone)) / RATE)
    for detector in ("peak", "rms"):
        processor = effect("compressor", threshold_db=-25, ratio=4, attack_ms=40, release_ms=150, detector=detector)
        out = play(processor, tone)[:, 0]
        # the gain at every millisecond, from one period of the tone
        down = [np.abs(np.vdot(envelope[at : at + 48], out[at : at + 48])) for at in range(0, len(out), 48)]
        into = [np.abs(np.vdot(envelope[at : at + 48], tone[at : at + 48])) for at in range(0, len(out), 48)]
        gain = 20 * np.log10(np.array(down) / np.array(into))
        assert time_to_63(gain[:2_000], 1_000, 1_000) == pytest.approx(40, rel=0.05, abs=1)
        assert time_to_63(gain, 2_000, 1_000) == pytest.approx(150, rel=0.05, abs=1)


def test_all_channels_are_turned_down_alike():
    random = np.random.default_rng(1)
    surround = random.uniform(0.01, 1.0, (RATE // 2, 6)) * np.array([1, 0.1, 0.5, 0.02, 0.3, 0.05])
    out = play(effect("compressor", channels=6, threshold_db=-30, ratio=10), surround)
    gains = out / surround.astype(np.float32)
    assert gains.min() < 0.3
    assert np.ptp(gains, axis=1) == pytest.approx(0.0, abs=1e-6)


def test_looking_ahead_moves_the_gain_and_not_the_sound():
    step = np.repeat([0.05, 0.5], RATE // 10)
    values = {"threshold_db": -20, "ratio": 8, "attack_ms": 2, "knee_db": 0}
    late = gain_db(play(effect("compressor", **values), step), step)
    early = gain_db(play(effect("compressor", lookahead_ms=10, **values), step), step)
    assert len(early) == len(step)
    assert early[:-480] == pytest.approx(late[480:], abs=1e-5)
    assert early[RATE // 10] < -11  # at the step it is down
    quiet = 0.05 * np.random.default_rng(2).uniform(-1, 1, (1_000, 2)).astype(np.float32)
    assert np.array_equal(play(effect("compressor", channels=2, lookahead_ms=50), quiet, 64), quiet)


def test_a_key_turns_the_sound_down_and_the_sound_itself_does_not():
    loud = sine(RATE, 1.0, -3.0, 110.0)
    key = np.zeros((RATE, 2))
    key[RATE // 2 :] = sine(RATE, 0.5, -3.0, 997.0)[:, None]
    processor = effect("compressor", threshold_db=-20, ratio=4, knee_db=0, attack_ms=1, sidechain="kick")
    out = play(processor, loud, 1_000, key)[:, 0]
    assert np.array_equal(out[: RATE // 2], loud[: RATE // 2].astype(np.float32))
    assert level_db(out[-4_800:]) - level_db(loud[-4_800:]) == pytest.approx(-17 * 0.75, abs=0.1)
    with pytest.raises(ValueError, match="kick"):
        effect("compressor", sidechain="kick").process(np.zeros((10, 1), np.float32))


def test_what_is_below_the_highpass_of_the_side_chain_is_not_heard():
    bass, voice = sine(RATE, 1.0, -3.0, 50.0), sine(RATE, 1.0, -3.0, 2_000.0)
    values = {"threshold_db": -20, "ratio": 4, "sidechain_highpass_hz": 500}
    assert level_db(play(effect("compressor", **values), bass)) == pytest.approx(level_db(bass), abs=0.01)
    assert level_db(play(effect("compressor", **values), voice)) < level_db(voice) - 10


def test_parallel_compression_mixes_the_sound_as_it_was_with_what_came_out():
    tone = sine(RATE, 0.5, -6.0, 440.0)
    values = {"threshold_db": -30, "ratio": 6, "makeup_db": 5.0, "lookahead_ms": 2}
    wet = play(effect("compressor", **values), tone)[:, 0]
    half = play(effect("compressor", mix=0.3, **values), tone)[:, 0]
    assert half == pytest.approx(0.7 * tone + 0.3 * wet, abs=1e-6)
    none = play(effect("compressor", mix=0.0, **values), tone)[:, 0]
    assert np.array_equal(none, tone.astype(np.float32))


def test_makeup_raises_what_is_below_the_threshold_too():
    quiet = sine(RATE, 0.2, -40.0)
    out = play(effect("compressor", makeup_db=6.0), quiet)[:, 0]
    assert out == pytest.approx(quiet * 10 ** (6 / 20), rel=1e-6)


def test_the_report_tells_how_far_it_was_turned_down():
    processor = effect("compressor", threshold_db=-30, ratio=4, knee_db=0, attack_ms=0)
    play(processor, np.repeat([0.001, 0.1, 0.001], 10_000))
    assert processor.told() == {"max_reduction_db": pytest.approx(7.5, abs=0.001)}


@pytest.mark.parametrize(("ratio", "knee"), [(1.5, 0), (2, 6), (8, 12), (100, 0)])
def test_an_expander_turns_down_what_is_below_the_threshold_and_no_further_than_its_range(ratio, knee):
    levels = np.arange(-62, -1, 6)
    tone = steps(RATE, [(0.5, level) for level in levels], 997)
    values = {"threshold_db": -30, "ratio": ratio, "range_db": 40, "knee_db": knee}
    out = play(effect("expander", release_ms=40, **values), tone)[:, 0]
    for part, came, level in zip(np.split(tone, len(levels)), np.split(out, len(levels)), levels, strict=True):
        # as the compressor's curve, upside down
        wanted = max(-40.0, -30 - level - curve_db(-30 - level, 0, 1 / ratio, knee))
        assert level_db(came[-4_800:]) - level_db(part[-4_800:]) == pytest.approx(wanted, abs=0.1)


def test_an_expander_opens_with_its_attack_and_closes_with_its_release():
    step = np.repeat([0.001, 0.5], RATE)
    values = {"threshold_db": -20, "ratio": 2, "attack_ms": 20, "release_ms": 90, "knee_db": 0}
    assert time_to_63(gain_db(play(effect("expander", **values), step), step), RATE, RATE) == pytest.approx(
        20, rel=0.05
    )
    step = step[::-1]
    assert time_to_63(gain_db(play(effect("expander", **values), step), step), RATE, RATE) == pytest.approx(
        90, rel=0.05
    )
