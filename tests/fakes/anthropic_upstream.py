"""Anthropic's Messages API on a real socket, as far as it is asked here: its checks of a request, its answers, its events, its errors.

It behaves as `RawUpstream` says; of its own are `tools`, `two_tools`, `thinks`, `in_json`, `refuses`, `max_tokens`, `error_event`,
`error_first`, and what is in ERRORS.
"""

import itertools
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from tests.fakes.raw_upstream import Asked, RawUpstream, running

WORDS = ["A ", "compressor ", "makes ", "loud ", "sounds ", "qui", "eter: ", "ñ 音 🎚."]
ANSWER = "".join(WORDS)
THOUGHT = ["The user asks ", "about dynamics."]
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBtb2RlbA=="
TOOL_INPUT = {"city": "Málaga", "days": 2}
JSON_ANSWER = {"city": "Málaga", "degrees": 31}
USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 1000,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 1,
    "service_tier": "standard",
}
ERRORS: dict[str, tuple[int, str, str, dict[str, str]]] = {
    "unauthorized": (401, "authentication_error", "invalid x-api-key", {}),
    "no_credit": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", {}),
    "forbidden": (403, "permission_error", "no permission", {}),
    "no_such_model": (404, "not_found_error", "model: claude-none", {}),
    "too_large": (413, "request_too_large", "Request exceeds the maximum allowed number of bytes.", {}),
    "limited": (429, "rate_limit_error", "This request would exceed your rate limit.", {"retry-after": "7"}),
    "broken": (500, "api_error", "Internal server error", {}),
    "overloaded": (529, "overloaded_error", "Overloaded", {}),
}


@dataclass
class AnthropicUpstream(RawUpstream):
    def is_stream(self, asked: Asked) -> bool:
        return asked.body.get("stream") is True

    def whole(self, asked: Asked, behaviour: str) -> tuple[int, Any, dict[str, str]]:
        refused = _refused(asked, behaviour)
        if refused is not None:
            return refused
        blocks, reason = content(behaviour, asked)
        return 200, message(asked, blocks, reason, USAGE | {"output_tokens": 40}), {"request-id": "req_011"}

    def events(self, asked: Asked, behaviour: str) -> list[bytes] | None:
        if _refused(asked, behaviour) is not None:
            return None
        if behaviour == "error_first":
            return [_event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})]
        blocks, reason = content(behaviour, asked)
        start = _event({"type": "message_start", "message": message(asked, [], None, USAGE)})
        events = [start, _event({"type": "ping"})]
        for index, block in enumerate(blocks):
            events += _block_events(index, block)
        if behaviour == "error_event":
            return [*events, _event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})]
        delta = {"stop_reason": reason, "stop_sequence": "\n\n" if reason == "stop_sequence" else None}
        events.append(_event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 40}}))
        return [*events, _event({"type": "message_stop"})]


def anthropic_upstream(behaviour: str = "fine") -> AbstractAsyncContextManager[AnthropicUpstream]:
    return running(AnthropicUpstream(behaviour=behaviour), "/v1")


def content(behaviour: str, asked: Asked) -> tuple[list[dict[str, Any]], str]:
    """The blocks of an answer and why it stopped."""
    text = {"type": "text", "text": ANSWER}
    thinking = {"type": "thinking", "thinking": "".join(THOUGHT), "signature": SIGNATURE}
    weather = {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": TOOL_INPUT}
    match behaviour:
        case "tools":
            return [text, weather], "tool_use"
        case "two_tools":
            return [weather, {"type": "tool_use", "id": "toolu_02", "name": "now", "input": {}}], "tool_use"
        case "thinks":
            return [thinking, {"type": "redacted_thinking", "data": "Zm9v"}, text], "end_turn"
        case "thinks_and_calls":
            return [thinking, weather], "tool_use"
        case "in_json":
            [tool] = [tool["name"] for tool in asked.body["tools"] if "degrees" in json.dumps(tool["input_schema"])]
            return [{"type": "tool_use", "id": "toolu_03", "name": tool, "input": JSON_ANSWER}], "tool_use"
        case "in_json_natively":
            assert asked.body["output_config"]["format"]["type"] == "json_schema"
            return [{"type": "text", "text": json.dumps(JSON_ANSWER)}], "end_turn"
        case "refuses":
            return [], "refusal"
        case "max_tokens":
            return [text], "max_tokens"
        case "stops":
            return [text], "stop_sequence"
    return [text], "end_turn"


def message(asked: Asked, blocks: list[dict[str, Any]], reason: str | None, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": asked.body["model"],
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": "\n\n" if reason == "stop_sequence" else None,
        "usage": usage,
    }


def _block_events(index: int, block: dict[str, Any]) -> list[bytes]:
    empty: dict[str, Any]
    deltas: list[dict[str, Any]]
    match block["type"]:
        case "text":
            pieces = WORDS if block["text"] == ANSWER else [block["text"][:9], block["text"][9:]]
            empty, deltas = {"text": ""}, [{"type": "text_delta", "text": one} for one in pieces]
        case "thinking":
            empty = {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": one} for one in THOUGHT]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use":
            written = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
            empty = {"input": {}}
            pieces = ["", *(written[start : start + 5] for start in range(0, len(written), 5))]
            deltas = [{"type": "input_json_delta", "partial_json": one} for one in pieces]
        case _:
            empty, deltas = {}, []
    start = {"type": "content_block_start", "index": index, "content_block": block | empty}
    return [
        _event(start),
        *(_event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas),
        _event({"type": "content_block_stop", "index": index}),
    ]


def _event(content: dict[str, Any]) -> bytes:
    return f"event: {content['type']}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def _refused(asked: Asked, behaviour: str) -> tuple[int, Any, dict[str, str]] | None:
    if behaviour in ERRORS:
        status, kind, said, headers = ERRORS[behaviour]
        return status, _error(kind, said), headers
    wrong = _wrong(asked)
    return None if wrong is None else (400, _error("invalid_request_error", wrong), {})


def _error(kind: str, said: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_011"}


def _wrong(asked: Asked) -> str | None:
    """What the real API would say against the request."""
    body = asked.body
    if (asked.method, asked.path) != ("POST", "/v1/messages"):
        return f"no such path: {asked.path}"
    if asked.headers.get("anthropic-version") != "2023-06-01":
        return "anthropic-version: header is required"
    if not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    if unknown := set(body) - MEMBERS:
        return f"{min(unknown)}: Extra inputs are not permitted"
    if not body["messages"]:
        return "messages: at least one message is required"
    roles = [one["role"] for one in body["messages"]]
    if any(role not in ("user", "assistant") for role in roles) or any(a == b for a, b in itertools.pairwise(roles)):
        return "messages: roles must alternate"
    calls: set[str] = set()
    for one in body["messages"]:
        for block in one["content"] if isinstance(one["content"], list) else []:
            match block:
                case {"type": "text", "text": ""}:
                    return "messages: text content blocks must be non-empty"
                case {"type": "tool_use", "id": str(call_id)}:
                    calls.add(call_id)
                case {"type": "tool_result", "tool_use_id": str(call_id)} if call_id not in calls:
                    return f"messages: unexpected tool_use_id {call_id}"
                case {"type": "thinking"} if not block.get("signature"):
                    return "messages: Invalid `signature` in `thinking` block"
    return None


MEMBERS = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "stream", "stop_sequences", "temperature", "top_p", "top_k"),
        *("metadata", "tools", "tool_choice", "thinking", "output_config", "service_tier", "cache_control"),
    }
)
