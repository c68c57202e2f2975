"""The hub's own client, made to end: one deadline for all that a call does, a limit on what an answer may hold, and no repetitions.

Imported late, in the thread that asks first: it takes a second and tens of megabytes. Its switches are read from the environment once, at
that moment, so `prepare` in `hermes.hub` sets them before.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from huggingface_hub import HfApi, close_session, constants, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

from config.settings import MIB

__all__ = [
    "Failed",
    "HFValidationError",
    "HfApi",
    "HfHubHTTPError",
    "OfflineModeIsEnabled",
    "TooLate",
    "TooMuch",
    "asking",
    "close_session",
    "httpx2",
]

LARGEST_ANSWER_BYTES = 32 * MIB

_call = threading.local()


class TooLate(Exception):
    """The deadline of the call has passed."""


class TooMuch(Exception):
    """An answer has more bytes than any should have."""


class Failed(Exception):
    """The connection failed; `__cause__` says how. Not one of those after which the client tries again, for half a minute."""


@contextmanager
def asking(url: str, seconds: float) -> Iterator[None]:
    """All requests of this thread end within so many seconds, or raise TooLate, and show the token to that address alone."""
    _call.until, _call.home = time.monotonic() + seconds, httpx2.URL(url)
    try:
        yield
    finally:
        _call.until = None


def _left() -> float:
    left: float = _call.until - time.monotonic()
    if left <= 0:
        raise TooLate
    return left


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        count = 0
        for piece in self._stream:
            _left()
            count += len(piece)
            if count > LARGEST_ANSWER_BYTES:
                raise TooMuch
            yield piece

    def close(self) -> None:
        self._stream.close()


def _begin(request: httpx2.Request) -> None:
    """Before each request: those after a redirect as well, and those for the next page, which can be anywhere."""
    if constants.is_offline_mode():
        raise OfflineModeIsEnabled
    home = _call.home
    if (request.url.scheme, request.url.host, request.url.port) != (home.scheme, home.host, home.port):
        request.headers.pop("authorization", None)
    request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), _left())


def _bound(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.SyncByteStream)
    response.stream = _Bounded(response.stream)


class _Client(httpx2.Client):
    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = super().send(request, **options)
        except httpx2.TransportError as exc:
            raise Failed from exc
        hf_raise_for_status(response)  # here and not in the client, which waits as long as Retry-After says
        return response


set_client_factory(
    lambda: _Client(event_hooks={"request": [_begin], "response": [_bound]}, follow_redirects=True, timeout=None)
)
