"""Logarithms and powers for gains that change at every sample: quick, and exact to far below what can be heard.

The loops stand alone and work on whole tiles, so that the compiler makes vector code of them.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled

Levels = NDArray[np.float32]
Gains = NDArray[np.float64]

TILE: Final = 512
DB_PER_OCTAVE: Final = 20.0 * math.log10(2.0)
LARGEST_ERROR_DB: Final = 0.0001
"""Neither `to_db` nor `from_db` is off by more, between -250 and +250 dB; measured 0.00001."""

_SIGNIFICAND: Final = np.int32(0x7FFFFF)
_HALF_OCTAVE_DOWN: Final = np.int32(0x3F3504F3)  # the bits of sqrt(1/2)
_TO_NEAREST: Final = (
    6755399441055744.0  # 1.5 * 2^52: what is added to it is rounded to a whole number, in the lowest bits
)


@compiled
def to_db(levels: Levels, decibels: Levels) -> None:
    """The level in dB of magnitudes, which must be normal numbers above 0; exactly 0 dB for 1.

    Source: log2(2^e (1 + f)) = e + log2(1 + f); the polynomial is our own, fitted for the least largest error where 1 + f lies between
    sqrt(1/2) and sqrt(2): 2e-6 dB.
    """
    bits = levels.view(np.int32)
    rest = np.empty(levels.size, np.int32)
    for i in range(levels.size):
        rest[i] = bits[i] - (((bits[i] - _HALF_OCTAVE_DOWN) >> 23) << 23)
    significands = rest.view(np.float32)
    for i in range(levels.size):
        octaves = np.float32(np.int32((bits[i] - _HALF_OCTAVE_DOWN) >> 23))
        f = significands[i] - np.float32(1.0)
        sum_ = np.float32(0.17063389718532562)
        sum_ = sum_ * f + np.float32(-0.272697776556015)
        sum_ = sum_ * f + np.float32(0.29726269841194153)
        sum_ = sum_ * f + np.float32(-0.35896188020706177)
        sum_ = sum_ * f + np.float32(0.48046502470970154)
        sum_ = sum_ * f + np.float32(-0.7213758826255798)
        sum_ = sum_ * f + np.float32(1.442699670791626)
        decibels[i] = (octaves + sum_ * f) * np.float32(DB_PER_OCTAVE)


@compiled
def from_db(decibels: Gains, gains: Gains) -> None:
    """The factors of gains in dB; exactly 1 for 0 dB.

    Source: 2^(k + r) = 2^k 2^r with |r| <= 1/2; the polynomial is our own, fitted for the least largest error: 2e-8 dB.
    """
    rounded = np.empty(decibels.size)
    for i in range(decibels.size):
        rounded[i] = decibels[i] * (1.0 / DB_PER_OCTAVE) + _TO_NEAREST
    power = np.empty(decibels.size, np.int64)
    bits = rounded.view(np.int64)
    for i in range(decibels.size):
        power[i] = (bits[i] + 1023) << 52
    powers = power.view(np.float64)
    for i in range(decibels.size):
        r = decibels[i] * (1.0 / DB_PER_OCTAVE) - (rounded[i] - _TO_NEAREST)
        sum_ = 0.0001535327216
        sum_ = sum_ * r + 0.001339900382
        sum_ = sum_ * r + 0.009618438559
        sum_ = sum_ * r + 0.05550332162
        sum_ = sum_ * r + 0.240226479
        sum_ = sum_ * r + 0.693147203
        gains[i] = powers[i] * (sum_ * r + 1.0)


def db_to_gain(decibels: float) -> float:
    """The factor of one gain in dB, for constants."""
    return float(10.0 ** (decibels / 20.0))
