"""OpenRouter's catalogue on a real socket: `GET /api/v1/models`, in one answer or, with `page_size`, in pages behind `links.next`."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class FakeOpenRouter:
    """`with fake_openrouter() as openrouter: openrouter.add("owner/name")`."""

    def __init__(self) -> None:
        self.reset()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reset(self) -> None:
        self.models: list[Any] = []
        self.page_size: int | None = None
        self.asked: list[str] = []
        self.answer: tuple[int, bytes, dict[str, str]] | None = None
        """Status, body and headers instead of the catalogue."""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(
        self,
        model_id: str,
        *,
        created: int = 1_750_000_000,
        context_length: int = 128_000,
        prompt: str = "0.00000015",
        completion: str = "0.0000006",
        description: str = "",
        outputs: tuple[str, ...] = ("text",),
        **more: Any,
    ) -> None:
        self.models.append(
            {
                "id": model_id,
                "canonical_slug": f"{model_id}-2025",
                "name": model_id.partition("/")[2],
                "created": created,
                "description": description,
                "context_length": context_length,
                "architecture": {
                    "input_modalities": ["text"],
                    "output_modalities": list(outputs),
                    "tokenizer": "Other",
                    "instruct_type": None,
                },
                "pricing": {"prompt": prompt, "completion": completion, "request": "0", "image": "0"},
                "top_provider": {
                    "context_length": context_length,
                    "max_completion_tokens": 4096,
                    "is_moderated": False,
                },
                "per_request_limits": None,
                "supported_parameters": ["temperature", "tools"],
                **more,
            }
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, openrouter: FakeOpenRouter) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.openrouter = openrouter

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the overridden method)
        """Nothing: what was asked is in `asked`."""

    def do_GET(self) -> None:
        fake = self.server.openrouter
        parts = urlsplit(self.path)
        fake.asked.append(self.path)
        if fake.answer is not None:
            return self._send(*fake.answer)
        if parts.path != "/api/v1/models":
            return self._send(404, b'{"error": {"message": "Not Found", "code": 404}}', {})
        start = int(parse_qs(parts.query).get("offset", ["0"])[0])
        end = len(fake.models) if fake.page_size is None else start + fake.page_size
        body: dict[str, Any] = {"data": fake.models[start:end]}
        if fake.page_size is not None:
            more = f"/api/v1/models?offset={end}" if end < len(fake.models) else None
            body |= {"links": {"next": more}, "total_count": len(fake.models)}
        return self._send(200, json.dumps(body).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def fake_openrouter() -> Iterator[FakeOpenRouter]:
    openrouter = FakeOpenRouter()
    try:
        yield openrouter
    finally:
        openrouter.close()
