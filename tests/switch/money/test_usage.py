"""How much was used, out of what providers say: each in its own way, and some of it nonsense."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.calls import Needs
from switch.money.usage import StreamUsage, Usage, of_answer, of_whole

NEEDS = Needs(input_tokens=40)


def said(**usage: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 100, "completion_tokens": 20} | usage}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (said(total_tokens=120), Usage(100, 20)),
        (said(prompt_tokens_details={"cached_tokens": 64}), Usage(100, 20, 64)),
        (said(prompt_cache_hit_tokens=64, prompt_cache_miss_tokens=36), Usage(100, 20, 64)),
        (said(cached_tokens=64), Usage(100, 20, 64)),
        (said(cache_read_input_tokens=60, cache_creation_input_tokens=30), Usage(100, 20, 60, 30)),
        (said(prompt_tokens_details={"cached_tokens": 10, "cache_write_tokens": 50}), Usage(100, 20, 10, 50)),
        (said(prompt_tokens_details={"audio_tokens": 8}), Usage(100, 20, input_audio_tokens=8)),
        (said(completion_tokens_details={"audio_tokens": 8}), Usage(100, 20, output_audio_tokens=8)),
        (said(completion_tokens_details={"reasoning_tokens": 4}), Usage(100, 20, reasoning_tokens=4)),
        (said(total_tokens=420, completion_tokens_details={"reasoning_tokens": 300}), Usage(100, 320, reasoning_tokens=300)),
        ({"x_groq": {"id": "r", "usage": said()["usage"]}}, Usage(100, 20)),
        ({"choices": [{"index": 0, "usage": said()["usage"]}]}, Usage(100, 20)),
        (said() | {"service_tier": "flex"}, Usage(100, 20, service_tier="flex")),
        (said(cost=0.00125), Usage(100, 20, stated_nanousd=1_250_000)),
        (said(cost=0.01, is_byok=True, cost_details={"upstream_inference_cost": 0.19}), Usage(100, 20, stated_nanousd=200_000_000)),
        (said(cost={"total_cost": 0.005, "request_cost": 0.001}), Usage(100, 20, stated_nanousd=5_000_000)),
        (said(cost_in_usd_ticks=37_756_000), Usage(100, 20, stated_nanousd=3_775_600)),
        (said(num_search_queries=3), Usage(100, 20, web_searches=3)),
        (said(prompt_tokens=100.0), Usage(100, 20)),
        (said(completion_tokens=None), Usage(100, 0)),
    ],
)  # fmt: skip
def test_every_provider_s_way_of_saying_it_is_understood(content, expected):
    assert of_answer(content) == expected


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1},
        {"prompt_tokens": "100"},
        {"prompt_tokens": None},
        {"prompt_tokens": True},
        {"prompt_tokens": 10**12},
        {"prompt_tokens": 1e300},
        {"prompt_tokens": float("nan")},
        {"completion_tokens": -5},
        {"completion_tokens": [5]},
    ],
)
def test_numbers_that_cannot_be_are_no_usage_at_all(usage):
    assert of_answer(said(**usage)) is None


@pytest.mark.parametrize(
    "content", [{}, {"usage": None}, {"usage": {}}, {"usage": 7}, {"choices": None}, {"x_groq": 1}]
)
def test_an_answer_that_does_not_say_has_no_usage(content):
    assert of_answer(content) is None


def test_a_part_is_never_more_than_the_whole():
    found = of_answer(
        said(prompt_tokens_details={"cached_tokens": 5000, "cache_write_tokens": 5000, "audio_tokens": 5000})
    )
    assert found is not None
    assert (found.cached_input_tokens, found.cache_write_tokens, found.input_audio_tokens) == (100, 0, 100)


@pytest.mark.parametrize("cost", [-1, "0.5", True, 1e12, float("inf"), float("nan"), None, [], {"total_cost": "x"}])
def test_a_stated_cost_that_cannot_be_is_left_out(cost):
    found = of_answer(said(cost=cost))
    assert found is not None
    assert found.stated_nanousd is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
COUNTS = "prompt_tokens completion_tokens total_tokens cached_tokens prompt_tokens_details completion_tokens_details"
MONEY = "cost cost_details is_byok cost_in_usd_ticks cache_creation server_tool_use"
names = st.sampled_from([*COUNTS.split(), *MONEY.split()])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, json_values, max_size=6), json_values)
def test_whatever_a_provider_says_the_numbers_stay_within_reason(usage, tier):
    found = of_answer({"usage": usage, "service_tier": tier, "choices": tier})
    if found is not None:
        assert 0 <= found.cached_input_tokens + found.cache_write_tokens <= found.input_tokens <= 10**9
        assert 0 <= found.output_tokens <= 10**9
        assert found.stated_nanousd is None or 0 <= found.stated_nanousd <= 2 * 10**13


def test_an_answer_without_usage_is_estimated_by_its_length():
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 400}}]}
    found, is_estimated = of_whole(answer, NEEDS)
    assert is_estimated
    assert found.input_tokens == 40
    assert 450 <= found.output_tokens <= 550
    assert of_whole(answer | said(), NEEDS) == (Usage(100, 20), False)


# --- streams ---------------------------------------------------------------------------------------------------------


def event(text: str | None = None, **more: Any) -> bytes:
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    return (
        b"data: "
        + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": choices} | more).encode()
        + b"\n\n"
    )


def streamed(*pieces: bytes) -> tuple[Usage, bool]:
    usage = StreamUsage()
    for piece in pieces:
        usage.take(piece)
    return usage.usage(NEEDS)


def test_the_last_word_of_a_stream_counts():
    words = [event(word, usage=None) for word in ("A", "compressor")]
    assert streamed(*words, event(**said()), b"data: [DONE]\n\n") == (Usage(100, 20), False)


def test_usage_that_grows_with_every_event_is_taken_from_the_last():
    pieces = [event("a", **said(completion_tokens=n)) for n in (1, 2, 3)]
    assert streamed(*pieces) == (Usage(100, 3), False)


def test_it_is_found_where_many_events_come_at_once():
    together = event("a", usage=None) + event(**said()) + event("b", usage=None) + b"data: [DONE]\n\n"
    assert streamed(together) == (Usage(100, 20), False)


def test_words_about_usage_are_not_usage():
    assert streamed(event('{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}')) == (Usage(40, 1), True)


def test_a_stream_that_was_broken_off_is_estimated_by_what_came():
    found, is_estimated = streamed(
        event("", usage=None), *[event(word, usage=None) for word in ["one", "two", "three", "four"]]
    )
    assert is_estimated
    assert found == Usage(input_tokens=40, output_tokens=5)


def test_long_pieces_of_text_are_estimated_by_their_length():
    found, is_estimated = streamed(event(""), event("word " * 400), event("word " * 400))
    assert is_estimated
    assert 900 <= found.output_tokens <= 1100


@pytest.mark.parametrize(
    "broken", [b'data: {"usage": {"prompt_tokens"\n\n', b'data: "usage": 5\n\n', b'"usage"', b"\xff\xfe"]
)
def test_usage_that_cannot_be_read_is_estimated(broken):
    assert streamed(event("word"), broken) == (Usage(40, 1), True)
