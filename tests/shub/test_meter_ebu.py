"""The meter against EBU Tech 3341 (2023, table 1) and 3342: every case that can be synthesised, at 44.1, 48, 88.2 and 96 kHz.

The cases as they are written once for every rate; other phases and offsets on short signals.
"""

import numpy as np
import pytest
import scipy

from shub.dsp.meter import Loudness, Meter
from tests.shub.signals import peak_at_8x, sine, steps, stereo

RATES = [48_000, 44_100, 88_200, 96_000]
TOLERANCE_LU = 0.1


def read(
    samples: np.ndarray, rate: int, speakers: tuple[str, ...] = ("L", "R"), block: int = 10_007, *, peaks: bool = True
) -> Loudness:
    return meter_of(samples, rate, speakers, block, peaks=peaks).read()


def loudness(samples: np.ndarray, rate: int) -> Loudness:
    """Without the peaks, which take most of the time."""
    return read(samples, rate, peaks=False)


def meter_of(
    samples: np.ndarray, rate: int, speakers: tuple[str, ...] = ("L", "R"), block: int = 10_007, *, peaks: bool = True
) -> Meter:
    meter = Meter(rate, speakers, peaks=peaks)
    samples = np.ascontiguousarray(samples, np.float32)
    for start in range(0, len(samples), block):
        meter.add(samples[start : start + block])
    return meter


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("case", "level"), [(1, -23.0), (2, -33.0)])
def test_3341_cases_1_and_2_a_steady_tone_reads_its_level_on_every_scale(rate, case, level):
    found = loudness(stereo(sine(rate, 20, level)), rate)
    for value in (found.integrated_lufs, found.max_momentary_lufs, found.max_short_term_lufs):
        assert value == pytest.approx(level, abs=TOLERANCE_LU), case


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("case", "parts"),
    [
        (3, [(10, -36), (60, -23), (10, -36)]),
        (4, [(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)]),
        (5, [(20, -26), (20.1, -20), (20, -26)]),
    ],
)
def test_3341_cases_3_to_5_the_gates_leave_the_programme(rate, case, parts):
    assert loudness(stereo(steps(rate, parts)), rate).integrated_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU), case


@pytest.mark.parametrize("rate", RATES)
def test_3341_case_6_surround_channels_weigh_more(rate):
    channels = np.stack([sine(rate, 20, level) for level in (-28, -28, -24, -30, -30)], axis=1)
    found = read(channels, rate, ("L", "R", "C", "Ls", "Rs"), peaks=False)
    assert found.integrated_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU)


@pytest.mark.parametrize("rate", RATES)
def test_3341_case_9_short_term_stays_constant(rate):
    meter = meter_of(stereo(steps(rate, [(1.34, -20), (1.66, -30)] * 5)), rate, peaks=False)
    assert meter.read().max_short_term_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU)
    assert meter.series().short_term_lufs == pytest.approx([-23.0] * 121, abs=TOLERANCE_LU)


@pytest.mark.parametrize("rate", RATES)
def test_3341_case_12_momentary_stays_constant(rate):
    meter = meter_of(stereo(steps(rate, [(0.18, -20), (0.22, -30)] * 25)), rate, peaks=False)
    assert meter.read().max_momentary_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU)
    assert meter.series().momentary_lufs[6:] == pytest.approx([-23.0] * 91, abs=TOLERANCE_LU)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("offset", range(20))
def test_3341_cases_10_and_13_a_burst_is_found_wherever_it_starts(rate, offset):
    short_term = stereo(steps(rate, [(0.15 * offset, None), (3, -23), (1, None)]))
    assert loudness(short_term, rate).max_short_term_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU)
    momentary = stereo(steps(rate, [(0.02 * offset, None), (0.4, -23), (1, None)]))
    assert loudness(momentary, rate).max_momentary_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("case", "seconds", "shift"), [(11, 3.0, 0.15), (14, 0.4, 0.02)])
def test_3341_cases_11_and_14_a_running_meter_follows_rising_bursts(rate, case, seconds, shift):
    meter = Meter(rate, ("L", "R"), peaks=False)
    for i in range(20):
        parts = [(shift * i, None), (seconds, -38 + i), (seconds - shift * i, None)]
        meter.add(stereo(steps(rate, parts)))
        found = meter.read()
        value = found.max_short_term_lufs if case == 11 else found.max_momentary_lufs
        assert value == pytest.approx(-38 + i, abs=TOLERANCE_LU)


def faded(samples: np.ndarray, rate: int) -> np.ndarray:
    length = round(rate * 0.010)
    envelope = np.ones(len(samples))
    envelope[:length] = np.arange(length) / length
    envelope[-length:] = envelope[:length][::-1]
    return samples * envelope


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("case", "divisor", "amplitude", "phase", "expected"),
    [
        (15, 4, 0.50, 0.0, -6.0),
        (16, 4, 0.50, 45.0, -6.0),
        (17, 6, 0.50, 60.0, -6.0),
        (18, 8, 0.50, 67.5, -6.0),
        (19, 4, 1.41, 45.0, 3.0),
    ],
)
def test_3341_cases_15_to_19_peaks_between_the_samples(rate, case, divisor, amplitude, phase, expected):
    tone = amplitude * sine(rate, 1.0, 0.0, rate / divisor, np.deg2rad(phase))
    found = read(stereo(faded(tone, rate)), rate).true_peak_dbtp
    assert expected - 0.4 <= found <= expected + 0.2, case


@pytest.mark.parametrize("rate", RATES)
def test_3341_cases_20_to_23_a_single_period_at_full_scale(rate):
    fast = 4 * rate
    before = 0.5 * np.sin(2 * np.pi * np.arange(fast // 2) / 24)  # fs/6 at four times the rate
    burst = np.sin(2 * np.pi * np.arange(16) / 16)  # one period of fs/4
    after = 0.5 * np.sin(2 * np.pi * np.arange(fast // 2) / 24)
    low_pass = scipy.signal.firwin(513, 1 / 4)
    low_passed = scipy.signal.upfirdn(low_pass, faded(np.concatenate((before, burst, after)), fast))
    for offset in range(4):
        found = read(stereo(low_passed[offset::4]), rate).true_peak_dbtp
        assert -0.4 <= found <= 0.2, offset


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("case", "levels", "expected"),
    [(1, (-20, -30), 10), (2, (-20, -15), 5), (3, (-40, -20), 20), (4, (-50, -35, -20, -35, -50), 15)],
)
def test_3342_the_range_of_steps(rate, case, levels, expected):
    found = loudness(stereo(steps(rate, [(20, level) for level in levels])), rate)
    assert found.loudness_range_lu == pytest.approx(expected, abs=1.0), case


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("divisor", [4, 6, 8])
def test_tones_of_cases_15_to_19_read_the_same_at_any_phase(rate, divisor):
    for phase in np.arange(0.0, 180.0, 7.5):
        tone = 0.5 * sine(rate, 0.06, 0.0, rate / divisor, np.deg2rad(phase))
        assert -6.4 <= read(stereo(faded(tone, rate)), rate).true_peak_dbtp <= -5.8, phase


@pytest.mark.parametrize("rate", RATES)
def test_tones_of_cases_1_2_and_12_read_the_same_from_any_start(rate):
    cycle = stereo(steps(rate, [(0.18, -20), (0.22, -30)] * 6))
    for offset, phase in ((0.031, 0.3), (0.1237, 1.1), (0.26, 2.5)):
        shifted = cycle[round(offset * rate) :]
        assert loudness(shifted, rate).max_momentary_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU)
        steady = np.concatenate([np.zeros(round(offset * rate)), sine(rate, 4, -23.0, phase=phase)])
        found = loudness(stereo(steady), rate)
        assert found.max_momentary_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU)
        assert found.max_short_term_lufs == pytest.approx(-23.0, abs=TOLERANCE_LU)


@pytest.mark.parametrize("rate", RATES)
def test_peaks_agree_with_an_independent_8x_meter_within_the_tolerance_of_the_standard(rate):
    random = np.random.default_rng(rate)
    for hz in random.uniform(100.0, 20_000.0, 12):
        tone = faded(sine(rate, 0.05, -1.0, float(hz), float(random.uniform(0, 6))), rate)
        assert -0.4 <= read(stereo(tone), rate).true_peak_dbtp - peak_at_8x(tone) <= 0.2, hz
    for _ in range(3):
        noise = scipy.signal.upfirdn(scipy.signal.firwin(129, 20_000.0, fs=rate), random.uniform(-1, 1, rate // 4))
        assert -0.4 <= read(stereo(noise), rate).true_peak_dbtp - peak_at_8x(noise) <= 0.2


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 88_200, 96_000, 192_000])
def test_the_alignment_tone_reads_its_level_at_every_rate(rate):
    found = read(stereo(sine(rate, 4, -18.0)), rate)
    assert found.integrated_lufs == pytest.approx(-18.0, abs=TOLERANCE_LU)
    assert found.true_peak_dbtp == pytest.approx(-18.0, abs=0.2)
