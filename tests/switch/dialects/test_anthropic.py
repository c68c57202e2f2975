"""Anthropic's Messages API, asked as if it were OpenAI's."""

import json

import pytest

from switch.calls import Facts
from switch.dialects.anthropic import Anthropic
from switch.failures import Failure, FailureKind
from tests.fakes.anthropic_upstream import (
    ANSWER,
    JSON_ANSWER,
    SIGNATURE,
    THOUGHT,
    TOOL_INPUT,
    AnthropicUpstream,
    anthropic_upstream,
)
from tests.switch.dialects.asking import KEY, NOW, WEATHER, Asking, in_schema, put_together, question

MODEL = "claude-haiku-4-5"
USAGE = {
    "prompt_tokens": 1320,
    "completion_tokens": 40,
    "total_tokens": 1360,
    "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 300},
    "completion_tokens_details": {"reasoning_tokens": 0},
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "service_tier": "standard",
}


@pytest.fixture
async def claude():
    async with anthropic_upstream() as up:
        yield up


@pytest.fixture
def asking(claude: AnthropicUpstream):
    one = Asking(Anthropic(), claude.base_url, MODEL)
    yield one
    one.close()


async def test_a_plain_answer_has_openais_shape(asking, claude):
    status, content = await asking.whole(question())
    assert status == 200
    assert (content["object"], content["model"], content["id"]) == ("chat.completion", MODEL, "msg_01")
    [choice] = content["choices"]
    assert choice["message"]["content"] == ANSWER
    assert choice["finish_reason"] == "stop"
    assert content["usage"] == USAGE
    [asked] = claude.asked
    assert asked.headers["x-api-key"] == KEY
    assert "authorization" not in asked.headers
    assert asked.body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": question()["messages"][0]["content"]}]}
    ]


async def test_a_stream_says_the_same(asking):
    chunks = await asking.stream(question())
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"] == []
    assert put_together(chunks) == {"role": "assistant", "content": ANSWER, "finish_reason": "stop", "usage": USAGE}


@pytest.mark.parametrize("is_stream", [False, True])
async def test_tools_are_called_with_ids_and_arguments_in_json(asking, claude, is_stream):
    claude.behaviour = "two_tools"
    body = question(tools=[WEATHER, NOW], tool_choice="required", parallel_tool_calls=True)
    said = put_together(await asking.stream(body)) if is_stream else await asking.message(body)
    weather, now = said["tool_calls"]
    assert (weather["id"], weather["type"], weather["function"]["name"]) == ("toolu_01", "function", "weather")
    assert json.loads(weather["function"]["arguments"]) == TOOL_INPUT
    assert now["function"] == {"name": "now", "arguments": "{}"}
    assert said["finish_reason"] == "tool_calls"
    [asked] = claude.asked
    assert asked.body["tool_choice"] == {"type": "any"}
    assert asked.body["tools"][0]["input_schema"] == WEATHER["function"]["parameters"]
    assert asked.body["tools"][1] == {"name": "now", "input_schema": {"type": "object", "properties": {}}}


async def test_a_whole_conversation_with_tools_is_taken(asking, claude):
    calls = [
        {
            "id": "functions.weather:0",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Ronda"}'},
        },
        {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}},
    ]
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    body = {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "developer", "content": [{"type": "text", "text": "No emoji."}]},
            {"role": "user", "content": [{"type": "text", "text": "And this?"}, picture]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]},
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "functions.weather:0", "content": "sunny"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "noon"}]},
            {"role": "user", "content": "so?"},
            {"role": "assistant", "content": "It is "},
        ],
        "tools": [WEATHER, NOW],
    }
    await asking.message(body)
    asked = claude.asked[0].body
    assert asked["system"] == [{"type": "text", "text": "Be short."}, {"type": "text", "text": "No emoji."}]
    user, assistant, results, begun = asked["messages"]
    assert user["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    assert user["content"][2]["source"] == {"type": "url", "url": "https://example.com/a.png"}
    assert [block["input"] for block in assistant["content"]] == [{"city": "Ronda"}, {}]
    assert [block["id"] for block in assistant["content"]] == ["functions_weather_0", "call_2"]
    assert [block["type"] for block in results["content"]] == ["tool_result", "tool_result", "text"]
    assert begun["content"] == [{"type": "text", "text": "It is"}]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_thoughts_are_told_apart_and_can_be_sent_back_signed(asking, claude, is_stream):
    claude.behaviours = ["thinks"]
    body = question(reasoning_effort="low", max_tokens=100, temperature=0.2)
    said = put_together(await asking.stream(body)) if is_stream else await asking.message(body)
    assert said["reasoning_content"] == "".join(THOUGHT)
    assert said["content"] == ANSWER
    asked = claude.asked[0].body
    assert asked["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert asked["max_tokens"] > 1024
    assert "temperature" not in asked
    again = {"messages": [*body["messages"], {"role": "assistant", **said}, {"role": "user", "content": "more"}]}
    await asking.message(again)
    first = claude.asked[1].body["messages"][1]["content"][0]
    assert first == {"type": "thinking", "thinking": "".join(THOUGHT), "signature": SIGNATURE}


async def test_a_modern_model_is_told_how_hard_to_think_and_no_temperature(claude):
    asking = Asking(Anthropic(), claude.base_url, "claude-opus-5-5")
    await asking.whole(question(reasoning_effort="high", temperature=0.2, top_p=0.5, max_tokens=100))
    asking.close()
    asked = claude.asked[0].body
    assert asked["thinking"] == {"type": "adaptive"}
    assert asked["output_config"] == {"effort": "high"}
    assert asked["max_tokens"] == 100
    assert not {"temperature", "top_p"} & set(asked)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("strict", [False, True])
async def test_an_answer_in_a_schema_is_the_content(asking, claude, strict, is_stream):
    claude.behaviour = "in_json_natively" if strict else "in_json"
    body = question(response_format=in_schema(strict=strict))
    said = put_together(await asking.stream(body)) if is_stream else await asking.message(body)
    assert json.loads(said["content"]) == JSON_ANSWER
    assert said["finish_reason"] == "stop"
    assert "tool_calls" not in said


async def test_a_schema_leaves_the_other_tools_within_reach(asking, claude):
    claude.behaviour = "tools"
    said = await asking.message(question(response_format=in_schema(), tools=[WEATHER]))
    assert said["tool_calls"][0]["function"]["name"] == "weather"
    assert claude.asked[0].body["tool_choice"] == {"type": "any"}


async def test_settings_are_translated(asking, claude):
    body = question(max_completion_tokens=7, stop="END", temperature=1.7, top_p=0.9, user="u1", seed=4, n=1, store=True)
    await asking.message(body)
    asked = claude.asked[0].body
    assert (asked["max_tokens"], asked["stop_sequences"], asked["temperature"]) == (7, ["END"], 1.0)
    assert asked["metadata"] == {"user_id": "u1"}
    assert not {"seed", "top_p", "n", "store", "user"} & set(asked)


async def test_the_longest_answer_is_the_models_own_where_the_request_does_not_say(asking, claude):
    await asking.whole(question(), facts=Facts(output_tokens=8192))
    await asking.whole(question())
    assert [asked.body["max_tokens"] for asked in claude.asked] == [8192, 4096]


async def test_a_system_message_alone_is_answered(asking, claude):
    await asking.message({"messages": [{"role": "system", "content": "Say hello."}]})
    assert claude.asked[0].body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Say hello."}]}]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("max_tokens", "length"), ("refuses", "content_filter"), ("stops", "stop"), ("tools", "tool_calls")],
)
async def test_why_it_stopped_is_told_in_openais_words(asking, claude, behaviour, reason):
    claude.behaviour = behaviour
    assert (await asking.message(question()))["finish_reason"] == reason
    assert put_together(await asking.stream(question()))["finish_reason"] == reason


WITHOUT_WORDS = {
    "n": 2,
    "logprobs": True,
    "logit_bias": {"50256": -100},
    "frequency_penalty": 0.5,
    "tools": [{"type": "custom", "custom": {"name": "sql"}}],
    "tool_choice": None,
    "temperature": "hot",
    "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}],
}


async def test_what_cannot_be_said_is_refused_by_name_and_asked_of_nobody(asking, claude):
    for name, value in WITHOUT_WORDS.items():
        body = question(**{name: value})
        if name == "tool_choice":
            body |= {"tools": [WEATHER], "tool_choice": {"type": "custom"}}
        with pytest.raises(Failure) as failed:
            await asking.whole(body)
        assert (failed.value.kind, failed.value.param) == (FailureKind.UNSUPPORTED, name)
    assert not claude.asked


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        ("unauthorized", 401),
        ("no_credit", 402),
        ("no_such_model", 404),
        ("too_large", 413),
        ("limited", 429),
        ("overloaded", 529),
    ],
)
async def test_errors_have_openais_shape(asking, claude, behaviour, status, is_stream):
    claude.behaviour = behaviour
    told, content = await asking.whole(question(stream=is_stream))
    assert told == status
    assert set(content["error"]) == {"message", "type", "code", "param"}
    assert content["error"]["message"]


async def test_when_to_come_back_is_told(asking, claude):
    claude.behaviour = "limited"
    assert await asking.header(question(), b"retry-after") == "7"


async def test_an_error_in_the_middle_of_a_stream_is_an_event(asking, claude):
    claude.behaviour = "error_event"
    *_, last = await asking.stream(question())
    assert last["error"] == {
        "message": "Overloaded",
        "type": "overloaded_error",
        "code": "overloaded_error",
        "param": None,
    }


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("cut", FailureKind.CUT),
        ("cut_in_event", FailureKind.CUT),
        ("no_end", FailureKind.CUT),
        ("garbage_event", FailureKind.GARBAGE),
    ],
)
async def test_a_stream_that_breaks_off_is_a_failure(asking, claude, behaviour, kind):
    claude.behaviour = behaviour
    with pytest.raises(Failure) as failed:
        await asking.stream(question())
    assert failed.value.kind is kind


@pytest.mark.parametrize(("behaviour", "kind"), [("garbage", FailureKind.GARBAGE), ("cut", FailureKind.CUT)])
async def test_a_plain_answer_that_is_none_is_a_failure(asking, claude, behaviour, kind):
    claude.behaviour = behaviour
    with pytest.raises(Failure) as failed:
        await asking.whole(question())
    assert failed.value.kind is kind


async def test_a_stream_that_comes_in_drops_is_whole(asking, claude):
    claude.behaviour = "drips"
    claude.go_on.set()
    assert put_together(await asking.stream(question()))["content"] == ANSWER


async def test_connections_are_kept_after_whole_answers_streams_and_errors(asking, claude):
    claude.behaviours = ["fine", "fine", "limited", "fine"]
    await asking.whole(question())
    await asking.stream(question())
    await asking.whole(question())
    await asking.whole(question())
    assert claude.connections == 1
