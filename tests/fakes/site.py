"""A web server on a real socket that answers what a test gives it: package indexes, pages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Site:
    """A web server: what it has by path, and what it was asked. An answer is a body, or status, body and headers."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def site(answers: dict[str, Any] | None = None) -> Iterator[Site]:
    its = Site(answers=answers or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            its.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            found = its.answers.get(self.path, (404, b"", {}))
            status, body, headers = found if isinstance(found, tuple) else (200, found, {})
            if not isinstance(body, str | bytes):
                body, headers = json.dumps(body), {"Content-Type": "application/json"} | headers
            body = body.encode() if isinstance(body, str) else body
            if (asked := self.headers.get("Range")) and status == 200:
                body, status = body[-int(asked.removeprefix("bytes=-")) :], 206
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked has had enough
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    its.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield its
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
