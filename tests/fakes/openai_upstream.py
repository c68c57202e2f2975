"""A provider with an OpenAI-compatible API, on a real socket: well-behaved unless it is told to misbehave.

`behaviour` is one of BEHAVIOURS, for all requests; `behaviours`, if not empty, is used up first, one per request.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

BEHAVIOURS = frozenset(
    {
        "fine",
        "unauthorized",
        "limited",
        "broken",
        "bad_request",
        "forbidden",
        "too_long",
        "no_such_model",
        "not_json",
        "not_a_completion",
        "not_http",
        "redirect",
        "silent",
        "closes",
        "cut",
        "cut_in_event",
        "error_event",
        "no_end",
        "drips",
        "plain_for_stream",
        "thinks",
        "calls",
    }
)
ANSWER = "A compressor makes loud sounds quieter."
THOUGHT = "The user asks about dynamics."
LEAK = "Incorrect API key provided: {key}. You can find your API key at the usual place."


@dataclass
class Asked:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class OpenAIUpstream:
    """The running provider. `left` is set once for every client that goes away before it has its answer."""

    base_url: str = ""
    behaviour: str = "fine"
    behaviours: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets `silent` and `drips` go on."""
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may carry another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))))
        asked = Asked(head[0].split()[1], headers, body)
        self.asked.append(asked)
        self.arrived.set()
        behaviour = self.behaviours.pop(0) if self.behaviours else self.behaviour
        assert behaviour in BEHAVIOURS, behaviour
        watch = asyncio.create_task(self._watch(reader))
        try:
            return await getattr(self, f"_{behaviour}")(writer, asked)
        finally:
            watch.cancel()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        if await reader.read(1) == b"":
            self.left.set()

    # --- behaviours ------------------------------------------------------------------------------------------------

    async def _fine(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        if asked.body.get("stream"):
            return await self._stream(writer, asked, [*words(asked), finish(asked), "data: [DONE]\n\n"], end=True)
        return await self._json(writer, 200, completion(asked))

    async def _unauthorized(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        key = asked.headers.get("authorization", "").removeprefix("Bearer ")
        return await self._json(writer, 401, error(LEAK.format(key=key), "invalid_api_key"))

    async def _limited(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        return await self._json(writer, 429, error("slow down", "rate_limit"), "retry-after: 7\r\n")

    async def _broken(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        return await self._json(writer, 500, error("internal", "server_error"))

    async def _bad_request(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        key = asked.headers.get("authorization", "")
        return await self._json(writer, 400, error(f"temperature is too high (asked with {key})", "bad_value"))

    async def _forbidden(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        return await self._json(writer, 403, error("Project does not have access to this model", "forbidden"))

    async def _too_long(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        words = "This model's maximum context length is 8 tokens. However, your messages resulted in 9 tokens."
        return await self._json(writer, 400, error(words, "context_length_exceeded"))

    async def _no_such_model(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        return await self._json(writer, 404, error("no such model", "model_not_found"))

    async def _not_json(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        return await self._raw(writer, 200, "text/html", b"<html>welcome to the captive portal</html>")

    async def _not_a_completion(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        return await self._json(writer, 200, {"hello": "world"})

    async def _not_http(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        writer.write(b"\x00\x01\x02 220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        return False

    async def _redirect(self, writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        return await self._raw(writer, 302, "text/plain", b"over there", "location: http://127.0.0.1:1/\r\n")

    async def _silent(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        await self.go_on.wait()
        return await self._fine(writer, asked)

    async def _closes(self, _writer: asyncio.StreamWriter, _asked: Asked) -> bool:
        return False

    async def _cut(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        if asked.body.get("stream"):
            return await self._stream(writer, asked, words(asked)[:2], end=False)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{")
        await writer.drain()
        return False

    async def _cut_in_event(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        return await self._stream(writer, asked, [words(asked)[0], words(asked)[1][:20]], end=False)

    async def _error_event(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        return await self._stream(writer, asked, ['data: {"error": {"message": "overloaded"}}\n\n'], end=True)

    async def _no_end(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        return await self._stream(writer, asked, words(asked)[:2], end=True)

    async def _drips(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        """Two words, a pause until it is told to go on, then the rest, in pieces that heed no event."""
        parts = [*words(asked), finish(asked), "data: [DONE]\n\n"]
        await self._stream(writer, asked, parts[:2], end=None)
        await self.go_on.wait()
        rest = "".join(parts[2:])
        for start in range(0, len(rest), 37):
            await _chunk(writer, rest[start : start + 37].encode())
        await _chunk(writer, b"")
        return True

    async def _plain_for_stream(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        return await self._json(writer, 200, completion(asked))

    async def _thinks(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        """As DeepSeek does: the thoughts beside the answer, and before it in a stream."""
        if asked.body.get("stream"):
            thoughts = [_event(asked, {"reasoning_content": f"{word} "}, None) for word in THOUGHT.split()]
            return await self._stream(
                writer, asked, [*thoughts, *words(asked), finish(asked), "data: [DONE]\n\n"], end=True
            )
        answer = completion(asked)
        answer["choices"][0]["message"]["reasoning_content"] = THOUGHT
        return await self._json(writer, 200, answer)

    async def _calls(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        """Two tools are called, and the usage is told."""
        names = {"weather": '{"city": "Málaga"}', "now": "{}"}
        calls = [
            {"id": f"call.{name}:0", "type": "function", "function": {"name": name, "arguments": given}}
            for name, given in names.items()
        ]
        usage = {
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 5},
        }
        if not asked.body.get("stream"):
            answer = completion(asked)
            answer["choices"][0] |= {
                "message": {"role": "assistant", "content": None, "tool_calls": calls},
                "finish_reason": "tool_calls",
            }
            return await self._json(writer, 200, answer | {"usage": usage})
        events = []
        for place, call in enumerate(calls):
            given = call["function"]["arguments"]
            begun = call | {"index": place, "function": call["function"] | {"arguments": ""}}
            events += [_event(asked, {"tool_calls": [begun]}, None)]
            for start in range(0, len(given), 5):
                piece = {"index": place, "function": {"arguments": given[start : start + 5]}}
                events.append(_event(asked, {"tool_calls": [piece]}, None))
        used = json.dumps({"id": "chatcmpl-1", "model": asked.body["model"], "choices": [], "usage": usage})
        events += [_event(asked, {}, "tool_calls"), f"data: {used}\n\n", "data: [DONE]\n\n"]
        return await self._stream(writer, asked, events, end=True)

    # --- wire ------------------------------------------------------------------------------------------------------

    async def _json(self, writer: asyncio.StreamWriter, status: int, content: Any, more: str = "") -> bool:
        return await self._raw(writer, status, "application/json", json.dumps(content).encode(), more)

    async def _raw(self, writer: asyncio.StreamWriter, status: int, kind: str, body: bytes, more: str = "") -> bool:
        head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True

    async def _stream(
        self, writer: asyncio.StreamWriter, _asked: Asked, events: list[str], *, end: bool | None
    ) -> bool:
        """`end` None leaves the stream open, False breaks the connection."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in events:
            await _chunk(writer, event.encode())
        if end:
            await _chunk(writer, b"")
        return end is not False


async def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    await writer.drain()


def completion(asked: Asked) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked.body["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
    }


def words(asked: Asked) -> list[str]:
    return [_event(asked, {"content": f"{word} "}, None) for word in ANSWER.split()]


def finish(asked: Asked) -> str:
    return _event(asked, {}, "stop")


def _event(asked: Asked, delta: dict[str, Any], reason: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": asked.body["model"], "choices": [choice]}
    return f"data: {json.dumps(event)}\n\n"


def error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "whatever", "code": code}}


@asynccontextmanager
async def openai_upstream(behaviour: str = "fine") -> AsyncIterator[OpenAIUpstream]:
    """A provider of one's own on a free port."""
    upstream = OpenAIUpstream(behaviour=behaviour)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield upstream
    finally:
        upstream.go_on.set()
        server.close()
