"""What shub finds in a sound."""

from typing import Literal

from pydantic import Field

from config.contracts.common import Wire
from config.contracts.shub import AssetId, Layout, Loudness, Target

MOST_PLACES = 100
"""Clipped places and silences that are told one by one; the counts count them all."""


class AnalyzeRequest(Wire):
    """What to measure. `channel_layout` names the speakers where the usual layout of so many channels is not meant."""

    asset_id: AssetId
    channel_layout: Layout | None = None
    series: bool = False
    """Loudness over time as well, every 100 ms."""
    target: Target = "streaming"
    """What the verdicts are against."""
    details: bool = True
    """Everything beside loudness and peaks; off, it is quicker."""


class LoudnessSeries(Wire):
    """Loudness over time; null is silence. The first value is that of the first whole window: 0.4 s momentary, 3 s short-term."""

    step_seconds: float
    momentary_lufs: list[float | None]
    short_term_lufs: list[float | None]


class Place(Wire):
    """A stretch of time; `channel` counts from 0, null is all."""

    start_seconds: float
    duration_seconds: float
    channel: int | None = None


class Clipping(Wire):
    """Tops of the wave that are cut off, at full scale or flat below it: `count` of them, `samples` in all.

    The first 100 as places; cuts of a channel less than 50 ms apart are one place.
    """

    count: int
    samples: int
    places: list[Place]


class Silences(Wire):
    """Stretches of at least half a second in which no sample of any channel reaches -60 dBFS."""

    count: int
    total_seconds: float
    leading_seconds: float
    trailing_seconds: float
    places: list[Place]


class SpectrumBand(Wire):
    """Level of a band, the mean power of all channels, in dBFS (a full-scale sine in all has -3.01). Centres as IEC 61260 calls them."""

    centre_hz: float
    level_db: float | None


class TonalBalance(Wire):
    """Shares of the energy by ear: each region against a balanced programme, in dB; positive is more than usual.

    The regions part at 140, 560, 2,240 and 5,600 Hz. `tilt_db_per_octave` is the slope of the density from 100 Hz to 10 kHz: white noise
    has 0, pink noise -3, commercial music about -5.
    """

    low_db: float | None
    low_mid_db: float | None
    mid_db: float | None
    high_mid_db: float | None
    high_db: float | None
    centroid_hz: float | None
    tilt_db_per_octave: float | None


class Stereo(Wire):
    """Null for mono. `correlation` runs from -1 (opposite) to 1 (the same); `mono_loss_db` is what a fold to mono takes away."""

    correlation: float | None
    lowest_correlation: float | None
    """Of any 0.4 s that is not silent."""
    width: float | None
    """Energy of the sides over that of the middle and the sides: 0 is mono, 0.5 two unrelated channels."""
    balance_db: float | None
    """Left over right."""
    mono_loss_db: float | None
    """96 where nothing is left. Two unrelated channels lose 3."""
    low_end_correlation: float | None
    """Below 120 Hz."""


class Tempo(Wire):
    bpm: float | None
    confidence: float = Field(ge=0.0, le=1.0)


class MusicalKey(Wire):
    """`name` as in `A minor`; null where none stands out."""

    name: str | None
    confidence: float = Field(ge=0.0, le=1.0)
    tuning_hz: float | None = None


class Verdict(Wire):
    """One measure against the target, in words, in both languages."""

    measure: str
    """A field of the analysis."""
    verdict: Literal["good", "notice", "problem"]
    text: str
    text_es: str
    value: float | None = None
    wanted: str | None = None
    unit: str | None = None


class AudioAnalysis(Loudness):
    """A file's measurements. Null: silence, too short for that measure, or not asked for (`details`)."""

    asset_id: str
    target: Target
    duration_seconds: float
    sample_rate_hz: int
    channels: int
    crest_factor_db: float | None = None
    """Peak over RMS of the loudest channel."""
    peak_to_loudness_lu: float | None = None
    """PLR: true peak over integrated loudness."""
    rms_dbfs: float | None = None
    dc_offset: list[float] | None = None
    """Mean of every channel, full scale 1."""
    noise_floor_dbfs: float | None = None
    """What the quietest 5 % of all 50 ms stay below, digital silence left out."""
    clipping: Clipping | None = None
    silences: Silences | None = None
    octaves: list[SpectrumBand] | None = None
    third_octaves: list[SpectrumBand] | None = None
    tonal_balance: TonalBalance | None = None
    stereo: Stereo | None = None
    tempo: Tempo | None = None
    key: MusicalKey | None = None
    verdicts: list[Verdict] = []
    pictures: dict[str, str] = {}
    """Path of each picture (PNG): waveform, spectrogram, loudness."""
    series: LoudnessSeries | None = None
