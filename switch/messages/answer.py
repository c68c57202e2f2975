"""A chat completion, whole or as a stream, in the shape of Anthropic's Messages API. Pure."""

import re
from typing import Any

from pydantic_core import from_json, to_json

from config.clock import new_id
from switch.dialects.event_stream import EventReader
from switch.dialects.openai_shape import Json, count, items, members
from switch.failures import Failure, FailureKind

STOP = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use"}
STOP |= {"content_filter": "refusal"}
NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")  # Anthropic's API refuses other characters when a call comes back to it
THINKING = frozenset({"enabled", "adaptive", "between_tools"})


def wants_thoughts(asked: Json) -> bool:
    """Whether the client expects blocks of thinking; one that does not may take the first block for the answer."""
    thinking = asked.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in THINKING


def message_of(completion: Json, *, shows_thoughts: bool) -> Json:
    """The message in a chat completion. Raises Failure where there is none."""
    match completion.get("choices"):
        case [{"message": dict(said)} as choice, *_]:
            pass
        case _:
            raise Failure(FailureKind.GARBAGE, "the answer holds no message")
    blocks = _thoughts(said, shows_thoughts=shows_thoughts)
    if isinstance(text := said.get("content") or said.get("refusal"), str) and text:
        blocks.append({"type": "text", "text": text, "citations": None})
    calls = [_tool_use(call) for call in items(said.get("tool_calls"))]
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": completion.get("model") or "",
        "content": [*blocks, *calls],
        **_stop(choice, has_calls=bool(calls)),
        "usage": used_tokens(completion.get("usage")),
    }


def used_tokens(used: Any) -> Json:
    """Anthropic counts what was read from a cache and written to it beside the prompt's other tokens, OpenAI among them."""
    used = members(used)
    details = members(used.get("prompt_tokens_details"))
    cached = count(details.get("cached_tokens")) or count(used.get("prompt_cache_hit_tokens"))
    written = count(details.get("cache_write_tokens"))
    return {
        "input_tokens": max(0, count(used.get("prompt_tokens")) - cached - written),
        "output_tokens": count(used.get("completion_tokens")),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
    }


def _thoughts(said: Json, *, shows_thoughts: bool) -> list[Json]:
    """Signed ones always: the client must send them back. Others are news to read, for who wants them."""
    if signed := [block for block in items(said.get("thinking_blocks")) if isinstance(block, dict)]:
        return signed
    text = said.get("reasoning_content") or said.get("reasoning")
    if shows_thoughts and isinstance(text, str) and text:
        return [{"type": "thinking", "thinking": text, "signature": ""}]
    return []


def _tool_use(call: Json) -> Json:
    match call:
        case {"function": {"name": str(name), **more}}:
            return {"type": "tool_use", "id": _id(call.get("id")), "name": name, "input": _input(more.get("arguments"))}
    raise Failure(FailureKind.GARBAGE, "the answer holds a tool call without a name")


def _input(written: Any) -> Json:
    try:
        found = from_json(written or "{}")
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, dict):
        raise Failure(FailureKind.GARBAGE, "the model called a tool with what is not a JSON object")
    return found


def _id(call_id: Any) -> str:
    return NOT_IN_IDS.sub("_", call_id) if isinstance(call_id, str) and call_id else new_id("toolu")


def _stop(choice: Json, *, has_calls: bool) -> Json:
    reason = STOP.get(str(choice.get("finish_reason")), "end_turn")
    if has_calls and reason == "end_turn":  # some providers call tools and say "stop"
        reason = "tool_use"
    sequence = choice.get("stop_reason")  # vLLM's word for the text at which it stopped
    if reason == "end_turn" and isinstance(sequence, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": sequence}
    return {"stop_reason": reason, "stop_sequence": None}


class MessageEvents:
    """`take` pieces of a stream of OpenAI's and get events of Anthropic's. Raises Failure for what makes no sense."""

    def __init__(self, *, shows_thoughts: bool) -> None:
        self._shows_thoughts = shows_thoughts
        self._events = EventReader()
        self._has_begun = self.has_failed = False
        self._index = -1
        self._open = ""
        """The type of the block that is open; empty for none."""
        self._call: tuple[int, str] | None = None
        """Place and id of the call whose arguments are coming."""
        self._calls: set[tuple[int, str]] = set()
        self._stop: Json | None = None
        self._used: Any = None

    def take(self, data: bytes) -> bytes:
        return b"".join([self._event(event.data) for event in self._events.take(data)])

    def end(self) -> bytes:
        """The last events. Raises Failure when the stream was cut off."""
        said = b"".join([self._event(event.data) for event in self._events.rest()])
        if self.has_failed:
            return said
        if self._stop is None:
            raise Failure(FailureKind.CUT, "the stream ended before the answer did")
        told = {"type": "message_delta", "delta": self._stop, "usage": used_tokens(self._used)}
        return said + self._closed() + _written(told) + _written({"type": "message_stop"})

    def _event(self, data: bytes) -> bytes:
        if data == b"[DONE]" or self.has_failed:
            return b""
        try:
            content = from_json(data)
        except ValueError as exc:
            raise Failure(FailureKind.GARBAGE, "an event of the stream is not JSON") from exc
        if not isinstance(content, dict):
            raise Failure(FailureKind.GARBAGE, "an event of the stream is not an object")
        if content.get("error"):
            self.has_failed = True
            return error_event(words_of_error(content))
        said = b"" if self._has_begun else self._begun(content)
        if isinstance(content.get("usage"), dict):
            self._used = content["usage"]
        match content.get("choices"):
            case [dict(choice), *_] if not choice.get("index"):
                said += self._delta(choice.get("delta"))
                if isinstance(choice.get("finish_reason"), str):
                    self._stop = _stop(choice, has_calls=bool(self._calls))
        return said

    def _begun(self, content: Json) -> bytes:
        self._has_begun = True
        message: Json = {
            "id": new_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": content.get("model") or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": used_tokens(content.get("usage")),  # nobody knows before the end; it is in `message_delta`
        }
        return _written({"type": "message_start", "message": message}) + _written({"type": "ping"})

    def _delta(self, delta: Any) -> bytes:
        if not isinstance(delta, dict):
            return b""
        said = b""
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if self._shows_thoughts and isinstance(thought, str) and thought:
            said += self._in("thinking", {"thinking": "", "signature": ""})
            said += self._piece({"type": "thinking_delta", "thinking": thought})
        for block in items(delta.get("thinking_blocks")):
            said += self._signed(block)
        if isinstance(text := delta.get("content") or delta.get("refusal"), str) and text:
            said += self._in("text", {"text": ""}) + self._piece({"type": "text_delta", "text": text})
        for call in items(delta.get("tool_calls")):
            said += self._tool(call)
        return said

    def _signed(self, block: Any) -> bytes:
        """A thought of Anthropic's that has ended; its words may have gone out already."""
        match block:
            case {"type": "thinking", "signature": str(signature)}:
                said = b""
                if self._open != "thinking":
                    said = self._in("thinking", {"thinking": "", "signature": ""})
                    said += self._piece({"type": "thinking_delta", "thinking": str(block.get("thinking") or "")})
                return said + self._piece({"type": "signature_delta", "signature": signature}) + self._closed()
            case {"type": "redacted_thinking", "data": str(data)}:
                return self._closed() + self._in("redacted_thinking", {"data": data}) + self._closed()
        return b""

    def _tool(self, call: Any) -> bytes:
        match call:
            case {"function": dict(function)}:
                pass
            case _:
                return b""
        place, call_id = count(call.get("index")), str(call.get("id") or "")
        said = b""
        # the id is told once, but some providers give every call the place 0 and tell them apart by it
        is_same = self._call is not None and place == self._call[0] and call_id in ("", self._call[1])
        if not is_same:
            name = function.get("name")
            if (
                not isinstance(name, str)
                or not name
                or any(place == earlier and not call_id for earlier, _ in self._calls)
            ):
                raise Failure(FailureKind.GARBAGE, "the stream goes on with a tool call that had ended")
            self._call = (place, call_id)
            self._calls.add(self._call)
            said += self._closed() + self._in("tool_use", {"id": _id(call_id), "name": name, "input": {}})
        if isinstance(piece := function.get("arguments"), str) and piece:
            said += self._piece({"type": "input_json_delta", "partial_json": piece})
        return said

    def _in(self, kind: str, start: Json) -> bytes:
        """Open a block, unless it is open already."""
        if self._open == kind:
            return b""
        closed = self._closed()
        self._open, self._index = kind, self._index + 1
        block = {"type": "content_block_start", "index": self._index, "content_block": {"type": kind, **start}}
        return closed + _written(block)

    def _closed(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _written({"type": "content_block_stop", "index": self._index})

    def _piece(self, delta: Json) -> bytes:
        return _written({"type": "content_block_delta", "index": self._index, "delta": delta})


def _written(content: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (content["type"].encode(), to_json(content))


def error_event(message: str, kind: str = "api_error") -> bytes:
    return _written({"type": "error", "error": {"type": kind, "message": message}})


def words_of_error(content: Any) -> str:
    """What an error of OpenAI's shape, or of one like it, says."""
    match content:
        case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)}:
            return message
    return "the model did not say what is wrong"
