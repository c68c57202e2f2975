"""Asking a provider in its dialect, without the router around it."""

import json
from collections.abc import Iterator
from typing import Any

from switch.calls import UNKNOWN, Call, Facts
from switch.dialects import dialect as dialects
from switch.dialects.dialect import Dialect, OpenAI
from switch.upstream import Address

KEY = "sk-the-key-of-the-provider-0123456789"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
NOW = {"type": "function", "function": {"name": "now"}}
ODD = [None, True, -1, 0.5, "", "odd", [], [None], ["odd"], [[]], {}, {"odd": 1}, {"type": "odd"}]
"""What does not belong."""
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "degrees": {"type": "integer", "minimum": -90}}}


def question(text: str = "what does a compressor do?", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]} | more


def in_schema(*, strict: bool = False) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": strict}}


class Asking:
    """A provider at `base_url` that is asked in `dialect`."""

    def __init__(self, dialect: Dialect | OpenAI, base_url: str, model: str) -> None:
        self._dialect, self._model = dialect, model
        self._address = Address(base_url, dialect.headers(KEY), name="mock", connect_seconds=30)

    async def whole(self, body: dict[str, Any], *, facts: Facts = UNKNOWN) -> tuple[int, dict[str, Any]]:
        """Status and content of a plain answer."""
        answer = await dialects.ask(self._dialect, self._address, Call(body), self._model, facts, within_seconds=30)
        try:
            return answer.status, json.loads(await answer.whole(30))
        finally:
            answer.release()

    async def message(self, body: dict[str, Any]) -> dict[str, Any]:
        """The message of a plain answer, with its `finish_reason` and the answer's `usage`."""
        status, content = await self.whole(body)
        assert status == 200, content
        [choice] = content["choices"]
        return choice["message"] | {"finish_reason": choice["finish_reason"], "usage": content["usage"]}

    async def header(self, body: dict[str, Any], name: bytes) -> str:
        answer = await dialects.ask(self._dialect, self._address, Call(body), self._model, UNKNOWN, within_seconds=30)
        answer.release()
        return answer.header(name)

    async def stream(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunks of a stream, which ends with [DONE]. Raises Failure."""
        call = Call(body | {"stream": True}, is_stream=True)
        answer = await dialects.ask(self._dialect, self._address, call, self._model, UNKNOWN, within_seconds=30)
        try:
            assert answer.status == 200
            assert answer.header(b"content-type").startswith("text/event-stream")
            said = b""
            while piece := await answer.more(30):
                assert piece.endswith(b"\n\n")  # whole events only
                said += piece
        finally:
            answer.release()
        events = said.decode().removesuffix("\n\n").split("\n\n")
        assert all(event.startswith("data: ") for event in events)
        if events[-1] == "data: [DONE]":
            events.pop()
        else:
            assert '"error"' in events[-1]
        return [json.loads(event[6:]) for event in events]

    def close(self) -> None:
        self._address.close()


def put_together(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a stream tells piece by piece, with `finish_reason` and `usage`; as OpenAI's clients do it."""
    message: dict[str, Any] = {}
    for chunk in chunks:
        if chunk.get("usage"):
            message["usage"] = chunk["usage"]
        for choice in chunk["choices"]:
            if choice["finish_reason"]:
                message["finish_reason"] = choice["finish_reason"]
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    for piece in value:
                        calls = message.setdefault("tool_calls", [])
                        if piece["index"] == len(calls):
                            calls.append({name: piece[name] for name in piece if name != "index"})
                        else:
                            calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
                elif name == "role":
                    assert name not in message
                    message[name] = value
                else:
                    message[name] = message[name] + value if name in message else value
    return message


def spoiled(value: Any) -> Iterator[Any]:
    """The value with something odd in each place where something is, one at a time; and without it."""
    yield from ODD
    if isinstance(value, dict):
        for name in value:
            yield {key: value[key] for key in value if key != name}
            for odd in spoiled(value[name]):
                yield value | {name: odd}
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            for odd in spoiled(inner):
                yield [*value[:place], odd, *value[place + 1 :]]
