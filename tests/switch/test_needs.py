"""What is read off a request before anybody is asked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch import needs
from switch.calls import Needs


def asking(*content, **more):
    return {"messages": [{"role": "user", "content": one} for one in content]} | more


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("what does a compressor do?", 5, 20), ("a" * 40_000, 10_000, 10_100), ("压缩机是做什么的" * 100, 500, 1000)],
)
def test_text_is_counted_in_tokens_of_about_four_bytes(text, least, most):
    assert least <= needs.of(asking(text)).input_tokens <= most


def test_a_picture_costs_the_same_however_many_bytes_it_has():
    def picture(bytes_, **more):
        url = {"url": "data:image/png;base64," + "A" * bytes_} | more
        return asking([{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": url}])

    small, large = needs.of(picture(10)), needs.of(picture(3_000_000))
    assert small.input_tokens == large.input_tokens
    assert large.modalities == {"image"}
    assert needs.of(picture(10, detail="low")).input_tokens < small.input_tokens


def test_sound_files_and_video_are_told_apart():
    parts = [
        {"type": "input_audio", "input_audio": {"data": "A" * 64_000, "format": "wav"}},
        {"type": "file", "file": {"file_data": "A" * 1000}},
        {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}},
    ]
    found = needs.of(asking(parts))
    assert found.modalities == {"audio", "pdf", "video"}
    assert needs.of(asking(parts[:1])).input_tokens < 100  # a second of it


def test_tools_schemas_and_limits_are_needs():
    tool = {"type": "function", "function": {"name": "f", "description": "d" * 4000}}
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    found = needs.of(
        asking("hi", tools=[tool], response_format=shape, max_tokens=5), max_latency_ms=9, max_cost_usd=0.5
    )
    assert (found.tools, found.schema, found.output_tokens) == (True, True, 5)
    assert (found.max_latency_ms, found.max_cost_usd) == (9, 0.5)
    assert found.input_tokens > 1000
    assert needs.of(asking("hi", tools=[], response_format={"type": "text"})).tools is False


def test_the_newer_name_of_the_limit_wins():
    assert needs.of(asking("hi", max_tokens=5, max_completion_tokens=7)).output_tokens == 7


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "image_url", "file", "data"]), inner)
    ),
    max_leaves=15,
)


@given(messages=odd, tools=odd, shape=odd, most=odd)
@settings(max_examples=40, deadline=None)
def test_whatever_a_body_holds_there_is_an_answer(messages, tools, shape, most):
    body = {"messages": messages, "tools": tools, "response_format": shape, "max_tokens": most}
    found = needs.of(body)
    assert isinstance(found, Needs)
    assert found.input_tokens > 0
    assert found.output_tokens is None or found.output_tokens > 0
