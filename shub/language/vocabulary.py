"""The words of audio work in Spanish and English, folded (lower case, no accents), and what each stands for: `vocabulary.json`.

Phrases may hold `[oa]` for both endings and `{a|b}` for one of several words; plurals are understood (`words.singular`).
Verbs are patterns of whole words, with the endings and the pronouns that Spanish hangs on them: `<ar levant|aument>` is "levanta",
"aumentar", "levantale", …
"""

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from shub.language.words import singular, words_of

_ALL: dict[str, Any] = json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8"))
Table = Mapping[str, list[str]]
TABLES: Mapping[str, Table] = {
    "target": _ALL["targets"],
    "effect": _ALL["effects"],
    "band": {name: band["words"] for name, band in _ALL["bands"].items()},
    "param": _ALL["params"],
    "place": _ALL["places"],
    "platform": _ALL["platforms"],
    "format": _ALL["formats"],
    "file": _ALL["files"],
    "picture": _ALL["pictures"],
    "measure": _ALL["measures"],
    "special": _ALL["special"],
    "beat": _ALL["beats"],
}
"""Phrases by what they stand for, by kind. The target `song` is the sound as a whole, which stands for the master unless it means files."""
BANDS: Mapping[str, tuple[float, float]] = {
    name: (band["low_hz"], band["high_hz"]) for name, band in _ALL["bands"].items()
}
"""Parts of the spectrum, from and to (Hz), as in B. Owsinski, The Mixing Engineer's Handbook, and B. Katz, Mastering Audio."""
FOREIGN = frozenset(_ALL["foreign"])
"""Words of other trades: they speak against a command to the audio engineer."""
BEATS_BY_TEXT = {"1/4": "1", "1/8": "0.5", "1/16": "0.25", "1/2": "2"}
"""Lengths of notes in quarters."""

_CLITICS = "(?:me|te|se|nos|os)?(?:l[aeo]s?)?"
_ENDINGS = {
    "ar": "(?:a|e|o|as|es|an|en|ar|ando|amos|emos|ad|aras?|are|aria|ase|ame|ais)",
    "er": "(?:e|a|o|es|as|en|an|er|iendo|emos|amos|ed|eras?|ere|i)",
    "ir": "(?:e|a|o|es|as|en|an|ir|iendo|imos|amos|id|i|iras?|ire|is)",
}
_STEMS = re.compile(r"<(ar|er|ir) ([^>]*)>")


def _pattern(alternative: str) -> str:
    with_endings = _STEMS.sub(lambda match: f"(?:{match[2]}){_ENDINGS[match[1]]}{_CLITICS}", alternative)
    return with_endings.replace("<CL>", _CLITICS)


_VERB = re.compile("|".join(f"(?P<{name}>{'|'.join(map(_pattern, verbs))})" for name, verbs in _ALL["verbs"].items()))
_NO_VERBS = words_of(
    "cargas sobre solas dado dada nada cortas cero comes media medias tema todo toda pasos paso pases abrasivo mates mato cale cara es de "
    "des den limites alto alta"
)
_LONGEST_VERB = 20


@lru_cache(maxsize=8192)
def verb_of(word: str) -> str | None:
    """The kind of order that a word gives, as a verb; None for every other word."""
    if len(word) > _LONGEST_VERB or word in _NO_VERBS:
        return None
    match = _VERB.fullmatch(word)
    return match.lastgroup if match else None


_ALTERNATIVES = re.compile(r"\{([^{}]*)\}|\[(oa)\]")


def expanded(phrases: Iterable[str]) -> Iterable[str]:
    """Each phrase in all its forms: `[oa]` is both endings, `{a|b}` is one of the words."""
    for phrase in phrases:
        pieces = _ALTERNATIVES.split(phrase)
        choices = [
            [text] if text is not None and number % 3 == 0 else _choices(text, number)
            for number, text in enumerate(pieces)
            if text is not None
        ]
        yield from ("".join(chosen) for chosen in itertools.product(*choices))


def _choices(text: str, number: int) -> list[str]:
    return text.split("|") if number % 3 == 1 else list(text)


def key_of(phrase: str) -> tuple[str, ...]:
    """A phrase as the words it is looked up by."""
    return tuple(singular(word) for word in re.findall(r"[a-z']+|\d+", phrase))
