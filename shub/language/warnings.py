"""What is wrong or hardly ever meant in effects and output formats: verdicts with words, for commands and for requests alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from config.contracts.shub import AudioWarning

Language = Literal["es", "en"]
Values = Mapping[str, Any]
Found = tuple[str, str, str]
"""Code, in Spanish, in English."""

LOWEST_HEARD_HZ, HIGHEST_HEARD_HZ = 20.0, 20_000.0  # the audible range of ISO 226 and of every textbook
MOST_BOOST_DB, MOST_CUT_DB = 12.0, -24.0  # what the knobs of analogue equalizers reach
MOST_FADER_DB, LEAST_FADER_DB = 12.0, -40.0  # faders end at +10 or +12; what is 40 dB lower is as good as muted
LIMITING_RATIO = 10.0
"""From here a compressor is called a limiter (R. Izhaki, Mixing Audio, "Compressors"; Wikipedia, "Dynamic range compression")."""
ATTACKS_MS = (0.02, 250.0)  # from an 1176 at its fastest, to slower than any note begins
RELEASES_MS = (5.0, 4_000.0)  # below one period of a bass note it distorts
LOUDEST_LUFS, SOFTEST_LUFS = -8.0, -31.0
"""Louder than nearly every release; softer than any broadcast (ATSC A/85: -24, EBU R 128: -23, film on streaming: -27)."""
LOSSY_DBTP = -1.0
"""Coding with loss adds overshoots: Spotify, Apple and EBU R 128 (s2) ask for -1 dBTP or less."""
HARD_PAN = 0.5
LOW_END = ("bass", "kick", "sub")
LOSSY = ("mp3", "ogg", "aac", "m4a", "opus", "wma")
WRITTEN = ("wav", "flac", "mp3", "ogg")
BIT_DEPTHS = (16, 24, 32)
DITHERED_BITS = 16
SAMPLE_RATES_HZ = (8_000, 192_000)
LOUD_FEEDBACK = 0.85
NARROW_Q = 20.0
CLIPPING_DB = 10.0
"""More than this on top of each other, with nothing that holds the peaks, and a stem with the usual headroom clips."""


def warnings_of_effects(
    effects: Sequence[Values],
    *,
    sample_rate_hz: int | None = None,
    target_role: str | None = None,
    language: Language = "en",
) -> list[AudioWarning]:
    """What a person should know of these effects (dicts as on the wire) on a sound of that role and rate, in their order."""
    found = [one for effect in _flat(effects) for one in _of_effect(effect, sample_rate_hz, target_role)]
    boost = sum(max(effect.get("gain_db") or 0.0, 0.0) for effect in effects)
    holds = any(effect.get("type") in ("limiter", "normalize") for effect in effects)
    if boost > CLIPPING_DB and not holds:
        found.append(
            (
                "may_clip",
                f"{boost:g} dB de más pueden recortar: baja antes el nivel o pon un limitador al final",
                f"{boost:g} dB more may clip: lower the level before, or put a limiter last",
            )
        )
    return told(found, language)


def warnings_of_output(
    params: Values, *, source_bit_depth: int | None = None, is_streamed: bool = False, language: Language = "en"
) -> list[AudioWarning]:
    """What a person should know of a loudness, a ceiling, a format (`target_lufs`, `ceiling_dbtp`, `format`, `bit_depth`, `dither`, …).

    `source_bit_depth` is that of what is reduced; None is more than any file's. `is_streamed`: a service will code it with loss.
    """
    return told(list(_of_output(params, source_bit_depth, is_streamed)), language)


def told(found: Sequence[Found], language: Language) -> list[AudioWarning]:
    """The same in words of one language, without repetitions; those in English have the Spanish ones beside them."""
    each = dict.fromkeys(found)
    if language == "es":
        return [AudioWarning(code=code, text=es) for code, es, _ in each]
    return [AudioWarning(code=code, text=en, text_es=es) for code, es, en in each]


def destructive() -> Found:
    return (
        "destructive_requires_confirmation",
        "esto borra archivos y no se puede deshacer: hace falta que lo confirmes",
        "this deletes files and cannot be undone: it needs your confirmation",
    )


def _flat(effects: Sequence[Values]) -> Iterator[Values]:
    for effect in effects:
        yield effect
        for side in ("mid", "side"):
            yield from _flat(effect.get(side) or ())
        yield from ({"type": "compressor", **band} for band in effect.get("bands") or ())


def _of_effect(effect: Values, sample_rate_hz: int | None, role: str | None) -> Iterator[Found]:
    for name in ("freq_hz", "highpass_hz", "lowpass_hz", "damping_hz", "lowcut_hz", "sidechain_highpass_hz"):
        if (hertz := effect.get(name)) is not None:
            yield from _of_frequency(hertz, sample_rate_hz)
    for hertz in effect.get("crossovers_hz") or ():
        yield from _of_frequency(hertz, sample_rate_hz)
    for name, (lowest, highest), code, es, en in _TIMES:
        value = effect.get(name)
        if value is not None and effect.get("type") != "reverb" and not lowest <= value <= highest:
            yield (code, f"{es} de {value:g} ms no es habitual", f"{en} of {value:g} ms is unusual")
    yield from _OF_TYPE.get(effect.get("type", ""), _nothing)(effect, role)


_TIMES: tuple[tuple[str, tuple[float, float], str, str, str], ...] = (
    ("attack_ms", ATTACKS_MS, "attack_out_of_range", "un ataque", "an attack"),
    ("release_ms", RELEASES_MS, "release_out_of_range", "un release", "a release"),
)


def _of_frequency(hertz: float, sample_rate_hz: int | None) -> Iterator[Found]:
    if not LOWEST_HEARD_HZ <= hertz <= HIGHEST_HEARD_HZ:
        yield (
            "freq_inaudible",
            f"{hertz:g} Hz no se oye: el oído llega de 20 Hz a 20 kHz",
            f"{hertz:g} Hz is not heard: ears reach from 20 Hz to 20 kHz",
        )
    if sample_rate_hz is not None and hertz >= sample_rate_hz / 2:
        yield (
            "freq_above_nyquist",
            f"{hertz:g} Hz no existe en un sonido a {sample_rate_hz:g} Hz: llega hasta {sample_rate_hz / 2:g} Hz",
            f"there is no {hertz:g} Hz in a sound at {sample_rate_hz:g} Hz: it ends at {sample_rate_hz / 2:g} Hz",
        )


def _nothing(effect: Values, role: str | None) -> Iterator[Found]:
    yield from ()


def _of_eq(effect: Values, role: str | None) -> Iterator[Found]:
    gain, q = effect.get("gain_db") or 0.0, effect.get("q") or 1.0
    if not MOST_CUT_DB <= gain <= MOST_BOOST_DB:
        yield _gain_out_of_range(gain)
    if effect.get("type") == "eq_peak" and gain > 0 and q > NARROW_Q:
        yield ("q_out_of_range", f"realzar con una Q de {q:g} suena a pitido", f"a boost with a Q of {q:g} rings")


def _of_gain(effect: Values, role: str | None) -> Iterator[Found]:
    gain = effect.get("gain_db") or 0.0
    if not LEAST_FADER_DB <= gain <= MOST_FADER_DB:
        yield _gain_out_of_range(gain)


def _gain_out_of_range(gain: float) -> Found:
    return (
        "gain_out_of_range",
        f"{gain:+g} dB es mucho más de lo habitual: ¿seguro que son dB?",
        f"{gain:+g} dB is far more than usual: are you sure it is dB?",
    )


def _of_compressor(effect: Values, role: str | None) -> Iterator[Found]:
    ratio = effect.get("ratio") or 1.0
    if ratio >= LIMITING_RATIO:
        yield (
            "ratio_is_limiting",
            f"un ratio de {ratio:g}:1 limita más que comprime; 2:1 a 6:1 es lo habitual",
            f"a ratio of {ratio:g}:1 limits rather than compresses; 2:1 to 6:1 is usual",
        )
    if (makeup := effect.get("makeup_db") or 0.0) > MOST_FADER_DB:
        yield _gain_out_of_range(makeup)


def _of_reverb(effect: Values, role: str | None) -> Iterator[Found]:
    if role in LOW_END:
        yield (
            "reverb_on_low_end",
            "la reverb en los graves enturbia la mezcla: corta por debajo de 200-300 Hz o déjalo seco",
            "reverb on the low end makes a mix muddy: cut it below 200 to 300 Hz, or keep it dry",
        )
    yield from _of_wet(effect, role)


def _of_wet(effect: Values, role: str | None) -> Iterator[Found]:
    if (effect.get("wet") or 0.0) >= 0.99 and role not in ("fx", "bus"):
        yield (
            "fully_wet_insert",
            "al 100 % no queda nada del sonido seco: así solo tiene sentido en un envío",
            "at 100 % nothing is left of the dry sound: that makes sense on a send only",
        )
    if (effect.get("feedback") or 0.0) > LOUD_FEEDBACK:
        yield (
            "feedback_runaway",
            f"con una realimentación de {effect['feedback']:g} los ecos apenas se apagan",
            f"with a feedback of {effect['feedback']:g} the echoes hardly die away",
        )


def _of_pan(effect: Values, role: str | None) -> Iterator[Found]:
    if role in LOW_END and abs(effect.get("pan") or 0.0) > HARD_PAN:
        yield (
            "low_frequency_hard_pan",
            "los graves a un lado desequilibran la mezcla y pierden fuerza: lo habitual es dejarlos en el centro",
            "a low end on one side unbalances the mix and loses force: it is usually kept in the middle",
        )


def _of_width(effect: Values, role: str | None) -> Iterator[Found]:
    if (effect.get("width") or 1.0) > 1.5:
        yield (
            "mono_compatibility",
            "tanta anchura pierde en mono: compruébalo en un solo altavoz",
            "so much width is lost in mono: check it on one speaker",
        )
    if role in LOW_END and (effect.get("width") or 1.0) > 1.0 and not effect.get("mono_below_hz"):
        yield (
            "wide_low_end",
            "los graves anchos pierden fuerza en mono: déjalos en el centro por debajo de 120 Hz",
            "a wide low end loses force in mono: keep it in the middle below 120 Hz",
        )


def _of_normalize(effect: Values, role: str | None) -> Iterator[Found]:
    if (target := effect.get("target_lufs")) is not None:
        yield from _of_loudness(target)


_OF_TYPE: Mapping[str, Callable[[Values, str | None], Iterator[Found]]] = {
    "eq_peak": _of_eq,
    "eq_low_shelf": _of_eq,
    "eq_high_shelf": _of_eq,
    "gain": _of_gain,
    "compressor": _of_compressor,
    "reverb": _of_reverb,
    "delay": _of_wet,
    "pan": _of_pan,
    "width": _of_width,
    "normalize": _of_normalize,
}


def _of_loudness(target: float) -> Iterator[Found]:
    if not SOFTEST_LUFS <= target <= LOUDEST_LUFS:
        yield (
            "loudness_target_implausible",
            f"{target:g} LUFS no es un objetivo habitual: streaming -14, radio y televisión -23",
            f"{target:g} LUFS is no usual target: streaming -14, broadcast -23",
        )


def _of_output(params: Values, source_bit_depth: int | None, is_streamed: bool) -> Iterator[Found]:
    if (target := params.get("target_lufs")) is not None:
        yield from _of_loudness(target)
    form, ceiling, bits = params.get("format"), params.get("ceiling_dbtp"), params.get("bit_depth")
    if ceiling is not None and ceiling > LOSSY_DBTP and (form in LOSSY or is_streamed):
        yield (
            "ceiling_too_high_for_lossy",
            f"con un techo de {ceiling:g} dBTP los formatos con pérdida recortan: -1 dBTP o menos",
            f"with a ceiling of {ceiling:g} dBTP lossy formats clip: -1 dBTP or less",
        )
    if bits is not None:
        yield from _of_bits(bits, params, source_bit_depth)
    if form is not None and form not in WRITTEN:
        yield (
            "format_not_available",
            f"{form} no se escribe aquí: wav, flac, mp3 u ogg",
            f"{form} is not written here: wav, flac, mp3 or ogg",
        )
    if form in LOSSY and bits is not None:
        yield ("value_not_used", f"{form} no tiene profundidad de bits", f"{form} has no bit depth")
    rate = params.get("sample_rate_hz")
    if rate is not None and not SAMPLE_RATES_HZ[0] <= rate <= SAMPLE_RATES_HZ[1]:
        yield (
            "sample_rate_out_of_range",
            f"{rate:g} Hz no es una frecuencia de muestreo posible aquí: de 8 a 192 kHz",
            f"{rate:g} Hz is no sample rate that is possible here: 8 to 192 kHz",
        )


def _of_bits(bits: float, params: Values, source_bit_depth: int | None) -> Iterator[Found]:
    if bits not in BIT_DEPTHS:
        yield (
            "bit_depth_not_available",
            f"{bits:g} bits no se escriben aquí: 16, 24 o 32",
            f"{bits:g} bits are not written here: 16, 24 or 32",
        )
    if bits == 32 and params.get("format") == "flac":
        yield ("bit_depth_not_available", "FLAC tiene 16 o 24 bits, no 32", "FLAC holds 16 or 24 bits, not 32")
    is_reduced = source_bit_depth is None or source_bit_depth > bits
    if bits <= DITHERED_BITS and is_reduced and params.get("dither") in ("none", False):
        yield (
            "dither_missing_on_bit_depth_reduction",
            f"al bajar a {bits:g} bits sin dither queda distorsión de cuantización (Lipshitz y otros, JAES 1992)",
            f"without dither, going down to {bits:g} bits leaves quantization distortion (Lipshitz et al., JAES 1992)",
        )
