"""Beats per minute: how the onsets repeat."""

import math
from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.decode import Block
from shub.dsp.framing import Framing

ENOUGH_HZ: Final = 11_025
"""Onsets are heard as well at a quarter of the rate, and cost a quarter."""
ONSETS_PER_SECOND: Final = 100
BANDS: Final = 24
BY_EAR: Final = 0.25
"""Exponent of power to loudness, about that of Stevens' law: a logarithm would make every soft note a beat."""
STILL: Final = 1e-7
"""Mean square of the onsets of what only goes on."""
SPAN_SECONDS: Final = 12.0
"""A tempo that wanders is steady for so long."""
SHORTEST_SECONDS: Final = 4.0
SLOWEST_BPM, FASTEST_BPM, USUAL_BPM = 40.0, 240.0, 120.0
PRIOR_OCTAVES: Final = 1.0
MULTIPLES: Final = 4
PARTS: Final = 0.2
"""How much it counts against a beat that the onsets repeat after a half or a third of it as well: that may be the beat."""
LEAST_CONFIDENCE: Final = 0.15


@dataclass(frozen=True)
class Tempo:
    bpm: float | None
    confidence: float


class Onsets:
    """Feed it blocks with `add`, then ask for the tempo.

    Sources: spectral flux in bands, half-wave rectified (Bello et al., A tutorial on onset detection in music signals,
    IEEE TSAP 2005); its autocorrelation weighted by a log-normal prior around 120 bpm (Ellis, Beat tracking by dynamic programming,
    JNMR 2007). The comb over four multiples and the malus for parts are ours, set on rendered music.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._less = max(1, rate_hz // ENOUGH_HZ)
        rate = rate_hz / self._less
        size = 1 << round(math.log2(rate * 0.046))
        self._hop = round(rate / ONSETS_PER_SECOND)
        self._per_second = rate / self._hop
        self._framing = Framing(1, size, self._hop)
        self._window = np.hanning(size + 1)[:-1].astype(np.float32) * np.float32(2.0 / size)
        edges = np.unique(np.geomspace(2.0, size // 2 + 1, BANDS + 1).astype(int))
        self._starts, self._end = edges[:-1], int(edges[-1])
        self._before: NDArray[np.float32] | None = None
        self._rest = np.empty(0, np.float32)
        self._envelope = array("d")

    def add(self, block: Block) -> None:
        mono = np.concatenate((self._rest, block.mean(axis=1, dtype=np.float32)))
        whole = mono.size // self._less * self._less
        self._rest = mono[whole:]
        self._take(self._framing.add(mono[:whole].reshape(-1, self._less).mean(axis=1)[:, None]))

    def _take(self, frames: NDArray[np.float32]) -> None:
        if not len(frames):
            return
        spectra = np.fft.rfft(frames[:, 0] * self._window, axis=1)[:, : self._end]
        powers = np.add.reduceat(spectra.real**2 + spectra.imag**2, self._starts, axis=1)
        levels = powers ** np.float32(BY_EAR)
        before = levels[:1] if self._before is None else self._before
        rises = np.diff(np.concatenate((before, levels)), axis=0)
        self._envelope.frombytes(np.maximum(rises, 0.0).sum(axis=1).astype(np.float64).tobytes())
        self._before = levels[-1:]

    def tempo(self) -> Tempo:
        """The tempo, from 40 to 240 bpm; none where the onsets do not repeat. Confidence is how much of them does."""
        likeness = self._likeness()
        if likeness is None:
            return Tempo(None, 0.0)
        bpm = np.geomspace(SLOWEST_BPM, FASTEST_BPM, 1_200)
        periods = 60.0 / bpm * self._per_second
        comb = _comb(likeness, periods, MULTIPLES)
        parts = np.maximum(0.0, np.maximum(_at(likeness, periods / 2.0), _at(likeness, periods / 3.0)))
        prior = np.exp(-0.5 * (np.log2(bpm / USUAL_BPM) / PRIOR_OCTAVES) ** 2)
        best = int(np.argmax((comb - PARTS * parts) * prior))
        near = periods[best] * np.linspace(0.98, 1.02, 401)
        most = max(1, min(8, int((likeness.size - 2) / periods[best])))
        fine = near[int(np.argmax(_comb(likeness, near, most)))]
        confidence = float(np.clip(comb[best], 0.0, 1.0))
        found = 60.0 * self._per_second / float(fine)
        return Tempo(found if confidence >= LEAST_CONFIDENCE else None, confidence)

    def _likeness(self) -> NDArray[np.float64] | None:
        """Autocorrelation of the onsets by lag, 1 at none, mean of stretches of 12 s; None where nothing begins."""
        envelope = np.array(self._envelope)
        if envelope.size < SHORTEST_SECONDS * self._per_second:
            return None
        around = round(0.8 * self._per_second)
        envelope -= np.convolve(envelope, np.full(around, 1.0 / around), mode="same")
        span = min(envelope.size, round(SPAN_SECONDS * self._per_second))
        stretches = np.lib.stride_tricks.sliding_window_view(envelope, span)[:: max(1, span // 2)]
        total = np.zeros(span)
        for stretch in stretches:
            spectrum = np.fft.rfft(stretch, 2 * span)
            total += np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:span]
        unbiased = total * (span / (span - np.arange(span)))
        usable = unbiased[: round(span * 0.75)]  # further out only few values meet
        return usable / usable[0] if usable[0] > STILL * span * len(stretches) else None


def _at(likeness: NDArray[np.float64], lags: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.interp(lags, np.arange(likeness.size), likeness))


def _comb(likeness: NDArray[np.float64], periods: NDArray[np.float64], multiples: int) -> NDArray[np.float64]:
    """Mean likeness at the first multiples of each period, of those that are in reach."""
    lags = periods[:, None] * np.arange(1, multiples + 1)
    reached = lags <= likeness.size - 1
    return np.asarray(np.where(reached, _at(likeness, lags), 0.0).sum(axis=1) / np.maximum(1, reached.sum(axis=1)))
