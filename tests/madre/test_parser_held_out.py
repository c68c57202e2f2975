"""The exam: sentences by authors who saw neither the rules nor the training sentences. Never tune on them."""

from functools import cache
from pathlib import Path

import pytest

from config.contracts.madre import IntentName, IntentV2
from madre.core.intents.catalog import RISKY
from madre.core.parser import Reader
from madre.training.corpus import Sentence, read_sentences, training_sentences
from madre.training.evaluate import Figures, measure

EXAMS = sorted(Path(__file__).with_name("held_out").glob("*.jsonl"))


def of_language(language: str) -> list[Sentence]:
    return [sentence for path in EXAMS for sentence in read_sentences(path) if sentence.language == language]


@cache
def readings(language: str, use_meaning: bool) -> tuple[Figures, list[IntentV2]]:
    return measure(Reader(use_meaning=use_meaning), of_language(language))


def figures(language: str, use_meaning: bool) -> Figures:
    return readings(language, use_meaning)[0]


def test_the_exam_is_large_and_the_reader_was_not_taught_with_it():
    taught = {sentence.text for sentence in training_sentences()}
    for language in ("es", "en"):
        exam = of_language(language)
        assert len(exam) >= 300
        known = [sentence for sentence in exam if sentence.text in taught]
        assert len(known) <= len(exam) * 0.05, "short sentences coincide; more than that would be a copy"


@pytest.mark.parametrize("language", ["es", "en"])
def test_most_messages_are_answered_and_nearly_all_of_those_rightly(language: str):
    found = figures(language, use_meaning=True)
    assert found.answered >= 0.65, found
    assert found.right_of_answered >= 0.95, found


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_right_intent_is_among_the_two_offered(language: str):
    assert figures(language, use_meaning=True).right_among_two >= 0.85


@pytest.mark.parametrize("use_meaning", [True, False])
@pytest.mark.parametrize("language", ["es", "en"])
def test_no_harmless_sentence_is_read_as_a_risky_one(language: str, use_meaning: bool):
    assert figures(language, use_meaning).risky_out_of_harmless == 0


@pytest.mark.parametrize("language", ["es", "en"])
def test_without_the_embedding_model_fewer_are_answered_and_as_many_rightly(language: str):
    found = figures(language, use_meaning=False)
    assert found.answered >= 0.50, found
    assert found.right_of_answered >= 0.95, found


def test_every_risky_intent_is_read_at_all():
    """A guard that refused everything would pass the tests above."""
    read = [pair for one in ("es", "en") for pair in zip(of_language(one), readings(one, True)[1], strict=True)]
    for name in RISKY:
        found = [reading.name is name for sentence, reading in read if sentence.intent is name]
        assert sum(found) >= len(found) / 2, name
    assert IntentName.UNCLEAR not in RISKY
