"""A server of models as people run it on their own machine: Ollama, llama.cpp, vLLM, LM Studio, or something else at their port."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

ANSWER = "A gate keeps quiet what is quiet already."
COMPLETION = {
    "id": "chatcmpl-9",
    "object": "chat.completion",
    "created": 1,
    "model": "whatever",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13},
}


@dataclass
class ModelServer:
    """`answers` has what it says at which path: JSON, or bytes that go out as they are."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_silent: bool = False

    def has(self, *models: str, owner: str = "library", **more: Any) -> None:
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": owner} | more for name in models]
        self.answers["/v1/models"] = {"object": "list", "data": listed}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((line for line in head.lower().split("\r\n") if line.startswith("content-length:")), ":0")
                await reader.readexactly(int(length.partition(":")[2]))
                path = head.split()[1]
                self.asked.append(path)
                if self.is_silent:
                    await asyncio.Event().wait()
                answer = self.answers.get(path)
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                    return
                status, body = ("404 Not Found", b"") if answer is None else ("200 OK", json.dumps(answer).encode())
                top = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
                writer.write(top.encode() + body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def model_server(**answers: Any) -> AsyncIterator[ModelServer]:
    """One on a free port, which is closed again at the end."""
    fake = ModelServer(answers={"/v1/chat/completions": COMPLETION, "/api/version": {"version": "0.20.1"}} | answers)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
