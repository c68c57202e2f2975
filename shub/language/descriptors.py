"""Words for how it sounds, in Spanish and English: the part of the spectrum (or of time, or of the image) that each speaks of.

The table is `descriptors.json`, with its sources: SocialFX and SAFE-DB, of which range and sign are taken, and the usual books on mixing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Means = Literal[
    "peak", "low_shelf", "high_shelf", "deesser", "attack", "sustain", "compress", "saturate", "reverb", "dry", "width", "gate",
    "telephone",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """`sign` is that of the gain that makes a sound *more* so; `is_fault`: the bare word is a complaint ("suena turbio"), and less of it is
    meant; `centre_hz` is where an equalizer is put when nothing else was said."""

    term: str
    means: Means
    words: list[str]
    source: str
    sign: int
    low_hz: float | None = None
    high_hz: float | None = None
    centre_hz: float | None = None
    is_fault: bool = False


_ALL: dict[str, Any] = json.loads(Path(__file__).with_name("descriptors.json").read_text(encoding="utf-8"))
DESCRIPTORS: tuple[Word, ...] = tuple(Word(**row) for row in _ALL["descriptors"])
WORDS: Mapping[str, Word] = {word.term: word for word in DESCRIPTORS}
"""The same by their terms."""
