"""Pieces of OpenAI's chat completions, as plain JSON objects: what every other dialect is turned into."""

import time
from typing import Any

from pydantic_core import from_json, to_json

DONE = b"data: [DONE]\n\n"
MOST_WORDS = 500  # characters of a refusal that is a page, or an object of the provider's own

Json = dict[str, Any]


def usage(
    input_tokens: int,
    output_tokens: int,
    *,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    reasoning_tokens: int = 0,
    total_tokens: int | None = None,
) -> Json:
    """Token counts. `input_tokens` are all of the prompt: those read from a cache and written to it are among them."""
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens if total_tokens is None else total_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens, "cache_write_tokens": cache_write_tokens},
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
    }


def count(value: object) -> int:
    """A number of tokens as APIs tell it; 0 where there is none."""
    return value if isinstance(value, int) else 0


def members(value: object) -> Json:
    """An object of an answer; empty where it is none."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A list of an answer; empty where it is none."""
    return value if isinstance(value, list) else []


def completion(answer_id: str, model: str, choices: list[Json], used: Json) -> Json:
    return {
        "id": answer_id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": used,
    }


def choice(index: int, message: Json, finish_reason: str) -> Json:
    return {"index": index, "message": message, "finish_reason": finish_reason, "logprobs": None}


def tool_call(call_id: str, name: str, arguments: str) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def error(message: str, kind: str, code: str | None = None, param: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def refusal(said: str, status: int) -> bytes:
    """What a provider says against a request: as it came where it is in OpenAI's shape, else its words in that shape."""
    try:
        content = from_json(said)
    except ValueError:
        content = None
    match content:
        case {"error": {"message": str()}}:
            return said.encode()
        case {"error": str(words)} | {"message": str(words)} | {"detail": str(words)}:
            pass
        case _:
            words = said.strip()[:MOST_WORDS]
    return to_json(error(words or f"status {status} without words", "invalid_request_error"))


def event(content: Json) -> bytes:
    return b"data: " + to_json(content) + b"\n\n"


class Chunks:
    """The chunks of one stream: the same id, time and model in each, and who speaks in the first of each choice."""

    def __init__(self, answer_id: str, model: str) -> None:
        self._head = {"id": answer_id, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
        self._begun: set[int] = set()

    def delta(
        self, content: Json, *, index: int = 0, finish_reason: str | None = None, more: Json | None = None
    ) -> bytes:
        """A chunk of one choice; `more` is what else is told of the choice."""
        if index not in self._begun:
            self._begun.add(index)
            content = {"role": "assistant"} | content
        one = {"index": index, "delta": content, "finish_reason": finish_reason, **(more or {})}
        return event(self._head | {"choices": [one]})

    def used(self, used: Json) -> bytes:
        return event(self._head | {"choices": [], "usage": used})
