"""One request for an answer, whoever asks it and however: what is wanted, and from whom it may come."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_core import to_json

from config.contracts.switch import Priority
from switch.failures import Failure
from switch.upstream import Exchange


@dataclass(slots=True)
class Call:
    """`body` is a chat completion as OpenAI's API takes it; its `model` is replaced for whoever is asked."""

    body: dict[str, Any]
    is_stream: bool = False
    priority: Priority = "USER_INTERACTIVE"
    is_large: bool = False
    """Whether writing the body down again takes so long that it must not be done in the loop."""
    queue_ms: float = 0.0
    """Time spent waiting for a place at the local model; added to by whoever makes it wait."""

    async def written(self, **changes: Any) -> bytes:
        """The body as JSON, with some of its members changed."""
        body = self.body | changes
        return await asyncio.to_thread(to_json, body) if self.is_large else to_json(body)


class Backend(Protocol):
    """Someone who has models: a provider, or the local light model."""

    name: str
    tries: int
    """How often one request is tried here before the next candidate; more than once only where trying again starts something new."""

    async def ask(self, call: Call, model: str) -> Exchange:
        """Ask, and wait until the answer begins. Raises Failure. The caller releases the exchange."""

    def failed(self, failure: Failure) -> None:
        """Remember that asking went wrong."""

    def answered(self) -> None:
        """Remember that asking went well."""

    @property
    def is_cooling(self) -> bool:
        """Whether others should be tried first for now."""

    def hide(self, text: str) -> str:
        """The text without what is secret here."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A model of a backend."""

    backend: Backend
    model: str

    @property
    def name(self) -> str:
        """What `model` is in a request that wants exactly this one."""
        return self.model if self.is_local else f"{self.backend.name}/{self.model}"

    @property
    def is_local(self) -> bool:
        return self.backend.name == LOCAL


LOCAL = "local"
"""Name of the backend that is this machine."""


@dataclass(slots=True)
class Tried:
    """A choice and what became of it: `answered`, `not_tried`, or a kind of failure."""

    choice: Choice
    outcome: str = "not_tried"
    detail: str = ""
    duration_ms: float = 0.0
    failure: Failure | None = None


@dataclass(slots=True)
class Trail:
    """The choices of one call in order, and what became of each."""

    tried: list[Tried] = field(default_factory=list)

    @classmethod
    def over(cls, choices: list[Choice]) -> "Trail":
        return cls([Tried(choice) for choice in choices])

    @property
    def failures(self) -> list[Tried]:
        return [one for one in self.tried if one.failure is not None]
