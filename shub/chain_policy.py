"""Whether a chain can be: verdicts before anything is read or made. No I/O."""

from collections.abc import Iterator, Sequence
from typing import Any

from config.contracts.common import Wire
from config.contracts.shub import Excerpt, OutputFormat
from config.errors import InvalidRequest
from shub.dsp.formats import LOSSY, MOST_LOSSY_CHANNELS, MP3_RATES_HZ

_FREQUENCIES = (
    "freq_hz",
    "damping_hz",
    "lowcut_hz",
    "highpass_hz",
    "lowpass_hz",
    "sidechain_highpass_hz",
    "mono_below_hz",
)


def refuse_impossible_chain(
    effects: Sequence[Wire], *, sample_rate_hz: int, channels: int, place: str = "chain"
) -> tuple[int, int]:
    """The rate in Hz and the number of channels that come out.

    Raises InvalidRequest, naming the effect by its place, for a chain that no sound of this rate and so many channels can take.
    """
    rate, count, trims, is_cut_before = sample_rate_hz, channels, False, False
    for number, effect in enumerate(effects):
        values = effect.model_dump()
        kind, here = values["type"], f"{place}.{number} ({values['type']})"
        for name, hertz in _frequencies(values):
            if hertz >= rate / 2:
                raise InvalidRequest(f"{here}: {name} {hertz:g} Hz is not below half the sample rate ({rate / 2:g} Hz)")
        trims = trims or kind == "trim"
        is_cut_before = is_cut_before or (kind == "normalize" and trims)
        if values.get("sidechain") and is_cut_before:
            raise InvalidRequest(
                f"{here}: after trim and normalize a side-chain is out of step; put the effect before them"
            )
        if kind in ("mid_side", "width") and count != 2:
            raise InvalidRequest(f"{here}: it needs two channels, and here there are {count}")
        if kind == "pan" and count > 2:
            raise InvalidRequest(f"{here}: it places mono and stereo, and here there are {count} channels")
        if kind == "dither" and number != len(effects) - 1:
            raise InvalidRequest(f"{here}: only the last effect can dither: what comes after it would round again")
        if kind == "mid_side":
            for side in ("mid", "side"):
                inner = f"{here}.{side}"
                refuse_impossible_chain(getattr(effect, side), sample_rate_hz=rate, channels=1, place=inner)
        rate = values["sample_rate_hz"] if kind == "resample" else rate
        if kind == "pan" or kind == "channels" or (kind == "delay" and values["ping_pong"] and count == 1):
            count = 1 if values.get("to") == "mono" else 2
    return rate, count


def refuse_impossible_preview(excerpt: Excerpt | None, duration_seconds: float) -> None:
    """Raises InvalidRequest for a part that begins where the sound of the file is over."""
    if excerpt is not None and excerpt.start_seconds is not None and excerpt.start_seconds >= duration_seconds:
        raise InvalidRequest(
            f"preview.start_seconds: it starts at {excerpt.start_seconds:g} s, the sound ends at {duration_seconds:.3f} s"
        )


def refuse_too_many_channels(output: OutputFormat, channels: int) -> None:
    """Raises InvalidRequest for more channels than the format is written with."""
    if output.format in LOSSY and channels > MOST_LOSSY_CHANNELS:
        raise InvalidRequest(
            f"format: {output.format} is written in mono and stereo here, not with {channels} channels; "
            "an effect channels to stereo folds them down"
        )


def refuse_impossible_output(output: OutputFormat) -> None:
    """Raises InvalidRequest for what no file can hold."""
    if output.format == "flac" and output.bit_depth == 32:
        raise InvalidRequest("bit_depth: FLAC holds 16 or 24 bits; 32 is floating point and needs format wav")
    if output.format == "mp3" and output.sample_rate_hz not in (None, *MP3_RATES_HZ):
        raise InvalidRequest(f"sample_rate_hz: MP3 has no {output.sample_rate_hz} Hz; the highest are 44100 and 48000")
    if output.bitrate_kbps is not None and output.format in ("wav", "flac"):
        raise InvalidRequest(f"bitrate_kbps: {output.format} keeps every bit; a bit rate is for mp3 and ogg")
    if output.dither == "tpdf" and (output.format in ("mp3", "ogg") or output.bit_depth == 32):
        raise InvalidRequest("dither: only what is rounded to 16 or 24 bits can be dithered")


def sidechains_of(effects: Sequence[Wire]) -> list[str]:
    """The names of all signals whose level moves a gain, each once."""
    found: dict[str, None] = {}
    for effect in effects:
        if name := getattr(effect, "sidechain", None):
            found[name] = None
        for side in ("mid", "side"):
            found |= dict.fromkeys(sidechains_of(getattr(effect, side, [])))
    return list(found)


def _frequencies(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    # The damping and low cut of a reverb have defaults that a low rate cannot hold; the reverb leaves them out there.
    for name in _FREQUENCIES:
        if values.get(name) is not None and not (values["type"] == "reverb" and name == "damping_hz"):
            yield name, values[name]
    for hertz in values.get("crossovers_hz", ()):
        yield "crossovers_hz", hertz
