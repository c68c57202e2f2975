"""What all effects that ride a gain have in common: blocks leave no trace, nothing to do leaves every bit, odd signals do no harm."""

import numpy as np
import pytest

from shub.dsp.effects.decibels import LARGEST_ERROR_DB, from_db, to_db
from tests.shub.effects.playing import effect, play

RATE = 48_000
AT_WORK = {
    "compressor": {"threshold_db": -30, "lookahead_ms": 3, "sidechain_highpass_hz": 90, "mix": 0.7, "makeup_db": 4},
    "compressor by rms": {"threshold_db": -30, "detector": "rms"},
    "gate": {"threshold_db": -20, "lookahead_ms": 2, "hold_ms": 5},
    "expander": {"threshold_db": -20},
    "deesser": {"threshold_db": -40, "max_reduction_db": 12},
    "multiband": {},
    "transient": {"attack_db": 6, "sustain_db": -9},
    "limiter": {"drive_db": 15},
}
AT_REST = {
    "compressor": {"threshold_db": 0, "lookahead_ms": 7},
    "gate": {"range_db": 0, "lookahead_ms": 7},
    "expander": {"ratio": 1},
    "deesser": {"threshold_db": 0},
    "multiband": {"bands": [{"ratio": 1}] * 3},
    "transient": {},
    "limiter": {},
}


def at_work(name: str, channels: int):
    return effect(name.split()[0], RATE, channels, **AT_WORK[name])


def hits(channels: int) -> np.ndarray:
    random = np.random.default_rng(channels)
    time = np.arange(int(1.6 * RATE)) / RATE
    return random.standard_normal((len(time), channels)) * np.exp(-(time % 0.4) * 14)[:, None] * 0.5


@pytest.mark.parametrize("name", AT_WORK)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_the_cut_into_blocks_leaves_no_trace(name, channels):
    sound = hits(channels)
    whole = play(at_work(name, channels), sound, 65_536)
    assert whole.shape == sound.shape
    assert whole.dtype == np.float32
    assert not np.allclose(whole, sound, atol=0.01)
    for block in (64, 1_000):
        assert np.array_equal(play(at_work(name, channels), sound, block), whole)


@pytest.mark.parametrize("name", AT_REST)
def test_with_nothing_to_do_every_bit_passes(name):
    sound = 0.1 * hits(2)
    assert np.array_equal(play(effect(name, channels=2, **AT_REST[name]), sound, 1_000), sound.astype(np.float32))


@pytest.mark.parametrize("name", AT_WORK)
@pytest.mark.parametrize("frames", [1, 3, 500])
def test_short_sounds_come_out_as_long_as_they_were(name, frames):
    assert play(at_work(name, 2), np.full((frames, 2), 0.5)).shape == (frames, 2)


@pytest.mark.parametrize("name", AT_WORK)
def test_silence_stays_silence_and_what_fades_away_never_becomes_denormal(name):
    assert not play(at_work(name, 2), np.zeros((5_000, 2))).any()
    sound = np.concatenate([hits(2)[:5_000], np.zeros((4 * RATE, 2))])
    out = play(at_work(name, 2), sound)
    assert np.isfinite(out).all()
    heard = np.abs(out[out != 0.0])
    assert heard.min() >= np.finfo(np.float32).tiny
    assert not out[-RATE:].any()


@pytest.mark.parametrize("name", AT_WORK)
def test_full_scale_squares_and_clicks_give_finite_sound(name):
    square = np.sign(np.sin(2 * np.pi * 100 * np.arange(RATE // 4) / RATE))
    click = np.zeros(5_000)
    click[2_500] = 1.0
    out = play(at_work(name, 1), np.concatenate([square, click, np.full(3_000, -1.0)]))
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 10


@pytest.mark.parametrize("name", AT_WORK)
def test_the_block_that_is_given_is_not_changed(name):
    block = hits(2)[:4_000].astype(np.float32)
    before = block.copy()
    at_work(name, 2).process(block)
    assert np.array_equal(block, before)


def test_logarithms_and_powers_are_as_exact_as_they_say():
    levels = np.geomspace(1e-12, 1e12, 100_001).astype(np.float32)
    decibels = np.empty_like(levels)
    to_db(levels, decibels)
    assert decibels == pytest.approx(20 * np.log10(levels.astype(float)), abs=LARGEST_ERROR_DB)
    one = np.ones(1, np.float32)
    to_db(one, one)
    assert one[0] == 0.0
    asked, gains = np.linspace(-250, 250, 100_001), np.empty(100_001)
    from_db(asked, gains)
    assert 20 * np.log10(gains) == pytest.approx(asked, abs=LARGEST_ERROR_DB / 100)
    assert gains[50_000] == 1.0
