"""`auto` over providers of all three dialects: from one to the other before the first byte."""

from collections.abc import AsyncIterator

import pytest

from tests.switch.dialects.asking import question
from tests.switch.three_dialects import GPT, Router, three_dialects


@pytest.fixture
async def router(migrated, tmp_path) -> AsyncIterator[Router]:
    async with three_dialects(migrated, tmp_path) as one:
        yield one


async def outcomes(router: Router, decision_id: str) -> list[tuple[str, str]]:
    decision = (await router.http.get(f"/switch/decisions/{decision_id}")).json()
    return [(one["provider"], one["outcome"]) for one in decision["candidates"]]


async def test_what_a_model_has_no_words_for_is_asked_of_somebody_else(router):
    answer = await router.http.post("/v1/chat/completions", json=question(model="auto", logprobs=True))
    assert answer.headers["x-vx11-model"] == GPT
    tried = await outcomes(router, answer.headers["x-vx11-decision"])
    assert {("claude", "unsupported"), ("google", "unsupported"), ("mock", "answered")} <= set(tried)
    assert not router.claude.asked + router.gemini.asked
    learned = (await router.http.get("/switch/performance")).json()["items"]
    assert [one["id"] for one in learned if one["asked"]] == [GPT]  # nobody else is blamed for it


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_provider_that_breaks_down_is_replaced_by_one_of_another_dialect(router, is_stream):
    router.claude.behaviour = "error_first" if is_stream else "overloaded"
    router.gemini.behaviour = "garbage"
    for path in ("/v1/chat/completions", "/v1/messages"):
        answer = await router.http.post(path, json=question(model="auto", stream=is_stream, max_tokens=9))
        assert answer.status_code == 200
        assert answer.headers["x-vx11-model"] == GPT
        assert "compressor" in answer.text
    assert router.claude.asked
    assert router.gemini.asked
