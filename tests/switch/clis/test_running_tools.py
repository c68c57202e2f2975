"""Command-line tools as models: run by a real spawner, their turns counted by a real hermes_db."""

import asyncio

import pytest

from tests.spawner.conftest import until
from tests.switch.clis.conftest import KEY, Fleet, events_of, text_of
from tests.switch.conftest import openai_error

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_tool_answers_like_a_model(fleet: Fleet):
    answer = await fleet.chat("cli/echo-offline", "say this")
    assert text_of(answer) == "SAY THIS"  # without the colours of a terminal
    assert answer.headers["x-vx11-model"] == "cli/echo-offline"
    assert answer.json()["choices"][0]["finish_reason"] == "stop"
    decision = (await fleet.http.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")).json()
    assert (decision["provider"], decision["model"], decision["outcome"]) == ("cli", "echo-offline", "answered")
    assert decision["cost_usd"] == 0.0  # it asks nobody
    (job,) = await fleet.jobs("cli/echo-offline")
    assert (job["caller"], job["status"]) == ("switch", "DONE")


async def test_a_conversation_becomes_one_prompt(fleet: Fleet):
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "three"}]},
    ]
    said = text_of(await fleet.chat("cli/echo-offline", messages=messages))
    assert said == "BE BRIEF\n\nUSER: ONE\n\nASSISTANT: TWO\n\nUSER: THREE\n\nASSISTANT:"


async def test_a_prompt_as_argument_is_never_an_option_and_the_answer_is_found_in_json(fleet: Fleet):
    assert text_of(await fleet.chat("cli/echo-argument", "--version")) == "--VERSION"


async def test_a_tools_own_model_is_named_behind_it(fleet: Fleet):
    answer = await fleet.chat("cli/echo-offline/small-1.5", "hello")
    assert text_of(answer) == "HELLO"
    assert answer.headers["x-vx11-model"] == "cli/echo-offline/small-1.5"
    job = (await fleet.jobs("cli/echo-offline"))[0]
    record = (await fleet.spawner.get(f"/spawner/spawn/{job['spawn_id']}")).json()
    assert record["args"] == ["--model", "small-1.5"]
    openai_error(await fleet.chat("cli/echo-argument/small"), 400, "invalid_request")


async def test_a_stream_is_the_answer_in_events(fleet: Fleet):
    first, last = events_of(await fleet.chat("cli/echo-offline", "hello", stream=True))
    assert first["choices"][0]["delta"]["content"] == "HELLO"
    assert last["choices"][0]["finish_reason"] == "stop"


async def test_a_long_answer_is_there_as_a_whole(fleet: Fleet):
    assert len(text_of(await fleet.chat("cli/echo-offline", "long"))) == 100_000


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
    ],
)
async def test_what_a_tool_cannot_be_asked_is_refused(fleet: Fleet, more):
    before = len(await fleet.jobs("cli/echo-argument"))
    openai_error(await fleet.chat("cli/echo-argument", **more), 400, "invalid_request")
    assert len(await fleet.jobs("cli/echo-argument")) == before


async def test_its_profile_gives_it_its_key_and_nobody_else(fleet: Fleet):
    assert text_of(await fleet.chat("cli/echo-keyed", "hello")) == "HELLO"
    failed = await fleet.chat("cli/echo-keyed", "fail")
    error = openai_error(failed, 502, "provider_failed")
    assert "exit code 1" in error["message"]
    assert "is not accepted" in error["message"]
    assert KEY not in failed.text
    assert (
        len([job for job in await fleet.jobs("cli/echo-keyed") if job["exit_code"] == 1]) == 1
    )  # it was not run again
    uses = await fleet.uses("echo-keyed")
    assert KEY not in str(uses)


@pytest.mark.parametrize(
    ("tool", "named"), [("echo-alone", "VX11_SPAWNER_PROFILES"), ("echo-others", "callers"), ("claude", '"claude"')]
)
async def test_without_a_profile_it_is_said_what_to_write_where(fleet: Fleet, tool: str, named: str):
    error = openai_error(await fleet.chat(f"cli/{tool}"), 503, "no_model_reachable")
    assert named in error["message"]


async def test_its_limits_are_counted(fleet: Fleet):
    assert text_of(await fleet.chat("cli/echo-limited")) == "HELLO"
    refused = await fleet.chat("cli/echo-limited")
    error = openai_error(refused, 429, "provider_limited")
    assert "rate_limit_per_hour" in error["message"]
    assert int(refused.headers["retry-after"]) > 3000
    uses = await fleet.uses("echo-limited")
    assert (uses["uses"], uses["successes"]) == (1, 1)


async def test_a_client_that_leaves_ends_the_run(fleet: Fleet):
    asking = asyncio.create_task(fleet.chat("cli/echo-argument", "sleep"))

    async def runs() -> str | None:
        jobs = await fleet.jobs("cli/echo-argument")
        return next((job["spawn_id"] for job in jobs if job["status"] == "RUNNING"), None)

    spawn_id = await until(runs)
    asking.cancel()

    async def is_killed() -> bool | None:
        job = (await fleet.spawner.get(f"/spawner/spawn/{spawn_id}")).json()
        return True if job["status"] == "CANCELLED" and job["reason"] == "killed" else None

    assert await until(is_killed)

    async def is_given_back() -> bool | None:
        by_cli = (await fleet.hermes_db.get("/hermes_db/stats")).json()["by_cli"]
        return True if any(one["name"] == "echo-argument" and one["failures"] for one in by_cli) else None

    assert await until(is_given_back)


async def test_a_run_that_takes_too_long_is_ended(fleet: Fleet):
    late = await fleet.chat("cli/echo-slow", "sleep", vx11={"max_latency_ms": 2000})  # nothing is known of its speed
    openai_error(late, 503, "no_model_reachable")

    async def is_over() -> str | None:
        (job,) = await fleet.jobs("cli/echo-slow")
        return job["reason"] if job["status"] in ("CANCELLED", "ERROR") else None

    assert await until(is_over) in ("killed", "timeout")


async def test_a_query_that_requires_a_tool_gets_one(fleet: Fleet):
    body = {"query": "hello", "requires_cli": True, "model_preference": "cli/echo-offline"}
    reply = (await fleet.http.post("/switch/query", json=body)).json()
    assert (reply["status"], reply["model_used"], reply["response"]) == ("cli", "cli/echo-offline", "HELLO")


async def test_auto_leaves_tools_alone(fleet: Fleet):
    openai_error(await fleet.chat("auto"), 503, "no_model_reachable")


async def test_what_cannot_be_asked_says_why(fleet: Fleet):
    told = {one["name"]: one for one in (await fleet.http.get("/switch/clis")).json()["items"]}
    assert told["echo-offline"] | {"documentation_url": ""} == {
        "name": "echo-offline",
        "model": "cli/echo-offline",
        "is_askable": True,
        "detail": "",
        "is_offline": True,
        "needs_model": False,
        "documentation_url": "",
    }
    assert not told["aider"]["is_askable"]
    assert "metadata.prompt" in told["aider"]["detail"]
    assert "args" in told["echo-broken"]["detail"]
    assert told["claude"]["is_askable"]
    for name, words in (("aider", "edits files"), ("echo-broken", "args"), ("nobody", "cli/echo-offline")):
        assert words in openai_error(await fleet.chat(f"cli/{name}"), 404, "model_not_found")["message"]


async def test_tools_are_listed_among_the_models(fleet: Fleet):
    listed = [one["id"] for one in (await fleet.http.get("/v1/models")).json()["data"]]
    assert "cli/echo-offline" in listed
    assert "cli/aider" not in listed


async def test_an_embedding_is_a_use_of_its_own_kind(fleet: Fleet):
    assert (await fleet.http.post("/v1/embeddings", json={"input": "hello"})).status_code == 200

    async def is_told() -> bool | None:
        by_action = (await fleet.hermes_db.get("/hermes_db/stats")).json()["by_action"]
        return True if any(one["action_type"] == "embedding" for one in by_action) else None

    assert await until(is_told)
