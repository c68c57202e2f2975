"""Gemini's `generateContent`, asked as if it were OpenAI's."""

import json

import pytest

from switch.dialects.gemini import Gemini
from switch.failures import Failure, FailureKind
from tests.fakes.gemini_upstream import (
    ANSWER,
    JSON_ANSWER,
    SIGNATURE,
    THOUGHT,
    TOOL_INPUT,
    GeminiUpstream,
    gemini_upstream,
)
from tests.switch.dialects.asking import KEY, NOW, SCHEMA, WEATHER, Asking, in_schema, put_together, question

MODEL = "gemini-2.5-flash"
USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 42,
    "total_tokens": 162,
    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 12},
}


@pytest.fixture
async def gemini():
    async with gemini_upstream() as up:
        yield up


@pytest.fixture
def asking(gemini: GeminiUpstream):
    one = Asking(Gemini(), gemini.base_url, MODEL)
    yield one
    one.close()


async def test_a_plain_answer_has_openais_shape(asking, gemini):
    status, content = await asking.whole(question())
    assert status == 200
    assert (content["object"], content["model"], content["id"]) == ("chat.completion", MODEL, "resp-1")
    [choice] = content["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (ANSWER, "stop")
    assert content["usage"] == USAGE
    [asked] = gemini.asked
    assert asked.path == f"/v1beta/models/{MODEL}:generateContent"
    assert asked.headers["x-goog-api-key"] == KEY
    assert "authorization" not in asked.headers


async def test_a_stream_says_the_same(asking, gemini):
    chunks = await asking.stream(question())
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"] == []
    assert put_together(chunks) == {"role": "assistant", "content": ANSWER, "finish_reason": "stop", "usage": USAGE}
    assert gemini.asked[0].path == f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"


@pytest.mark.parametrize("is_stream", [False, True])
async def test_tools_are_called_with_ids_of_our_own_and_answered_by_name(asking, gemini, is_stream):
    gemini.behaviours = ["two_tools"]
    body = question(tools=[WEATHER, NOW], tool_choice={"type": "function", "function": {"name": "weather"}})
    said = put_together(await asking.stream(body)) if is_stream else await asking.message(body)
    weather, now = said["tool_calls"]
    assert weather["id"] != now["id"]
    assert (weather["function"]["name"], json.loads(weather["function"]["arguments"])) == ("weather", TOOL_INPUT)
    assert now["function"] == {"name": "now", "arguments": "{}"}
    assert said["finish_reason"] == "tool_calls"
    asked = gemini.asked[0].body
    assert asked["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}
    [declared, _] = asked["tools"][0]["functionDeclarations"]
    assert declared["parametersJsonSchema"] == WEATHER["function"]["parameters"]
    results = [
        {"role": "tool", "tool_call_id": weather["id"], "content": "sunny"},
        {"role": "tool", "tool_call_id": now["id"], "content": '{"hour": 12}'},
    ]
    turn = {"role": "assistant", "content": None, "tool_calls": said["tool_calls"]}
    await asking.message(body | {"messages": [*body["messages"], turn, *results], "tool_choice": "auto"})
    _, called, answered = gemini.asked[1].body["contents"]
    assert called["parts"][0]["thoughtSignature"] == SIGNATURE
    responses = [part["functionResponse"] for part in answered["parts"]]
    assert [(one["name"], one["response"]) for one in responses] == [
        ("weather", {"output": "sunny"}),
        ("now", {"hour": 12}),
    ]


async def test_one_call_at_a_time_is_kept_to(asking, gemini):
    gemini.behaviour = "two_tools"
    body = question(tools=[WEATHER, NOW], parallel_tool_calls=False)
    assert [one["function"]["name"] for one in (await asking.message(body))["tool_calls"]] == ["weather"]
    assert len(put_together(await asking.stream(body))["tool_calls"]) == 1


async def test_a_call_of_another_model_is_marked_as_unsigned_for_gemini_3(gemini):
    asking = Asking(Gemini(), gemini.base_url, "gemini-3-pro")
    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"},
    ]
    await asking.message({"messages": [*question()["messages"], *turns], "reasoning_effort": "low"})
    asking.close()
    assert gemini.asked[0].body["contents"][1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"
    assert gemini.asked[0].body["generationConfig"]["thinkingConfig"] == {
        "thinkingLevel": "low",
        "includeThoughts": True,
    }


async def test_pictures_sound_and_papers_are_taken_and_neighbours_are_one_turn(asking, gemini):
    parts = [
        {"type": "text", "text": "And these?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.webp?x=1"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    system = [{"role": "system", "content": "Be short."}, {"role": "developer", "content": "No emoji."}]
    await asking.message(
        {"messages": [*system, {"role": "user", "content": parts}, {"role": "user", "content": "so?"}]}
    )
    asked = gemini.asked[0].body
    assert asked["systemInstruction"] == {"parts": [{"text": "Be short."}, {"text": "No emoji."}]}
    [turn] = asked["contents"]
    assert [part.get("inlineData", part.get("fileData", {})).get("mimeType") for part in turn["parts"]] == [
        *(None, "image/png", "image/webp", "audio/wav", "application/pdf"),
        None,
    ]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_thoughts_are_told_apart(asking, gemini, is_stream):
    gemini.behaviour = "thinks"
    body = question(reasoning_effort="medium")
    said = put_together(await asking.stream(body)) if is_stream else await asking.message(body)
    assert (said["reasoning_content"], said["content"]) == (THOUGHT, ANSWER)
    thinking = gemini.asked[0].body["generationConfig"]["thinkingConfig"]
    assert thinking == {"thinkingBudget": 8192, "includeThoughts": True}


async def test_an_answer_in_a_schema_is_the_content(asking, gemini):
    gemini.behaviour = "in_json"
    said = await asking.message(question(response_format=in_schema()))
    assert json.loads(said["content"]) == JSON_ANSWER
    assert gemini.asked[0].body["generationConfig"]["responseJsonSchema"] == SCHEMA


async def test_settings_are_translated(asking, gemini):
    body = question(
        max_tokens=7, stop=["END"], temperature=1.7, top_p=0.9, seed=4, n=2, presence_penalty=0.5, user="u1"
    )
    await asking.whole(body)
    assert gemini.asked[0].body["generationConfig"] == {
        "maxOutputTokens": 7,
        "stopSequences": ["END"],
        "temperature": 1.7,
        "topP": 0.9,
        "seed": 4,
        "candidateCount": 2,
        "presencePenalty": 0.5,
    }


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_blocked_prompt_is_an_answer_that_was_filtered(asking, gemini, is_stream):
    gemini.behaviour = "blocked"
    said = put_together(await asking.stream(question())) if is_stream else await asking.message(question())
    assert said["finish_reason"] == "content_filter"
    assert "PROHIBITED_CONTENT" in said["refusal"]
    assert said["usage"]["prompt_tokens"] == 120


@pytest.mark.parametrize(
    ("behaviour", "reason"), [("max_tokens", "length"), ("unsafe", "content_filter"), ("tools", "tool_calls")]
)
async def test_why_it_stopped_is_told_in_openais_words(asking, gemini, behaviour, reason):
    gemini.behaviour = behaviour
    assert (await asking.message(question()))["finish_reason"] == reason
    assert put_together(await asking.stream(question()))["finish_reason"] == reason


async def test_a_picture_in_the_answer_is_passed_on(asking, gemini):
    gemini.behaviour = "draws"
    [image] = (await asking.message(question()))["images"]
    assert image["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgo="


async def test_what_cannot_be_said_is_refused_by_name_and_asked_of_nobody(asking, gemini):
    wrong = {
        "logprobs": True,
        "logit_bias": {"50256": -100},
        "tools": [{"type": "custom", "custom": {"name": "sql"}}],
        "messages": [{"role": "tool", "tool_call_id": "call_1", "content": "whose?"}],
        "seed": "many",
    }
    for name, value in wrong.items():
        with pytest.raises(Failure) as failed:
            await asking.whole(question(**{name: value}))
        assert (failed.value.kind, failed.value.param) == (FailureKind.UNSUPPORTED, name)
    assert not gemini.asked


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "status"), [("unauthorized", 401), ("no_such_model", 404), ("limited", 429), ("overloaded", 503)]
)
async def test_errors_have_openais_shape(asking, gemini, behaviour, status, is_stream):
    gemini.behaviour = behaviour
    told, content = await asking.whole(question(stream=is_stream))
    assert told == status
    assert set(content["error"]) == {"message", "type", "code", "param"}


async def test_when_to_come_back_is_told_as_a_header(asking, gemini):
    gemini.behaviour = "limited"
    assert await asking.header(question(), b"retry-after") == "7"


async def test_an_error_in_the_middle_of_a_stream_is_an_event(asking, gemini):
    gemini.behaviour = "error_event"
    *_, last = await asking.stream(question())
    assert last["error"]["message"] == "The model is overloaded."


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("cut", FailureKind.CUT),
        ("no_end", FailureKind.CUT),
        ("garbage_event", FailureKind.GARBAGE),
        ("malformed_call", FailureKind.SERVER_ERROR),
    ],
)
async def test_a_stream_that_breaks_off_is_a_failure(asking, gemini, behaviour, kind):
    gemini.behaviour = behaviour
    with pytest.raises(Failure) as failed:
        await asking.stream(question())
    assert failed.value.kind is kind


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [("garbage", FailureKind.GARBAGE), ("cut", FailureKind.CUT), ("malformed_call", FailureKind.SERVER_ERROR)],
)
async def test_a_plain_answer_that_is_none_is_a_failure(asking, gemini, behaviour, kind):
    gemini.behaviour = behaviour
    with pytest.raises(Failure) as failed:
        await asking.whole(question())
    assert failed.value.kind is kind


async def test_a_stream_that_comes_in_drops_is_whole(asking, gemini):
    gemini.behaviour = "drips"
    gemini.go_on.set()
    assert put_together(await asking.stream(question()))["content"] == ANSWER


def test_the_name_of_a_model_cannot_lead_elsewhere():
    assert Gemini().path("../../v1/x?y\r\nz", is_stream=False) == "/models/..%2F..%2Fv1%2Fx%3Fy%0D%0Az:generateContent"
    assert Gemini().path("models/gemini-2.5-pro", is_stream=False) == "/models/gemini-2.5-pro:generateContent"
