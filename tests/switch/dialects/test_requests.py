"""Requests in other words: whatever comes in, they are written or refused, and nothing else."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.calls import UNKNOWN, Call
from switch.dialects.anthropic import Anthropic
from switch.dialects.anthropic_request import MODERN
from switch.dialects.dialect import OpenAI, Unmappable
from switch.dialects.gemini import Gemini
from tests.fakes.openai_upstream import THOUGHT, openai_upstream
from tests.switch.dialects.asking import Asking, put_together, question

odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
part = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "input_audio", "refusal"])},
    optional={
        name: odd | st.fixed_dictionaries({"url": st.just("data:,x") | odd}) for name in ("text", "image_url", "file")
    },
)
call = st.fixed_dictionaries(
    {}, optional={"id": odd, "function": odd | st.fixed_dictionaries({"name": odd, "arguments": odd})}
)
one_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | odd},
    optional={
        "content": odd | st.lists(part | odd, max_size=2),
        "tool_calls": odd | st.lists(call, max_size=2),
        "tool_call_id": odd,
    },
)
NAMES = [
    "temperature",
    "max_tokens",
    "stop",
    "tools",
    "tool_choice",
    "response_format",
    "n",
    "modalities",
    "user",
    "thinking",
    "reasoning_effort",
]
body = st.fixed_dictionaries(
    {"messages": st.lists(one_message, min_size=1, max_size=3)}, optional=dict.fromkeys(NAMES, odd)
)


@settings(max_examples=300, deadline=None)
@given(body)
def test_any_request_is_written_or_refused(body):
    for dialect in (Anthropic(), Gemini()):
        with suppress(Unmappable):
            json.dumps(dialect.request(Call(body), "m", UNKNOWN))


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
