"""A plain way out over HTTP that blocks, and that another thread can end at any moment."""

import http.client
import socket
import ssl
import threading
import time
import urllib.request
from contextlib import suppress
from functools import cache


class Stopped(Exception):
    """The download was told to stop."""


class Line:
    """The way out: plain HTTP through the environment's proxy if there is one, no redirects followed, and `stop` from another thread."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None
        self._opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler(), _Http(self), _Https(self)):
            self._opener.add_handler(handler)

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """End what is under way as soon as can be: waits end, and a read fails."""
        self._stopped.set()
        self._hang_up()

    def wait(self, seconds: float) -> None:
        """Raises Stopped when that comes first."""
        if self._stopped.wait(seconds):
            raise Stopped

    def get(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Whatever is answered. Raises OSError and HTTPException for a line that does not hold, Stopped."""
        if self.is_stopped:
            raise Stopped
        limit_seconds = 2 * self._timeout_seconds  # a head that comes drop by drop is never silent
        began, late = time.monotonic(), threading.Timer(limit_seconds, self._hang_up)
        late.daemon = True
        late.start()
        try:
            answer: http.client.HTTPResponse = self._opener.open(
                urllib.request.Request(url, headers=headers), timeout=self._timeout_seconds
            )
        finally:
            late.cancel()
        if time.monotonic() - began >= limit_seconds:  # what was cut off there looks like a whole head
            answer.close()
            raise TimeoutError
        return answer

    def connected(self, connection: socket.socket) -> None:
        self._socket = connection
        if self.is_stopped:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        line = self._line

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                line.connected(self.sock)

        return self.do_open(Connection, req)


@cache
def _trusted() -> ssl.SSLContext:
    """The system's authorities, for all downloads: it takes 50 ms to read them."""
    return ssl.create_default_context()


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, line: Line) -> None:
        self._line, self._tls = line, _trusted()
        super().__init__(context=self._tls)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        line = self._line

        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                line.connected(self.sock)

        return self.do_open(Connection, req, context=self._tls)
