"""One request for an answer, whoever asks it and however: what is wanted, and from whom it may come."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from pydantic_core import to_json

from config.contracts.switch import Priority
from switch.failures import Failure

GENERAL = "general"
"""The type of task of a request that does not say; a specialty of hermes_db."""


class Needs(NamedTuple):
    """What a request asks of whoever answers it. Token counts are estimates made before the call (`switch/needs.py`)."""

    input_tokens: int = 0
    output_tokens: int | None = None
    """Most that may be written, where the request says so."""
    modalities: frozenset[str] = frozenset()
    """What it brings beyond text: `image`, `audio`, `pdf`, `video`."""
    tools: bool = False
    schema: bool = False
    """Whether the answer must follow a JSON schema."""
    max_latency_ms: float | None = None
    max_cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens. For choosing and for setting money aside; what a call did cost is in `switch/money`."""

    input: float
    output: float
    cached_input: float | None = None

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        return (self.input * input_tokens + self.output * output_tokens) / 1_000_000


FREE = Price(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model before it is asked. None where it is not known: then it is not ruled out for it."""

    context_tokens: int | None = None
    output_tokens: int | None = None
    modalities: frozenset[str] | None = None
    """What it takes beyond text."""
    tools: bool | None = None
    schema: bool | None = None
    specialties: frozenset[str] = frozenset()
    """Types of task it is made for."""
    adjacent: frozenset[str] = frozenset()
    """Types of task next to those; hermes_db's `adjacent_fields`."""
    price: Price | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    performance: float | None = None
    """hermes_db's score of it, 0 to 1."""


UNKNOWN = Facts()


@dataclass(slots=True)
class Call:
    """`body` is a chat completion as OpenAI's API takes it; its `model` is replaced for whoever is asked."""

    body: dict[str, Any]
    is_stream: bool = False
    priority: Priority = "USER_INTERACTIVE"
    is_large: bool = False
    """Whether writing the body down again takes so long that it must not be done in the loop."""
    caller: str = ""
    session_id: str | None = None
    task_type: str = GENERAL
    needs: Needs = field(default_factory=Needs)
    decision_id: str = ""
    adds_usage: bool = False
    """Whether whoever is asked shall end its stream with how much was used though the client did not ask for it: it is paid for."""
    most_output: int | None = None
    """Tokens that whoever is asked shall not write beyond though the request does not say so, or allows more: a budget, or the most that
    the request may cost, is kept by that."""
    may_overspend: bool = False
    """Whether the caller's scopes let it spend beyond a budget (`switch:overspend`)."""
    deadline: float | None = None
    """When the answer must be there, on `time.monotonic`'s clock."""
    queue_ms: float = 0.0
    """Time spent waiting for a place at a local model; added to by whoever makes it wait."""
    plain_messages: list[Any] | None = None
    """The messages without what we told the model to be, where we did: for a small one, which each word of it keeps waiting."""
    messages_body: dict[str, Any] | None = None
    """What a client of Anthropic's API asked in its own words, for providers that know them: nothing is lost on the way then."""

    def limit(self) -> dict[str, int]:
        """`most_output`, in the words in which the body sets a limit itself; empty where there is none."""
        if self.most_output is None:
            return {}
        named = [name for name in ("max_completion_tokens", "max_tokens") if self.body.get(name) is not None]
        return dict.fromkeys(named or ["max_tokens"], self.most_output)

    def bounded(self) -> "Call":
        """The same with its `limit` written into it."""
        limit = self.limit()
        if not limit:
            return self
        own = self.messages_body
        if own is not None:
            own = own | {"max_tokens": self.most_output}
        return replace(self, body=self.body | limit, messages_body=own)

    async def written(self, **changes: Any) -> bytes:
        """The body as JSON, with some of its members changed."""
        body = self.body | changes
        if self.adds_usage:
            options = body.get("stream_options")
            body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        return await asyncio.to_thread(to_json, body) if self.is_large else to_json(body)


class Answer(Protocol):
    """An answer that has begun, in OpenAI's shape whoever gives it. `upstream.Exchange` is one; dialects and tools make others."""

    status: int
    on_release: Callable[[], None] | None
    """Called once, when the answer is released."""

    def header(self, name: bytes) -> str:
        """A header of the answer, by its lower-case name; empty if it is not there."""

    async def whole(self, within_seconds: float) -> bytes:
        """The rest of the body. Raises Failure, also when nothing comes for so long."""

    async def more(self, within_seconds: float) -> bytes:
        """What comes next of the body; empty at its end. Raises Failure."""

    def release(self) -> None:
        """End it: after the end nothing is lost, before it the other side learns that nobody listens. Can be repeated."""


class Backend(Protocol):
    """Someone who has models: a provider, the local models, or the command-line tools."""

    name: str
    tries: int
    """How often one request is tried here before the next candidate; more than once only where trying again starts something new."""

    async def ask(self, call: Call, model: str) -> Answer:
        """Ask, and wait until the answer begins. Raises Failure. The caller releases the exchange."""

    def failed(self, failure: Failure) -> None:
        """Remember that asking went wrong."""

    def answered(self) -> None:
        """Remember that asking went well."""

    def availability(self, model: str) -> float:
        """0 to 1: 1 for a model that answers at once, less for one that must be loaded first or has others waiting, 0 for one that should
        be left alone for now."""

    def hide(self, text: str) -> str:
        """The text without what is secret here."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A model of a backend."""

    backend: Backend
    model: str
    facts: Facts = UNKNOWN
    name: str = field(init=False, repr=False, compare=False)
    """What `model` is in a request that wants exactly this one."""

    def __post_init__(self) -> None:  # once: every request asks for it four times
        name = self.model if self.is_local else f"{self.backend.name}/{self.model}"
        object.__setattr__(self, "name", name)

    @property
    def is_local(self) -> bool:
        return self.backend.name == LOCAL

    @property
    def is_free(self) -> bool:
        """Whether it is known to cost nothing."""
        return self.facts.price is FREE or self.backend.name == LOCAL


LOCAL = "local"
"""Name of the backend that is this machine."""


class Hold(Protocol):
    """Money set aside for one call to one model (`switch/money`)."""

    most_output: int | None
    """Tokens of answer that it was set aside for, where money limits them and the request does not, or less."""

    def settle(self, usage: Any, *, is_estimated: bool) -> float | None:
        """What it cost in US dollars; None where no price is known. Once."""

    def release(self) -> None:
        """Nothing was spent."""


@dataclass(slots=True)
class Tried:
    """A choice and what became of it: `answered`, `not_tried`, `unfit`, or a kind of failure."""

    choice: Choice
    outcome: str = "not_tried"
    detail: str = ""
    duration_ms: float = 0.0
    failure: Failure | None = None
    score: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    asked: int = 0
    """Times it was asked."""
    hold: Hold | None = None
    """While it is asked, and of the one who answered until the end of its answer."""


@dataclass(slots=True)
class Trail:
    """The choices of one call in order, and what became of each."""

    tried: list[Tried] = field(default_factory=list)

    @classmethod
    def over(cls, choices: list[Choice]) -> "Trail":
        return cls([Tried(choice) for choice in choices])
