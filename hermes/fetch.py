"""One file of the hub, fetched to its end and proved: resumed where it stopped, waited for when the hub asks, never believed.

The hub's own client neither hashes what it writes nor resumes across processes, so this is a loop of our own on the same addresses. It
blocks, and belongs in a thread: reading, hashing and writing release the interpreter's lock, and one buffer is all the memory they need.
"""

import errno
import hashlib
import http.client
import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Protocol
from urllib.error import URLError
from urllib.parse import quote, urljoin, urlsplit

from config.errors import FleetError, StorageFull
from config.settings import MIB
from hermes.errors import DownloadBroken, HubFileWrong
from hermes.hub import retry_after_seconds
from hermes.line import Line, Stopped

PIECE_BYTES = 256 * 1024
MOST_REDIRECTS = 5
MOST_FRUITLESS = 5
"""Attempts in a row that bring less than `PROGRESS_BYTES` before a download is given up."""
PROGRESS_BYTES = MIB
MOST_WRONG = 2
"""How often a file that came whole and wrong is fetched again, alone."""
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.25, 30.0
LONGEST_WISH_SECONDS = 300.0  # the longest Retry-After that is waited for
SHOULD_COME_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
CRAWL_SECONDS, CRAWL_BYTES = 60.0, 60 * 1024
"""What comes slower than so many bytes in that time has broken off."""
LEAST_FREE_BYTES = 16 * MIB
"""Where others fill the disk meanwhile: what the database needs to tell how it ended."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Wanted:
    """A file as the hub lists it. `sha256` is that of a large file's content; small ones have only `git_oid`, their git blob's SHA-1."""

    path: str
    url: str
    size_bytes: int
    sha256: str | None
    git_oid: str | None

    @property
    def content_id(self) -> str:
        """What the hub calls this content: the name of its part file."""
        return self.sha256 or self.git_oid or hashlib.sha256(self.url.encode()).hexdigest()


class RefusalOf(Protocol):
    """Makes the error for an answer of the hub that asking again does not change."""

    def __call__(self, status: int, headers: Mapping[str, str], path: str) -> FleetError: ...


class _Wrong(Exception):
    """All of the file came, and it is not the file that the hub lists."""


class _Interrupted(Exception):
    """It broke off, or the hub wants us to come again: `after_seconds`, if it said so."""

    def __init__(self, what: str, after_seconds: float | None = None) -> None:
        super().__init__(what)
        self.after_seconds = after_seconds


class Fetch:
    """One file on its way. `done_bytes` and `note` may be read from another thread at any time."""

    def __init__(self, wanted: Wanted, part: Path, line: Line, *, token: str | None, refusal_of: RefusalOf) -> None:
        self._wanted, self._part, self._line = wanted, part, line
        self._token, self._refusal_of = token, refusal_of
        self._buffer = memoryview(bytearray(PIECE_BYTES))
        self.done_bytes, self.note = 0, ""

    def run(self) -> str:
        """The SHA-256 of the part file, which then holds what the hub lists, on the disk.

        Raises HubFileWrong, DownloadBroken, StorageFull, Stopped, and what `refusal_of` makes. After all but HubFileWrong the part file
        stays, for another time.
        """
        for attempt in range(MOST_WRONG + 1):
            try:
                return self._whole()
            except _Wrong as exc:
                self._part.unlink(missing_ok=True)
                self.done_bytes = 0
                why = str(exc)
                self.note = (
                    f"{self._wanted.path} came wrong ({why}); it is fetched again, {attempt + 1} of {MOST_WRONG}"
                )
            except OSError as exc:
                if exc.errno in FULL:
                    raise StorageFull(
                        f"the disk was full after {self.done_bytes} bytes of {self._wanted.path}"
                    ) from exc
                raise
        raise HubFileWrong(
            f"{self._wanted.path} is not the file that the hub lists, {MOST_WRONG + 1} times in a row: {why}. "
            "Nothing was kept; try again later, or another revision or model"
        )

    def _whole(self) -> str:
        """Fetch what is missing, as often as it takes. Raises _Wrong, and all that `run` does."""
        with open(self._part, "ab", buffering=0) as file:
            digests = _Digests(self._wanted)
            self._read_again(file.fileno(), digests)
            fruitless = 0
            while self.done_bytes < self._wanted.size_bytes:
                before = self.done_bytes
                try:
                    self._go_on(file.fileno(), digests)
                except _Interrupted as broken:
                    fruitless = 1 if self.done_bytes - before >= PROGRESS_BYTES else fruitless + 1
                    self._pause(broken, fruitless)
            self.note = ""
            digests.compare()
            os.fsync(file.fileno())
            return digests.sha256

    def _read_again(self, file: int, digests: "_Digests") -> None:
        """Hash what an earlier attempt left."""
        there = os.fstat(file).st_size
        if there > self._wanted.size_bytes:
            os.ftruncate(file, 0)
            there = 0
        self.done_bytes = 0
        with open(self._part, "rb", buffering=0) as left:
            while self.done_bytes < there and (count := left.readinto(self._buffer)):
                digests.update(self._buffer[:count])
                self.done_bytes += count
                if self._line.is_stopped:
                    raise Stopped

    def _go_on(self, file: int, digests: "_Digests") -> None:
        """One request for what is missing, and all that comes of it. Raises _Interrupted, _Wrong."""
        try:
            with self._answer() as answer:
                self.note = ""
                if answer.status == 200 and self.done_bytes:  # it does not know ranges: all of it comes again
                    os.ftruncate(file, 0)
                    digests.begin()
                    self.done_bytes = 0
                self._require_fitting(answer)
                self._take(answer, file, digests)
        except (http.client.HTTPException, OSError) as exc:
            if self._line.is_stopped:
                raise Stopped from exc
            if isinstance(exc, OSError) and exc.errno in FULL:
                raise
            cause = exc.reason if isinstance(exc, URLError) else exc
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise DownloadBroken(f"the server of {self._wanted.path} cannot prove who it is: {cause}") from exc
            raise _Interrupted(_told(cause)) from exc
        except ValueError as exc:  # a number without end, an address or a header that none can be
            raise DownloadBroken(
                f"{self._wanted.path}: the server answers what cannot be an answer ({type(exc).__name__})"
            ) from exc

    def _take(self, answer: http.client.HTTPResponse, file: int, digests: "_Digests") -> None:
        size = self._wanted.size_bytes
        since, had = time.monotonic(), self.done_bytes
        while piece := answer.read1(PIECE_BYTES):  # what is there, without waiting for more: a kill shall lose little
            if self._line.is_stopped:
                raise Stopped
            if self.done_bytes + len(piece) > size:
                raise _Wrong(f"more than the {size} bytes that the hub lists came")
            digests.update(piece)
            left = memoryview(piece)
            while left:  # a file takes less than all of it when the disk fills up
                left = left[os.write(file, left) :]
            self.done_bytes += len(piece)
            _require_room(file)
            if (now := time.monotonic()) - since >= CRAWL_SECONDS:
                if self.done_bytes - had < CRAWL_BYTES:  # a drop now and then would hold a place for ever
                    raise _Interrupted(f"only {self.done_bytes - had} bytes came in {now - since:.0f} s")
                since, had = now, self.done_bytes
        if self.done_bytes < size:
            raise _Interrupted(f"it broke off after {self.done_bytes} of {size} bytes")

    def _require_fitting(self, answer: http.client.HTTPResponse) -> None:
        """Raises _Wrong for an answer that says itself that it is something else."""
        size = self._wanted.size_bytes
        if answer.status == 206:
            found = re.fullmatch(
                r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", answer.headers.get("Content-Range", "")
            )
            if found is None or int(found[1]) != self.done_bytes:
                raise _Wrong("another part than the one that was asked for came")
            if found[3] not in ("*", str(size)):
                raise _Wrong(f"the server has {found[3]} bytes where the hub lists {size}")
        length = answer.headers.get("Content-Length")
        if length is not None and length.isdecimal() and int(length) != size - self.done_bytes:
            raise _Wrong(f"{int(length) + self.done_bytes} bytes are offered where the hub lists {size}")

    def _answer(self) -> http.client.HTTPResponse:
        """The answer that holds the bytes, after redirects. Raises _Interrupted, _Wrong, DownloadBroken, what `refusal_of` makes."""
        url, home = self._wanted.url, _origin(self._wanted.url)
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._line.get(url, self._headers(is_home=_origin(url) == home))
            if answer.status in (200, 206):
                if _origin(url) == home:
                    self._require_same_content(answer.headers)
                return answer
            answer.close()
            if answer.status not in (301, 302, 303, 307, 308):
                raise self._refused(answer, is_home=_origin(url) == home)
            if _origin(url) == home:
                self._require_same_content(answer.headers)
            url = redirected(url, answer.headers.get("Location", ""))
        raise DownloadBroken(f"{self._wanted.path} is redirected more than {MOST_REDIRECTS} times")

    def _headers(self, *, is_home: bool) -> dict[str, str]:
        """The token goes to the hub alone: whoever it redirects to gets none."""
        headers = {"User-Agent": "vx11-hermes", "Accept-Encoding": "identity"}
        if is_home and self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if self.done_bytes:
            headers["Range"] = f"bytes={self.done_bytes}-"
        return headers

    def _require_same_content(self, headers: Message) -> None:
        """The hub's own ETag is the content's hash: a half-fetched file is only completed from the same one."""
        told = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
        expected = self._wanted.sha256 if len(told) == 64 else self._wanted.git_oid if len(told) == 40 else None
        if expected is not None and re.fullmatch("[0-9a-f]+", told) and told != expected:
            raise _Wrong(f"the hub announces the content {told[:12]}… where it lists {expected[:12]}…")

    def _refused(self, answer: http.client.HTTPResponse, *, is_home: bool) -> Exception:
        status, headers = answer.status, answer.headers
        if status == 416:
            return _Wrong(f"the server has less than the {self._wanted.size_bytes} bytes that the hub lists")
        if (
            status in SHOULD_COME_AGAIN or not is_home
        ):  # a content host's 403 is an address that expired: the hub gives a new one
            return _Interrupted(
                f"{answer.url and _host(answer.url)} answered {status}", retry_after_seconds(lower_case(headers))
            )
        return self._refusal_of(status, lower_case(headers), self._wanted.path)

    def _pause(self, broken: _Interrupted, fruitless: int) -> None:
        """Wait as the hub asks, or longer each time. Raises DownloadBroken when it has been enough, Stopped."""
        if fruitless >= MOST_FRUITLESS:
            raise DownloadBroken(
                f"{self._wanted.path} could not be fetched: {broken}, {fruitless} times in a row. "
                f"{self.done_bytes} of its {self._wanted.size_bytes} bytes are here: asking again goes on there"
            ) from broken
        if broken.after_seconds is not None and broken.after_seconds > LONGEST_WISH_SECONDS:
            raise DownloadBroken(
                f"{self._wanted.path}: {broken}, and asks to come again in {broken.after_seconds:.0f} seconds: do that"
            ) from broken
        wait = broken.after_seconds
        if wait is None:
            wait = min(FIRST_DELAY_SECONDS * 2 ** (fruitless - 1), LONGEST_DELAY_SECONDS)
        self.note = (
            f"{self._wanted.path}: {broken}; going on in {wait:g} s (attempt {fruitless + 1} of {MOST_FRUITLESS})"
        )
        self._line.wait(wait)


class _Digests:
    """The hashes of a file, as it comes."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.begin()

    def begin(self) -> None:
        self._sha256 = hashlib.sha256()
        self._git: Any = None
        if self._wanted.sha256 is None and self._wanted.git_oid is not None:
            self._git = hashlib.sha1(b"blob %d\x00" % self._wanted.size_bytes, usedforsecurity=False)

    def update(self, piece: bytes | memoryview) -> None:
        self._sha256.update(piece)
        if self._git is not None:
            self._git.update(piece)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def compare(self) -> None:
        """Raises _Wrong when the hub lists another content."""
        if self._wanted.sha256 is not None and self.sha256 != self._wanted.sha256:
            raise _Wrong(f"its SHA-256 is {self.sha256}, the hub lists {self._wanted.sha256}")
        if self._git is not None and self._git.hexdigest() != self._wanted.git_oid:
            raise _Wrong(f"its git hash is {self._git.hexdigest()}, the hub lists {self._wanted.git_oid}")


def _require_room(file: int) -> None:
    disk = os.fstatvfs(file)
    if disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES:
        raise OSError(errno.ENOSPC, "hardly any room is left")


def redirected(url: str, location: str) -> str:
    """Where a redirect leads. Raises DownloadBroken for what is not http(s), and for a way from https to http."""
    target = quote(
        urljoin(url, location), safe="%/:=&?~#+!$,;'@()*[]"
    )  # some leave letters unencoded that no request may carry
    scheme, host = urlsplit(target).scheme, urlsplit(target).hostname
    if not location or not host or scheme not in ("http", "https"):
        raise DownloadBroken(f"{_host(url)} redirects to {location[:100]!r}, which is not an address to fetch from")
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise DownloadBroken(f"{_host(url)} redirects from https to http: the file could be changed on the way")
    return target


def lower_case(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _told(cause: BaseException | str) -> str:
    if isinstance(cause, TimeoutError):
        return "the server fell silent"
    if isinstance(cause, http.client.IncompleteRead | http.client.RemoteDisconnected | ConnectionResetError):
        return "the server broke the connection"
    return f"the server cannot be reached ({cause})"[:200] if isinstance(cause, OSError) else f"{cause!r}"[:200]
