"""Events pass whole, whatever the pieces in which they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.events import (
    LONGEST_EVENT,
    WholeEvents,
    begins_a_stream,
    error_event,
    is_error,
    may_begin_a_stream,
    says_more_than_a_role,
    says_something,
    without_usage,
)

STREAM = "".join(f'data: {{"choices":[{{"delta":{{"content":"wörd {n}"}}}}]}}\n\n' for n in range(5)).encode()
END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % len(data) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


@given(st.lists(st.integers(min_value=0), max_size=30), st.booleans())
def test_every_piece_that_goes_out_ends_with_an_event_and_nothing_is_lost(cuts, is_crlf):
    data = (STREAM + END).replace(b"\n\n", b"\r\n\r\n") if is_crlf else STREAM + END
    events = WholeEvents()
    out = [events.take(piece) for piece in in_pieces(data, cuts)]
    assert all(piece == b"" or piece.endswith((b"\n\n", b"\r\n\r\n")) for piece in out)
    assert b"".join(out) == data
    assert events.rest() == b""
    assert events.is_finished


@given(st.integers(min_value=1, max_value=len(STREAM) - 1))
def test_a_stream_that_stops_early_is_not_finished_and_loses_its_half_event(length):
    events = WholeEvents()
    out = events.take(STREAM[:length]) + events.rest()
    assert STREAM.startswith(out)
    assert out == b"" or out.endswith(b"\n\n")
    assert not events.is_finished


@pytest.mark.parametrize(
    "end",
    [
        b"data: [DONE]\n\n",
        b"data:[DONE]\n\n",
        b"data: [DONE]",
        b'data: {"choices":[{"finish_reason": "length"}]}\n\n',
        b'data: {"error": {"message": "overloaded"}}\n\n',
    ],
)
def test_these_are_ends(end):
    events = WholeEvents()
    out = events.take(STREAM + end) + events.rest()
    assert events.is_finished
    assert out.endswith(b"\n\n")


def test_a_null_finish_reason_and_a_quoted_end_mark_are_no_end():
    events = WholeEvents()
    events.take(b'data: {"choices":[{"finish_reason": null,"delta":{"content":"\\"finish_reason\\":\\"stop\\""}}]}\n\n')
    assert not events.is_finished


def test_an_event_without_an_end_is_not_held_for_ever():
    events = WholeEvents()
    assert events.take(b"data: " + b"x" * LONGEST_EVENT) != b""


@pytest.mark.parametrize("data", [b"data: {}", b": hello", b"\n\nevent: x", b"\xef\xbb\xbfdata: {}", b"id: 1"])
def test_these_begin_a_stream(data):
    assert begins_a_stream(data)


@pytest.mark.parametrize("data", [b"", b"<html>", b'{"choices": []}', b"hello"])
def test_these_do_not(data):
    assert not begins_a_stream(data)


def test_an_error_is_seen_as_one():
    assert is_error(error_event("no", "overloaded"))
    assert is_error(b'data:{ "error": {}}\n\n')
    assert not is_error(b'data: {"choices":[{"delta":{"content":"error"}}]}\n\n')


@pytest.mark.parametrize(
    "before",
    [b"", b"\xef\xbb\xbf", b"\r\n", b": at work\n\n: still\r\n\r\n", b"event: message\n", b"id: 7\nretry: 3\n"],
)
def test_a_stream_may_begin_in_pieces_of_any_size(before):
    line = before + b'data: {"error": {"message": "no"}}\n'
    for length in range(1, len(line)):
        assert may_begin_a_stream(line[:length]), line[:length]
        assert not says_something(line[:length]), line[:length]
    assert says_something(line)
    assert is_error(line + b"\n")


def test_a_role_alone_is_waited_on_for_its_first_word():
    role, word = (
        b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
    )
    for length in range(1, len(role + word) - 1):
        assert not says_more_than_a_role((role + word)[:length])
    assert says_more_than_a_role(role + word)
    assert says_more_than_a_role(b"<html>")


@pytest.mark.parametrize("data", [b"", b"<", b'{"choices": []}', b"date: today"])
def test_what_can_be_no_stream_is_not_waited_for(data):
    assert not may_begin_a_stream(data)


USED = b'data: {"choices": [], "usage": {"total_tokens": 3}}'


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_only_what_tells_the_usage_and_nothing_else_is_left_out(end):
    word = b'data: {"choices": [{"delta": {"content": "\\"usage\\""}}], "usage": {"total_tokens": 2}}'
    assert without_usage(word + end + USED + end + b"data: [DONE]" + end) == word + b"\n\ndata: [DONE]\n\n"


def test_the_piece_of_an_event_that_is_too_long_to_be_held_stays_in_one_piece():
    assert without_usage(b'data: {"usage": {"x": "' + b"x" * 9) == b'data: {"usage": {"x": "' + b"x" * 9
