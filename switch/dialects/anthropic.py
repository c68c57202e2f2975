"""Anthropic's Messages API (version 2023-06-01), spoken as if it were OpenAI's chat completions.

Thoughts come out as `reasoning_content`, and whole, with their signatures, as `thinking_blocks`: whoever sends a turn with tool calls back
may send these with it, as the API wants it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from switch.calls import Call, Facts
from switch.dialects import openai_shape
from switch.dialects.anthropic_request import ANSWER_TOOL, MODERN, SAMPLING, messages_request, wants_answer_tool
from switch.dialects.dialect import Refused
from switch.dialects.openai_shape import DONE, Chunks, Json, count, members
from switch.failures import Failure, FailureKind

VERSION = "2023-06-01"
PRICED = ("cache_creation", "server_tool_use", "service_tier")
"""Of the usage, what OpenAI has no place for and costs money of its own; left as it is."""
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class Anthropic:
    def path(self, model: str, *, is_stream: bool) -> str:
        return "/messages"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {"anthropic-version": VERSION} | ({} if key is None else {"x-api-key": key})

    def request(self, call: Call, model: str, facts: Facts) -> Json:
        """Raises Unmappable."""
        if call.messages_body is not None:  # it was said in these words to begin with
            asked = call.messages_body | {"model": model, "stream": call.is_stream}
            is_modern = MODERN.search(model) is not None
            return {name: asked[name] for name in asked if name not in SAMPLING} if is_modern else asked
        return messages_request(call.body, model, most_output=facts.output_tokens, is_stream=call.is_stream)

    def refused(self, status: int, retry_after: str, content: Any) -> Refused:
        match content:
            case {"error": {"message": str(message), "type": str(kind)}} if message:
                if "credit balance" in message:
                    status = 402  # sent as 400, as if asking for something else could help
                return Refused(status, message, kind, kind, retry_after)
        return Refused(status, f"status {status} without words", retry_after=retry_after)

    def translation(self, call: Call, model: str) -> "AnthropicAnswer":
        through_tool = call.messages_body is None and wants_answer_tool(call.body, model)
        return AnthropicAnswer(model, answers_through_tool=through_tool)


class AnthropicAnswer:
    def __init__(self, model: str, *, answers_through_tool: bool) -> None:
        self._model, self._answers_through_tool = model, answers_through_tool
        self._chunks: Chunks | None = None
        self._used: Json = {}
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._finish = ""
        self._has_failed = self._has_stopped = False

    # --- whole -----------------------------------------------------------------------------------------------------

    def whole(self, content: Any) -> Json:
        match content:
            case {"type": "message", "id": str(answer_id), "content": list(blocks), "usage": dict(used)}:
                message = self._message([block for block in blocks if isinstance(block, dict)])
                finish = self._finish_of(content.get("stop_reason"), has_calls="tool_calls" in message)
                model = str(content.get("model") or self._model)
                choice = openai_shape.choice(0, message, finish) | _stopped_at(content)
                return openai_shape.completion(answer_id, model, [choice], used_tokens(used))
        raise Failure(FailureKind.GARBAGE, "the answer is not a message of Anthropic's API")

    def _message(self, blocks: list[Json]) -> Json:
        texts, thoughts, thinking, calls = list[str](), list[str](), list[Json](), list[Json]()
        for block in blocks:
            match block:
                case {"type": "text", "text": str(text)}:
                    texts.append(text)
                case {"type": "thinking" | "redacted_thinking"}:
                    thoughts.append(str(block.get("thinking") or ""))
                    thinking.append(block)
                case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                    written = to_json(block.get("input") or {}).decode()
                    if self._is_answer(name):
                        texts = [written]
                        break
                    calls.append(openai_shape.tool_call(call_id, name, written))
        message: Json = {"role": "assistant", "content": "".join(texts) or (None if calls else ""), "refusal": None}
        if calls:
            message["tool_calls"] = calls
        if any(thoughts):
            message["reasoning_content"] = "".join(thoughts)
        if thinking:
            message["thinking_blocks"] = thinking
        return message

    # --- stream ----------------------------------------------------------------------------------------------------

    def event(self, kind: str, content: Any) -> bytes:
        match content:
            case {"type": "message_start", "message": dict(message)}:
                # said together with the first word: an error before it can still be mended by asking somebody else
                self._chunks = Chunks(str(message.get("id") or ""), str(message.get("model") or self._model))
                self._used |= _told(message.get("usage"))
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                return self._block_start(index, block)
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
                return self._block_delta(index, delta)
            case {"type": "content_block_stop", "index": int(index)}:
                return self._block_stop(index)
            case {"type": "message_delta", "delta": dict(delta)}:
                self._used |= _told(content.get("usage"))
                return self._stop(delta)
            case {"type": "message_stop"}:
                return self._last()
            case {"type": "error", "error": dict(error)}:
                self._has_failed = True
                wrong = str(error.get("type") or "api_error")
                return openai_shape.event(openai_shape.error(str(error.get("message") or wrong), wrong, wrong))
            case {"type": str()}:
                return b""  # a ping, or a kind that came later than this was written: they are to be left out
            case _:
                raise Failure(FailureKind.GARBAGE, f"an event {kind[:40]!r} is not one of Anthropic's API")
        return b""

    def end(self) -> bytes:
        if self._has_failed or self._has_stopped:
            return b""
        if not self._finish:
            raise Failure(FailureKind.CUT, "the stream ended before the message did")
        return self._last()

    def _block_start(self, index: int, block: Json) -> bytes:
        begun = self._blocks[index] = _Block(block)
        match block:
            case {"type": "text", "text": str(text)} if text:
                return self._delta({"content": text})
            case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                begun.is_answer = self._is_answer(name)
                if begun.is_answer:
                    return b""
                begun.call, self._calls = self._calls, self._calls + 1
                call = {"index": begun.call, **openai_shape.tool_call(call_id, name, "")}
                return self._delta({"tool_calls": [call]})
        return b""

    def _block_delta(self, index: int, delta: Json) -> bytes:
        block = self._blocks.get(index)
        if block is None:
            raise Failure(FailureKind.GARBAGE, "a piece of a block came before the block")
        match delta:
            case {"type": "text_delta", "text": str(text)} if text:
                return self._delta({"content": text})
            case {"type": "thinking_delta", "thinking": str(thought)} if thought:
                block.thought += thought
                return self._delta({"reasoning_content": thought})
            case {"type": "signature_delta", "signature": str(signature)}:
                block.signature += signature
            case {"type": "input_json_delta", "partial_json": str(piece)} if piece:
                block.has_input = True
                if block.is_answer:
                    return self._delta({"content": piece})
                if block.call is not None:
                    return self._arguments(block.call, piece)
        return b""

    def _block_stop(self, index: int) -> bytes:
        block = self._blocks.pop(index, None)
        if block is None:
            return b""
        if block.call is not None and not block.has_input:  # a tool without parameters
            return self._arguments(block.call, to_json(block.start.get("input") or {}).decode())
        if block.start.get("type") in ("thinking", "redacted_thinking"):
            whole = block.start | (
                {"thinking": block.thought, "signature": block.signature} if block.start["type"] == "thinking" else {}
            )
            return self._delta({"thinking_blocks": [whole]})
        return b""

    def _stop(self, told: Json) -> bytes:
        reason = told.get("stop_reason")
        if reason is None or self._finish:
            return b""
        self._finish = self._finish_of(reason, has_calls=self._calls > 0)
        return self._begun().delta({}, finish_reason=self._finish, more=_stopped_at(told))

    def _last(self) -> bytes:
        self._has_stopped = True
        stopped = b"" if self._finish else self._stop({"stop_reason": "end_turn"})
        return stopped + self._begun().used(used_tokens(self._used)) + DONE

    def _arguments(self, call: int, piece: str) -> bytes:
        return self._delta({"tool_calls": [{"index": call, "function": {"arguments": piece}}]})

    def _delta(self, content: Json) -> bytes:
        return self._begun().delta(content)

    def _begun(self) -> Chunks:
        if self._chunks is None:
            raise Failure(FailureKind.GARBAGE, "the stream does not begin with message_start")
        return self._chunks

    # --- both ------------------------------------------------------------------------------------------------------

    def _is_answer(self, tool: str) -> bool:
        return self._answers_through_tool and tool == ANSWER_TOOL

    def _finish_of(self, reason: Any, *, has_calls: bool) -> str:
        if reason == "tool_use" and not has_calls:
            return "stop"  # the one tool that was called is the answer
        return FINISH.get(str(reason), "stop")


class _Block:
    """A block of a stream while it is open."""

    __slots__ = ("call", "has_input", "is_answer", "signature", "start", "thought")

    def __init__(self, start: Json) -> None:
        self.start = start
        self.call: int | None = None
        self.is_answer = self.has_input = False
        self.thought, self.signature = str(start.get("thinking") or ""), str(start.get("signature") or "")


def used_tokens(used: Json) -> Json:
    """OpenAI counts what was read from a cache and written to it among the prompt's tokens, Anthropic beside them."""
    cached, written = count(used.get("cache_read_input_tokens")), count(used.get("cache_creation_input_tokens"))
    details = members(used.get("output_tokens_details"))
    counted = openai_shape.usage(
        count(used.get("input_tokens")) + cached + written,
        count(used.get("output_tokens")),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=count(details.get("thinking_tokens")),
    )
    return counted | {name: used[name] for name in PRICED if used.get(name) is not None}


def _stopped_at(told: Json) -> Json:
    """The text at which the answer stopped, where vLLM has it: OpenAI does not tell."""
    sequence = told.get("stop_sequence")
    return {"stop_reason": sequence} if isinstance(sequence, str) else {}


def _told(used: Any) -> Json:
    """The counts that are told; a later one replaces an earlier."""
    return {name: value for name, value in members(used).items() if value is not None}
