"""Reading a message: rules, then the local classifier, then (if one is there) a capable model behind switch; below that, a question.

`Reader` is pure and needs no service. `Parser` adds the second opinion over the network.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import structlog

from config.contracts.common import Wire
from config.contracts.madre import Alternative, IntentName, IntentV2
from config.errors import FleetError
from madre.core.intents.catalog import CATALOG, RISKY
from madre.core.intents.classifier import Classifier, Likelihoods, default_classifier
from madre.core.intents.embeddings import embed
from madre.core.intents.guards import permits
from madre.core.intents.language import detect
from madre.core.intents.questions import Answer, Outcome, Question, ask, resolve_answer
from madre.core.intents.rules import by_rule
from madre.core.intents.slots import read_slots
from madre.core.intents.targets import target_of

__all__ = [
    "Answer",
    "Outcome",
    "Parser",
    "Question",
    "Reader",
    "SwitchReader",
    "SwitchReading",
    "ask",
    "default_reader",
    "read",
    "resolve_answer",
]

SURE_BY_RULE = 0.99
OFFERED = 2
"""Readings a person is offered when a message is unclear."""
CANDIDATES = 6
"""Readings that switch's model may choose from: the likeliest ones, so that the prompt stays short."""
BELIEVED_FROM = 0.5
"""Least confidence with which switch's reading counts."""

log = structlog.get_logger(__name__)


class SwitchReading(Wire):
    """What a model behind switch made of a message."""

    name: str
    confidence: float


class SwitchReader(Protocol):
    """Asks a capable model to choose among intents. Raises a FleetError (UpstreamUnavailable, UpstreamContractError) when it cannot."""

    async def __call__(self, message: str, candidates: Sequence[IntentName]) -> SwitchReading: ...


class Reader:
    """Reads messages on this machine alone. The same message always reads the same; any thread may read."""

    def __init__(self, classifier: Classifier | None = None, *, use_meaning: bool = True) -> None:
        self._classifier, self._use_meaning = classifier or default_classifier(), use_meaning

    def read(self, message: str, files: int = 0) -> IntentV2:
        """The reading of a message that `files` files came with; `unclear` with the two best alternatives where it is not sure."""
        if (name := by_rule(message)) is not None and (name is IntentName.RUN_PROCESS or permits(name, message)):
            return self.read_as(name, message, files, confidence=SURE_BY_RULE)
        likely, limit = self._likelihoods(message)
        return self._judge(likely, limit, message, files)

    def read_as(
        self, name: IntentName, message: str, files: int = 0, *, confidence: float = 1.0, source: Any = "rules"
    ) -> IntentV2:
        """A message whose intent is known (by rule, by a person's answer, by switch): its particulars filled in."""
        entry = CATALOG[name]
        params = read_slots(name, message, files)
        return IntentV2(
            name=name,
            domain=entry.domain,
            action=entry.action,
            target=target_of(name, message, params),
            params=params,
            language=detect(message),
            confidence=confidence,
            source=source,
        )

    def candidates(self, message: str) -> list[IntentName]:
        """The likeliest intents, best first."""
        likely, _ = self._likelihoods(message)
        return [name for name, _ in _clear(likely)][:CANDIDATES]

    def _likelihoods(self, message: str) -> tuple[Likelihoods, float]:
        limits = self._classifier.thresholds
        likely, logs = self._classifier.by_words(message)
        if not self._use_meaning or likely.values.max() >= limits.words_sure:
            return likely, limits.words
        meaning = embed(message)
        if meaning is None:
            return likely, limits.words
        return self._classifier.with_meaning(logs, meaning), limits.both

    def _judge(self, likely: Likelihoods, limit: float, message: str, files: int) -> IntentV2:
        name, confidence = likely.ranked()[0]
        if name in RISKY:
            limit = max(limit, self._classifier.thresholds.risky)
        alternatives = [Alternative(name=other, confidence=round(value, 4)) for other, value in _clear(likely)]
        if name is not IntentName.UNCLEAR and confidence >= limit and permits(name, message):
            reading = self.read_as(name, message, files, confidence=round(confidence, 4), source="classifier")
            return reading.model_copy(update={"alternatives": alternatives[1 : 1 + OFFERED]})
        entry = CATALOG[IntentName.UNCLEAR]
        return IntentV2(
            name=IntentName.UNCLEAR,
            domain=entry.domain,
            action=entry.action,
            language=detect(message),
            confidence=alternatives[0].confidence,
            source="classifier",
            alternatives=alternatives[:OFFERED],
        )


def _clear(likely: Likelihoods) -> list[tuple[IntentName, float]]:
    return [(name, value) for name, value in likely.ranked() if name is not IntentName.UNCLEAR]


@lru_cache(maxsize=1)
def default_reader() -> Reader:
    """The reader with the weights of this release, loaded once."""
    return Reader()


def read(message: str, files: int = 0) -> IntentV2:
    """The reading of a message by the default reader."""
    return default_reader().read(message, files)


class Parser:
    """Madre's reader of messages. `switch` is given only where a capable model is configured: a tiny one reads worse than no one."""

    def __init__(self, reader: Reader | None = None, switch: SwitchReader | None = None) -> None:
        self._reader, self._switch = reader or default_reader(), switch

    async def read(self, message: str, files: int = 0, *, ask_switch: bool = True) -> IntentV2:
        """The reading of a message; one that stays below its confidence is `unclear`. A switch that is unwell changes nothing."""
        reading = await asyncio.to_thread(self._reader.read, message, files)
        if reading.name is not IntentName.UNCLEAR or self._switch is None or not ask_switch:
            return reading
        candidates = await asyncio.to_thread(self._reader.candidates, message)
        try:
            second = await self._switch(message, candidates)
        except (FleetError, TimeoutError) as exc:
            log.info("local_reading_kept", reason=str(exc))
            return reading
        return self._believed(second, message, files) or reading

    async def answer(self, question: Question, message: str, files: int = 0) -> tuple[Answer, IntentV2 | None]:
        """What the session's next message makes of a question: the meaning of the answer, and the reading it leads to.

        A chosen option is read out of both messages, the first one and the answer. The reading is None after a refusal, or when
        the question has to be put again.
        """
        answer = resolve_answer(question, message)
        if answer.outcome is Outcome.NEW_REQUEST:
            return answer, await self.read(message, files)
        if answer.name is None:
            return answer, None
        reading = self._reader.read_as(answer.name, f"{question.message}\n{message}", files)
        return answer, reading.model_copy(update={"language": question.language})

    def _believed(self, second: SwitchReading, message: str, files: int) -> IntentV2 | None:
        """Switch's reading if it names an intent, is sure enough, and (for a risky one) the guard agrees; else None."""
        if second.name not in list(IntentName) or not BELIEVED_FROM <= second.confidence <= 1.0:
            return None
        name = IntentName(second.name)
        if name is IntentName.UNCLEAR or (name in RISKY and not permits(name, message)):
            return None
        return self._reader.read_as(name, message, files, confidence=second.confidence, source="switch")
