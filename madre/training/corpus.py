"""The sentences the reader learns from: one file per author, one JSON object per line."""

import json
from dataclasses import dataclass
from pathlib import Path

from config.contracts.madre import IntentName
from madre.core.intents.language import detect

FOLDER = Path(__file__).with_name("sentences")
CALIBRATION = Path(__file__).with_name("calibration.jsonl")


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    intent: IntentName
    language: str
    author: str


def read_sentences(path: Path) -> list[Sentence]:
    """The sentences of a file. Raises ValueError for a line without a text or with an unknown intent."""
    sentences: list[Sentence] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            language = row.get("lang") or row.get("language") or detect(row["text"])
            sentences.append(Sentence(row["text"], IntentName(row["intent"]), language, path.stem))
        except (KeyError, ValueError) as exc:
            raise ValueError(f"{path}:{number}: {exc}") from exc
    return sentences


def training_sentences(folder: Path = FOLDER) -> list[Sentence]:
    """All training sentences in the order of the file names; a text that several authors wrote counts once for each."""
    return [sentence for path in sorted(folder.glob("*.jsonl")) for sentence in read_sentences(path)]
