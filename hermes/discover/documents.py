"""Reading a document of a package index: from hosts that are allowed, over redirects that are checked, up to a time and a size."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from hermes.discover.allowed import Allowed, Refused, endpoint_of

MOST_REDIRECTS = 5


class Unread(Exception):
    """A document that could not be read: `code` for machines, the text for people."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Document:
    """What came; `url` is where from, after redirects."""

    url: str
    status: int
    body: bytes

    def json(self) -> Any:
        """Raises Unread for what is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise Unread("index_wrong", f"{host_of(self.url)} answered something that is not JSON") from exc


class Documents:
    """Reads for one discovery. `limit_seconds` and `limit_bytes` hold for each document."""

    def __init__(self, allowed: Allowed, *, limit_seconds: float, limit_bytes: int, tls: ssl.SSLContext) -> None:
        self._allowed, self._limit_seconds, self._limit_bytes = allowed, limit_seconds, limit_bytes
        self._http = httpx.AsyncClient(
            timeout=limit_seconds,
            follow_redirects=False,
            verify=tls,
            headers={"Accept-Encoding": "identity"},  # packed, a few kilobytes could become gigabytes
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def read(self, url: str, headers: Mapping[str, str], *, secret: Mapping[str, str]) -> Document:
        """The document at `url`. `secret` headers are for its own host and go to no other. Raises Unread."""
        try:
            async with asyncio.timeout(self._limit_seconds):
                return await self._follow(url, headers, secret)
        except TimeoutError as exc:
            raise Unread("index_late", f"{host_of(url)} did not answer within {self._limit_seconds:g} seconds") from exc
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            raise Unread("index_unreachable", f"{host_of(url)} cannot be read ({type(exc).__name__})") from exc
        except ValueError as exc:  # a redirect to what is no address
            raise Unread("index_wrong", f"{host_of(url)} leads to something that is not an address") from exc
        except Refused as exc:
            raise Unread("host_not_allowed", str(exc)) from exc

    async def _follow(self, url: str, headers: Mapping[str, str], secret: Mapping[str, str]) -> Document:
        for _ in range(MOST_REDIRECTS + 1):
            self._allowed.check_url(url)
            async with self._http.stream("GET", url, headers={**headers, **secret}) as response:
                if not response.has_redirect_location:
                    return Document(url, response.status_code, await self._body(response))
                target = urljoin(url, response.headers["location"])
            if url.startswith("https:") and not target.startswith("https:"):
                raise Unread("host_not_allowed", f"{host_of(url)} leads away from https")
            if endpoint_of(target) != endpoint_of(url):
                secret = {}
            url = target
        raise Unread("index_wrong", f"{host_of(url)} redirects without end")

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > self._limit_bytes:
                raise Unread(
                    "index_too_large",
                    f"{host_of(str(response.url))} sent more than {self._limit_bytes} bytes; "
                    "VX11_HERMES_DISCOVER_LIMIT_BYTES is the limit",
                )
        return bytes(body)


def host_of(url: str) -> str:
    """The host to be named to people: nothing else of an address, which may hold secrets."""
    try:
        return endpoint_of(url)[0]
    except Refused:
        return "an address"


def trust(ca_files: set[str]) -> ssl.SSLContext:
    """What pip and npm are told to trust counts beside the system's own. Takes some 50 ms."""
    context = ssl.create_default_context()
    for file in sorted(ca_files):
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError):
            continue  # a connection that would have needed it says so
    return context
