"""GitHub's OAuth device flow on a real socket, answering what a test says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

Answer = tuple[int, Any]
CODE = {
    "device_code": "device-code-that-stays-here",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://github.com/login/device",
    "expires_in": 900,
    "interval": 5,
}
PENDING = {"error": "authorization_pending", "error_description": "not yet", "error_uri": "https://docs.github.com"}


class Github:
    """`code` answers the first question; `outcomes` the next ones in turn, the last one for ever. A dict has the status 200."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.code: Any = CODE
        self.outcomes: list[Any] = [PENDING]
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Path and form of every question."""

    def answer(self, path: str, form: dict[str, str]) -> Answer:
        self.asked.append((path, form))
        if path == "/login/device/code":
            found = self.code
        elif path == "/login/oauth/access_token":
            found = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        else:
            found = (404, {"error": "Not Found"})
        return found if isinstance(found, tuple) else (200, found)


@contextmanager
def github() -> Iterator[Github]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"])).decode()
            status, body = fake.answer(self.path, dict(parse_qsl(content, keep_blank_values=True)))
            if status == 0:  # the connection breaks
                self.close_connection = True
                return
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = Github(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
