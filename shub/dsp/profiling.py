"""What a master has to know of a sound: how loud, how bright, how wide."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shub.dsp.decode import AudioReader, Block, Limits
from shub.dsp.meter import Loudness, Meter
from shub.dsp.spectrum import Spectrum
from shub.dsp.tracks import speakers_in


@dataclass(frozen=True)
class Profile:
    """`thirds_db`: levels by third octave, of those that sound at all; empty where it was not asked for. `side_db`: power of what differs
    between left and right over what they share; None for anything but stereo, and where one of both is silent."""

    loudness: Loudness
    thirds_db: dict[float, float]
    side_db: float | None
    rate_hz: int
    channels: int


def profile_of(
    path: Path, progress: Callable[[float], None], *, with_spectrum: bool, limits: Limits | None = None
) -> Profile:
    """One pass over a file. Raises AudioRefused for a file that cannot be measured."""
    with AudioReader(path, limits) as reader:
        info = reader.info
        meter = Meter(info.sample_rate_hz, speakers_in(info))
        spectrum = Spectrum(info.sample_rate_hz, info.channels, None) if with_spectrum else None
        middle = side = 0.0
        for block in reader.blocks():
            meter.add(block)
            if spectrum is not None:
                spectrum.add(block)
            if info.channels == 2:
                more_middle, more_side = _middle_and_side(block)
                middle, side = middle + more_middle, side + more_side
            progress(min(1.0, meter.frames / info.frames))
    thirds = {}
    if spectrum is not None:
        spectrum.finish()
        thirds = {band.centre_hz: band.level_db for band in spectrum.third_octaves() if band.level_db is not None}
    side_db = float(10.0 * np.log10(side / middle)) if side > 0.0 < middle else None
    return Profile(meter.read(), thirds, side_db, info.sample_rate_hz, info.channels)


def _middle_and_side(block: Block) -> tuple[float, float]:
    left, right = block[:, 0].astype(np.float64), block[:, 1].astype(np.float64)
    return float(np.square(left + right).sum()), float(np.square(left - right).sum())
