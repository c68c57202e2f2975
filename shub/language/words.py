"""A command as words, numbers and marks: lower case, without accents, each knowing where it stood.

Folding keeps every character's place (one for one), so what was said can be quoted from the command itself.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_LAST_LATIN = 0x250


def _table() -> dict[int, str]:
    table: dict[int, str] = {}
    for code in range(_LAST_LATIN):
        letter = unicodedata.normalize("NFKD", chr(code))[:1].lower()
        if len(letter) == 1:
            table[code] = letter
    table |= {ord(one): "-" for one in HYPHENS} | {ord(one): "'" for one in "\u2018\u2019\u00b4`"}
    table |= {ord(one): '"' for one in "\u201c\u201d\u00ab\u00bb"} | {ord("\u00b2"): "2", ord("\u2236"): ":"}
    return table


_FOLD = _table()
_PIECE = re.compile(r"\d+(?:[.,]\d+)*|[.,]\d+|[^\W\d_]+(?:'[^\W\d_]+)?|[^\w\s]|_")
_DECIMAL = re.compile(r"[.,]\d+")

Kind = Literal["word", "number", "mark"]


def words_of(line: str) -> frozenset[str]:
    """The words of a line, for tables."""
    return frozenset(line.split())


@dataclass(frozen=True, slots=True)
class Token:
    """`glued`: nothing stood between it and the token before."""

    kind: Kind
    text: str
    start: int
    end: int
    glued: bool = False


def folded(text: str) -> str:
    """Lower case without accents, as long as the text (which is composed first)."""
    return text.translate(_FOLD)


def composed(text: str) -> str:
    """Letters with their accents as one character each, so that folding is one for one."""
    return unicodedata.normalize("NFC", text)


def tokens_of(said: str) -> list[Token]:
    """The tokens of a folded text."""
    tokens: list[Token] = []
    before = -1
    for match in _PIECE.finditer(said):
        text, start, end = match.group(0), match.start(), match.end()
        kind: Kind = "number" if text[-1].isdecimal() else "word" if text[0].isalpha() else "mark"
        if kind == "number" and not text.isascii():
            kind = "word"  # digits of other scripts
        tokens.append(Token(kind, text, start, end, start == before))
        before = end
    return tokens


KEPT_PLURALS = words_of(
    "bajos medios solos altos highs lows mids menos less bass graves mas bus las los gas voices keys drums dos tres seis strings toms pads "
    "fx plus press loss gloss mess boss moss class glass brass bajas"
)


@lru_cache(maxsize=8192)
def singular(word: str) -> str:
    """A word without the ending of its plural, the same for the tables and for what is said; not a word of any language."""
    if len(word) < 4 or word in KEPT_PLURALS or not word.endswith("s") or word.endswith("ss"):
        return word
    return word[:-1]
