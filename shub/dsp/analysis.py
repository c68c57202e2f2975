"""A file's measurements, in one pass."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shub.dsp.clipping import ClipFinder, Clipping
from shub.dsp.decode import AudioInfo, AudioReader, Block, Limits
from shub.dsp.key import MusicalKey, Pitches
from shub.dsp.kweighting import speakers_of
from shub.dsp.meter import Loudness, Meter, Series
from shub.dsp.spectrum import BandLevel, Spectrum, TonalBalance
from shub.dsp.survey import Levels, Silences, Stereo, Survey
from shub.dsp.tempo import Onsets, Tempo

MOST_PLACES: Final = 100
"""Clipped places and silences that are told one by one; the counts count them all."""

Progress = Callable[[float], None]
"""Told now and then how much is done, 0 to 1."""


@dataclass(frozen=True)
class Details:
    """What there is beside loudness and peaks."""

    levels: Levels
    clipping: Clipping
    silences: Silences
    octaves: list[BandLevel]
    third_octaves: list[BandLevel]
    tonal_balance: TonalBalance | None
    stereo: Stereo | None
    tempo: Tempo
    key: MusicalKey


@dataclass(frozen=True)
class Analysis:
    loudness: Loudness
    series: Series | None
    details: Details | None
    frames: int
    sample_rate_hz: int
    channels: int

    @property
    def duration_seconds(self) -> float:
        """Counted in the samples that were decoded, not taken from the header."""
        return self.frames / self.sample_rate_hz


class Inspection:
    """Everything beside loudness and peaks. Feed it blocks with `add`, then `finish` once."""

    def __init__(self, info: AudioInfo, speakers: tuple[str, ...]) -> None:
        rate, channels = info.sample_rate_hz, info.channels
        pair = (speakers.index("L"), speakers.index("R")) if "L" in speakers else None
        self._survey, self._clips = Survey(rate, channels, pair), ClipFinder(info, MOST_PLACES)
        self._spectrum, self._onsets = Spectrum(rate, channels, pair), Onsets(rate, channels)
        self._pitches = Pitches(rate, self._spectrum.size)

    def add(self, block: Block) -> None:
        self._survey.add(block)
        self._clips.add(block)
        self._pitches.add(self._spectrum.add(block))
        self._onsets.add(block)

    def finish(self) -> Details:
        self._clips.finish()
        self._pitches.add(self._spectrum.finish())
        return Details(
            levels=self._survey.levels(),
            clipping=self._clips.clipping(),
            silences=self._survey.silences(MOST_PLACES),
            octaves=self._spectrum.octaves(),
            third_octaves=self._spectrum.third_octaves(),
            tonal_balance=self._spectrum.balance(),
            stereo=self._survey.stereo(self._spectrum.low_end_correlation()),
            tempo=self._onsets.tempo(),
            key=self._pitches.key(),
        )


def analyze(
    path: Path,
    progress: Progress,
    *,
    layout: str | None = None,
    with_series: bool = False,
    with_details: bool = False,
    limits: Limits | None = None,
) -> Analysis:
    """Loudness, peaks and length of a file, and the details if they are wanted.

    Raises AudioRefused in its many forms for a file that cannot be measured.
    """
    with AudioReader(path, limits) as reader:
        info = reader.info
        speakers = speakers_of(info.channels, layout, vorbis_order=info.has_vorbis_order)
        meter = Meter(info.sample_rate_hz, speakers)
        inspection = Inspection(info, speakers) if with_details else None
        for block in reader.blocks():
            meter.add(block)
            if inspection is not None:
                inspection.add(block)
            progress(min(1.0, meter.frames / info.frames))
    return Analysis(
        meter.read(),
        meter.series() if with_series else None,
        inspection.finish() if inspection is not None else None,
        meter.frames,
        info.sample_rate_hz,
        info.channels,
    )
