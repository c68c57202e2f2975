"""What holds for every effect and for chains of them."""

from typing import Any, get_args

import numpy as np
import pytest

from config.contracts import effects as contract
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.registry import PROCESSORS, build, split_at_normalize
from shub.dsp.refusals import AudioRefused, FrequencyAboveNyquist, StereoNeeded
from tests.shub.effects.running import SampleKey, filled, impulse, made, noise, sound

TYPES = {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(contract.Effect)[0])}
AT_WORK: dict[str, dict[str, Any]] = {
    "gain": {"gain_db": 3.0},
    "eq_peak": {"freq_hz": 1_000.0, "gain_db": 6.0},
    "eq_low_shelf": {"freq_hz": 200.0, "gain_db": -6.0},
    "eq_high_shelf": {"freq_hz": 3_000.0, "gain_db": 6.0},
    "highpass": {"freq_hz": 80.0, "slope_db_oct": 18},
    "lowpass": {"freq_hz": 3_000.0, "slope_db_oct": 48},
    "notch": {"freq_hz": 50.0, "q": 5.0},
    "compressor": {"threshold_db": -30.0, "lookahead_ms": 3.0},
    "gate": {"threshold_db": -12.0, "lookahead_ms": 2.0},
    "expander": {"threshold_db": -12.0},
    "deesser": {"freq_hz": 2_500.0, "threshold_db": -40.0},
    "multiband": {"crossovers_hz": [120.0, 1_000.0]},
    "saturation": {"kind": "tube", "drive_db": 12.0, "mix": 0.7},
    "transient": {"attack_db": 6.0, "sustain_db": -6.0},
    "delay": {"time_ms": 7.0, "feedback": 0.5, "ping_pong": True, "highpass_hz": 100.0, "lowpass_hz": 3_000.0},
    "reverb": {"decay_s": 0.1, "predelay_ms": 5.0, "damping_hz": 3_000.0},
    "pan": {"pan": 0.3},
    "width": {"width": 1.5, "mono_below_hz": 150.0},
    "channels": {"to": "mono"},
    "mid_side": {
        "mid": [{"type": "compressor", "threshold_db": -30.0, "lookahead_ms": 1.0}],
        "side": [{"type": "highpass", "freq_hz": 200.0}],
    },
    "limiter": {"ceiling_dbtp": -12.0},
    "fade": {"in_seconds": 0.01, "out_seconds": 0.02, "curve": "exponential"},
    "trim": {"start_seconds": 0.01, "end_seconds": 1.0},
    "resample": {"sample_rate_hz": 44_100},
    "dither": {"bit_depth": 16},
}
NOTHING_TO_DO: dict[str, dict[str, Any]] = {
    "gain": {"gain_db": 0.0},
    "eq_peak": {"freq_hz": 1_000.0, "gain_db": 0.0},
    "eq_low_shelf": {"freq_hz": 200.0, "gain_db": 0.0},
    "eq_high_shelf": {"freq_hz": 3_000.0, "gain_db": 0.0},
    "compressor": {"threshold_db": 0.0, "knee_db": 0.0},
    "saturation": {"mix": 0.0},
    "transient": {},
    "delay": {"wet": 0.0},
    "reverb": {"wet": 0.0},
    "pan": {"pan": 0.0},
    "width": {},
    "channels": {"to": "stereo"},
    "mid_side": {},
    "limiter": {"ceiling_dbtp": -1.0},
    "fade": {},
    "trim": {},
    "resample": {"sample_rate_hz": 48_000},
}
KINDS = sorted(AT_WORK)


def test_every_type_of_the_contract_but_the_one_that_needs_the_whole_sound_is_built():
    assert set(PROCESSORS) == set(TYPES) - {"normalize"} == set(AT_WORK)


@pytest.mark.parametrize("kind", KINDS)
def test_an_effect_takes_exactly_the_fields_of_the_contract(kind):
    (values,) = filled({"type": kind, **AT_WORK[kind]})
    assert values.keys() == TYPES[kind].model_fields.keys()
    fields = {name: value for name, value in values.items() if name != "type"}
    stereo = Sound(48_000, ("L", "R"))
    PROCESSORS[kind](stereo, **fields)
    with pytest.raises(TypeError):
        PROCESSORS[kind](stereo, **fields, another=1)
    for missing in fields:
        with pytest.raises(TypeError):
            PROCESSORS[kind](stereo, **{name: value for name, value in fields.items() if name != missing})


def test_an_empty_chain_nulls_exactly():
    samples = noise(5_000)
    assert np.array_equal(made(samples, block=777), samples)


@pytest.mark.parametrize("kind", NOTHING_TO_DO)
def test_an_effect_with_nothing_to_do_passes_every_bit(kind):
    samples = noise(5_000)
    assert np.array_equal(made(samples, {"type": kind, **NOTHING_TO_DO[kind]}, block=777), samples)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cut_into_blocks_leaves_no_trace(kind):
    samples = noise(66_000)
    samples[20_000:40_000] *= 0.01
    effect = {"type": kind, **AT_WORK[kind]}
    whole = made(samples, effect)
    assert np.array_equal(made(samples, effect, block=1_000), whole)
    assert np.array_equal(made(samples, effect, block=64), whole)
    few = samples[:700]
    effect = effect | ({"end_seconds": 0.013} if kind == "trim" else {})
    assert np.array_equal(made(few, effect, block=1), made(few, effect))


@pytest.mark.parametrize("rate", [8_000, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_every_effect_works_on_any_rate_and_layout(rate, channels):
    samples = noise(rate // 20, channels)
    for kind in KINDS:
        if kind == "mid_side" and channels != 2:
            continue
        out = made(samples, {"type": kind, **AT_WORK[kind]}, rate=rate)
        assert out.dtype == np.float32, kind
        assert np.isfinite(out).all(), kind
        assert 0.001 < np.abs(out).max() < 4.0, kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_promised_length_comes_out(kind):
    samples = noise(9_000)
    (effect,) = filled({"type": kind, **AT_WORK[kind]})
    line = build(sound(samples), [effect])
    out = made(samples, effect, block=500)
    assert out.shape == (line.out.frames, line.out.channels)
    if kind not in ("delay", "reverb", "trim", "resample"):
        assert len(out) == 9_000
    if kind != "trim":
        assert np.array_equal(made(samples, effect, block=500, known=False), out)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"delay", "reverb", "trim", "resample", "dither"}))
def test_nothing_is_moved_in_time(kind):
    out = made(impulse(9_000, 2, at=3_000, height=0.5), {"type": kind, **AT_WORK[kind]}, block=500)
    assert np.abs(out).max(axis=1).argmax() == pytest.approx(3_000, abs=16)  # a steep low-pass rises late


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"dither"}))
def test_after_the_sound_and_its_tail_there_is_silence_to_the_last_bit(kind):
    samples = np.concatenate((noise(3_000), np.zeros((60_000, 2), np.float32)))
    effect = {"type": kind, **AT_WORK[kind]} | ({"end_seconds": 60_000 / 8_000} if kind == "trim" else {})
    out = made(samples, effect, rate=8_000) if kind not in ("resample",) else made(samples, effect)
    assert not out[-2_000:].any()
    assert (np.abs(out[out != 0.0]) > np.finfo(np.float32).tiny).all()
    assert not made(np.zeros((9_000, 2), np.float32), effect, rate=8_000 if kind != "resample" else 48_000).any()


def test_frequencies_that_the_sound_does_not_have_are_refused_with_place_and_numbers():
    chain = filled({"type": "gain", "gain_db": 1.0}, {"type": "lowpass", "freq_hz": 24_000.0})
    with pytest.raises(
        FrequencyAboveNyquist, match=r"^effect 2 \(lowpass\): freq_hz is 24000 Hz.* 48000 Hz .*below 24000 Hz"
    ):
        build(Sound(48_000, ("L", "R")), chain)
    build(Sound(48_001, ("L", "R")), chain)
    with pytest.raises(FrequencyAboveNyquist, match=r"^effect 12 \(lowpass\)"):
        build(Sound(48_000, ("L", "R")), chain, first=11)


@pytest.mark.parametrize(
    "effect",
    [
        {"type": "eq_peak", "freq_hz": 4_000.0, "gain_db": 0.0},
        {"type": "eq_low_shelf", "freq_hz": 4_000.0, "gain_db": 1.0},
        {"type": "eq_high_shelf", "freq_hz": 4_000.0, "gain_db": 1.0},
        {"type": "highpass", "freq_hz": 4_000.0},
        {"type": "notch", "freq_hz": 4_000.0},
        {"type": "width", "mono_below_hz": 4_000.0},
        {"type": "delay", "highpass_hz": 4_000.0},
        {"type": "delay", "lowpass_hz": 4_000.0},
        {"type": "reverb", "lowcut_hz": 4_000.0},
        {"type": "mid_side", "side": [{"type": "highpass", "freq_hz": 4_000.0}]},
    ],
    ids=lambda effect: effect["type"],
)
def test_no_filter_of_any_effect_lies_at_half_the_sample_rate(effect):
    with pytest.raises(AudioRefused) as refused:
        build(Sound(8_000, ("L", "R")), filled(effect))
    assert refused.value.code == "frequency_above_nyquist"


def test_mid_and_side_are_only_of_stereo():
    with pytest.raises(StereoNeeded, match="effect 1"):
        build(Sound(48_000, ("C",)), filled({"type": "mid_side"}))


def test_filters_that_follow_each_other_do_the_same_as_one_by_one():
    samples = noise(5_000)
    chain = [{"type": kind, **AT_WORK[kind]} for kind in ("highpass", "eq_peak", "gain", "eq_high_shelf", "notch")]
    alone = samples
    for effect in chain:
        alone = made(alone, effect)
    assert made(samples, *chain) == pytest.approx(alone, abs=1e-6)


def test_what_looks_ahead_in_the_middle_of_a_chain_moves_nothing():
    samples = impulse(5_000, 2, at=2_000, height=0.5)
    chain = [{"type": kind, **AT_WORK[kind]} for kind in ("compressor", "eq_peak", "mid_side", "limiter", "gain")]
    out = made(samples, *chain, block=300)
    assert len(out) == 5_000
    assert np.abs(out).max(axis=1).argmax() == 2_000
    assert not out[:2_000].any()


def test_a_chain_is_cut_at_its_normalizations():
    gain, normalize, fade = filled(
        {"type": "gain", "gain_db": 1.0}, {"type": "normalize", "peak_dbtp": -1.0}, {"type": "fade", "in_seconds": 1.0}
    )
    assert split_at_normalize([]) == [((), None)]
    assert split_at_normalize([gain, fade]) == [((gain, fade), None)]
    assert split_at_normalize([normalize, gain, fade, normalize]) == [
        ((), normalize),
        ((gain, fade), normalize),
        ((), None),
    ]


DUCK = {
    "type": "compressor",
    "sidechain": "kick",
    "threshold_db": -20.0,
    "ratio": 100.0,
    "attack_ms": 0.0,
    "release_ms": 5.0,
    "knee_db": 0.0,
}


@pytest.mark.parametrize(
    ("before", "rate"),
    [
        ([], 48_000),
        ([{"type": "limiter", "ceiling_dbtp": -0.1}], 48_000),
        ([{"type": "trim", "start_seconds": 0.05}], 48_000),
        ([{"type": "resample", "sample_rate_hz": 96_000}, {"type": "trim", "start_seconds": 0.05}], 96_000),
        ([DUCK | {"threshold_db": 0.0, "ratio": 1.0}, {"type": "trim", "start_seconds": 0.05}], 48_000),
    ],
    ids=["alone", "after what runs late", "after a cut", "at another rate", "heard twice"],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_key_is_heard_at_the_moment_where_the_sound_is(before, rate, wrapped):
    samples = np.full((20_000, 2), 0.1, np.float32)
    kick = np.zeros((9_000, 1), np.float32)
    kick[7_000:7_100] = 1.0  # and silence after its end
    duck = {"type": "mid_side", "mid": [DUCK]} if wrapped else DUCK
    out = made(samples, *before, duck, keys={"kick": SampleKey(kick)}, block=600)
    cut = 0.05 if before and before[-1]["type"] == "trim" else 0.0
    ducked = np.flatnonzero(np.abs(out[:, 0]) < 0.05)
    assert ducked[0] / rate == pytest.approx(7_000 / 48_000 - cut, abs=0.0005)
    assert out[-500, 0] == pytest.approx(0.1, rel=1e-3)


def test_a_key_that_is_not_there_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        build(Sound(48_000, ("L", "R")), filled(DUCK), {})


def test_what_every_effect_did_is_told_in_the_order_of_the_chain():
    samples = np.full((20_000, 2), 0.5, np.float32)
    line = build(
        sound(samples), filled({"type": "gain", "gain_db": 1.0}, {"type": "mid_side", "mid": [{"type": "compressor"}]})
    )
    line.process(samples)
    told = line.told()
    assert [one["type"] for one in told] == ["gain", "mid_side"]
    assert told[0] == {"type": "gain"}
    assert told[1]["mid.1.max_reduction_db"] > 3.0
