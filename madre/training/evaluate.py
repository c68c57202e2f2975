"""How well messages are read: `python -m madre.training.evaluate FILE [FILE …] [--words-only]`.

For any JSONL of `{"text", "intent"}`: per language, how many are answered, how many of those rightly, how often the right intent is
among the two offered, harmless sentences that were read as risky, and the time for one sentence.
A sentence labelled `unclear` is right when it is asked about; answering it counts as a wrong answer.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from config.contracts.madre import IntentName, IntentV2
from madre.core.intents.catalog import RISKY
from madre.core.parser import Reader
from madre.training.corpus import Sentence, read_sentences


@dataclass(frozen=True, slots=True)
class Figures:
    """The judged figures over some sentences; shares between 0 and 1."""

    sentences: int
    answered: float
    right_of_answered: float
    right_among_two: float
    risky_out_of_harmless: int
    median_ms: float

    def __str__(self) -> str:
        return (
            f"{self.sentences:5d} sentences: answered {self.answered:6.1%}, right of those {self.right_of_answered:6.1%}, "
            f"right among two {self.right_among_two:6.1%}, risky out of harmless {self.risky_out_of_harmless}, "
            f"median {self.median_ms:.1f} ms"
        )


def is_among_two(reading: IntentV2, wanted: IntentName) -> bool:
    """Whether the answer, or for an unclear reading one of the two offered, is the wanted intent."""
    if reading.name is not IntentName.UNCLEAR:
        return wanted in (reading.name, *(other.name for other in reading.alternatives[:1]))
    return wanted is IntentName.UNCLEAR or wanted in [other.name for other in reading.alternatives[:2]]


def measure(reader: Reader, sentences: Sequence[Sentence]) -> tuple[Figures, list[IntentV2]]:
    """Read every sentence alone and count. Raises ValueError for no sentences."""
    if not sentences:
        raise ValueError("no sentences")
    readings, took_ms = [], []
    for sentence in sentences:
        start = time.perf_counter()
        readings.append(reader.read(sentence.text))
        took_ms.append((time.perf_counter() - start) * 1000)
    pairs = list(zip(sentences, readings, strict=True))
    answered = [(sentence, reading) for sentence, reading in pairs if reading.name is not IntentName.UNCLEAR]
    figures = Figures(
        sentences=len(pairs),
        answered=len(answered) / len(pairs),
        right_of_answered=sum(reading.name is sentence.intent for sentence, reading in answered)
        / max(1, len(answered)),
        right_among_two=sum(is_among_two(reading, sentence.intent) for sentence, reading in pairs) / len(pairs),
        risky_out_of_harmless=sum(
            reading.name in RISKY and sentence.intent not in RISKY for sentence, reading in pairs
        ),
        median_ms=statistics.median(took_ms),
    )
    return figures, readings


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("files", nargs="+", type=Path)
    arguments.add_argument("--words-only", action="store_true", help="as on a machine without the embedding model")
    arguments.add_argument("--errors", action="store_true", help="print every wrong answer")
    chosen = arguments.parse_args()
    reader = Reader(use_meaning=not chosen.words_only)
    reader.read("¿qué tal?")  # load weights and embedding model outside the measured time
    sentences = [sentence for path in chosen.files for sentence in read_sentences(path)]
    for language in ("es", "en"):
        of_language = [sentence for sentence in sentences if sentence.language == language]
        if not of_language:
            continue
        figures, readings = measure(reader, of_language)
        print(language, figures)
        if chosen.errors:
            for sentence, reading in zip(of_language, readings, strict=True):
                if reading.name is not IntentName.UNCLEAR and reading.name is not sentence.intent:
                    print(
                        f"   {sentence.intent} read as {reading.name} {reading.confidence:.2f} ({reading.source}): {sentence.text}"
                    )


if __name__ == "__main__":
    main()
