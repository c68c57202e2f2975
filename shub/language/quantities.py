"""Numbers and their units, in digits and in words: 1,5 dB, tres decibelios, 200-500 Hz, 4:1, "cuatro a uno", -14 LUFS, 30 %, 2.5k, 50L."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from shub.language.words import Token, words_of


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that was said. `unit` is canonical ("" when there was none), `signed` when the sign was said."""

    value: float
    unit: str
    start: int
    end: int
    signed: bool = False
    is_range_end: bool = False
    """The higher one of "200-500 Hz"."""


UNITS: Mapping[str, str] = {
    word: unit
    for unit, words in {
        "db": "db dbs decibel decibels decibelio decibelios decibeles desibelio desibelios dbfs dba",
        "dbtp": "dbtp",
        "lufs": "lufs lkfs luf",
        "lu": "lu",
        "hz": "hz cycle cycles ciclo ciclos cps hercio hercios hertz herz herzio herzios hertzio hertzios hertzs",
        "khz": "khz k kilohercio kilohercios kilohertz kiloherz kilos kilo kiloherzios kilohertzios",
        "ms": "ms milisegundo milisegundos millisecond milliseconds msec msecs mseg millis milis",
        "s": "s seg segs segundo segundos second seconds sec secs",
        "min": "min mins minuto minutos minute minutes",
        "%": "percent pct",
        "bit": "bit bits",
        "bpm": "bpm",
        "kbps": "kbps kbit kbits kbs",
        "st": "semitono semitonos semitone semitones st",
        "cent": "cent cents cents",
        "oct": "octava octavas octave octaves",
        "deg": "grado grados degree degrees",
        "x": "x veces times",
        "beat": "compas compases bar bars beat beats",
    }.items()
    for word in words.split()
}
COUNTED = words_of("stem stems pista pistas track tracks canal canales archivo archivos file files channel channels")
_ONES = {
    "cero": 0, "zero": 0, "un": 1, "uno": 1, "una": 1, "one": 1, "a": 1, "an": 1, "otro": 1, "otra": 1, "another": 1,
    "dos": 2, "two": 2, "tres": 3, "three": 3, "cuatro": 4,
    "four": 4, "cinco": 5, "five": 5, "seis": 6, "six": 6, "siete": 7, "seven": 7, "ocho": 8, "eight": 8, "nueve": 9, "nine": 9,
    "diez": 10, "ten": 10, "once": 11, "eleven": 11, "doce": 12, "twelve": 12, "trece": 13, "thirteen": 13, "catorce": 14,
    "fourteen": 14, "quince": 15, "fifteen": 15, "dieciseis": 16, "sixteen": 16, "diecisiete": 17, "seventeen": 17, "dieciocho": 18,
    "eighteen": 18, "diecinueve": 19, "nineteen": 19, "veinte": 20, "twenty": 20, "veintiuno": 21, "veintidos": 22, "veintitres": 23,
    "veinticuatro": 24, "veinticinco": 25, "veintiseis": 26, "veintisiete": 27, "veintiocho": 28, "veintinueve": 29, "treinta": 30,
    "thirty": 30, "cuarenta": 40, "forty": 40, "cincuenta": 50, "fifty": 50, "sesenta": 60, "sixty": 60, "setenta": 70, "seventy": 70,
    "ochenta": 80, "eighty": 80, "noventa": 90, "ninety": 90, "cien": 100, "ciento": 100, "doscientos": 200, "trescientos": 300,
    "cuatrocientos": 400, "quinientos": 500, "seiscientos": 600, "setecientos": 700, "ochocientos": 800, "novecientos": 900,
}  # fmt: skip
_ARTICLES = words_of("un una uno one a an otro otra another once")
_HALVES = frozenset({"medio", "media", "half"})
_SCALES = {"hundred": 100, "mil": 1000, "thousand": 1000}
_PLAIN_UNITS = words_of("db dbtp lufs lu hz khz ms s bit oct st % x min beat bpm")
_BETWEEN = words_of("y and a to - hasta e")
_INSTRUMENTS = frozenset({808, 909, 707, 606, 1176})


def quantities(tokens: list[Token]) -> tuple[list[Quantity], list[int]]:
    """Every quantity, in order, with places in the text; and for each token the index of the quantity it belongs to, or -1."""
    found: list[Quantity] = []
    owner = [-1] * len(tokens)
    at = 0
    while at < len(tokens):
        number = _number(tokens, at)
        if number is None:
            at += 1
            continue
        value, begin, after, signed = number
        if after - at == 3 and tokens[at + 1].text == ":":
            unit = "s"
        else:
            unit, after, value = _unit(tokens, after, value)
            if not unit and begin and tokens[begin - 1].text in ("segundo", "second"):
                unit = "s"
        if _is_no_quantity(tokens, begin, at, after, unit, value):
            at += 1
            continue
        value, unit = _by_thousands(tokens[at], value, unit, after - at)
        for index in range(begin, after):
            owner[index] = len(found)
        found.append(Quantity(value, unit, tokens[begin].start, tokens[after - 1].end, signed))
        at = after
    return _ranges(tokens, found, owner), owner


def _is_no_quantity(tokens: list[Token], begin: int, at: int, after: int, unit: str, value: float) -> bool:
    """Articles without a unit ("un poco", "a bit"), names of instruments ("808"), and what is part of a name ("wav2vec")."""
    token = tokens[at]
    if token.kind == "word" and begin < at:  # "minus one"
        return False
    if token.kind == "word":
        if token.text in _ARTICLES and after - at == 1:
            return True
        return bool(token.text in _ARTICLES and (unit not in _PLAIN_UNITS or unit == "bit"))
    if not unit and value in _INSTRUMENTS:
        return True
    return (
        token.glued
        and at > 0
        and tokens[at - 1].kind == "word"
        and tokens[at - 1].text not in ("l", "r", "c", "q", "x")
    )


def _number(tokens: list[Token], at: int) -> tuple[float, int, int, bool] | None:
    """Value, first token (a sign may stand before), token after the last, and whether a sign was said."""
    token = tokens[at]
    begin, signed, sign = at, False, 1.0
    if token.kind == "number":
        value, after = _digits(token.text), at + 1
        clock = _clock(tokens, at)
        if clock is not None:
            return clock, at, at + 3, False
        words = [one.text for one in tokens[after : after + 4]]
        if words[:2] in (["y", "medio"], ["y", "media"]) and len(words) > 2 and words[2] in UNITS:
            return value + 0.5, at, after + 2, False
        if words[:3] == ["and", "a", "half"] and len(words) > 3 and words[3] in UNITS:
            return value + 0.5, at, after + 3, False
        if after < len(tokens) and tokens[after].text == "mil":
            value, after = value * 1000, after + 1
    elif token.kind == "word" and (
        token.text in _ONES or token.text in _HALVES or token.text in _SCALES or token.text in _POINTS
    ):
        spelled = _spelled(tokens, at)
        if spelled is None:
            return None
        value, after = spelled
    else:
        return None
    if at > 0:
        before = tokens[at - 1]
        if (
            before.text in ("-", "+")
            and token.glued
            and not (before.glued and at > 1 and tokens[at - 2].kind == "number")
        ):
            if not (before.glued and at > 1 and tokens[at - 2].kind == "word"):  # "tr-808"
                begin, signed, sign = at - 1, True, -1.0 if before.text == "-" else 1.0
        elif before.text in ("menos", "minus", "negative"):
            begin, signed, sign = at - 1, True, -1.0
        elif before.text in ("plus",):
            begin, signed = at - 1, True
    return sign * value, begin, after, signed


def _clock(tokens: list[Token], at: int) -> float | None:
    """A moment as minutes and seconds, 1:45, in seconds."""
    texts = [token.text for token in tokens[at : at + 3]]
    if len(texts) < 3 or texts[1] != ":" or not (tokens[at + 1].glued and tokens[at + 2].glued):
        return None
    is_clock = (
        texts[0].isdecimal()
        and texts[2].isdecimal()
        and len(texts[2]) == 2
        and int(texts[2]) < 60
        and len(texts[0]) <= 3
    )
    return 60.0 * int(texts[0]) + int(texts[2]) if is_clock else None


def _digits(text: str) -> float:
    if text[0] in ".,":
        return float("0." + text[1:])
    parts = text.replace(",", ".").split(".")
    if len(parts) > 2:  # 1.000.000, or 1,5,3
        return float("".join(parts)) if all(len(part) == 3 for part in parts[1:]) else float(f"{parts[0]}.{parts[1]}")
    return float(".".join(parts)[:40])


def _by_thousands(token: Token, value: float, unit: str, length: int) -> tuple[float, str]:
    """`44.100 Hz` and `10,000 Hz` are thousands: nobody says thousandths of a hertz."""
    text = token.text
    if token.kind == "number" and unit in ("hz", "") and len(text) > 4 and text[-4] in ".," and text[0] not in "0.,":
        whole, last = text[:-4], text[-3:]
        if (
            whole.isdecimal()
            and len(whole) <= 3
            and (unit == "hz" or last == "000" or whole + last in ("44100", "88200"))
        ):
            return (-1.0 if value < 0 else 1.0) * float(whole + last), unit
    return value, unit


def _spelled(tokens: list[Token], at: int) -> tuple[float, int] | None:
    """A number in words, and the token after it."""
    words = [token.text if token.kind == "word" else "" for token in tokens[at : at + 10]]
    if words[0] in _HALVES:
        after = 1
        if after < len(words) and words[after] in ("a", "an"):
            after += 1
        return (0.5, at + after) if after < len(words) and UNITS.get(words[after]) in _PLAIN_UNITS else None
    if words[:2] in (["a", "half"], ["one", "half"]):
        return 0.5, at + 2
    if words[0] == "a" and len(words) > 1 and words[1] == "couple":
        return 2.0, at + (3 if words[2:3] == ["of"] else 2)
    if words[0] == "un" and words[1:3] == ["par", "de"]:
        return 2.0, at + 3
    if words[0] in _POINTS:
        decimals, after = _decimals(words, 1)
        return (float(f"0.{decimals}"), at + after) if decimals else None
    total, current, index = 0.0, 0.0, 0
    last = ""
    while index < len(words):
        word = words[index]
        if word in _ONES and (index == 0 or _continues(last, word)):
            current += _ONES[word]
        elif index == 1 and _says_hundreds(last, word):  # "two fifty"
            current = current * 100 + _ONES[word]
        elif word == "mil" or word == "thousand":
            total, current = total + max(current, 1.0) * 1000, 0.0
        elif word == "hundred":
            current = max(current, 1.0) * 100
        elif word in ("y", "and") and index and index + 1 < len(words) and _continues(last, words[index + 1]):
            index += 1
            continue
        else:
            break
        last, index = word, index + 1
    value = total + current
    if words[index : index + 1] and words[index] in _POINTS:
        decimals, after = _decimals(words, index + 1)
        if decimals:
            return float(f"{value:.0f}.{decimals}"), at + after
    if words[index : index + 2] == ["y", "medio"] or words[index : index + 2] == ["y", "media"]:
        return value + 0.5, at + index + 2
    if words[index : index + 2] == ["and", "half"]:
        return value + 0.5, at + index + 2
    if words[index : index + 3] == ["and", "a", "half"]:
        return value + 0.5, at + index + 3
    return value, at + index


_POINTS = words_of("coma punto point comma")


def _decimals(words: list[str], index: int) -> tuple[str, int]:
    """The digits after a spoken point, and the index after them."""
    decimals = ""
    while index < len(words) and words[index] in _ONES and words[index] not in ("a", "an"):
        decimals += str(_ONES[words[index]])
        index += 1
    return decimals, index


def _says_hundreds(first: str, second: str) -> bool:
    """Whether two words are hundreds and the rest, as frequencies are spoken: "two fifty", "twelve eighty", "dos cincuenta"."""
    hundreds, rest = _ONES.get(first, 0), _ONES.get(second, 0)
    return first not in _ARTICLES - {"one"} and 1 <= hundreds <= 19 and hundreds != 10 and 20 <= rest <= 90


def _continues(last: str, word: str) -> bool:
    """Whether `word` can stand after `last` in one number: "cuarenta y ocho", "two hundred fifty", not "uno dos"."""
    if word not in _ONES or (word in ("a", "an", "un", "una") and last not in ("treinta", "cuarenta", "cincuenta")):
        return False
    if last in _SCALES:
        return True
    tens, ones = _ONES.get(last, 0), _ONES[word]
    return (tens >= 100 and ones < 100) or (20 <= tens < 100 and tens % 10 == 0 and 0 < ones < 10)


def _unit(tokens: list[Token], at: int, value: float) -> tuple[str, int, float]:
    """The unit of a number that ends before `at`, the token after it, and the value ("y medio" may follow)."""
    unit, after = _unit_word(tokens, at)
    if unit in ("db", "khz", "s", "oct", "min") and after + 1 < len(tokens):
        words = [token.text for token in tokens[after : after + 3]]
        if words[0] in ("y", "and") and (words[1:2] in (["medio"], ["media"]) or words[1:] == ["a", "half"]):
            return unit, after + (2 if words[1] in ("medio", "media") else 3), value + 0.5
    return unit, after, value


def _unit_word(tokens: list[Token], at: int) -> tuple[str, int]:
    if at >= len(tokens):
        return "", at
    token, words = tokens[at], [one.text for one in tokens[at : at + 5]]
    if token.text in ("-", "\u00b4") and len(words) > 1 and words[1] in ("bit", "bits", "db"):  # 16-bit
        return _unit_word(tokens, at + 1)
    if token.text == "%":
        return "%", at + 1
    if words[:2] in _PER_OCTAVE:
        return "db/oct", at + 2
    if words[:2] in (["por", "ciento"], ["por", "cien"], ["per", "cent"]):
        return "%", at + 2
    if token.text == ":" and len(words) > 1 and words[1] in ("1", "1.0", "uno", "one"):
        return ":1", at + 2
    if words[:2] in (["a", "1"], ["to", "1"], ["a", "uno"], ["to", "one"], ["por", "uno"], ["is", "1"]):
        return (":1", at + 2) if _unit_word(tokens, at + 2)[0] in ("", "ratio") else ("", at)
    if token.text == "to" and len(words) > 1 and words[1] == "-":
        return "", at
    unit = UNITS.get(token.text)
    if unit == "db":
        if words[1:3] in (["/", "oct"], ["por", "octava"], ["per", "octave"], ["/", "octava"], ["/", "octave"]):
            return "db/oct", at + 3
        if words[1:4] in (["a", "la", "octava"], ["an", "octave", ""]) or words[1:3] == ["an", "octave"]:
            return "db/oct", at + (4 if words[1] == "a" else 3)
        if words[1:2] == ["tp"]:
            return "dbtp", at + 2
        if words[1:3] in (["true", "peak"], ["pico", "real"], ["pico", "verdadero"]):
            return "dbtp", at + 3
        if words[1:4] == ["de", "pico", "real"]:
            return "dbtp", at + 4
    if unit == "x" and not token.glued and token.text == "x":
        return "", at
    if unit is not None:
        return unit, at + 1
    if token.glued and token.text in ("l", "r", "c"):
        return f"pan_{token.text}", at + 1
    if token.text in ("l", "r") and (at + 1 >= len(tokens) or tokens[at + 1].text not in ("'",)):
        return f"pan_{token.text}", at + 1
    if token.text in COUNTED:
        return "count", at  # the word stays for others to read
    return "", at


_PER_OCTAVE = (["por", "octava"], ["per", "octave"], ["an", "octave"], ["/", "oct"], ["/", "octava"], ["/", "octave"])


def _ranges(tokens: list[Token], found: list[Quantity], owner: list[int]) -> list[Quantity]:
    """ "200-500 Hz", "entre 200 y 500 Hz", "de 2 a 5k": both ends have the unit, and the second knows that it ends a range."""
    index_of = {quantity.start: number for number, quantity in enumerate(found)}
    starts = [index for index, one in enumerate(owner) if one >= 0 and tokens[index].start in index_of]
    for first, second in itertools.pairwise(starts):
        low, high = found[owner[first]], found[owner[second]]
        between = [token.text for index, token in enumerate(tokens[first:second], first) if owner[index] < 0]
        low_unit = low.unit
        if (
            len(between) != 1
            or between[0] not in _BETWEEN
            or high.unit not in ("hz", "khz")
            or low_unit not in ("", high.unit, "hz", "khz")
        ):
            continue
        before = tokens[first - 1].text if first else ""
        is_range = (
            between[0] in ("-", "hasta") or (before, between[0]) in _OPENED or (between[0] == "to" and low.value >= 20)
        )
        if not is_range:
            continue
        unit = low_unit or high.unit
        found[owner[first]] = replace(low, unit=unit)
        found[owner[second]] = replace(high, is_range_end=True)
    return found


_OPENED = {
    ("entre", "y"),
    ("between", "and"),
    ("de", "a"),
    ("from", "to"),
    ("los", "a"),
    ("los", "y"),
    ("desde", "a"),
    ("the", "to"),
}
