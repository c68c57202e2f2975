"""Whether a text is about audio work, and which of its words say so: Spanish and English terms, and the forms of orders.

A word counts for as much as it says. Nobody says `sidechain` of anything else; a `mix`, a `gate`, a `delay`, a `filter` and a `master` are
everyday words and need company; and words of other trades (git, flour, SQL) speak against. `THRESHOLD` is what it takes together.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

THRESHOLD = 2.0
WEIGHTS = {"sure": 2.0, "likely": 1.5, "maybe": 1.0, "hint": 0.75, "loose": 0.5}
COMMAND, AGAINST = 1.5, -1.5
MOST_CONTEXT = 1.5
"""What words of music and recording may count together: about music is not yet about audio work."""
WORDS: dict[str, Any] = json.loads(Path(__file__).with_name("terms.json").read_text(encoding="utf-8"))
UNITS = {
    "sure": r"(?<![\d.,])\d+(?:[.,]\d+)?\s*(?:lufs|lkfs|dbtp|dbfs)",
    "maybe": r"(?<![\d.,])\d+(?:[.,]\d+)?\s*(?:db|khz|hz|bpm)\b|\b(?:16|24|32)[\s-]?bits?\b",
}

_OBJECT, _SOUNDS, _FORMAT = ("|".join(WORDS[name]) for name in ("objects", "sounds", "formats"))
_MEASURED = (
    "lufs|loudness|sonoridad|espectro|espectrograma|spectrum|spectrogram|true peak|pico real|fase|phase|tonalidad|bpm|tempo|clipping|"
    "subgraves|key is this|key of"
)
_NEAR = r"\W++(?:\w++\W++){0,5}?"  # possessive: nothing that is written makes this slow
COMMANDS: tuple[tuple[str, str], ...] = (
    (
        "master_command",
        rf"\b(?:re)?mast(?:e)?r(?:iza|izar|izad[oa]|iza(?:l[oae]|me|melo)|ice|ea|ear)\b|\bmaster{_NEAR}"
        r"(?:track|song|mix|album|ep|single|cancion|tema|pista)s?\b"
        r"|\b(?:haz(?:me)?|hacer|saca(?:me)?|prep(?:ara)?|do|make|need|quiero|necesito)\W++(?:\w++\W++){0,2}?master(?:ed|ing)?\b"
        r"(?=\W++(?:\w++\W++){0,2}?(?:para|for|de|of|version|final)\b)",
    ),
    (
        "export_command",
        rf"\b(?:export\w*|renderiza\w*|render|bounce|bouncea\w*|convierte\w*|convertir|convert|encode|codifica|guarda\w*|save|saca\w*|"
        rf"pasa\w*){_NEAR}(?:{_OBJECT}|{_FORMAT}|estereo|stereo|mono)s?\b",
    ),
    (
        "analysis_command",
        rf"\b(?:anali[zc]\w*|analy[sz]e|analysis|mid[ea]\w*|medir|measure|evalua\w*|evaluate|check|comprueba|revisa|compara|compare|"
        rf"detecta|detect|examina|examine|how loud){_NEAR}(?:{_MEASURED}|{_OBJECT})(?:e?s)?\b"
        rf"|\b(?:what|which|cual|que|show|dime|tell me){_NEAR}(?:{_MEASURED})(?:e?s)?\b",
    ),
    (
        "effect_command",
        rf"\b(?:anad\w*|aplica\w*|configura\w*|pon\w*|mete\w*|dale|quita\w*|elimina\w*|limpia\w*|reduce|add|apply|put|throw|give|use|usa|"
        rf"remove|clean|cut|boost|recorta|sube|baja|normali[zc]\w*|widen|ensancha\w*){_NEAR}(?:{_SOUNDS})s?\b"
        rf"|\b(?:comprime|comprimir|compress|satura|saturar|saturate|ecualiza\w*|eq|denoise|de-?ess|distorsiona|cut|boost|"
        rf"normali[zc]\w*|afina|tune){_NEAR}(?:{_OBJECT})s?\b",
    ),
    (
        "mix_command",
        rf"\b(?:mix|me[zs]cla\w*|remix|sube\w*|subi\w*|baja\w*|bajal[oae]\w*|raise|lower|turn|bring|pan|panea\w*|"
        rf"balance|equilibra\w*|nivela\w*|mute\w*|silencia\w*|junta\w*|crossfade|fade|solo){_NEAR}(?:{_OBJECT})s?\b",
    ),
)
"""Types of orders and the forms in which they come; the first that is found counts."""


@dataclass(frozen=True, slots=True)
class Found:
    """What of a text speaks of audio work."""

    score: float
    categories: tuple[str, ...]
    terms: tuple[str, ...]
    command: str | None

    @property
    def is_audio(self) -> bool:
        return self.score >= THRESHOLD


def folded(text: str) -> str:
    """Lower case without accents, and typographic minus signs and hyphens as `-`."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return re.sub("[\u2010-\u2015\u2212]", "-", plain)


def look(text: str) -> Found:
    """What `text` says of audio work."""
    said = folded(text)
    score, categories, terms = 0.0, [], []
    for category, by_weight in _terms().items():
        for weight, pattern in by_weight.items():
            words = {match.group(0) for match in pattern.finditer(said)}
            if words:
                categories.append(category)
                terms += sorted(words)
                score += weight * len({word.rstrip("s") for word in words})
    context = sum(weight * len(set(pattern.findall(said))) for weight, pattern in _context().items())
    score += min(context, MOST_CONTEXT)
    score += sum(weight for weight, pattern in _units().items() if pattern.search(said))
    score += AGAINST * len(set(_others().findall(said)))
    command = next((name for name, pattern in _commands() if pattern.search(said)), None)
    if command is not None:
        score += COMMAND
    has_work = bool(terms) or command is not None or any(pattern.search(said) for pattern in _units().values())
    return Found(score if has_work else 0.0, tuple(dict.fromkeys(categories)), tuple(dict.fromkeys(terms)), command)


def _words(alternatives: Iterable[str], plural: str = "(?:e?s)?") -> re.Pattern[str]:
    longest_first = "|".join(sorted(alternatives, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{longest_first}){plural}(?![\w-])")


@cache
def _terms() -> dict[str, dict[float, re.Pattern[str]]]:
    return {
        category: {WEIGHTS[weight]: _words(words) for weight, words in by_weight.items()}
        for category, by_weight in WORDS["terms"].items()
    }


@cache
def _context() -> dict[float, re.Pattern[str]]:
    return {WEIGHTS[weight]: _words(words) for weight, words in WORDS["context"].items()}


@cache
def _others() -> re.Pattern[str]:
    return _words(WORDS["other_trades"], plural="")


@cache
def _units() -> dict[float, re.Pattern[str]]:
    return {WEIGHTS[weight]: re.compile(pattern) for weight, pattern in UNITS.items()}


@cache
def _commands() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, re.compile(pattern)) for name, pattern in COMMANDS)
