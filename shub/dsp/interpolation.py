"""Values between the samples: the two interpolators under true-peak metering and true-peak limiting.

The meter reads like other meters do, with a short filter as the standard describes. Meters differ by their filters, up to 0.4 dB on
noise that reaches half the sample rate; the limiter must hold a ceiling against any of them. So it takes the largest of three looks:
the meter's filter at 8x, the shorter one of libebur128, and a closer one in three half-band steps to 8x, the first one steep.
Measured on full-band noise, other meters then read at most 0.08 dB more.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled

Samples = NDArray[np.float32]

TAPS: Final = 24
"""Taps per phase of the meter. A plain constant, so that the compiler unrolls the loop over it; so are those below."""
LATENCY: Final = TAPS // 2
"""The meter's value between samples n and n+1 needs the samples up to n + LATENCY."""


def interpolator(factor: int) -> Samples:
    """`factor - 1` phases of TAPS coefficients; phase p gives the value (p+1)/factor of the way to the next sample.

    Source: windowed-sinc interpolation (Kaiser 7.5), the shape that ITU-R BS.1770-4 annex 2 describes for 4x; with 4 phases its
    worst reading on EBU Tech 3341 cases 15-23 is off by 0.143 dB.
    """
    return np.stack([_fraction(TAPS, 7.5, p / factor) for p in range(1, factor)])


def shorter_interpolator() -> Samples:
    """The 4x filter of libebur128 (49 taps, Hann window), zero-padded to TAPS, as `interpolator` gives its own."""
    distance = np.arange(TAPS)[None, :] - (LATENCY - 1) - np.arange(1, 4)[:, None] / 4
    window = np.where(np.abs(distance) < 6.0, 0.5 + 0.5 * np.cos(np.pi * distance / 6.0), 0.0)
    return (np.sinc(distance) * window).astype(np.float32)


def _fraction(taps: int, kaiser_beta: float, offset: float) -> Samples:
    """Coefficient k multiplies x[n - taps/2 + 1 + k] for the value at n + offset; they sum to 1."""
    distance = np.arange(taps) - (taps // 2 - 1) - offset
    inside = np.clip(1.0 - (distance / (taps // 2)) ** 2, 0.0, None)
    coefficients = np.sinc(distance) * np.i0(kaiser_beta * np.sqrt(inside))
    return np.asarray(coefficients / coefficients.sum(), np.float32)


@compiled
def largest_between(samples: Samples, phases: Samples, values: Samples) -> None:
    """Into `values[i]`: the largest magnitude between samples i + LATENCY - 1 and the one after it, none of the two included."""
    for i in range(values.size):
        values[i] = np.float32(0.0)
    for p in range(phases.shape[0]):
        for i in range(values.size):
            total = np.float32(0.0)
            for k in range(TAPS):
                total += phases[p, k] * samples[i + k]
            values[i] = max(values[i], abs(total))


STEEP: Final = 96
"""Taps of the step to 2x: flat to 0.47 of the sample rate."""
MIDDLE: Final = 12
GENTLE: Final = 8
"""From 4x to 8x the spectrum is empty above an eighth of the rate, and 8 taps do."""
_UNROLLED: Final = 16
"""The compiler leaves a loop over so many taps rolled, which is 10 times slower: they are taken by 16."""
CLOSE_LATENCY: Final = STEEP // 2 + 4
"""`closest_look` needs so many samples after the one it stands at."""
CLOSE_CONTEXT: Final = 2 * CLOSE_LATENCY


def half_bands() -> Samples:
    """The coefficients of the three steps, one after the other: STEEP, MIDDLE, GENTLE."""
    return np.concatenate([_fraction(STEEP, 6.0, 0.5), _fraction(MIDDLE, 6.0, 0.5), _fraction(GENTLE, 5.0, 0.5)])


def close_reach() -> float:
    """No value that `closest_look` finds exceeds the largest sample around it by more than this factor."""
    response = np.zeros(4 * STEEP)
    response[2 * STEEP] = 1.0  # one sample of 1, taken through the three steps
    for taps in np.split(half_bands().astype(np.float64), [STEEP, STEEP + MIDDLE]):
        between = np.convolve(response, taps, mode="full")[taps.size // 2 :][: response.size]
        response = np.stack((response, between), axis=1).ravel()
    return float(np.abs(response.reshape(-1, 8)).sum(axis=0).max()) * 1.0001  # a little more, for rounding


@compiled
def closest_look(
    samples: Samples, taps: Samples, at_2x: Samples, at_4x: Samples, room: Samples, values: Samples
) -> None:
    """Into `values[i]`: the largest magnitude at 8x between samples i + CLOSE_LATENCY - 1 and the next, that one left out.

    `samples` holds `values.size + CLOSE_CONTEXT`; the others are room to work in, of 2, 4 and 4 times as many.
    """
    # Every loop over the taps stands in a loop that writes one place after the other: only so it becomes vector code.
    count = values.size + 9  # samples that the later steps need around the values: 4 before, 5 after
    first = STEEP // 2 - 1
    for i in range(count):
        room[i] = np.float32(0.0)
    for part in range(0, STEEP, _UNROLLED):
        coefficients, shifted = taps[part : part + _UNROLLED], samples[part:]
        for i in range(count):
            total = room[i]
            for k in range(_UNROLLED):
                total += coefficients[k] * shifted[i + k]
            room[i] = total
    for i in range(count):
        at_2x[2 * i] = samples[first + i]
        at_2x[2 * i + 1] = room[i]
    doubled = 2 * count - MIDDLE
    for i in range(doubled):
        total = np.float32(0.0)
        for k in range(MIDDLE):
            total += taps[STEEP + k] * at_2x[i + k]
        room[i] = total
    for i in range(doubled):
        at_4x[2 * i] = at_2x[i + MIDDLE // 2 - 1]
        at_4x[2 * i + 1] = room[i]
    # at_4x[j] stands at 2x place MIDDLE/2 - 1 + j/2, that is at sample first + (MIDDLE/2 - 1)/2 + j/4
    start = 4 * 4 - 2 * (MIDDLE // 2 - 1)
    around = at_4x[start - (GENTLE // 2 - 1) :]
    for i in range(4 * values.size):
        total = np.float32(0.0)
        for k in range(GENTLE):
            total += taps[STEEP + MIDDLE + k] * around[i + k]
        room[i] = max(abs(total), abs(around[i + GENTLE // 2 - 1]))
    for i in range(values.size):
        values[i] = max(max(room[4 * i], room[4 * i + 1]), max(room[4 * i + 2], room[4 * i + 3]))
