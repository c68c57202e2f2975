"""A file's measurements, in one pass."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shub.dsp.decode import AudioReader, Limits
from shub.dsp.kweighting import speakers_of
from shub.dsp.meter import Loudness, Meter, Series

Progress = Callable[[float], None]
"""Told now and then how much is done, 0 to 1."""


@dataclass(frozen=True)
class Analysis:
    loudness: Loudness
    series: Series | None
    frames: int
    sample_rate_hz: int
    channels: int

    @property
    def duration_seconds(self) -> float:
        """Counted in the samples that were decoded, not taken from the header."""
        return self.frames / self.sample_rate_hz


def analyze(
    path: Path,
    progress: Progress,
    *,
    layout: str | None = None,
    with_series: bool = False,
    limits: Limits | None = None,
) -> Analysis:
    """Loudness, peaks and length of a file. Raises AudioRefused in its many forms for a file that cannot be measured."""
    with AudioReader(path, limits) as reader:
        info = reader.info
        meter = Meter(info.sample_rate_hz, speakers_of(info.channels, layout, vorbis_order=info.has_vorbis_order))
        for block in reader.blocks():
            meter.add(block)
            progress(min(1.0, meter.frames / info.frames))
    series = meter.series() if with_series else None
    return Analysis(meter.read(), series, meter.frames, info.sample_rate_hz, info.channels)
