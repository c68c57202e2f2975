"""`/v1/messages` for clients of Anthropic's API: its official SDK, and what the SDK does not show.

The SDK is imported where it is used: that takes seconds, and every worker collects this file, whoever runs it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from tests.fakes.anthropic_upstream import ANSWER as CLAUDES_ANSWER
from tests.fakes.anthropic_upstream import SIGNATURE
from tests.fakes.anthropic_upstream import THOUGHT as CLAUDES_THOUGHT
from tests.fakes.openai_upstream import ANSWER, THOUGHT
from tests.switch.conftest import KEY
from tests.switch.three_dialects import CLAUDE, GPT, Router

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

PATH = "/v1/messages"
TOOLS: list[Any] = [
    {
        "name": "weather",
        "description": "Tells the weather.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    {"name": "now", "input_schema": {"type": "object"}},
]
QUESTION: list[Any] = [{"role": "user", "content": "what does a compressor do?"}]


def asked(**more: Any) -> dict[str, Any]:
    return {"model": GPT, "max_tokens": 100, "messages": QUESTION} | more


def anthropic_error(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    said = response.json()
    assert set(said) == {"type", "error", "request_id"}
    assert (said["type"], said["error"]["type"]) == ("error", kind)
    assert said["request_id"] == response.headers["request-id"] == response.headers["x-request-id"]
    error: dict[str, Any] = said["error"]
    return error


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(router: Router) -> "AsyncIterator[AsyncAnthropic]":
    from anthropic import AsyncAnthropic

    async with AsyncAnthropic(base_url=router.url, auth_token=router.token, max_retries=0, timeout=30) as one:
        yield one


async def test_a_plain_answer_is_a_message(sdk, upstream):
    message = await sdk.messages.create(**asked(system="Be short.", stop_sequences=["END"], metadata={"user_id": "u1"}))
    assert message.content[0].text == ANSWER
    assert (message.role, message.stop_reason, message.model) == ("assistant", "end_turn", "gpt")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 6)
    assert message._request_id
    body = upstream.asked[0].body
    assert body["messages"] == [{"role": "system", "content": "Be short."}, QUESTION[0]]
    assert (body["max_tokens"], body["stop"], body["user"], body["model"]) == (100, ["END"], "u1", "gpt")


async def test_a_stream_is_told_in_the_sdks_events(sdk):
    kinds = []
    async with sdk.messages.stream(**asked()) as stream:
        async for event in stream:
            kinds.append(event.type)
        message = await stream.get_final_message()
    assert message.content[0].text.strip() == ANSWER
    assert message.stop_reason == "end_turn"
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1


@pytest.mark.parametrize("is_stream", [False, True])
async def test_tools_go_both_ways(sdk, upstream, is_stream):
    upstream.behaviours = ["calls"]
    wanted = asked(tools=TOOLS, tool_choice={"type": "any", "disable_parallel_tool_use": True})
    if is_stream:
        async with sdk.messages.stream(**wanted) as stream:
            message = await stream.get_final_message()
    else:
        message = await sdk.messages.create(**wanted)
    weather, now = message.content
    assert (weather.type, weather.id, weather.name, weather.input) == (
        "tool_use",
        "call_weather_0",
        "weather",
        {"city": "Málaga"},
    )
    assert now.input == {}
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (
        15,
        5,
        9,
    )
    body = upstream.asked[0].body
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert body["tools"][0]["function"]["parameters"] == TOOLS[0]["input_schema"]
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    results = [
        {"type": "tool_result", "tool_use_id": weather.id, "content": [{"type": "text", "text": "sunny"}, picture]},
        {"type": "tool_result", "tool_use_id": now.id, "content": "no clock", "is_error": True},
        {"type": "text", "text": "so?"},
    ]
    turns = [*QUESTION, {"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    await sdk.messages.create(**wanted | {"messages": turns})
    _, called, first, second, user = upstream.asked[1].body["messages"]
    assert [call["id"] for call in called["tool_calls"]] == ["call_weather_0", "call_now_0"]
    assert (first["role"], first["content"], second["content"]) == ("tool", "sunny", "error: no clock")
    assert user["content"][0]["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgo="
    assert user["content"][1]["text"] == "so?"


@pytest.mark.parametrize("is_stream", [False, True])
async def test_thoughts_are_shown_to_who_asks_for_them(sdk, upstream, is_stream):
    upstream.behaviour = "thinks"
    for thinking in ({"type": "enabled", "budget_tokens": 1024}, {"type": "disabled"}):
        wanted = asked(thinking=thinking)
        if is_stream:
            async with sdk.messages.stream(**wanted) as stream:
                message = await stream.get_final_message()
        else:
            message = await sdk.messages.create(**wanted)
        if thinking["type"] == "enabled":
            assert message.content[0].thinking.strip() == THOUGHT
        assert [block.type for block in message.content][-1:] == ["text"]
        assert len(message.content) == (2 if thinking["type"] == "enabled" else 1)
    assert "thinking" not in upstream.asked[0].body


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_provider_of_the_same_api_is_asked_in_the_clients_own_words(sdk, claude, is_stream):
    claude.behaviour = "thinks"
    system = [{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}]
    foreign = {"type": "thinking", "thinking": "not Anthropic's", "signature": ""}
    turns = [*QUESTION, {"role": "assistant", "content": [foreign, {"type": "text", "text": "?"}]}, QUESTION[0]]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    wanted = asked(model=CLAUDE, system=system, messages=turns, thinking=thinking)
    if is_stream:
        async with sdk.messages.stream(**wanted) as stream:
            message = await stream.get_final_message()
    else:
        message = await sdk.messages.create(**wanted)
    body = claude.asked[0].body
    assert (body["system"], body["thinking"], body["model"]) == (system, thinking, "claude-haiku-4-5")
    assert [block["type"] for block in body["messages"][1]["content"]] == ["text"]
    thought, redacted, text = message.content
    assert (thought.thinking, thought.signature) == ("".join(CLAUDES_THOUGHT), SIGNATURE)
    assert (redacted.type, text.text) == ("redacted_thinking", CLAUDES_ANSWER)
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (20, 1000, 300)


async def test_where_it_stopped_is_told(sdk, claude):
    claude.behaviour = "stops"
    message = await sdk.messages.create(**asked(model=CLAUDE))
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "\n\n")


async def test_a_schema_is_passed_on(sdk, upstream):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    await sdk.messages.create(**asked(output_config={"format": {"type": "json_schema", "schema": schema}}))
    assert upstream.asked[0].body["response_format"]["json_schema"]["schema"] == schema


async def test_pictures_and_papers_are_passed_on(sdk, upstream):
    content = [
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
    ]
    await sdk.messages.create(**asked(messages=[{"role": "user", "content": content}]))
    image, paper, text = upstream.asked[0].body["messages"][0]["content"]
    assert image["image_url"]["url"] == "https://example.com/a.png"
    assert paper["file"] == {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    assert text["text"] == "plain"


ERRORS = {
    "limited": ("RateLimitError", "rate_limit_error"),
    "broken": ("InternalServerError", "api_error"),
    "no_such_model": ("NotFoundError", "not_found_error"),
    "bad_request": ("BadRequestError", "invalid_request_error"),
    "not_json": ("InternalServerError", "api_error"),
}


@pytest.mark.parametrize("behaviour", ERRORS)
async def test_errors_become_the_sdks_own(sdk, upstream, behaviour):
    import anthropic

    upstream.behaviour = behaviour
    kind, name = ERRORS[behaviour]
    for stream in (False, True):
        with pytest.raises(getattr(anthropic, kind)) as raised:
            await sdk.messages.create(**asked(stream=stream))
        assert raised.value.body["error"]["type"] == name
        assert raised.value.body["error"]["message"]
        assert KEY not in str(raised.value.body)
        assert raised.value.request_id


async def test_a_token_may_come_in_x_api_key_and_a_wrong_one_is_refused_in_anthropics_shape(client, router):
    owner = router.secrets.owner.get_secret_value()
    without = {"X-VX11-Token": ""}
    assert (await client.post(PATH, json=asked(), headers=without | {"x-api-key": owner})).status_code == 200
    assert (await client.get("/v1/models", headers=without | {"x-api-key": owner})).status_code == 200
    for headers in (
        without,
        without | {"x-api-key": "wrong"},
        without | {"authorization": "Bearer wrong", "x-api-key": owner},
    ):
        anthropic_error(await client.post(PATH, json=asked(), headers=headers), 401, "authentication_error")
    assert (await client.get("/switch/status", headers=without | {"x-api-key": owner})).status_code == 401
    fleet = {"X-VX11-Token": router.secrets.fleet.get_secret_value(), "X-VX11-Scopes": "switch:read"}
    anthropic_error(await client.post(PATH, json=asked(), headers=fleet), 403, "permission_error")


WRONG: list[Any] = [
    {"max_tokens": 5, "messages": []},
    {"messages": QUESTION},
    asked(max_tokens="many"),
    asked(model=7),
    asked(stream="yes"),
    asked(messages=["hello"]),
    asked(messages=[{"role": "robot", "content": "hello"}]),
    asked(messages=[{"role": "user", "content": [{"type": "hologram"}]}]),
    asked(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
    asked(tools=TOOLS, tool_choice={"type": "perhaps"}),
    asked(messages=[{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]),
    [1, 2],
]


async def test_a_wrong_request_is_refused_in_anthropics_shape(client, upstream):
    for body in WRONG:
        anthropic_error(await client.post(PATH, json=body), 400, "invalid_request_error")
    anthropic_error(await client.post(PATH, content=b"{"), 400, "invalid_request_error")
    anthropic_error(await client.get(PATH), 405, "invalid_request_error")
    anthropic_error(await client.post(f"{PATH}/batches", json={}), 404, "not_found_error")
    anthropic_error(await client.post(PATH, json=asked(model="gpt-none")), 404, "not_found_error")
    anthropic_error(await client.post(PATH, json=asked(vx11={"priority": "?"})), 422, "invalid_request_error")
    assert not upstream.asked


@pytest.mark.parametrize("behaviour", ["cut", "cut_in_event", "no_end"])
async def test_a_stream_that_breaks_off_ends_with_an_error_event(client, sdk, upstream, behaviour):
    import anthropic

    upstream.behaviour = behaviour
    answer = await client.post(PATH, json=asked(stream=True))
    assert answer.status_code == 200
    last = answer.text.removesuffix("\n\n").split("\n\n")[-1]
    assert last.startswith("event: error\ndata: ")
    assert json.loads(last.partition("data: ")[2])["error"]["type"] == "api_error"
    decision = (await client.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")).json()
    assert [one["outcome"] for one in decision["candidates"]] == ["cut"]
    with pytest.raises(anthropic.APIStatusError):
        async with sdk.messages.stream(**asked()) as stream:
            await stream.get_final_message()


async def test_a_client_that_leaves_ends_the_stream_upstream(client, upstream):
    upstream.behaviour = "drips"
    async with client.stream("POST", PATH, json=asked(stream=True)) as answer:
        await anext(answer.aiter_text())
    await asyncio.wait_for(upstream.left.wait(), 60)


async def test_tokens_are_counted_as_an_estimate(sdk, client, upstream, claude):
    short = await sdk.messages.count_tokens(model=GPT, messages=QUESTION)
    long = await sdk.messages.count_tokens(model=GPT, messages=QUESTION, system="word " * 1000)
    assert 5 < short.input_tokens < 30
    assert 1000 < long.input_tokens < 2000
    counted = await client.post(f"{PATH}/count_tokens", json={"messages": QUESTION})
    assert counted.headers["x-vx11-estimated"] == "true"
    assert not upstream.asked + claude.asked
