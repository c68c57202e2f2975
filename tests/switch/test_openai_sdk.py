"""OpenAI's official SDK as a client, whoever answers: a provider of its own API, Anthropic or Gemini."""

import json
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.fakes.anthropic_upstream import ANSWER as CLAUDES_ANSWER
from tests.fakes.anthropic_upstream import JSON_ANSWER, THOUGHT, TOOL_INPUT, anthropic_upstream
from tests.fakes.gemini_upstream import ANSWER as GEMINIS_ANSWER
from tests.fakes.gemini_upstream import gemini_upstream
from tests.fakes.openai_upstream import ANSWER
from tests.switch.conftest import KEY, provider
from tests.switch.dialects.asking import NOW, WEATHER

QUESTION = [{"role": "user", "content": "what does a compressor do?"}]
CLAUDE, GEMINI, GPT = "claude/claude-haiku-4-5", "google/gemini-2.5-flash", "mock/gpt"
ANSWERS = {CLAUDE: CLAUDES_ANSWER, GEMINI: GEMINIS_ANSWER, GPT: ANSWER}


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture
async def claude():
    async with anthropic_upstream() as up:
        yield up


@pytest.fixture
async def gemini():
    async with gemini_upstream() as up:
        yield up


@pytest.fixture
async def client(upstream, claude, gemini, settings_of, served):
    providers = {
        "mock": provider(upstream, "gpt"),
        "claude": {"base_url": claude.base_url, "api_key": KEY, "models": ["claude-haiku-4-5"], "api": "anthropic"},
        "google": {"base_url": gemini.base_url, "api_key": KEY, "models": ["gemini-2.5-flash"], "api": "gemini"},
    }
    async with served(settings_of(providers=providers, switch_retries=0, switch_preferred=["claude", "google"])) as up:
        yield up


@pytest.fixture
async def sdk(client, secrets) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"{client.base_url}/v1", api_key=secrets.owner.get_secret_value(), max_retries=0, timeout=30
    ) as one:
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
        ("limited", openai.RateLimitError),
        ("overloaded", openai.InternalServerError),
        ("no_such_model", openai.NotFoundError),
        ("unauthorized", openai.InternalServerError),
        ("garbage", openai.InternalServerError),
        ("cut", openai.InternalServerError),
    ],
)
async def test_errors_become_the_sdks_own(sdk, claude, gemini, behaviour, kind):
    claude.behaviour = gemini.behaviour = behaviour
    for model in (CLAUDE, GEMINI):
        with pytest.raises(kind) as raised:
            await sdk.chat.completions.create(model=model, messages=QUESTION)
        assert raised.value.body["message"]
        assert KEY not in str(raised.value.body)


async def test_what_a_model_cannot_do_is_a_bad_request_that_names_it(sdk, claude):
    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.chat.completions.create(model=CLAUDE, messages=QUESTION, logprobs=True)
    assert (raised.value.code, raised.value.param) == ("unsupported_by_model", "logprobs")
    assert not claude.asked


async def test_auto_asks_somebody_else_what_a_model_has_no_words_for(client, sdk, claude, gemini):
    raw = await sdk.chat.completions.with_raw_response.create(model="auto", messages=QUESTION, logprobs=True)
    assert raw.headers["x-vx11-model"] == GPT
    decision = (await client.get(f"/switch/decisions/{raw.headers['x-vx11-decision']}")).json()
    outcomes = [(one["provider"], one["outcome"]) for one in decision["candidates"]]
    assert ("claude", "unsupported") in outcomes
    assert ("mock", "answered") in outcomes
    assert not claude.asked + gemini.asked


async def test_an_error_before_the_first_word_of_a_stream_is_an_error_and_later_an_event(sdk, claude):
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
