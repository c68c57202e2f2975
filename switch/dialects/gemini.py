"""Gemini's `generateContent` (v1beta), spoken as if it were OpenAI's chat completions.

Thoughts come out as `reasoning_content`. The signature that Gemini 3 wants back under a function call is in the call's
`extra_content.google.thought_signature`, where Google's own OpenAI-compatible API has it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from config.clock import new_id
from switch.calls import Call, Facts
from switch.dialects import openai_shape
from switch.dialects.dialect import Refused
from switch.dialects.gemini_request import generate_request
from switch.dialects.openai_shape import DONE, Chunks, Json, count, items, members
from switch.failures import Failure, FailureKind

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"),
        "content_filter",
    ),
}
BROKEN = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"})
"""Reasons for an end that leave nothing that could be used."""


class Gemini:
    def path(self, model: str, *, is_stream: bool) -> str:
        name = quote(model.removeprefix("models/"), safe="")
        return f"/models/{name}:streamGenerateContent?alt=sse" if is_stream else f"/models/{name}:generateContent"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"x-goog-api-key": key}

    def request(self, call: Call, model: str, facts: Facts) -> Json:
        """Raises Unmappable."""
        return generate_request(call.body, model)

    def refused(self, status: int, retry_after: str, content: Any) -> Refused:
        if isinstance(content, list) and content:  # a stream that was refused, where it was not asked for as events
            content = content[0]
        match content:
            case {"error": {"message": str(message), **more}} if message:
                kind = str(more.get("status") or "api_error")
                told = [one for one in items(more.get("details")) if isinstance(one, dict)]
                if any(one.get("reason") == "API_KEY_INVALID" for one in told):
                    status = 401  # sent as 400
                for one in told:
                    if "retryDelay" in one:
                        retry_after = retry_after or str(one["retryDelay"]).removesuffix("s")
                return Refused(status, message, kind.lower(), kind.lower(), retry_after)
        return Refused(status, f"status {status} without words", retry_after=retry_after)

    def translation(self, call: Call, model: str) -> "GeminiAnswer":
        return GeminiAnswer(model, is_single_call=call.body.get("parallel_tool_calls") is False)


class GeminiAnswer:
    def __init__(self, model: str, *, is_single_call: bool) -> None:
        self._model, self._is_single_call = model, is_single_call
        self._chunks: Chunks | None = None
        self._calls: dict[int, int] = {}
        self._finish: dict[int, str] = {}
        self._used: Json = {}
        self._has_failed = False

    # --- whole -----------------------------------------------------------------------------------------------------

    def whole(self, content: Any) -> Json:
        if not isinstance(content, dict):
            raise _garbage()
        answer_id, model = self._who(content)
        used = used_tokens(members(content.get("usageMetadata")))
        blocked = _blocked(content)
        if blocked is not None:
            message = {"role": "assistant", "content": None, "refusal": blocked}
            choices = [openai_shape.choice(0, message, "content_filter")]
            return openai_shape.completion(answer_id, model, choices, used)
        candidates = items(content.get("candidates"))
        if not candidates:
            raise _garbage()
        choices = [self._choice(place, members(candidate)) for place, candidate in enumerate(candidates)]
        return openai_shape.completion(answer_id, model, choices, used)

    def _choice(self, place: int, candidate: Json) -> Json:
        index = _index(candidate, place)
        message: Json = {"role": "assistant", "content": "", "refusal": None}
        for delta in self._deltas(index, candidate):
            for name, value in delta.items():
                if name == "tool_calls":
                    message.setdefault(name, []).extend(
                        {key: one[key] for key in one if key != "index"} for one in value
                    )
                else:
                    message[name] = value if message.get(name) is None else message[name] + value
        if "tool_calls" in message and not message["content"]:
            message["content"] = None
        return openai_shape.choice(index, message, self._finish_of(index, candidate) or "stop")

    # --- stream ----------------------------------------------------------------------------------------------------

    def event(self, _kind: str, content: Any) -> bytes:
        if not isinstance(content, dict):
            raise _garbage()
        if isinstance(error := content.get("error"), dict):
            self._has_failed = True
            wrong = str(error.get("status") or "api_error").lower()
            return openai_shape.event(openai_shape.error(str(error.get("message") or wrong), wrong, wrong))
        if self._chunks is None:
            self._chunks = Chunks(*self._who(content))
        self._used |= {
            name: value for name, value in members(content.get("usageMetadata")).items() if value is not None
        }
        if (blocked := _blocked(content)) is not None:
            self._finish[0] = "content_filter"
            return self._chunks.delta({"refusal": blocked})
        said = b""
        for place, one in enumerate(items(content.get("candidates"))):
            candidate = members(one)
            index = _index(candidate, place)
            for delta in self._deltas(index, candidate):
                said += self._chunks.delta(delta, index=index)
            if (finish := self._finish_of(index, candidate)) is not None:
                self._finish[index] = finish
        return said

    def end(self) -> bytes:
        """Gemini says nothing at the end: it has told why each candidate stopped, or it was cut off."""
        if self._has_failed:
            return b""
        if self._chunks is None or not self._finish:
            raise Failure(FailureKind.CUT, "the stream ended before the answer did")
        said = [self._chunks.delta({}, index=index, finish_reason=why) for index, why in self._finish.items()]
        return b"".join(said) + self._chunks.used(used_tokens(self._used)) + DONE

    # --- both ------------------------------------------------------------------------------------------------------

    def _who(self, content: Json) -> tuple[str, str]:
        return str(content.get("responseId") or new_id("chatcmpl")), str(content.get("modelVersion") or self._model)

    def _deltas(self, index: int, candidate: Json) -> list[Json]:
        """What the parts of a candidate add to its message."""
        deltas: list[Json] = []
        for part in items(members(candidate.get("content")).get("parts")):
            match part:
                case {"functionCall": {"name": str(name)}}:
                    deltas += self._call(index, name, part["functionCall"], part.get("thoughtSignature"))
                case {"text": str(text), "thought": True} if text:
                    deltas.append({"reasoning_content": text})
                case {"text": str(text)} if text:
                    deltas.append({"content": text})
                case {"inlineData": {"mimeType": str(media_type), "data": str(data)}}:
                    url = f"data:{media_type};base64,{data}"
                    deltas.append({"images": [{"type": "image_url", "image_url": {"url": url}}]})
        return deltas

    def _call(self, index: int, name: str, more: Json, signature: Any) -> list[Json]:
        place = self._calls.get(index, 0)
        if place and self._is_single_call:
            return []  # Gemini cannot be told to call one at a time; the others it will call again when it knows more
        self._calls[index] = place + 1
        written = to_json(more.get("args") or {}).decode()
        call = {"index": place, **openai_shape.tool_call(str(more.get("id") or new_id("call")), name, written)}
        if isinstance(signature, str):
            call["extra_content"] = {"google": {"thought_signature": signature}}
        return [{"tool_calls": [call]}]

    def _finish_of(self, index: int, candidate: Json) -> str | None:
        reason = candidate.get("finishReason")
        if reason is None:
            return None
        if str(reason) in BROKEN:
            raise Failure(FailureKind.SERVER_ERROR, f"the model broke down over a tool call ({reason})")
        return "tool_calls" if self._calls.get(index) and reason == "STOP" else FINISH.get(str(reason), "stop")


def used_tokens(used: Json) -> Json:
    """Gemini counts thoughts beside the answer, and the prompts of its own tools beside ours; OpenAI counts them in."""
    thoughts = count(used.get("thoughtsTokenCount"))
    return openai_shape.usage(
        count(used.get("promptTokenCount")) + count(used.get("toolUsePromptTokenCount")),
        count(used.get("candidatesTokenCount")) + thoughts,
        cached_tokens=count(used.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


def _blocked(content: Json) -> str | None:
    """Why the prompt itself was refused, if it was."""
    match content.get("promptFeedback"):
        case {"blockReason": str(reason)} if not content.get("candidates"):
            return f"Gemini does not answer this prompt: {reason}"
    return None


def _index(candidate: Json, place: int) -> int:
    index = candidate.get("index", place)  # left out where there is only one
    return index if isinstance(index, int) else place


def _garbage() -> Failure:
    return Failure(FailureKind.GARBAGE, "the answer is not one of Gemini's API")
