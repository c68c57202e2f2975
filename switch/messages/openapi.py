"""The words for Anthropic's API in OpenAPI; FastAPI does not know the routes, which are plain ASGI apps."""

from typing import Any

from config.anthropic_errors import MESSAGES
from switch.messages.endpoint import COUNT_TOKENS

ERROR = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}
STATUSES = {
    400: "The request is not as Anthropic's API has it, or the model refuses it",
    401: "A valid token is needed",
    402: "The budget does not allow it",
    403: "The token may not do that",
    404: "There is no such model",
    413: "The request is too large",
    422: "A field of `vx11` is wrong, or no model fits",
    429: "The provider wants fewer requests",
    501: "No service of this fleet does that yet",
    502: "The provider failed",
    503: "No model can answer now",
}
BLOCKS = {"type": "array", "items": {"type": "object"}}
PROPERTIES: dict[str, Any] = {
    "model": {
        "type": "string",
        "minLength": 1,
        "maxLength": 512,
        "default": "auto",
        "description": "As for `/v1/chat/completions`: `auto`, `auto:<task type>`, a local model, or `<provider>/<model>`",
    },
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {
                "role": {"enum": ["user", "assistant", "system"]},
                "content": {"anyOf": [{"type": "string"}, BLOCKS]},
            },
            "required": ["role", "content"],
        },
        "examples": [[{"role": "user", "content": "what does a compressor do?"}]],
    },
    "system": {"anyOf": [{"type": "string"}, BLOCKS]},
    "tools": {"type": "array", "items": {"type": "object", "required": ["name", "input_schema"]}},
}
MORE = {
    "max_tokens": {"type": "integer", "minimum": 1},
    "stream": {"type": ["boolean", "null"], "default": False},
}
MESSAGE = {
    "type": "object",
    "required": ["id", "type", "role", "content", "model", "stop_reason", "stop_sequence", "usage"],
    "properties": {"type": {"const": "message"}, "role": {"const": "assistant"}, "content": BLOCKS},
}
COUNTED = {"type": "object", "required": ["input_tokens"], "properties": {"input_tokens": {"type": "integer"}}}


def describe_messages(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI with Anthropic's API in it."""
    answers = {"application/json": {"schema": MESSAGE}, "text/event-stream": {"schema": {"type": "string"}}}
    schema["paths"][MESSAGES] = _post(
        "A message, as Anthropic's API has it",
        "messages",
        _body(PROPERTIES | MORE, "messages", "max_tokens"),
        {"description": "A message, or its events when `stream` is true", "content": answers},
        *STATUSES,
    )
    schema["paths"][COUNT_TOKENS] = _post(
        "About how many tokens a request has",
        "count_tokens",
        _body(PROPERTIES, "messages"),
        {"description": "An estimate: no model is asked", "content": {"application/json": {"schema": COUNTED}}},
        *(400, 401, 403, 413),
    )
    return schema


def _body(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": True}


def _post(summary: str, name: str, body: dict[str, Any], answered: dict[str, Any], *statuses: int) -> dict[str, Any]:
    refused = {
        str(status): {"description": STATUSES[status], "content": {"application/json": {"schema": ERROR}}}
        for status in statuses
    }
    return {
        "post": {
            "summary": summary,
            "operationId": name,
            "tags": ["anthropic"],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"200": answered} | refused,
        }
    }
