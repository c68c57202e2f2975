"""Reading server-sent events that come in pieces of any size (WHATWG HTML, 9.2.6)."""

from dataclasses import dataclass

from switch.failures import Failure, FailureKind

MOST_EVENT = 64 * 1024 * 1024  # bytes; a picture in an event is a few million
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    kind: bytes
    """What `event:` said; `message` if it said nothing."""
    data: bytes


class EventReader:
    """`take` what came and get the events that it completed. Comments, ids and retry times are left out.

    Lines are told apart before anything is decoded, so that a character may be cut in two. Raises Failure for an event without an end.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._is_at_start = True
        self._kind, self._data = b"", list[bytes]()

    def take(self, data: bytes) -> list[Event]:
        self._size_bytes += len(data)
        if self._size_bytes > MOST_EVENT:
            raise Failure(FailureKind.GARBAGE, "an event of the stream does not end")
        had_return = bool(self._parts) and self._parts[-1].endswith(b"\r")
        self._parts.append(data)
        if not had_return and b"\n" not in data and b"\r" not in data:
            return []
        lines = self._whole_lines()
        return [event for line in lines if (event := self._read(line.rstrip(b"\r\n"))) is not None]

    def rest(self) -> list[Event]:
        """The last event of a stream that ended without the empty line after it."""
        line, self._parts = b"".join(self._parts).rstrip(b"\r\n"), []
        return [event for event in (self._read(line), self._read(b"")) if event is not None]

    def _whole_lines(self) -> list[bytes]:
        text, self._parts = b"".join(self._parts), []
        if self._is_at_start:
            text, self._is_at_start = text.removeprefix(BYTE_ORDER_MARK), False
        lines = text.splitlines(keepends=True)  # bytes: at \n, \r and \r\n, as the standard has it
        if lines and not lines[-1].endswith(b"\n"):  # not the end of a line, or a \r whose \n may still come
            self._parts.append(lines.pop())
        return lines

    def _read(self, line: bytes) -> Event | None:
        if not line:
            event = Event(self._kind or b"message", b"\n".join(self._data)) if self._data else None
            self._kind, self._data, self._size_bytes = b"", [], 0
            return event
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        elif field == b"event":
            self._kind = value.removeprefix(b" ")
        return None
