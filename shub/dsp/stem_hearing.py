"""What an assistant wants to know of a stem before it proposes where it stands."""

from dataclasses import dataclass
from pathlib import Path

from shub.dsp.decode import AudioReader, Limits
from shub.dsp.meter import Meter
from shub.dsp.spectrum import Spectrum
from shub.dsp.staging import named
from shub.dsp.tracks import STEREO, folded, speakers_in


@dataclass(frozen=True)
class StemSound:
    """`thirds_db`: level by third octave (their centres in Hz), of those that sound at all."""

    integrated_lufs: float | None
    thirds_db: dict[float, float]
    centroid_hz: float | None
    is_stereo: bool


def hear(path: Path, name: str, limits: Limits | None = None) -> StemSound:
    """Loudness and spectrum of a file as a mix takes it. Raises AudioRefused, with the stem's name."""
    with named("stem", name), AudioReader(path, limits) as reader:
        speakers, rate = speakers_in(reader.info), reader.info.sample_rate_hz
        heard = speakers if len(speakers) < 3 else STEREO
        meter, spectrum = Meter(rate, heard, peaks=False), Spectrum(rate, len(heard), None)
        for block in folded(reader.blocks(), speakers):
            meter.add(block)
            spectrum.add(block)
        spectrum.finish()
    thirds = {band.centre_hz: band.level_db for band in spectrum.third_octaves() if band.level_db is not None}
    balance = spectrum.balance()
    return StemSound(meter.integrated_lufs(), thirds, balance.centroid_hz if balance else None, len(heard) == 2)
