"""What is asked of a file: format, bits, rate, loudness, ceiling, target; and the little that a trim needs."""

from typing import Any

from shub.language.clause import Clause
from shub.language.scanning import Item
from shub.language.sound.draft import Sound
from shub.language.sound.numbers import keep
from shub.language.words import words_of

LOSSY = ("mp3", "ogg", "aac", "m4a", "opus", "wma")
BITS = (8, 16, 20, 24, 32)
RATES = {
    22.05: 22_050,
    32.0: 32_000,
    44.1: 44_100,
    44.0: 44_100,
    48.0: 48_000,
    88.2: 88_200,
    96.0: 96_000,
    176.4: 176_400,
    192.0: 192_000,
}
LOWEST_RATE_HZ = 8_000


def output_params(clause: Clause) -> Sound:
    """Format and numbers of an export or a master. Bare numbers are read as what they usually are: `24/96`, `mp3 a 320`, `a -14`."""
    sound = Sound()
    params = sound.params
    formats = [item["format"] for item in clause.items if "format" in item.tags]
    if formats:
        params["format"] = formats[-1]
    if clause.has("special", "last_dither_no") or any(item.is_a("effect", "dither") for item in clause.refused):
        params["dither"] = "none"
    elif clause.has("effect", "dither"):
        params["dither"] = "tpdf"
    platforms = [item["platform"] for item in clause.items if "platform" in item.tags]
    if platforms:
        params["target"] = platforms[0]
    if clause.has("effect", "mono"):
        params["channels"] = 1
    elif clause.has("effect", "stereo") or any(item.text in ("stereo", "estereo") for item in clause.items):
        params["channels"] = 2
    for item in clause.numbers:
        _take(item, clause, sound)
    return sound


def _take(item: Item, clause: Clause, sound: Sound) -> None:
    quantity = item.quantity
    assert quantity is not None
    name, value = _meaning(item, item.label, sound.params)
    if name and name not in sound.params:
        sound.params[name] = value
    elif not name or sound.params[name] != value:
        keep(sound, item.label, item)


def _meaning(item: Item, label: str, params: dict[str, Any]) -> tuple[str, float | int]:
    quantity = item.quantity
    assert quantity is not None
    value, unit = quantity.value, quantity.unit
    if unit == "lufs" or (label == "loudness" and unit in ("", "db")):
        return "target_lufs", -value if value > 0 and not quantity.signed else value
    if unit == "dbtp" or (label in ("ceiling", "max") and unit in ("db", "")):
        return "ceiling_dbtp", value if quantity.signed else -abs(value)
    if unit == "bit" or (label == "bits" and unit == ""):
        return "bit_depth", int(value)
    if unit == "kbps" or (label == "quality" and unit in ("", "khz")):
        return "bitrate_kbps", int(value)
    if unit in ("hz", "khz"):
        if unit == "khz" and value > 64 and params.get("format") in LOSSY and value not in RATES:
            return "bitrate_kbps", int(value)
        if unit == "khz" and params.get("format") in LOSSY and value in (128, 192, 320):
            return "bitrate_kbps", int(value)
        hertz = round(RATES.get(value, value * 1000.0) if unit == "khz" else value)
        return ("sample_rate_hz", hertz) if hertz >= LOWEST_RATE_HZ else ("freq_hz", hertz)
    if unit == "count":
        return "stem_count", int(value)
    if unit == "bpm":
        return "tempo_bpm", value
    if unit == "s":
        return "seconds", value
    if (
        unit == ""
        and value.is_integer()
        and params.get("format") in LOSSY
        and 32 <= value <= 500
        and value not in (44, 48, 96)
    ):
        return "bitrate_kbps", int(value)
    if unit == "" and value in BITS:
        return "bit_depth", int(value)
    if unit == "" and value in RATES:
        return "sample_rate_hz", RATES[value]
    if unit == "" and value >= LOWEST_RATE_HZ:
        return "sample_rate_hz", int(value)
    if (unit in ("db", "") and -3.0 <= value < 0) or (unit == "" and value == 0 and quantity.signed):
        return "ceiling_dbtp", value
    if unit in ("", "db") and value < -3.0:
        return "target_lufs", value
    return "", 0


def trim_of(clause: Clause, sound: Sound) -> dict[str, Any] | None:
    """A trim, where seconds are to be cut from the start or to be kept between two moments; None where nothing of it was said.

    What is cut from the end by its length is kept in the params: where that is depends on how long the sound is.
    """
    moments = _moments(clause)
    if not moments:
        return None
    keeps = clause.is_only or bool(_KEEPING & set(clause.words)) or not clause.said("cut", "remove")
    start = end = None
    for seconds, side in moments:
        if side == "last":
            sound.params["trim_end_seconds"] = seconds
            sound.unused.append(f"{seconds:g} s")
        elif side == "first":
            start, end = (start, seconds) if keeps and len(moments) == 1 else (seconds, end)
        elif side == "after":
            start, end = (seconds, end) if keeps or len(moments) > 1 else (start, seconds)
        elif side == "before":
            start, end = (start, seconds) if keeps or len(moments) > 1 else (seconds, end)
        elif start is None:
            start = seconds
        else:
            end = seconds
    if start is None and end is None:
        return {}
    if start is not None and end is not None and start > end:
        start, end = end, start
    effect: dict[str, Any] = {"type": "trim", "start_seconds": start or 0.0}
    return {**effect, "end_seconds": end} if end is not None else effect


_KEEPING = words_of("keep deja dejar leave quedate quedarme quedarse conserva conservar only solo just retain preserve")
_SIDES = {
    "first": words_of("primer primero primera primeros primeras first initial opening inicial iniciales"),
    "last": words_of("ultimo ultima ultimos ultimas last final finales closing"),
    "after": words_of("after despues tras desde from partir past adelante onwards onward on"),
    "before": words_of("before antes hasta until till"),
}
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0}


def _moments(clause: Clause) -> list[tuple[float, str]]:
    """Every moment or length that was said, in seconds, and on which side of it things are, where that was said."""
    timed = [item for item in clause.numbers if item.quantity is not None and item.quantity.unit in _SECONDS]
    if not timed:
        return []
    bare = [item for item in clause.numbers if item.quantity is not None and item.quantity.unit == ""]
    origin = min(item.at for item in clause.items)
    found, begin = list[tuple[float, str]](), 0
    for item in sorted(timed + (bare if len(timed) == 1 else []), key=lambda one: one.at):
        quantity = item.quantity
        assert quantity is not None
        if quantity.value < 0:
            continue
        until = item.until - origin
        before, after = clause.words[begin : item.at - origin], clause.words[until : until + 3]
        found.append((quantity.value * _SECONDS.get(quantity.unit, 1.0), _side(before[-5:], after)))
        begin = until
    return found


def _side(before: list[str], after: list[str]) -> str:
    for word in reversed(before):
        for side, words in _SIDES.items():
            if word in words:
                return side
    return "after" if {"adelante", "on", "onwards", "onward"} & set(after) else ""
