"""Gemini's `generateContent` on a real socket, as far as it is asked here.

It behaves as `RawUpstream` says; of its own are `tools`, `two_tools`, `thinks`, `blocked`, `unsafe`, `max_tokens`, `malformed_call`,
`error_event`, and what is in ERRORS.
"""

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from tests.fakes.raw_upstream import Asked, RawUpstream, running

WORDS = ["A compressor ", "makes loud sounds ", "quieter: ñ 音 🎚."]
ANSWER = "".join(WORDS)
THOUGHT = "**Dynamics**\n\nThe user asks about them."
SIGNATURE = "c2lnbmVkIGJ5IEdlbWluaQ=="
TOOL_INPUT = {"city": "Málaga", "days": 2}
JSON_ANSWER = {"city": "Málaga", "degrees": 31}
USAGE = {
    "promptTokenCount": 120,
    "cachedContentTokenCount": 100,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 12,
    "totalTokenCount": 162,
}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
ERRORS: dict[str, tuple[int, str, str, list[dict[str, str]]]] = {
    "unauthorized": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [BAD_KEY]),
    "no_such_model": (404, "NOT_FOUND", "models/none is not found for API version v1beta", []),
    "limited": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", [RETRY]),
    "broken": (500, "INTERNAL", "An internal error has occurred.", []),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded.", []),
}


@dataclass
class GeminiUpstream(RawUpstream):
    def is_stream(self, asked: Asked) -> bool:
        return asked.path.endswith(":streamGenerateContent?alt=sse")

    def whole(self, asked: Asked, behaviour: str) -> tuple[int, Any, dict[str, str]]:
        refused = _refused(asked, behaviour)
        if refused is not None:
            return refused
        if behaviour == "blocked":
            return 200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE}, {}
        parts, reason = parts_of(behaviour, asked)
        return 200, answer(asked, parts, reason), {}

    def events(self, asked: Asked, behaviour: str) -> list[bytes] | None:
        if _refused(asked, behaviour) is not None:
            return None
        if behaviour == "blocked":
            return [_event({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE})]
        parts, reason = parts_of(behaviour, asked)
        if behaviour == "error_event":
            error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
            return [_event(answer(asked, parts[:1], None)), _event(error)]
        pieces = [one for part in parts for one in _pieces(part)]
        whole = [answer(asked, [piece], None) for piece in pieces[:-1]]
        return [_event(one) for one in [*whole, answer(asked, pieces[-1:], reason)]]


def gemini_upstream(behaviour: str = "fine") -> AbstractAsyncContextManager[GeminiUpstream]:
    return running(GeminiUpstream(behaviour=behaviour), "/v1beta")


def parts_of(behaviour: str, asked: Asked) -> tuple[list[dict[str, Any]], str]:
    """The parts of an answer and why it stopped."""
    weather = {"functionCall": {"name": "weather", "args": TOOL_INPUT}, "thoughtSignature": SIGNATURE}
    match behaviour:
        case "tools":
            return [{"text": ANSWER}, weather], "STOP"
        case "two_tools":
            return [weather, {"functionCall": {"name": "now", "args": {}}}], "STOP"
        case "thinks":
            return [{"text": THOUGHT, "thought": True}, {"text": ANSWER, "thoughtSignature": SIGNATURE}], "STOP"
        case "in_json":
            assert asked.body["generationConfig"]["responseMimeType"] == "application/json"
            return [{"text": json.dumps(JSON_ANSWER)}], "STOP"
        case "unsafe":
            return [{"text": ANSWER}], "SAFETY"
        case "max_tokens":
            return [{"text": ANSWER}], "MAX_TOKENS"
        case "malformed_call":
            return [{"text": ""}], "MALFORMED_FUNCTION_CALL"
        case "draws":
            return [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}], "STOP"
    return [{"text": ANSWER}], "STOP"


def answer(asked: Asked, parts: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    model = asked.path.rpartition("/")[2].partition(":")[0]
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": model, "responseId": "resp-1"}


def _pieces(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [part | {"text": word} for word in WORDS] if part.get("text") == ANSWER else [part]


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\r\n\r\n".encode()


def _refused(asked: Asked, behaviour: str) -> tuple[int, Any, dict[str, str]] | None:
    if behaviour in ERRORS:
        code, status, said, details = ERRORS[behaviour]
        return code, {"error": {"code": code, "message": said, "status": status, "details": details}}, {}
    wrong = _wrong(asked)
    return (
        None if wrong is None else (400, {"error": {"code": 400, "message": wrong, "status": "INVALID_ARGUMENT"}}, {})
    )


def _wrong(asked: Asked) -> str | None:
    body = asked.body
    if unknown := set(body) - {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "safetySettings",
    }:
        return f"Invalid JSON payload received. Unknown name {min(unknown)!r}: Cannot find field."
    if not body.get("contents"):
        return "* GenerateContentRequest.contents: contents is not specified"
    if any(turn["role"] not in ("user", "model") for turn in body["contents"]):
        return "Please use a valid role: user, model."
    for before, turn in zip([{"parts": []}, *body["contents"]], body["contents"], strict=False):
        calls = [part["functionCall"]["name"] for part in before["parts"] if "functionCall" in part]
        answers = [part["functionResponse"]["name"] for part in turn["parts"] if "functionResponse" in part]
        if answers and answers != calls:
            return (
                "Please ensure that the number of function response parts is equal to the number of function call parts"
            )
    return None
