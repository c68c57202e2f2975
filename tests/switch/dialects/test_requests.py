"""Requests in other words: whatever comes in, they are written or refused, and nothing else."""

import json
from contextlib import suppress

import pytest

from switch.calls import UNKNOWN, Call
from switch.dialects.anthropic import Anthropic
from switch.dialects.anthropic_request import MODERN, messages_request
from switch.dialects.apis import dialect_of
from switch.dialects.dialect import OpenAI, Unmappable
from switch.dialects.gemini import Gemini
from tests.fakes.openai_upstream import THOUGHT, openai_upstream
from tests.switch.dialects.asking import WEATHER, Asking, in_schema, put_together, question, spoiled

CONVERSATION = [
    {"role": "system", "content": "be"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "?", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
        ],
    },
    {
        "role": "assistant",
        "content": "so",
        "refusal": "no",
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
        "tool_calls": [
            {
                "id": "t",
                "type": "function",
                "function": {"name": "weather", "arguments": "{}"},
                "extra_content": {"google": {"thought_signature": "s"}},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "t", "content": [{"type": "text", "text": "sunny"}]},
]
SETTINGS = {
    **{"temperature": 1, "top_p": 1, "max_tokens": 9, "max_completion_tokens": 9, "stop": ["END"], "n": 1, "seed": 1},
    **{
        "modalities": ["text"],
        "user": "u",
        "thinking": {"type": "disabled"},
        "reasoning_effort": "low",
        "logprobs": False,
    },
    "tools": [WEATHER],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "parallel_tool_calls": False,
    "response_format": in_schema(),
}


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-5-5", "gemini-3-pro"])
def test_a_request_with_anything_odd_in_it_is_written_or_refused(model):
    for odd in [*({"messages": one} for one in spoiled(CONVERSATION)), *spoiled(SETTINGS)]:
        if not isinstance(odd, dict):
            continue
        body = question() | odd
        if not isinstance(body["messages"], list) or not all(isinstance(one, dict) for one in body["messages"]):
            continue  # the door looks at that much
        for dialect in (Anthropic(), Gemini()):
            with suppress(Unmappable):
                json.dumps(dialect.request(Call(body), model, UNKNOWN))


@pytest.mark.parametrize(
    ("model", "is_modern"),
    [
        ("claude-3-7-sonnet-latest", False),
        ("claude-opus-4-20250514", False),
        ("claude-opus-4-1-20250805", False),
        ("claude-haiku-4-5", False),
        ("claude-sonnet-4-6", False),
        ("claude-opus-4-7", True),
        ("claude-sonnet-5", True),
        ("claude-opus-5-5", True),
        ("claude-fable-5-2", True),
        ("MiniMax-M2", False),
    ],
)
def test_models_are_told_apart_by_what_they_take(model, is_modern):
    assert (MODERN.search(model) is not None) is is_modern


@pytest.mark.parametrize("is_stream", [False, True])
async def test_what_deepseek_thought_is_kept_and_goes_back_to_it_with_the_calls_it_led_to(is_stream):
    """As whatever else a provider of OpenAI's dialect has of its own."""
    async with openai_upstream("thinks") as deepseek:
        asking = Asking(OpenAI(), deepseek.base_url, "deepseek-reasoner")
        if is_stream:
            said = put_together(await asking.stream(question()))
        else:
            _, content = await asking.whole(question())
            said = content["choices"][0]["message"]
        assert said["reasoning_content"].strip() == THOUGHT
        turn = {"role": "assistant", "content": "", "reasoning_content": THOUGHT, "tool_calls": [{"id": "call_1"}]}
        await asking.whole({"messages": [*question()["messages"], turn]})
        assert deepseek.asked[1].body["messages"][1] == turn
        asking.close()


def test_a_modern_claude_gets_no_temperature_from_clients_of_its_own_api_either():
    call = Call(question(), messages_body=question(temperature=1, max_tokens=9))
    assert "temperature" in Anthropic().request(call, "claude-haiku-4-5", UNKNOWN)
    modern = Anthropic().request(call, "claude-opus-5-5", UNKNOWN)
    assert modern == question(max_tokens=9, model="claude-opus-5-5", stream=False)


async def test_openai_itself_is_told_the_longest_answer_by_its_new_name():
    written = {
        host: json.loads(await dialect_of("openai", f"https://{host}/v1").written(Call(question(max_tokens=9)), "m"))
        for host in ("api.openai.com", "api.deepseek.com")
    }
    assert written["api.openai.com"] == question(max_completion_tokens=9, model="m")
    assert written["api.deepseek.com"] == question(max_tokens=9, model="m")


@pytest.mark.parametrize(
    ("most", "thinking", "in_all"), [(8192, 7168, 8192), (100, 1024, 2048), (None, 16_384, 64_000)]
)
def test_a_limit_of_the_answer_is_one_for_thoughts_too(most, thinking, in_all):
    body = {"messages": [{"role": "user", "content": "hello"}], "reasoning_effort": "high", "max_tokens": most}
    asked = messages_request(body, "claude-sonnet-4-5", most_output=64_000, is_stream=False)
    assert (asked["thinking"]["budget_tokens"], asked["max_tokens"]) == (thinking, in_all)
