"""Key and tuning: which pitches are heard, and whose profile they have."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 65.0, 2_100.0
"""C2 to C7: lower, half tones are too near to each other for the window; higher, there are mostly overtones."""
CONCERT_HZ: Final = 440.0
STEPS: Final = 120
"""Places in the octave that pitches are counted at, 10 cents each."""
STANDS_OUT: Final = 8.0
"""A pitch has this many times the mean power of 60 Hz on both sides of it. Noise (exponentially distributed) rarely does: e^-8."""
AROUND_HZ: Final = 60.0
TONAL: Final = 0.08
"""Share of the magnitude that stands out in music of pitches; noise and drums have a tenth of it."""
LEAST_CONFIDENCE: Final = 0.2

NAMES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MAJOR: Final = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR: Final = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""Source: Krumhansl and Kessler, Tracing the dynamic changes in perceived tonal organization, Psychological Review 89 (1982)."""


@dataclass(frozen=True)
class MusicalKey:
    name: str | None
    confidence: float
    tuning_hz: float | None


class Pitches:
    """Feed it the long power spectra of a sound with `add`, then ask for the key."""

    def __init__(self, rate_hz: int, size: int) -> None:
        first, last = int(LOWEST_HZ * size / rate_hz), int(min(HIGHEST_HZ, rate_hz * 0.45) * size / rate_hz)
        self._bins = np.arange(first, last)
        self._hertz = rate_hz / size
        self._around = max(4, round(AROUND_HZ * size / rate_hz))
        self._steps = np.zeros(STEPS)
        self._weight = 0.0

    def add(self, powers: NDArray[np.float32]) -> None:
        """Frames by bins."""
        for power in powers:
            self._add(power[: self._bins[-1] + self._around + 2].astype(np.float64))

    def _add(self, power: NDArray[np.float64]) -> None:
        low, high = self._bins[0] - 1, self._bins[-1] + 2
        here = power[low + 1 : high - 1]
        total = float(np.sqrt(here).sum())
        if here.max(initial=0.0) <= 1e-6:  # far below -100 dBFS
            return
        sums = np.concatenate(([0.0], np.cumsum(power)))
        starts = np.maximum(0, self._bins - self._around)
        ends = np.minimum(power.size, self._bins + self._around + 1)
        mean = (sums[ends] - sums[starts]) / (ends - starts)
        left, right = power[low : high - 2], power[low + 2 : high]
        peaks = np.flatnonzero((here > left) & (here >= right) & (here > STANDS_OUT * mean))
        self._weight += math.sqrt(total)
        if not peaks.size:
            return
        # A parabola through the logarithms of the three bins finds the pitch between them.
        a, b, c = (np.log(one[peaks] + 1e-30) for one in (left, here, right))
        place = self._bins[peaks] + 0.5 * (a - c) / (a - 2.0 * b + c)
        steps = (
            np.round(np.log2(place * self._hertz / CONCERT_HZ) * STEPS + 0.75 * STEPS).astype(int) % STEPS
        )  # A is the tenth
        # A quiet window counts less than a loud one, by the root: a solo shall not speak for the whole song.
        np.add.at(self._steps, steps, np.sqrt(here[peaks]) / total * math.sqrt(total))

    def key(self) -> MusicalKey:
        """The key whose profile the pitches have; none where hardly any stand out, or where no profile fits."""
        heard = float(self._steps.sum())
        if heard <= 0.0:
            return MusicalKey(None, 0.0, None)
        tonal = min(1.0, heard / self._weight / TONAL)
        offset, is_tuned = self._tuning()
        chroma = self._chroma(offset)
        fits = np.array(
            [_likeness(chroma, np.roll(profile, tonic)) for profile in (MAJOR, MINOR) for tonic in range(12)]
        )
        order = np.argsort(fits)[::-1]
        best, second = float(fits[order[0]]), float(fits[order[1]])
        fit, lead = np.clip((best - 0.4) / 0.5, 0.0, 1.0), np.clip((best - second) / 0.15, 0.0, 1.0)
        confidence = float(tonal * fit * (0.5 + 0.5 * lead))
        mode, tonic = divmod(int(order[0]), 12)
        name = f"{NAMES[tonic]} {'major' if mode == 0 else 'minor'}"
        tuning = CONCERT_HZ * 2.0 ** (offset / STEPS) if is_tuned and tonal > 0.5 else None
        return MusicalKey(name if confidence >= LEAST_CONFIDENCE else None, confidence, tuning)

    def _tuning(self) -> tuple[float, bool]:
        """By how many steps the half tones lie above those of 440 Hz (circular mean), and whether they agree on it."""
        semitone = STEPS // 12
        angles = np.exp(2j * np.pi * np.arange(STEPS) / semitone)
        mean = complex((self._steps * angles).sum() / self._steps.sum())
        return float(np.angle(mean)) / (2.0 * math.pi) * semitone, abs(mean) > 0.3

    def _chroma(self, offset: float) -> NDArray[np.float64]:
        """The steps gathered into the twelve half tones that lie `offset` steps from those of 440 Hz."""
        semitone = STEPS // 12
        nearest = np.round((np.arange(STEPS) - offset) / semitone).astype(int) % 12
        return np.asarray(np.bincount(nearest, self._steps, 12), np.float64)


def _likeness(chroma: NDArray[np.float64], profile: NDArray[np.float64]) -> float:
    """Pearson's correlation."""
    a, b = chroma - chroma.mean(), profile - profile.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0.0 else 0.0
