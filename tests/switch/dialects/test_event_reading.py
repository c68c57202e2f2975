"""Server-sent events, whatever pieces they come in."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.calls import Call
from switch.dialects.anthropic import Anthropic
from switch.dialects.dialect import Translated
from switch.dialects.event_stream import MOST_EVENT, Event, EventReader
from switch.dialects.gemini import Gemini
from switch.failures import Failure
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.gemini_upstream import GeminiUpstream
from tests.fakes.raw_upstream import Asked
from tests.switch.dialects.asking import put_together

STREAM = "\ufeffevent: ping\ndata: {}\n\n: a comment\r\n\r\ndata: ñ 音 🎚\rdata:two\r\revent:x\r\nid: 7\r\ndata\r\nretry: 1\r\n\r\n".encode()
EVENTS = [
    Event(b"ping", b"{}"),
    Event(b"message", "ñ 音 🎚\ntwo".encode()),
]
splits = st.lists(st.integers(0, 400), max_size=30).map(sorted)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def read(pieces: list[bytes]) -> list[Event]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.take(piece)] + reader.rest()


@settings(max_examples=50, deadline=None)
@given(splits)
def test_events_are_the_same_however_they_are_cut(places):
    assert read(cut(STREAM, places))[:2] == EVENTS


def test_one_byte_at_a_time_is_enough():
    assert read([STREAM[place : place + 1] for place in range(len(STREAM))])[:2] == EVENTS


def test_an_event_without_the_empty_line_after_it_is_read_at_the_end():
    assert read([b"data: one\n\ndata: two"]) == [Event(b"message", b"one"), Event(b"message", b"two")]
    assert read([b"data: one\r\n\r"]) == [Event(b"message", b"one")]


def test_an_event_that_does_not_end_is_given_up():
    reader = EventReader()
    for _ in range(MOST_EVENT // 2**20):
        reader.take(b"x" * 2**20)
    with pytest.raises(Failure):
        reader.take(b"x")


class Pieces:
    """An answer that comes in the pieces given."""

    status, on_release = 200, None

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def header(self, _name: bytes) -> str:
        return "text/event-stream"

    async def more(self, _seconds: float) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def whole(self, seconds: float) -> bytes:
        raise NotImplementedError

    def release(self) -> None: ...


async def told(dialect, events: bytes, places: list[int]) -> dict:
    call = Call({"messages": []}, is_stream=True)
    answer = Translated(Pieces(cut(events, places)), dialect.translation(call, "m"), is_stream=True)
    said = b""
    while piece := await answer.more(1):
        said += piece
    assert said.endswith(b"data: [DONE]\n\n")
    return put_together([json.loads(one[6:]) for one in said.decode().split("\n\n")[:-2]])


asked = Asked(
    "POST",
    "/v1/messages",
    {"anthropic-version": "2023-06-01"},
    {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 1, "stream": True},
)
CLAUDES = [b"".join(AnthropicUpstream().events(asked, kind)) for kind in ("thinks", "tools", "two_tools")]
asked = Asked("POST", "/models/m:x", {}, {"contents": [{"role": "user", "parts": []}]})
GEMINIS = [b"".join(GeminiUpstream().events(asked, kind)) for kind in ("thinks", "tools")]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6000), max_size=60).map(sorted))
async def test_translated_streams_are_the_same_however_they_are_cut(places):
    for dialect, streams in ((Anthropic(), CLAUDES), (Gemini(), GEMINIS)):
        for stream in streams:
            cut_up, at_once = await told(dialect, stream, places), await told(dialect, stream, [])
            for message in (cut_up, at_once):
                for call in message.get("tool_calls", ()):
                    if call["id"].startswith("call_"):  # made by us
                        call["id"] = "call"
            assert cut_up == at_once
