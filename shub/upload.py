"""The bytes of an uploaded file, as they arrive: out of a multipart form or straight from the body. Nothing is buffered whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from config.errors import BodyTooLarge
from shub.dsp.foreign import refusal_of
from shub.dsp.sniff import HEAD_BYTES, could_be_audio
from shub.errors import UnsupportedAudio, UploadBroken, UploadMissing

FIELD = "file"
LARGEST_HEADERS_BYTES = 16 * 1024
DRAINED_BYTES = 16 * 1024 * 1024
"""So much of a body that is refused already is still read: a client that is busy sending would miss our answer."""


@dataclass
class Upload:
    """An upload under way. `name` is what the client calls the file, known once the first bytes came."""

    request: Request
    limit_bytes: int
    name: str = ""
    _seen: int = 0
    _is_over: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes. Raises UploadMissing, UploadBroken, BodyTooLarge, and UnsupportedAudio as soon as the head tells."""
        kind, options = parse_options_header(self.request.headers.get("content-type"))
        is_form = kind == b"multipart/form-data"
        source = self._form(options.get(b"boundary", b"")) if is_form else self._body()
        head = b""
        async for chunk in source:
            self._seen += len(chunk)
            if self._seen > self.limit_bytes:
                raise BodyTooLarge(f"a file may have {self.limit_bytes} bytes")
            if len(head) < HEAD_BYTES:
                head += chunk[: HEAD_BYTES - len(head)]
                if len(head) == HEAD_BYTES:
                    await self._refuse_what_is_no_audio(head)
            yield chunk
        if not self._seen:
            raise UploadMissing(f"send the file as the body, or as the field {FIELD!r} of a multipart form")

    async def _refuse_what_is_no_audio(self, head: bytes) -> None:
        if could_be_audio(head):
            return
        drained = 0
        async for chunk in self._body():
            drained += len(chunk)
            if drained > DRAINED_BYTES:
                break
        raise UnsupportedAudio(refusal_of(head))

    async def _body(self) -> AsyncIterator[bytes]:
        """What is left of the body. Not `request.stream()`: that cannot be taken up again to drain the rest."""
        while not self._is_over:
            message = await self.request.receive()
            if message["type"] == "http.disconnect":
                raise UploadBroken("the connection ended before the body did")
            self._is_over = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk

    async def _form(self, boundary: bytes) -> AsyncIterator[bytes]:
        if not boundary:
            raise UploadBroken("a multipart form without a boundary")
        form = _Form()
        try:
            parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
            async for chunk in self._body():
                parser.write(chunk)
                form.refuse_endless_headers()
                self.name = self.name or form.name
                for piece in form.taken():
                    yield piece
        except MultipartParseError as exc:
            raise UploadBroken(f"the multipart form is broken: {exc}") from exc
        if not form.is_complete:
            raise UploadBroken("the multipart form has no end")
        if form.files > 1:
            raise UploadBroken(f"the form holds {form.files} files; send one at a time")


@dataclass
class _Form:
    """Collects what the parser calls out: the bytes of the field `file`, its name, and the value of a field `name`."""

    name: str = ""
    files: int = 0
    is_complete: bool = False
    _pieces: list[bytes] = field(default_factory=list)
    _field: str = ""
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _given_name: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def taken(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def refuse_endless_headers(self) -> None:
        if len(self._header) + len(self._value) + len(self._given_name) > LARGEST_HEADERS_BYTES:
            raise MultipartParseError("a part with headers or a name of more than 16 KiB")

    def _begin(self) -> None:
        self._field = ""

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._field = options.get(b"name", b"").decode(errors="replace")
            if self._field == FIELD:
                self.files += 1
                self.name = self.name or _file_name(options)
        self._header.clear()
        self._value.clear()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field == FIELD and self.files == 1:
            self._pieces.append(data[start:end])
        elif self._field == "name":
            self._given_name.extend(data[start:end])

    def _end_part(self) -> None:
        if self._field == "name":
            self.name = self._given_name.decode(errors="replace")

    def _end(self) -> None:
        self.is_complete = True


def _file_name(options: dict[bytes, bytes]) -> str:
    """Source: RFC 7578 section 4.2: percent-encoded UTF-8 in practice; RFC 5987's `filename*` where a client sends it."""
    if extended := options.get(b"filename*"):
        return unquote(extended.decode(errors="replace").rpartition("'")[2])
    return options.get(b"filename", b"").decode(errors="replace")
