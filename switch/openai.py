"""The rest of OpenAI's API on `/v1`: the list of models, and the words for it all in OpenAPI."""

import time
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from config.clients.switch import UnknownModel
from switch.calls import LOCAL
from switch.completions import PATH
from switch.embedding.embedder import NAME as EMBEDDER
from switch.embeddings import PATH as EMBEDDINGS
from switch.routes import SwitchDep

STARTED_AT = int(time.time())

v1 = APIRouter(prefix="/v1", tags=["openai"])


class ModelCard(BaseModel):
    """A model, as OpenAI's API lists it. `created` is when this process started: the API wants a time."""

    id: str
    object: str = "model"
    created: int = STARTED_AT
    owned_by: str


class ModelCards(BaseModel):
    object: str = "list"
    data: list[ModelCard]


@v1.get("/models", summary="Models that can be named")
async def models(switch: SwitchDep) -> ModelCards:
    named = [ModelCard(id=choice.name, owned_by=choice.backend.name) for choice in switch.models]
    embedder = ModelCard(id=EMBEDDER, owned_by=LOCAL)
    return ModelCards(data=[ModelCard(id="auto", owned_by="vx11"), *named, embedder])


@v1.get("/models/{model:path}", summary="One of them")
async def model(model: str, switch: SwitchDep) -> ModelCard:
    for card in (await models(switch)).data:
        if card.id == model:
            return card
    raise UnknownModel(f"{model[:200]!r} is not in the list of models", param="model")


ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": ["string", "integer", "null"]},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}
REQUEST = {
    "type": "object",
    "required": ["messages"],
    "properties": {
        "model": {
            "type": "string",
            "minLength": 1,
            "maxLength": 512,
            "default": "auto",
            "description": "`auto`, `auto:<task type>`, the local model's name, or `<provider>/<model>`",
        },
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"role": {"type": "string"}, "content": {}},
                "required": ["role", "content"],
            },
            "examples": [[{"role": "user", "content": "what does a compressor do?"}]],
        },
        "stream": {"type": ["boolean", "null"], "default": False},
    },
    "description": "Everything else of OpenAI's API goes to the model as it comes",
    "additionalProperties": True,
}


def describe(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI with `/v1/chat/completions`, which FastAPI does not know, and OpenAI's shape of errors under `/v1`."""
    failed = {
        str(status): {"description": text, "content": {"application/json": {"schema": ERROR}}}
        for status, text in {
            400: "The request cannot be read, or the model refuses it",
            401: "A valid token is needed",
            402: "A budget does not allow this",
            403: "The token may not do that",
            404: "There is no such model",
            413: "The request is too large",
            422: "A field is wrong; `param` names it",
            429: "The provider wants fewer requests",
            501: "No service of this fleet does that yet",
            502: "The provider failed",
            503: "No model can answer now",
        }.items()
    }
    answered = {
        "200": {
            "description": "A chat completion, or its events when `stream` is true",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        }
    }
    schema["paths"][PATH] = {
        "post": {
            "summary": "Chat completion, as OpenAI's API has it",
            "operationId": "chat_completions",
            "tags": ["openai"],
            "requestBody": {"required": True, "content": {"application/json": {"schema": REQUEST}}},
            "responses": answered | failed,
        }
    }
    for path in ("/v1/models", "/v1/models/{model}"):
        listed = schema["paths"][path]["get"]["responses"]
        for status in ("400", "401", "403", "404", "422"):
            listed[status] = failed[status]
    schema["paths"][EMBEDDINGS]["post"]["responses"] |= failed
    return schema
