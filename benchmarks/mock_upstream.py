"""A provider that answers at once, so that what is measured is the way to it: `python benchmarks/mock_upstream.py PORT [--one-by-one]`.

Speaks OpenAI's chat completions over HTTP/1.1 with keep-alive, plain and streamed, always the same: 343 bytes, or 22 events, which
`--one-by-one` sends as a model does: each when the one before is out.
"""

import asyncio
import json
import sys
from typing import cast

import uvloop

WORDS = 20
MODEL = "gpt"


def _plain() -> bytes:
    message = {
        "role": "assistant",
        "content": "A compressor reduces the difference between loud and quiet parts of a sound.",
    }
    body = json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": MODEL,
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 14, "total_tokens": 26},
        }
    ).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _stream() -> list[bytes]:
    deltas: list[tuple[dict[str, str], str | None]] = [({"content": "word "}, None)] * WORDS
    events = [_event(delta, reason) for delta, reason in [*deltas, ({}, "stop")]] + [b"data: [DONE]\n\n"]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return [head, *(b"%x\r\n%b\r\n" % (len(event), event) for event in events), b"0\r\n\r\n"]


def _event(delta: dict[str, str], reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}
    return f"data: {json.dumps(event)}\n\n".encode()


class Upstream(asyncio.Protocol):
    plain, events = _plain(), _stream()
    stream = b"".join(events)

    def __init__(self, *, one_by_one: bool = False) -> None:
        self._received, self._one_by_one = b"", one_by_one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length].replace(b" ", b"")
            self._received = self._received[end + 4 + length :]
            if b'"stream":true' not in body:
                self._transport.write(self.plain)
            elif self._one_by_one:
                self._send_events(0)
            else:
                self._transport.write(self.stream)

    def _send_events(self, number: int) -> None:
        self._transport.write(self.events[number])
        if number + 1 < len(self.events):
            asyncio.get_running_loop().call_soon(self._send_events, number + 1)


async def main(port: int, *, one_by_one: bool) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(one_by_one=one_by_one), "127.0.0.1", port)
    print(f"mock upstream on {port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), one_by_one="--one-by-one" in sys.argv))
