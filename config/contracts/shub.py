"""What shub takes and answers: audio files, their measurements, and mixes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from config.contracts.common import Wire

MOST_STEMS = 64
AssetId = Annotated[str, Field(min_length=1, max_length=64, examples=["asset_019305b1c2d3e4f5a6b7c8d9e0f1"])]
Layout = Literal["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"]


class StemRole(StrEnum):
    """What a stem is in the music; it decides how loud the stem stands in the mix."""

    VOCAL = "vocal"
    BACKING_VOCAL = "backing_vocal"
    LEAD = "lead"
    DRUMS = "drums"
    KICK = "kick"
    SNARE = "snare"
    HATS = "hats"
    PERCUSSION = "percussion"
    BASS = "bass"
    GUITAR = "guitar"
    KEYS = "keys"
    PIANO = "piano"
    STRINGS = "strings"
    BRASS = "brass"
    PAD = "pad"
    FX = "fx"
    OTHER = "other"


class Asset(Wire):
    """An audio file that shub keeps. `provenance` tells how a made one was made; it is null for an upload."""

    asset_id: str
    sha256: str
    name: str
    size_bytes: int
    format: Literal["wav", "flac", "mp3", "ogg"]
    encoding: str
    """How the samples are kept, as libsndfile names it: PCM_24, FLOAT, VORBIS, …"""
    duration_seconds: float
    sample_rate_hz: int
    channels: int
    provenance: dict[str, Any] | None = None
    created_at: datetime


class AssetDeleted(Wire):
    """The file is gone, its bytes too."""

    asset_id: str
    sha256: str
    deleted: Literal[True] = True


class AnalyzeRequest(Wire):
    """What to measure. `channel_layout` names the speakers where the usual layout of so many channels is not meant."""

    asset_id: AssetId
    channel_layout: Layout | None = None
    series: bool = False
    """Loudness over time as well, every 100 ms."""


class LoudnessSeries(Wire):
    """Loudness over time; null is silence. The first value is that of the first whole window: 0.4 s momentary, 3 s short-term."""

    step_seconds: float
    momentary_lufs: list[float | None]
    short_term_lufs: list[float | None]


class AudioAnalysis(Wire):
    """A file's measurements to ITU-R BS.1770 and EBU R 128. Null: silence, or too short for that measure."""

    asset_id: str
    integrated_lufs: float | None
    loudness_range_lu: float | None
    max_momentary_lufs: float | None
    max_short_term_lufs: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None
    duration_seconds: float
    sample_rate_hz: int
    channels: int
    series: LoudnessSeries | None = None


class MixStem(Wire):
    """One stem. Without a role, its name is read for one. `gain_db` comes on top of what the role gives."""

    asset_id: AssetId
    role: StemRole | None = None
    gain_db: float = Field(0.0, ge=-60.0, le=24.0, allow_inf_nan=False)
    pan: float = Field(0.0, ge=-1.0, le=1.0, allow_inf_nan=False)
    chain: list[dict[str, Any]] = Field([], max_length=0)
    """Effects on the stem; none can be named yet."""


class MixRequest(Wire):
    """What to mix, how loud, and into what kind of file."""

    stems: list[MixStem] = Field(min_length=1, max_length=MOST_STEMS)
    target_lufs: float = Field(-14.0, ge=-60.0, le=-1.0, allow_inf_nan=False)
    ceiling_dbtp: float = Field(-1.0, ge=-20.0, le=0.0, allow_inf_nan=False)
    format: Literal["wav", "flac"] = "wav"
    bit_depth: Literal[16, 24, 32] = 24
    """32 is floating point and needs `wav`."""
    sample_rate_hz: int | None = Field(None, ge=8_000, le=192_000)
    """The highest rate among the stems when it is not said."""
    name: str | None = Field(None, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/\\]+$", examples=["mix.wav"])


class AudioWarning(Wire):
    """Something about the result that a person should know."""

    code: str
    text: str


class MixedStem(Wire):
    """How a stem went into the mix: its own loudness where it stands (null: silence), and the whole gain it got."""

    asset_id: str
    name: str
    role: StemRole
    role_source: Literal["request", "name", "unknown"]
    integrated_lufs: float | None
    gain_db: float
    pan: float


class MixResult(Wire):
    """`result` of a finished mix job. The ceiling wins over the loudness; `shortfall_lu` says what that cost."""

    asset_id: str
    name: str
    size_bytes: int
    integrated_lufs: float | None
    loudness_range_lu: float | None
    true_peak_dbtp: float | None
    target_lufs: float
    ceiling_dbtp: float
    shortfall_lu: float
    gain_db: float
    limiter_reduction_db: float
    duration_seconds: float
    sample_rate_hz: int
    channels: int
    format: Literal["wav", "flac"]
    bit_depth: int
    stems: list[MixedStem]
    warnings: list[AudioWarning] = []
