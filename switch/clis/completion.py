"""An answer that is there as a whole, in OpenAI's shape."""

import time
from collections.abc import Callable
from typing import Any

from pydantic_core import to_json


class ReadyAnswer:
    """A body in memory, given out at once."""

    def __init__(self, body: bytes, content_type: str = "application/json", *, status: int = 200) -> None:
        self.status = status
        self.on_release: Callable[[], None] | None = None
        self._body, self._content_type = body, content_type

    def header(self, name: bytes) -> str:
        return self._content_type if name == b"content-type" else ""

    async def whole(self, within_seconds: float) -> bytes:
        return await self.more(within_seconds)

    async def more(self, within_seconds: float) -> bytes:
        body, self._body = self._body, b""
        return body

    def release(self) -> None:
        if self.on_release is not None:
            self.on_release()
            self.on_release = None


def completion(answer_id: str, model: str, text: str, *, is_cut: bool, is_stream: bool) -> ReadyAnswer:
    """A chat completion of one text, or the events of one. How many tokens it took is not known, so no `usage` is told."""
    base: dict[str, Any] = {"id": f"chatcmpl-{answer_id}", "created": int(time.time()), "model": model}
    reason = "length" if is_cut else "stop"
    if not is_stream:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return ReadyAnswer(to_json(base | {"object": "chat.completion", "choices": [choice]}))
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": text}, None), ({}, reason)]
    chunks = [
        base | {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        for delta, finish in deltas
    ]
    events = b"".join(b"data: %b\n\n" % to_json(chunk) for chunk in chunks) + b"data: [DONE]\n\n"
    return ReadyAnswer(events, "text/event-stream; charset=utf-8")


def refused(why: str) -> ReadyAnswer:
    """The request itself is at fault; asking again, or another time, changes nothing."""
    error = {"message": why, "type": "invalid_request_error", "code": "invalid_request", "param": None}
    return ReadyAnswer(to_json({"error": error}), status=400)
