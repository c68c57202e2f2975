"""OpenAI's official SDK as a client, whoever answers: a provider of its own API, Anthropic or Gemini.

The SDK is imported where it is used: that takes seconds, and every worker collects this file, whoever runs it.
"""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from pydantic import BaseModel

from tests.fakes.anthropic_upstream import ANSWER as CLAUDES_ANSWER
from tests.fakes.anthropic_upstream import JSON_ANSWER, THOUGHT, TOOL_INPUT
from tests.fakes.gemini_upstream import ANSWER as GEMINIS_ANSWER
from tests.fakes.openai_upstream import ANSWER
from tests.switch.conftest import KEY
from tests.switch.dialects.asking import NOW, WEATHER
from tests.switch.three_dialects import CLAUDE, GEMINI, GPT, Router

if TYPE_CHECKING:
    from openai import AsyncOpenAI

QUESTION = [{"role": "user", "content": "what does a compressor do?"}]
ANSWERS = {CLAUDE: CLAUDES_ANSWER, GEMINI: GEMINIS_ANSWER, GPT: ANSWER}


class Weather(BaseModel):
    city: str
    degrees: int


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(router: Router) -> "AsyncIterator[AsyncOpenAI]":
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=f"{router.url}/v1", api_key=router.token, max_retries=0, timeout=30) as one:
        yield one


async def test_plain_answers_are_the_same_whoever_gives_them(sdk):
    for model, said in ANSWERS.items():
        answer = await sdk.chat.completions.create(model=model, messages=QUESTION)
        assert answer.choices[0].message.content == said
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_streams_are_the_same_and_tell_their_usage_to_who_asks(sdk):
    for model, said in ANSWERS.items():
        for options in ({}, {"stream_options": {"include_usage": True}}):
            stream = await sdk.chat.completions.create(model=model, messages=QUESTION, stream=True, **options)
            chunks = [chunk async for chunk in stream]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            assert text.strip() == said
            assert any(chunk.choices and chunk.choices[0].finish_reason == "stop" for chunk in chunks)
            if model != GPT:  # the fake of OpenAI's does not know the option
                assert [chunk.usage is not None for chunk in chunks if not chunk.choices] == ([True] if options else [])


async def test_tools_are_called_and_answered(sdk, claude, gemini):
    for model, up in ((CLAUDE, claude), (GEMINI, gemini)):
        up.behaviours = ["two_tools", "fine"]
        answer = await sdk.chat.completions.create(model=model, messages=QUESTION, tools=[WEATHER, NOW])
        message = answer.choices[0].message
        assert answer.choices[0].finish_reason == "tool_calls"
        assert json.loads(message.tool_calls[0].function.arguments) == TOOL_INPUT
        results = [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in message.tool_calls]
        again = await sdk.chat.completions.create(
            model=model, messages=[*QUESTION, message, *results], tools=[WEATHER, NOW]
        )
        assert again.choices[0].message.content == ANSWERS[model]
        up.behaviours = ["two_tools"]
        async with sdk.chat.completions.stream(model=model, messages=QUESTION, tools=[WEATHER, NOW]) as stream:
            whole = await stream.get_final_completion()
        assert [call.function.name for call in whole.choices[0].message.tool_calls] == ["weather", "now"]


async def test_answers_in_a_schema_are_parsed(sdk, claude, gemini):
    claude.behaviour, gemini.behaviour = "in_json_natively", "in_json"
    for model in (CLAUDE, GEMINI):
        answer = await sdk.chat.completions.parse(model=model, messages=QUESTION, response_format=Weather)
        assert answer.choices[0].message.parsed == Weather(**JSON_ANSWER)


async def test_thoughts_come_beside_the_answer(sdk, claude):
    claude.behaviour = "thinks"
    answer = await sdk.chat.completions.create(model=CLAUDE, messages=QUESTION, reasoning_effort="low")
    assert answer.choices[0].message.reasoning_content == "".join(THOUGHT)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("limited", "RateLimitError"),
        ("overloaded", "InternalServerError"),
        ("no_such_model", "NotFoundError"),
        ("unauthorized", "InternalServerError"),
        ("garbage", "InternalServerError"),
        ("cut", "InternalServerError"),
    ],
)
async def test_errors_become_the_sdks_own(sdk, claude, gemini, behaviour, kind):
    import openai

    claude.behaviour = gemini.behaviour = behaviour
    for model in (CLAUDE, GEMINI):
        with pytest.raises(getattr(openai, kind)) as raised:
            await sdk.chat.completions.create(model=model, messages=QUESTION)
        assert raised.value.body["message"]
        assert KEY not in str(raised.value.body)


async def test_what_a_model_cannot_do_is_a_bad_request_that_names_it(sdk, claude):
    import openai

    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.chat.completions.create(model=CLAUDE, messages=QUESTION, logprobs=True)
    assert (raised.value.code, raised.value.param) == ("unsupported_by_model", "logprobs")
    assert not claude.asked


async def test_an_error_before_the_first_word_of_a_stream_is_an_error_and_later_an_event(sdk, claude):
    import openai

    claude.behaviour = "error_first"
    with pytest.raises(openai.InternalServerError):
        await sdk.chat.completions.create(model=CLAUDE, messages=QUESTION, stream=True)
    for behaviour in ("error_event", "cut", "no_end"):
        claude.behaviour = behaviour
        stream = await sdk.chat.completions.create(model=CLAUDE, messages=QUESTION, stream=True)
        with pytest.raises(openai.APIError):
            [chunk async for chunk in stream]


async def test_models_are_listed(sdk):
    listed = [model.id async for model in sdk.models.list()]
    assert {"auto", *ANSWERS} <= set(listed)
    assert (await sdk.models.retrieve(CLAUDE)).owned_by == "claude"
