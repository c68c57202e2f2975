"""Numbers as people type and dictate them, in Spanish and English."""

import re

_WORD = re.compile(r"\w+")
_SPANISH = _WORD.findall("""
    cero un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis diecisiete
    dieciocho diecinueve veinte veintiuno veintidos veintitres veinticuatro veinticinco
""")
_ENGLISH = _WORD.findall("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
""")
_UNITS = {
    **{word: value for value, word in enumerate(_SPANISH)},
    **{word: value for value, word in enumerate(_ENGLISH)},
    **{"uno": 1, "una": 1, "treinta": 30, "thirty": 30},
}
_NAME = "|".join(sorted(_UNITS, key=len, reverse=True))
_SPOKEN = re.compile(
    rf"\b(?:(?P<sign>menos|minus|negative) )?(?P<whole>{_NAME}|\d+(?:[.,]\d+)?)"
    rf"(?:[- ](?:y )?(?P<more>un|uno|one|two|three|four|five|six|seven|eight|nine))?(?: (?:coma|punto|point) (?P<part>{_NAME}|\d+))?\b"
)


def spoken_to_digits(text: str) -> str:
    """Plain text with dictated numbers as digits: "menos catorce coma cinco" → "-14.5", "three" → "3".

    The articles "un" and "una" stay, as they count nothing.
    """
    return _SPOKEN.sub(_digits, text.replace("−", "-").replace("–", "-"))


def _digits(hit: re.Match[str]) -> str:
    whole, sign, more, part = hit["whole"], hit["sign"], hit["more"], hit["part"]
    if whole in ("un", "una", "uno", "one") and not sign and not part:
        return hit[0]
    number = str(_UNITS[whole]) if whole in _UNITS else whole
    if more is not None:
        if whole not in ("twenty", "thirty", "treinta"):
            return hit[0]
        number = str(_UNITS[whole] + _UNITS[more])
    if part is not None:
        number += f".{_UNITS.get(part, part)}"
    return ("-" if sign else "") + number


def number(digits: str) -> float:
    """ "-14,5" → -14.5. Raises ValueError if it is not a number."""
    return float(digits.replace(",", ".").replace(" ", ""))
