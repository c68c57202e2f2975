"""HTTP/1.1 as uvicorn speaks it, with an end to the headers.

uvicorn on httptools keeps all headers and trailers a client sends, however many, before anybody has looked at a token: 200 MB of them were
225 MB of memory. Here a request that goes on without becoming complete or bringing any of its body is broken off.
"""

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024

log = structlog.get_logger()


class LimitedHttp(HttpToolsProtocol):
    """Answers 431 when request line and headers go past 64 KiB, and hangs up when trailers or chunk extensions do."""

    _head_bytes = 0
    _has_moved = False

    def data_received(self, data: bytes) -> None:
        self._has_moved = False
        super().data_received(data)
        if self._has_moved:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            log.warning("endless_headers", client=self.client and self.client[0])
            if self.scope is None or "method" not in self.scope:  # it gets one when all headers are there
                self.transport.write(
                    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                )
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._has_moved = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_moved = True
        super().on_message_complete()
