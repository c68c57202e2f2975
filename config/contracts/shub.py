"""What shub takes and answers: audio files, and what is made of them: chains, mixes, masters. Effects are in `effects`, measurements in
`shub_analysis`, commands in `shub_language`."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from config.contracts.common import Wire
from config.contracts.effects import Ceiling, Chain, Key

MOST_STEMS = 64
MOST_BUSES = 16
AssetId = Annotated[str, Field(min_length=1, max_length=64, examples=["asset_019305b1c2d3e4f5a6b7c8d9e0f1"])]
FileName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/\\]+$")]
Layout = Literal["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"]
Target = Literal[
    "streaming", "spotify", "apple_music", "youtube", "tidal", "amazon_music", "podcast", "ebu_r128", "atsc_a85", "cd"
]
"""Where the sound is to be heard: what it is judged against, and what a master is made for."""


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
    role: StemRole | None = None
    """What its name says that it is in the music, where it says so."""
    provenance: dict[str, Any] | None = None
    created_at: datetime


class AssetDeleted(Wire):
    """The file is gone, its bytes too."""

    asset_id: str
    sha256: str
    deleted: Literal[True] = True


class AudioWarning(Wire):
    """Something about a request or a result that a person should know. `text_es` where the language of the person is not known."""

    code: str
    text: str
    text_es: str | None = None


class Loudness(Wire):
    """Measured to ITU-R BS.1770 and EBU R 128; null is silence, or too short for that measure."""

    integrated_lufs: float | None
    loudness_range_lu: float | None
    max_momentary_lufs: float | None
    max_short_term_lufs: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None


class OutputFormat(Wire):
    """Into what kind of file. What cannot be (32 bit in FLAC) is refused."""

    format: Literal["wav", "flac", "mp3", "ogg"] = "wav"
    bit_depth: Literal[16, 24, 32] = 24
    """Of `wav` and `flac`; 32 is floating point and needs `wav`."""
    dither: Literal["auto", "tpdf", "none"] = "auto"
    """Triangular noise of 2 LSB where bits are taken away; `auto` is down to 16 bit."""
    sample_rate_hz: int | None = Field(None, ge=8_000, le=192_000)
    """The highest rate among the inputs when it is not said."""
    bitrate_kbps: int | None = Field(None, ge=32, le=500)
    """Of `mp3`, and about that of `ogg`; when it is not said, 320."""
    name: FileName | None = Field(None, examples=["mix.wav"])


class Excerpt(Wire):
    """Only a part, to listen to before the whole is made. Without a start, the loudest part."""

    start_seconds: float | None = Field(None, ge=0.0, le=86_400.0, allow_inf_nan=False)
    duration_seconds: float = Field(30.0, ge=1.0, le=600.0, allow_inf_nan=False)


class ChainSpec(Wire):
    """A chain with a name and a version, which what it makes carries in its provenance."""

    name: str = Field("chain", min_length=1, max_length=100)
    version: int = Field(1, ge=1, le=1_000_000)
    effects: Chain = []


class NamedChain(ChainSpec):
    """A chain that comes with the house."""

    purpose: str


ChainName = Annotated[str, Field(min_length=1, max_length=120, examples=["vocal", "vocal@1"])]


def _chain_kind(value: object) -> str:
    """Which of the two was meant, so that a refusal speaks of that one alone."""
    return "name" if isinstance(value, str) else "effects"


class ChainRequest(OutputFormat):
    """Effects on one file. `chain` is the chain itself or the name of one of ours (`GET /shub/chains`), with `@version` if it matters."""

    asset_id: AssetId
    chain: Annotated[
        Annotated[ChainSpec, Tag("effects")] | Annotated[ChainName, Tag("name")], Discriminator(_chain_kind)
    ] = ChainSpec()
    preview: Excerpt | None = None
    dry_run: bool = False
    """Only check: the answer is a ChainCheck, and nothing is made."""


class ChainCheck(Wire):
    """What a chain would do, with every default filled in."""

    asset_id: str
    chain: ChainSpec
    sample_rate_hz: int
    channels: int
    duration_seconds: float
    format: str
    bit_depth: int
    warnings: list[AudioWarning] = []


class ChainResult(Wire):
    """`result` of a finished chain job. `applied` says what each effect did: reductions, gains that were found, frames added."""

    asset_id: str
    name: str
    size_bytes: int
    chain: ChainSpec
    applied: list[dict[str, Any]]
    integrated_lufs: float | None
    loudness_range_lu: float | None
    true_peak_dbtp: float | None
    duration_seconds: float
    sample_rate_hz: int
    channels: int
    format: str
    bit_depth: int
    warnings: list[AudioWarning] = []


class Send(Wire):
    """A copy of a stem, after its chain and its level, to a bus."""

    bus: Key
    gain_db: float = Field(0.0, ge=-60.0, le=12.0, allow_inf_nan=False)


class MixBus(Wire):
    """A sum of stems (or of sends) with a chain of its own; it goes to the master."""

    name: Key
    gain_db: float = Field(0.0, ge=-60.0, le=24.0, allow_inf_nan=False)
    chain: Chain = []


class MixStem(Wire):
    """One stem. Without a role, its name is read for one; without a level, its role gives one."""

    asset_id: AssetId
    name: Key | None = None
    """How buses, side-chains and commands call it; its file's name when it is not said."""
    role: StemRole | None = None
    level_lufs: float | None = Field(None, ge=-60.0, le=-6.0, allow_inf_nan=False)
    """Where the stem stands, after its chain and before the sum is levelled: only the differences matter."""
    gain_db: float = Field(0.0, ge=-60.0, le=24.0, allow_inf_nan=False)
    """On top of that level."""
    pan: float = Field(0.0, ge=-1.0, le=1.0, allow_inf_nan=False)
    is_muted: bool = False
    """Not heard, in no bus either; a side-chain may still listen to it."""
    chain: Chain = []
    bus: Key | None = None
    """Where it goes instead of straight to the master."""
    sends: list[Send] = Field([], max_length=MOST_BUSES)


class MixAuto(Wire):
    """What is proposed where the request does not say it: places for the stems, and room for those that mask each other."""

    pan: bool = False
    masking: bool = False


class MixRequest(OutputFormat):
    """What to mix, how loud, and into what kind of file."""

    stems: list[MixStem] = Field(min_length=1, max_length=MOST_STEMS)
    buses: list[MixBus] = Field([], max_length=MOST_BUSES)
    chain: Chain = []
    """On the sum, before it is brought to `target_lufs`."""
    target_lufs: float = Field(-14.0, ge=-60.0, le=-1.0, allow_inf_nan=False)
    ceiling_dbtp: Ceiling = -1.0
    auto: MixAuto = MixAuto()
    stems_out: bool = False
    """Every stem as it stands in the mix, and every bus, as WAV files of their own (floating point). What goes to the master, stems without
    a bus and all buses, sums to the mix before its master chain and its limiter."""
    preview: Excerpt | None = None
    """Levels and limiter are those of the whole: it sounds as it does in the mix."""
    dry_run: bool = False
    """Only listen and propose: the job's result is a MixProposal, whose `mix` can be edited and sent back."""


class MixedStem(Wire):
    """How a stem went into the mix: its own loudness where it stands (null: silence), and the whole gain it got."""

    asset_id: str
    name: str
    role: StemRole
    role_source: Literal["request", "name", "unknown"]
    integrated_lufs: float | None
    level_lufs: float
    mixed_lufs: float | None = None
    """Where it stands in the mix as it was rendered, on the scale of `level_lufs`."""
    gain_db: float
    pan: float
    is_muted: bool = False
    bus: str | None = None
    chain: Chain = []
    applied: list[dict[str, Any]] = []
    """What each effect did."""
    stem_asset_id: str | None = None
    """The stem as a file, where `stems_out` asked for it and the stem is heard."""
    stem_size_bytes: int | None = None


class MixedBus(Wire):
    """What a bus did, and its sound as a file where `stems_out` asked for it."""

    name: str
    gain_db: float
    chain: Chain = []
    applied: list[dict[str, Any]] = []
    bus_asset_id: str | None = None


class MixReason(Wire):
    """Why a proposal says what it says."""

    stem: str
    code: str
    text: str


class MixProposal(Wire):
    """`result` of a mix job with `dry_run`: a whole MixRequest, with levels, places and chains filled in, and why."""

    mix: MixRequest
    reasons: list[MixReason]
    stems: list[MixedStem]
    warnings: list[AudioWarning] = []


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
    format: str
    bit_depth: int
    stems: list[MixedStem]
    buses: list[MixedBus] = []
    applied: list[dict[str, Any]] = []
    """What the effects on the sum did."""
    preview: Excerpt | None = None
    """The part that was written; loudness and peaks are of this part then, gain and shortfall of the whole."""
    reasons: list[MixReason] = []
    warnings: list[AudioWarning] = []


class MasterRequest(OutputFormat):
    """What to bring to a target, or near to a reference, or both. Numbers that are said here win over the target's."""

    asset_id: AssetId
    target: Target = "streaming"
    target_lufs: float | None = Field(None, ge=-40.0, le=-5.0, allow_inf_nan=False)
    ceiling_dbtp: Ceiling | None = None
    reference_asset_id: AssetId | None = None
    """Its tonal balance and width are come near to, and its loudness where neither `target` nor `target_lufs` is said."""
    match: float = Field(0.7, ge=0.0, le=1.0, allow_inf_nan=False)
    """How far: 0 leaves the sound, 1 goes all the way (within 9 dB)."""
    chain: Chain = []
    """Before everything else."""
    preview: Excerpt | None = None
    dry_run: bool = False
    """Only listen and propose: the job's result is a MasterProposal."""


class MasterProposal(Wire):
    """`result` of a master job with `dry_run`: the chain that would be applied, and why."""

    chain: ChainSpec
    target: Target
    target_lufs: float | None
    """Null where only the peak counts (`cd`)."""
    ceiling_dbtp: float
    reasons: list[MixReason]
    warnings: list[AudioWarning] = []


class MasterResult(Wire):
    """`result` of a finished master job. The ceiling wins over the loudness; `shortfall_lu` says what that cost."""

    asset_id: str
    name: str
    size_bytes: int
    target: Target
    target_lufs: float | None
    """Null where only the peak counts (`cd`)."""
    ceiling_dbtp: float
    chain: ChainSpec
    """What was applied; `POST /shub/chain` with it and the same format makes the same bytes."""
    applied: list[dict[str, Any]] = []
    preview: Excerpt | None = None
    """The part that was written; `after` is of this part then."""
    before: Loudness
    after: Loudness
    shortfall_lu: float
    gain_db: float
    limiter_reduction_db: float
    duration_seconds: float
    sample_rate_hz: int
    channels: int
    format: str
    bit_depth: int
    reasons: list[MixReason] = []
    warnings: list[AudioWarning] = []
