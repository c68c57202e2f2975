"""Levels of octaves and third octaves, the balance between the regions, and how the low end of two channels goes together."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.decode import Block
from shub.dsp.framing import Framing
from shub.dsp.kweighting import k_filter
from shub.dsp.survey import correlation_of

WIDEST_BIN_HZ: Final = 1.5
"""The narrowest band, the third octave at 20 Hz, is 4.6 Hz wide."""
LOW_END_HZ: Final = 120.0
LEAST_LOW_END: Final = 1e-5
"""Share of the power (-50 dB) from which on there is a low end at all."""
LOWEST_DB: Final = -160.0
"""What arithmetic in 32 bit leaves of silence; below it a band has no level."""
LEAST_SHARE_DB: Final = -60.0

OCTAVES: Final = (31.5, 63.0, 125.0, 250.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0)
"""Nominal centres. Source: IEC 61260-1, annex E; the exact ones are 1 kHz times powers of 10^(3/10)."""
THIRD_OCTAVES: Final = (
    *(20.0, 25.0, 31.5, 40.0, 50.0, 63.0, 80.0, 100.0, 125.0, 160.0, 200.0, 250.0, 315.0, 400.0, 500.0, 630.0, 800.0),
    *(1_000.0, 1_250.0, 1_600.0, 2_000.0, 2_500.0, 3_150.0, 4_000.0, 5_000.0, 6_300.0, 8_000.0, 10_000.0, 12_500.0),
    *(16_000.0, 20_000.0),
)
"""As above; the exact ones are 1 kHz times powers of 10^(1/10)."""

REGIONS_HZ: Final = {
    "low_db": (35.0, 140.0),
    "low_mid_db": (140.0, 560.0),
    "mid_db": (560.0, 2_240.0),
    "high_mid_db": (2_240.0, 5_600.0),
    "high_db": (5_600.0, 18_000.0),
}
_REFERENCE_HZ = (20.0, 50.0, 100.0, 4_000.0, 20_000.0)
_REFERENCE_DB = (-8.0, 0.0, 0.0, -10.64, -19.9)
"""A balanced programme, third octave by third octave: from 100 Hz to 4 kHz the density falls by 5 dB an octave (2 dB by third octaves),
which is what Pestana, Ma, Reiss, Barbosa and Black found in commercial recordings (Spectral characteristics of popular commercial
recordings 1950-2010, AES 135, 2013), steeper above. How much steeper (4 dB), and the fall below 50 Hz (6 dB an octave), is our reading."""
TILT_HZ: Final = (100.0, 10_000.0)


@dataclass(frozen=True)
class BandLevel:
    centre_hz: float
    level_db: float | None


@dataclass(frozen=True)
class TonalBalance:
    low_db: float | None
    low_mid_db: float | None
    mid_db: float | None
    high_mid_db: float | None
    high_db: float | None
    centroid_hz: float | None
    tilt_db_per_octave: float | None


Powers = NDArray[np.float32]
"""Frames by bins, all channels summed."""


def long_window(rate_hz: int) -> int:
    """Samples of a window, a power of two, whose bins are narrow enough for the lowest third octave."""
    return 1 << math.ceil(math.log2(rate_hz / WIDEST_BIN_HZ))


class Spectrum:
    """Feed it blocks with `add`, which gives the power spectra it has just taken, then ask.

    Mean of windowed spectra (Welch). With a root-of-Hann window and half a window from one to the next, the squares of all windows over
    a sample sum to 1: the bins hold exactly the power of the sound.
    """

    def __init__(self, rate_hz: int, channels: int, pair: tuple[int, int] | None) -> None:
        self.size = long_window(rate_hz)
        self._rate, self._channels, self._pair = rate_hz, channels, pair
        self._framing = Framing(channels, self.size, self.size // 2)
        self._window = np.sin(np.pi * (np.arange(self.size) + 0.5) / self.size).astype(np.float32)
        self._power = np.zeros(self.size // 2 + 1)
        self._low = np.zeros(3)
        self._frames = 0

    def add(self, block: Block) -> Powers:
        self._frames += len(block)
        return self._take(self._framing.add(block))

    def finish(self) -> Powers:
        return self._take(self._framing.flush())

    def _take(self, frames: NDArray[np.float32]) -> Powers:
        spectra = np.fft.rfft(frames * self._window, axis=2)
        powers: Powers = (spectra.real**2 + spectra.imag**2).sum(axis=1, dtype=np.float32)
        self._power += powers.sum(axis=0, dtype=np.float64)
        if self._pair is not None:
            low = slice(1, int(LOW_END_HZ * self.size / self._rate) + 1)
            left, right = (spectra[:, channel, low].astype(np.complex128) for channel in self._pair)
            self._low += [
                float((left * left.conj()).real.sum()),
                float((right * right.conj()).real.sum()),
                float((left * right.conj()).real.sum()),
            ]
        return powers

    def low_end_correlation(self) -> float | None:
        """Of left and right, below 120 Hz; None for mono, and where there is next to nothing."""
        left, right, product = (float(one) for one in self._low)
        least = LEAST_LOW_END * float(self._power.sum()) / self._channels
        return correlation_of(left, right, product) if min(left, right) > least else None

    def octaves(self) -> list[BandLevel]:
        """Level of each octave that lies below half the sample rate: the mean power of all channels, full scale 1, in dB.

        The bands are cut out of the spectrum with straight edges, where a filter to IEC 61260 has slopes.
        """
        return self._levels(OCTAVES, 3.0)

    def third_octaves(self) -> list[BandLevel]:
        """As `octaves`."""
        return self._levels(THIRD_OCTAVES, 1.0)

    def balance(self) -> TonalBalance | None:
        """Each region's share of the energy, K-weighted as loudness is, over its share in a balanced programme; None for silence."""
        bands = [(band.centre_hz, band.level_db) for band in self.third_octaves() if band.level_db is not None]
        if not bands:
            return None
        centres = np.array([centre for centre, _ in bands])
        levels = np.array([level for _, level in bands])
        nyquist = self._rate / 2
        known = np.array([centre for centre in THIRD_OCTAVES if centre < nyquist])
        ours = _shares(centres, levels + self._k_db(centres))
        usual = _shares(known, np.interp(np.log2(known), np.log2(_REFERENCE_HZ), _REFERENCE_DB) + self._k_db(known))
        against = {
            name: max(LEAST_SHARE_DB, 10.0 * math.log10(ours[name] / share)) if ours[name] > 0.0 else None
            for name, share in usual.items()
            if share > 0.0
        }
        inside = (centres >= TILT_HZ[0]) & (centres <= TILT_HZ[1])
        tilt = None
        if np.count_nonzero(inside) > 2:
            tilt = float(np.polyfit(np.log2(centres[inside]), levels[inside], 1)[0]) - 10.0 * math.log10(2.0)
        return TonalBalance(
            **{name: against.get(name) for name in REGIONS_HZ}, centroid_hz=self._centroid(), tilt_db_per_octave=tilt
        )

    def _centroid(self) -> float | None:
        """Mean frequency, each weighted by its magnitude, from 20 Hz up."""
        hertz = np.arange(self._power.size) * self._rate / self.size
        heard = (hertz >= 20.0) & (hertz <= 20_000.0)
        magnitudes = np.sqrt(self._power[heard])
        return float((hertz[heard] * magnitudes).sum() / magnitudes.sum()) if magnitudes.any() else None

    def _levels(self, centres: tuple[float, ...], thirds: float) -> list[BandLevel]:
        edges = np.arange(self._power.size + 1) - 0.5  # bin k holds what lies half a bin around it
        reached = np.concatenate(([0.0], np.cumsum(self._power * self._doubled())))
        scale = 1.0 / self.size / max(1, self._frames) / self._channels
        levels = []
        for nominal in centres:
            exact = 1_000.0 * 10.0 ** (round(10.0 * math.log10(nominal / 1_000.0)) / 10.0)
            if exact >= self._rate / 2:
                break
            reach = 10.0 ** (thirds / 20.0)
            low, high = (
                np.interp(hertz * self.size / self._rate, edges, reached) for hertz in (exact / reach, exact * reach)
            )
            power = float(high - low) * scale
            is_heard = power > 10.0 ** (LOWEST_DB / 10.0)
            levels.append(BandLevel(nominal, 10.0 * math.log10(power) if is_heard else None))
        return levels

    def _doubled(self) -> NDArray[np.float64]:
        """Every bin but the first and the last stands for two."""
        weights = np.full(self._power.size, 2.0)
        weights[0] = weights[-1] = 1.0
        return weights

    def _k_db(self, hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        b0, b1, b2, a1, a2, c1, c2 = k_filter(self._rate)
        z = np.exp(-2j * np.pi * hertz / self._rate)
        shelf = (b0 + b1 * z + b2 * z * z) / (1.0 + a1 * z + a2 * z * z)
        highpass = (1.0 - 2.0 * z + z * z) / (1.0 + c1 * z + c2 * z * z)
        return np.asarray(20.0 * np.log10(np.abs(shelf * highpass) + 1e-9))


def _shares(centres: NDArray[np.float64], levels: NDArray[np.float64]) -> dict[str, float]:
    powers = 10.0 ** (levels / 10.0)
    inside = {name: (centres >= low) & (centres < high) for name, (low, high) in REGIONS_HZ.items()}
    total = float(sum(powers[mask].sum() for mask in inside.values())) or 1.0
    return {name: float(powers[mask].sum()) / total for name, mask in inside.items()}
