"""The multiband compressor."""

from collections.abc import Mapping, Sequence

import numpy as np

from shub.dsp.decode import Block
from shub.dsp.effects.cascade import Cascade
from shub.dsp.effects.dynamics import Compressor
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import below_nyquist, linkwitz_riley


class Multiband:
    """A compressor per band, between crossovers of 24 dB per octave.

    The bands are split off from below, one crossover after the other, and summed in the same order: what lies below a crossover takes the
    all-pass that the two bands beside it went through together. So all bands stay in phase, and bands that are left alone sum to a flat
    magnitude (not to the same waveform: the phase of the crossovers remains).
    """

    def __init__(self, sound: Sound, *, crossovers_hz: Sequence[float], bands: Sequence[Mapping[str, float]]) -> None:
        self.out = sound
        splits = [linkwitz_riley(sound.rate_hz, below_nyquist(sound, "crossovers_hz", hz)) for hz in crossovers_hz]
        self._lows = [Cascade(sound, low) for low, _, _ in splits]
        self._highs = [Cascade(sound, high) for _, high, _ in splits]
        self._turns = [Cascade(sound, turn) for _, _, turn in splits[1:]]
        self._compressors = [
            Compressor(
                sound,
                **band,
                lookahead_ms=0.0,
                detector="peak",
                sidechain=None,
                sidechain_highpass_hz=None,
                mix=1.0,
            )
            for band in bands
        ]
        self._does_nothing = all(band["ratio"] == 1.0 and band["makeup_db"] == 0.0 for band in bands)

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._does_nothing:
            return block
        bands: list[Block] = []
        rest = block
        for low, high in zip(self._lows, self._highs, strict=True):
            bands.append(low.process(rest))
            rest = high.process(rest)
        bands.append(rest)
        made = [compressor.process(band) for compressor, band in zip(self._compressors, bands, strict=True)]
        total = made[0]
        for turn, band in zip(self._turns, made[1:-1], strict=True):
            total = turn.process(total) + band
        return total + made[-1]

    def flush(self) -> Block:
        return np.empty((0, self.out.channels), np.float32)

    def told(self) -> dict[str, float]:
        """`band_1_max_reduction_db` is of the lowest band."""
        reductions = [compressor.told()["max_reduction_db"] for compressor in self._compressors]
        return {"max_reduction_db": max(reductions)} | {
            f"band_{number}_max_reduction_db": reduction for number, reduction in enumerate(reductions, start=1)
        }
