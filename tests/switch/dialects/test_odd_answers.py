"""Answers that are not as they should be in any one place: told as failures, and as nothing else, in both directions."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from config.clients.switch import InvalidMessages
from switch.calls import UNKNOWN, Call
from switch.dialects.anthropic import Anthropic
from switch.dialects.dialect import Unmappable
from switch.dialects.gemini import Gemini
from switch.failures import Failure
from switch.messages.answer import MessageEvents, message_of
from switch.messages.request import chat_completion, own_words, require_messages
from tests.fakes.anthropic_upstream import ERRORS as ANTHROPIC_ERRORS
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.gemini_upstream import GeminiUpstream
from tests.fakes.raw_upstream import Asked
from tests.switch.dialects.asking import spoiled

WORDS = {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 1}
TO_ANTHROPIC = Asked("POST", "/v1/messages", {"anthropic-version": "2023-06-01"}, WORDS)
TO_GEMINI = Asked("POST", "/v1beta/models/m:generateContent", {}, {"contents": [{"role": "user", "parts": []}]})


def events_of(stream: list[bytes] | None) -> list[Any]:
    assert stream is not None
    return [json.loads(event.decode().partition("data: ")[2]) for event in stream]


def cases() -> Iterator[tuple[Any, Any, list[Any]]]:
    for kind in ("thinks_and_calls", "two_tools"):
        _, whole, _ = AnthropicUpstream().whole(TO_ANTHROPIC, kind)
        yield Anthropic(), whole, events_of(AnthropicUpstream().events(TO_ANTHROPIC, kind))
    for kind in ("thinks", "two_tools", "blocked", "draws"):
        _, whole, _ = GeminiUpstream().whole(TO_GEMINI, kind)
        yield Gemini(), whole, events_of(GeminiUpstream().events(TO_GEMINI, kind))


@pytest.mark.parametrize(("dialect", "whole", "events"), list(cases()))
def test_odd_answers_of_providers_are_failures(dialect, whole, events):
    call = Call({"messages": []}, is_stream=True)
    for odd in spoiled(whole):
        with suppress(Failure):
            assert json.dumps(dialect.translation(call, "m").whole(odd))
    for odd in spoiled(events):
        if not isinstance(odd, list):
            continue
        with suppress(Failure):
            translation = dialect.translation(call, "m")
            for event in odd:
                translation.event("message", event)
            translation.end()


def test_odd_refusals_say_something():
    status, kind, said, _ = ANTHROPIC_ERRORS["limited"]
    for odd in spoiled({"type": "error", "error": {"type": kind, "message": said}}):
        assert Anthropic().refused(status, "", odd).message
    _, refusal, _ = GeminiUpstream().whole(TO_GEMINI, "limited")
    for odd in spoiled(refusal):
        assert Gemini().refused(429, "", odd).message


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}
SAID = {
    "role": "assistant",
    "content": "so",
    "reasoning_content": "hm",
    "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
    "tool_calls": [CALL],
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}


def test_odd_completions_are_failures_for_clients_of_anthropics_api():
    answer = {"model": "m", "choices": [{"message": SAID, "finish_reason": "tool_calls"}], "usage": USAGE}
    for odd in spoiled(answer):
        if isinstance(odd, dict):  # the router looks at that much
            with suppress(Failure):
                assert json.dumps(message_of(odd, shows_thoughts=True))
    deltas = [{"role": "assistant"}, {"reasoning_content": "hm"}, SAID | {"tool_calls": [{"index": 0, **CALL}]}]
    chunks = [{"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    for odd in spoiled(chunks):
        if isinstance(odd, list):
            with suppress(Failure):
                events = MessageEvents(shows_thoughts=True)
                events.take(b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in odd))
                events.end()


def test_odd_requests_of_anthropics_api_are_refused_as_such():
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}, picture]}
    use = {"type": "tool_use", "id": "t", "name": "weather", "input": {"a": 1}}
    paper = {
        "type": "document",
        "title": "a",
        "source": {"type": "content", "content": [{"type": "text", "text": "x"}]},
    }
    request = WORDS | {
        "system": [{"type": "text", "text": "be"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "?"}, paper]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, use]},
            {"role": "user", "content": [result]},
        ],
        "tools": [{"name": "weather", "description": "x", "input_schema": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "metadata": {"user_id": "u"},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "thinking": {"type": "enabled"},
    }
    for odd in spoiled(request):
        with suppress(InvalidMessages):
            asked = require_messages(odd)
            body = chat_completion(asked)
            json.dumps(own_words(asked))
            for dialect in (Anthropic(), Gemini()):
                with suppress(Unmappable):
                    json.dumps(dialect.request(Call(body), "m", UNKNOWN))
