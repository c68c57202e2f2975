"""The effects of the audio engineer: one contract for interpreting commands, chains, mixes and masters.

A chain is a list of effects, applied from first to last; every name carries its unit. The ranges are what can be done at all; what is
possible and hardly ever meant is warned of (`AudioWarning`), not refused.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.contracts.common import Wire

MOST_EFFECTS = 64
MOST_CROSSOVERS = 5

Frequency = Annotated[float, Field(ge=1.0, le=96_000.0, allow_inf_nan=False)]
"""In Hz. What is above half the sample rate of the sound is refused when the chain meets it."""
Gain = Annotated[float, Field(ge=-60.0, le=36.0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Threshold = Annotated[float, Field(ge=-96.0, le=0.0, allow_inf_nan=False)]
Attack = Annotated[float, Field(ge=0.0, le=1_000.0, allow_inf_nan=False)]
Release = Annotated[float, Field(ge=1.0, le=10_000.0, allow_inf_nan=False)]
Knee = Annotated[float, Field(ge=0.0, le=36.0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=1.0, le=100.0, allow_inf_nan=False)]
Lookahead = Annotated[float, Field(ge=0.0, le=50.0, allow_inf_nan=False)]
Ceiling = Annotated[float, Field(ge=-24.0, le=0.0, allow_inf_nan=False)]
Slope = Literal[6, 12, 18, 24, 36, 48]
Key = Annotated[str, Field(min_length=1, max_length=200)]
"""Whose level moves the gain: the id of an asset, or in a mix the name of a stem or a bus."""


class GainEffect(Wire):
    """Louder or softer."""

    type: Literal["gain"]
    gain_db: Gain


class EqPeakEffect(Wire):
    """A bell around `freq_hz`; `q` is its centre frequency over its bandwidth between the half-gain points."""

    type: Literal["eq_peak"]
    freq_hz: Frequency
    gain_db: Gain
    q: float = Field(1.0, ge=0.05, le=100.0, allow_inf_nan=False)


class EqLowShelfEffect(Wire):
    """Everything below `freq_hz`, which is where half the gain (in dB) is reached."""

    type: Literal["eq_low_shelf"]
    freq_hz: Frequency
    gain_db: Gain
    q: float = Field(0.7071, ge=0.1, le=10.0, allow_inf_nan=False)


class EqHighShelfEffect(Wire):
    """Everything above `freq_hz`, which is where half the gain (in dB) is reached."""

    type: Literal["eq_high_shelf"]
    freq_hz: Frequency
    gain_db: Gain
    q: float = Field(0.7071, ge=0.1, le=10.0, allow_inf_nan=False)


class HighpassEffect(Wire):
    """Butterworth, -3 dB at `freq_hz`."""

    type: Literal["highpass"]
    freq_hz: Frequency
    slope_db_oct: Slope = 12


class LowpassEffect(Wire):
    """Butterworth, -3 dB at `freq_hz`."""

    type: Literal["lowpass"]
    freq_hz: Frequency
    slope_db_oct: Slope = 12


class NotchEffect(Wire):
    """Takes out a narrow band, a hum for example."""

    type: Literal["notch"]
    freq_hz: Frequency
    q: float = Field(30.0, ge=0.5, le=200.0, allow_inf_nan=False)


class CompressorEffect(Wire):
    """Turns down what is above the threshold; attack and release are times to 63 % of a step of the gain in dB.

    With a `sidechain` another signal's level decides (the kick turns the bass down). `mix` below 1 is parallel compression.
    """

    type: Literal["compressor"]
    threshold_db: Threshold = -18.0
    ratio: Ratio = 4.0
    attack_ms: Attack = 10.0
    release_ms: Release = 120.0
    knee_db: Knee = 6.0
    makeup_db: float = Field(0.0, ge=-24.0, le=36.0, allow_inf_nan=False)
    lookahead_ms: Lookahead = 0.0
    detector: Literal["peak", "rms"] = "peak"
    sidechain: Key | None = None
    sidechain_highpass_hz: Frequency | None = None
    mix: Share = 1.0


class GateEffect(Wire):
    """Turns down by `range_db` what stays below the threshold; it closes `hysteresis_db` lower than it opens."""

    type: Literal["gate"]
    threshold_db: Threshold = -50.0
    range_db: float = Field(80.0, ge=0.0, le=120.0, allow_inf_nan=False)
    attack_ms: Attack = 1.0
    hold_ms: float = Field(20.0, ge=0.0, le=2_000.0, allow_inf_nan=False)
    release_ms: Release = 100.0
    hysteresis_db: float = Field(4.0, ge=0.0, le=24.0, allow_inf_nan=False)
    lookahead_ms: Lookahead = 0.0
    sidechain: Key | None = None


class ExpanderEffect(Wire):
    """Turns down what is below the threshold, by `ratio` - 1 dB for every dB below it, `range_db` at most."""

    type: Literal["expander"]
    threshold_db: Threshold = -40.0
    ratio: Ratio = 2.0
    range_db: float = Field(40.0, ge=0.0, le=120.0, allow_inf_nan=False)
    attack_ms: Attack = 5.0
    release_ms: Release = 100.0
    knee_db: Knee = 6.0


class DeesserEffect(Wire):
    """Turns down what is above `freq_hz` while it is louder than the threshold, by `max_reduction_db` at most."""

    type: Literal["deesser"]
    freq_hz: Frequency = 6_500.0
    threshold_db: Threshold = -30.0
    max_reduction_db: float = Field(6.0, ge=0.0, le=36.0, allow_inf_nan=False)
    attack_ms: Attack = 1.0
    release_ms: Release = 60.0


class MultibandBand(Wire):
    """What one band of a multiband compressor does; a ratio of 1 leaves it alone."""

    threshold_db: Threshold = -24.0
    ratio: Ratio = 2.0
    attack_ms: Attack = 15.0
    release_ms: Release = 150.0
    knee_db: Knee = 6.0
    makeup_db: float = Field(0.0, ge=-24.0, le=24.0, allow_inf_nan=False)


class MultibandEffect(Wire):
    """A compressor per band; Linkwitz-Riley crossovers (24 dB/oct), so bands that are left alone sum to a flat magnitude."""

    type: Literal["multiband"]
    crossovers_hz: list[Frequency] = Field([120.0, 2_000.0], min_length=1, max_length=MOST_CROSSOVERS)
    bands: list[MultibandBand] = Field([MultibandBand()] * 3, min_length=2, max_length=MOST_CROSSOVERS + 1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.crossovers_hz != sorted(set(self.crossovers_hz)):
            raise ValueError("crossovers_hz must rise")
        if len(self.bands) != len(self.crossovers_hz) + 1:
            raise ValueError("bands must be one more than crossovers_hz")
        return self


class SaturationEffect(Wire):
    """Bends the waveform, oversampled so that what it adds does not alias; a small signal keeps its level."""

    type: Literal["saturation"]
    kind: Literal["tape", "tube", "soft_clip"] = "tape"
    drive_db: float = Field(6.0, ge=0.0, le=48.0, allow_inf_nan=False)
    mix: Share = 1.0


class TransientEffect(Wire):
    """More or less of the onsets (`attack_db`) and of what follows them (`sustain_db`), whatever the level."""

    type: Literal["transient"]
    attack_db: float = Field(0.0, ge=-24.0, le=24.0, allow_inf_nan=False)
    sustain_db: float = Field(0.0, ge=-24.0, le=24.0, allow_inf_nan=False)


class DelayEffect(Wire):
    """Echoes, each `feedback` times the one before; the sound gets longer by what is heard of them."""

    type: Literal["delay"]
    time_ms: float = Field(350.0, ge=1.0, le=5_000.0, allow_inf_nan=False)
    feedback: float = Field(0.3, ge=0.0, le=0.95, allow_inf_nan=False)
    wet: Share = 0.25
    ping_pong: bool = False
    highpass_hz: Frequency | None = None
    lowpass_hz: Frequency | None = None


class ReverbEffect(Wire):
    """A room around the sound, which gets longer by its tail. `decay_s` is the RT60; `wet` 0 is dry, 1 the room alone."""

    type: Literal["reverb"]
    kind: Literal["room", "hall", "plate", "chamber"] = "hall"
    decay_s: float = Field(1.8, ge=0.1, le=20.0, allow_inf_nan=False)
    predelay_ms: float = Field(20.0, ge=0.0, le=500.0, allow_inf_nan=False)
    wet: Share = 0.2
    damping_hz: Frequency = 6_000.0
    lowcut_hz: Frequency = 150.0


class PanEffect(Wire):
    """From -1 (left) to 1 (right), at constant power; what is mono becomes stereo."""

    type: Literal["pan"]
    pan: float = Field(ge=-1.0, le=1.0, allow_inf_nan=False)


class WidthEffect(Wire):
    """The sides against the middle: 0 is mono, 1 leaves the image, 2 doubles the sides. Below `mono_below_hz` all is in the middle."""

    type: Literal["width"]
    width: float = Field(1.0, ge=0.0, le=2.0, allow_inf_nan=False)
    mono_below_hz: Frequency | None = None


class ChannelsEffect(Wire):
    """Folds down or spreads to this many channels (ITU-R BS.775)."""

    type: Literal["channels"]
    to: Literal["mono", "stereo"]


class LimiterEffect(Wire):
    """Holds the true peak under `ceiling_dbtp`, after a gain of `drive_db`."""

    type: Literal["limiter"]
    ceiling_dbtp: Ceiling = -1.0
    drive_db: float = Field(0.0, ge=-24.0, le=36.0, allow_inf_nan=False)
    release_ms: Release = 80.0
    lookahead_ms: float = Field(5.0, ge=0.5, le=50.0, allow_inf_nan=False)


class NormalizeEffect(Wire):
    """To a loudness (`target_lufs`, held under `ceiling_dbtp`; the ceiling wins) or to a true peak (`peak_dbtp`, a gain alone)."""

    type: Literal["normalize"]
    target_lufs: float | None = Field(None, ge=-60.0, le=-1.0, allow_inf_nan=False)
    ceiling_dbtp: Ceiling = -1.0
    peak_dbtp: float | None = Field(None, ge=-60.0, le=0.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if (self.target_lufs is None) == (self.peak_dbtp is None):
            raise ValueError("normalize takes target_lufs or peak_dbtp, one of them")
        return self


class FadeEffect(Wire):
    """In at the start, out at the end."""

    type: Literal["fade"]
    in_seconds: float = Field(0.0, ge=0.0, le=600.0, allow_inf_nan=False)
    out_seconds: float = Field(0.0, ge=0.0, le=600.0, allow_inf_nan=False)
    curve: Literal["linear", "equal_power", "exponential"] = "equal_power"


class TrimEffect(Wire):
    """Keeps what lies between `start_seconds` and `end_seconds` (null: the end)."""

    type: Literal["trim"]
    start_seconds: float = Field(0.0, ge=0.0, le=86_400.0, allow_inf_nan=False)
    end_seconds: float | None = Field(None, gt=0.0, le=86_400.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise ValueError("end_seconds must lie after start_seconds")
        return self


class ResampleEffect(Wire):
    """To another sample rate (soxr, VHQ)."""

    type: Literal["resample"]
    sample_rate_hz: int = Field(ge=8_000, le=192_000)


class DitherEffect(Wire):
    """Rounds to `bit_depth` with triangular noise of 2 LSB; only as the last effect, where nothing rounds again."""

    type: Literal["dither"]
    bit_depth: int = Field(16, ge=8, le=24)


_Insert = (
    GainEffect
    | EqPeakEffect
    | EqLowShelfEffect
    | EqHighShelfEffect
    | HighpassEffect
    | LowpassEffect
    | NotchEffect
    | CompressorEffect
    | GateEffect
    | ExpanderEffect
    | DeesserEffect
    | MultibandEffect
    | SaturationEffect
    | TransientEffect
)
Insert = Annotated[_Insert, Field(discriminator="type")]
"""What changes neither the number of channels nor the length."""


class MidSideEffect(Wire):
    """Effects on what both sides share (`mid`) and on what they do not (`side`), each alone. Stereo only."""

    type: Literal["mid_side"]
    mid: list[Insert] = Field([], max_length=MOST_EFFECTS)
    side: list[Insert] = Field([], max_length=MOST_EFFECTS)


Effect = Annotated[
    _Insert
    | DelayEffect
    | ReverbEffect
    | PanEffect
    | WidthEffect
    | ChannelsEffect
    | MidSideEffect
    | LimiterEffect
    | NormalizeEffect
    | FadeEffect
    | TrimEffect
    | ResampleEffect
    | DitherEffect,
    Field(discriminator="type"),
]

Chain = Annotated[list[Effect], Field(max_length=MOST_EFFECTS)]
"""Applied from first to last."""
