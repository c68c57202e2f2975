"""Second-order sections of digital filters, by formula.

A section is a row b0, b1, b2, a1, a2 of H(z) = (b0 + b1 z^-1 + b2 z^-2) / (1 + a1 z^-1 + a2 z^-2); filters are stacks of them. All come
from analog prototypes through the bilinear transform, prewarped at their frequency: there they are exact, and towards half the sample rate
they are narrower than their prototypes. The curve that a filter keeps to is that of the digital H(z) itself (`response`).
"""

import math

import numpy as np
from numpy.typing import NDArray

from shub.dsp.effects.processor import Sound
from shub.dsp.refusals import FrequencyAboveNyquist

Sections = NDArray[np.float64]
"""Rows of b0, b1, b2, a1, a2."""
NONE: Sections = np.empty((0, 5))


def below_nyquist(sound: Sound, name: str, hz: float) -> float:
    """The frequency. Raises FrequencyAboveNyquist where this sound has nothing at it."""
    if hz >= sound.rate_hz / 2:
        raise FrequencyAboveNyquist(
            f"{name} is {hz:g} Hz; at a sample rate of {sound.rate_hz} Hz it must lie below {sound.rate_hz / 2:g} Hz"
        )
    return hz


def peak(rate_hz: int, hz: float, gain_db: float, q: float) -> Sections:
    """A bell; `q` is its centre over its bandwidth between the half-gain (in dB) points of the prototype.

    Source, of this and of the shelves, notch and all-pass: R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter
    coefficients" (W3C Note "Audio EQ Cookbook", 2021).
    """
    cosine, alpha = _angle(rate_hz, hz, q)
    a = 10.0 ** (gain_db / 40.0)
    return _normalized(1 + alpha * a, -2 * cosine, 1 - alpha * a, 1 + alpha / a, -2 * cosine, 1 - alpha / a)


def low_shelf(rate_hz: int, hz: float, gain_db: float, q: float) -> Sections:
    """`gain_db` far below `hz`, half of it there; above a `q` of 0.7071 the shelf has a bump."""
    cosine, alpha = _angle(rate_hz, hz, q)
    a = 10.0 ** (gain_db / 40.0)
    root = 2 * math.sqrt(a) * alpha
    return _normalized(
        a * ((a + 1) - (a - 1) * cosine + root),
        2 * a * ((a - 1) - (a + 1) * cosine),
        a * ((a + 1) - (a - 1) * cosine - root),
        (a + 1) + (a - 1) * cosine + root,
        -2 * ((a - 1) + (a + 1) * cosine),
        (a + 1) + (a - 1) * cosine - root,
    )


def high_shelf(rate_hz: int, hz: float, gain_db: float, q: float) -> Sections:
    """`gain_db` far above `hz`, half of it there."""
    cosine, alpha = _angle(rate_hz, hz, q)
    a = 10.0 ** (gain_db / 40.0)
    root = 2 * math.sqrt(a) * alpha
    return _normalized(
        a * ((a + 1) + (a - 1) * cosine + root),
        -2 * a * ((a - 1) + (a + 1) * cosine),
        a * ((a + 1) + (a - 1) * cosine - root),
        (a + 1) - (a - 1) * cosine + root,
        2 * ((a - 1) - (a + 1) * cosine),
        (a + 1) - (a - 1) * cosine - root,
    )


def notch(rate_hz: int, hz: float, q: float) -> Sections:
    """Nothing at `hz`; -3 dB at the edges of a band of `hz / q`."""
    cosine, alpha = _angle(rate_hz, hz, q)
    return _normalized(1, -2 * cosine, 1, 1 + alpha, -2 * cosine, 1 - alpha)


def allpass(rate_hz: int, hz: float, q: float) -> Sections:
    """Magnitude 1 everywhere; the phase turns half a round at `hz`."""
    cosine, alpha = _angle(rate_hz, hz, q)
    return _normalized(1 - alpha, -2 * cosine, 1 + alpha, 1 + alpha, -2 * cosine, 1 - alpha)


def lowpass(rate_hz: int, hz: float, order: int) -> Sections:
    """Butterworth of any order (6 dB per octave each): -3.01 dB at `hz`.

    Source: S. Butterworth, "On the Theory of Filter Amplifiers" (1930): poles evenly on a circle, so the pair at angle (2k+1) pi / 2n
    has Q = 1 / (2 sin) of it.
    """
    k = math.tan(math.pi * hz / rate_hz)
    first = [_normalized(k, k, 0, 1 + k, k - 1, 0)] if order % 2 else []
    cosine = math.cos(2 * math.pi * hz / rate_hz)
    pairs = [
        _normalized((1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2, 1 + alpha, -2 * cosine, 1 - alpha)
        for alpha in (_angle(rate_hz, hz, q)[1] for q in _qualities(order))
    ]
    return np.concatenate([*first, *pairs])


def highpass(rate_hz: int, hz: float, order: int) -> Sections:
    """As `lowpass`, from the other side."""
    k = math.tan(math.pi * hz / rate_hz)
    first = [_normalized(1, -1, 0, 1 + k, k - 1, 0)] if order % 2 else []
    cosine = math.cos(2 * math.pi * hz / rate_hz)
    pairs = [
        _normalized((1 + cosine) / 2, -(1 + cosine), (1 + cosine) / 2, 1 + alpha, -2 * cosine, 1 - alpha)
        for alpha in (_angle(rate_hz, hz, q)[1] for q in _qualities(order))
    ]
    return np.concatenate([*first, *pairs])


def linkwitz_riley(rate_hz: int, hz: float) -> tuple[Sections, Sections, Sections]:
    """A crossover of 24 dB per octave: low, high, and the all-pass that is their sum (-6.02 dB each at `hz`, in phase everywhere).

    Source: S. Linkwitz, "Active Crossover Networks for Noncoincident Drivers", JAES 24 (1976): a Butterworth of order 2, twice.
    """
    low, high = lowpass(rate_hz, hz, 2), highpass(rate_hz, hz, 2)
    return np.concatenate([low, low]), np.concatenate([high, high]), allpass(rate_hz, hz, math.sqrt(0.5))


def response(sections: Sections, rate_hz: int, hz: NDArray[np.float64]) -> NDArray[np.complex128]:
    """H at these frequencies."""
    z = np.exp(-2j * np.pi * np.asarray(hz) / rate_hz)
    total = np.ones(z.shape, np.complex128)
    for b0, b1, b2, a1, a2 in sections:
        total *= (b0 + z * (b1 + z * b2)) / (1 + z * (a1 + z * a2))
    return total


def _qualities(order: int) -> list[float]:
    return [1.0 / (2.0 * math.sin((2 * k + 1) * math.pi / (2 * order))) for k in range(order // 2)]


def _angle(rate_hz: int, hz: float, q: float) -> tuple[float, float]:
    """The cosine of the frequency's angle, and the cookbook's alpha."""
    angle = 2 * math.pi * hz / rate_hz
    return math.cos(angle), math.sin(angle) / (2 * q)


def _normalized(b0: float, b1: float, b2: float, a0: float, a1: float, a2: float) -> Sections:
    return np.array([[b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0]])
