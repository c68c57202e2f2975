"""Numbers with units in a text about audio, read and checked: what is possible is a parameter, what is not is a warning."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from switch.audio.terms import folded

NUMBER = r"(?<![\d.,])(-?\d+(?:[.,]\d+)?)"
BIT_DEPTHS = (16, 24, 32)
FORMATS = ("wav", "aiff", "flac", "mp3", "ogg", "aac", "m4a", "opus")
HIGHEST_HEARD_HZ = 22_000.0
"""Above what anybody hears, and below every sample rate of music: what is higher is a sample rate, what is lower a frequency."""


@dataclass(frozen=True, slots=True)
class Range:
    lowest: float
    highest: float
    unit: str

    def holds(self, value: float) -> bool:
        return self.lowest <= value <= self.highest


RANGES = {
    "target_lufs": Range(-70.0, 0.0, "LUFS"),  # ITU-R BS.1770-4: what is below -70 LUFS is gated out
    "ceiling_dbtp": Range(-24.0, 0.0, "dBTP"),
    "sample_rate_hz": Range(8_000.0, 384_000.0, "Hz"),
    "frequency_hz": Range(10.0, HIGHEST_HEARD_HZ, "Hz"),
    "ratio": Range(1.0, 100.0, ":1"),
    "threshold_db": Range(-100.0, 0.0, "dB"),
    "gain_db": Range(-60.0, 24.0, "dB"),
    "attack_ms": Range(0.01, 1_000.0, "ms"),
    "release_ms": Range(1.0, 10_000.0, "ms"),
    "pre_delay_ms": Range(0.0, 500.0, "ms"),
    "delay_ms": Range(0.0, 5_000.0, "ms"),
    "tempo_bpm": Range(20.0, 400.0, "bpm"),
    "bitrate_kbps": Range(8.0, 1_411.2, "kbps"),
}
"""What a parameter can be at all; the rest is a slip of the tongue."""


@dataclass(slots=True)
class Read:
    parameters: dict[str, Any] = field(default_factory=dict)
    impossible: list[tuple[str, float]] = field(default_factory=list)
    """Parameters and their values that were asked for and cannot be."""


def read(text: str) -> Read:
    """What was asked for, in the units of the names. Of several numbers for the same thing the first counts."""
    said, found = folded(text), Read()
    for name, value in _numbers(said):
        if name in found.parameters or any(name == other for other, _ in found.impossible):
            continue
        is_possible = value in BIT_DEPTHS if name == "bit_depth" else RANGES[name].holds(value)
        if is_possible:
            found.parameters[name] = int(value) if value.is_integer() and name in WHOLE else value
        else:
            found.impossible.append((name, value))
    formats = re.findall(rf"\b({'|'.join(FORMATS)})\b", said)
    if formats:
        found.parameters["format"] = formats[-1]  # "convert the wav to flac"
    channels = re.findall(r"\b(mono|estereo|stereo)\b(?! compat)", said)
    if channels and "compatib" not in said:
        found.parameters["channels"] = 1 if channels[-1] == "mono" else 2
    return found


WHOLE = ("sample_rate_hz", "bit_depth", "tempo_bpm", "bitrate_kbps")


def _numbers(said: str) -> Iterator[tuple[str, float]]:
    for name, pattern, of in _PATTERNS:
        for match in pattern.finditer(said):
            value = of(match)
            if value is not None:
                yield name, value


def _plain(match: re.Match[str]) -> float:
    return float(match.group(1).replace(",", "."))


def _milliseconds(match: re.Match[str]) -> float:
    return _plain(match) * (1000.0 if match.group(2).startswith("s") else 1.0)


def _hertz(match: re.Match[str]) -> float:
    return _plain(match) * (1000.0 if match.group(2).startswith("k") else 1.0)


def _sample_rate(match: re.Match[str]) -> float | None:
    hertz = _hertz(match)
    return float(round(hertz)) if hertz > HIGHEST_HEARD_HZ else None


def _frequency(match: re.Match[str]) -> float | None:
    hertz = _hertz(match)
    return None if hertz > HIGHEST_HEARD_HZ else hertz


def _signed(match: re.Match[str]) -> float:
    """A cut is negative whatever sign was said."""
    value = float(match.group(2).replace(",", "."))
    return -abs(value) if LESS.match(match.group(1)) else value


LESS = re.compile(r"baj|reduc|cut|cort|quit|recort|lower|attenu|aten|rest")
_BETWEEN = r"(?:[^\w-]|-(?!\d))++"  # possessive: nothing that is written makes this slow
_AMOUNT = rf"([a-z]++){_BETWEEN}(?:\w++{_BETWEEN}){{0,4}}?([-+]?\d+(?:[.,]\d+)?)"
Of = Callable[[re.Match[str]], float | None]
_PATTERNS: tuple[tuple[str, re.Pattern[str], Of], ...] = tuple(
    (name, re.compile(pattern), of)
    for name, pattern, of in (
        ("target_lufs", rf"{NUMBER}\s*(?:lufs|lkfs)\b", _plain),
        ("ceiling_dbtp", rf"{NUMBER}\s*dbtp\b", _plain),
        (
            "ceiling_dbtp",
            rf"\b(?:techo|ceiling|true peak|pico real|pico verdadero)\b\D{{0,15}}?{NUMBER}\s*db(?!fs)",
            _plain,
        ),
        (
            "sample_rate_hz",
            rf"\b(?:sample rate|frecuencia de muestreo|muestreo)\b\D{{0,12}}{NUMBER}\s*(k?)(?:hz)?\b",
            _hertz,
        ),
        ("sample_rate_hz", rf"{NUMBER}\s*(k?)hz\b", _sample_rate),
        (
            "frequency_hz",
            rf"(?<!muestreo )(?<!muestreo a )(?<!muestreo de )(?<!rate )(?<!rate of ){NUMBER}\s*(k?)hz\b",
            _frequency,
        ),
        ("bit_depth", r"\b(\d{1,3})[\s-]*bits?\b", _plain),
        ("ratio", rf"(?<!:){NUMBER}\s*(?::|\ba\b|\bto\b)\s*1\b(?!:|[.,]?\d)", _plain),
        ("threshold_db", rf"\b(?:threshold|umbral)\b\D{{0,15}}?{NUMBER}\s*db\b", _plain),
        ("attack_ms", rf"\b(?:attack|ataque)\b\D{{0,15}}?{NUMBER}\s*(ms|s)\b", _milliseconds),
        ("attack_ms", rf"{NUMBER}\s*(ms|s)\s+(?:de\s+|of\s+)?(?:attack|ataque)\b", _milliseconds),
        ("release_ms", rf"\b(?:release|relajacion|liberacion)\b\D{{0,15}}?{NUMBER}\s*(ms|s)\b", _milliseconds),
        ("release_ms", rf"{NUMBER}\s*(ms|s)\s+(?:de\s+|of\s+)?(?:release|relajacion|liberacion)\b", _milliseconds),
        ("pre_delay_ms", rf"{NUMBER}\s*(ms|s)\s+(?:de\s+|of\s+)?pre-?delay\b", _milliseconds),
        ("pre_delay_ms", rf"\bpre-?delay\b\D{{0,8}}?{NUMBER}\s*(ms|s)\b", _milliseconds),
        ("delay_ms", rf"(?<!pre-)(?<!pre)\bdelay\b\D{{0,15}}?{NUMBER}\s*(ms|s)\b", _milliseconds),
        ("tempo_bpm", rf"{NUMBER}\s*bpm\b", _plain),
        ("bitrate_kbps", rf"{NUMBER}\s*k(?:bps|bit/s|b/s)\b", _plain),
        (
            "gain_db",
            rf"\b(?=(?:sub|baj|boost|cut|rais|lower|gain|gananc|aument|reduc|realz|recort|cort|quit|add|anad|aten|attenu))"
            rf"{_AMOUNT}\s*db\b",
            _signed,
        ),
    )
)
