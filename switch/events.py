"""Server-sent events passed on whole: a client never gets half of one, and learns when the stream breaks off before its end."""

import json
import re

LONGEST_EVENT = 1024 * 1024  # bytes; what is longer is passed on as it comes
TAIL_BYTES = 4096
END_MARK = b"data: [DONE]"
BEGINNINGS = (b"data:", b":", b"event:", b"id:", b"retry:")
BLANK = b"\xef\xbb\xbf\r\n"
REASON = re.compile(rb'"finish_reason":"[^"]')  # some say "" until there is one
DATA_LINE = re.compile(rb"^data:(.*)[\r\n]", re.MULTILINE)


class WholeEvents:
    """`take` what came and get what may go out: everything up to the end of the last whole event."""

    def __init__(self) -> None:
        self._rest = b""
        self._tail = b""

    def take(self, data: bytes) -> bytes:
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not data.endswith((b"\n\n", b"\r\n\r\n")):
            end = _end_of_events(data)
            if end:
                data, self._rest = data[:end], data[end:]
            elif len(data) < LONGEST_EVENT:
                data, self._rest = b"", data
        self._tail = data[-TAIL_BYTES:] if len(data) >= TAIL_BYTES else (self._tail + data)[-TAIL_BYTES:]
        return data

    @property
    def is_finished(self) -> bool:
        """Whether the end was there: OpenAI's end mark, or at least the reason why the model stopped, or why it did not go on."""
        tail = self._tail.replace(b": ", b":")
        return b"data:[DONE]" in tail or REASON.search(tail) is not None or self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether the provider itself said at the end that it broke off."""
        return b'"error":{' in self._tail.replace(b": ", b":")

    def rest(self) -> bytes:
        """What is left when the stream has ended; only a last event without its empty line is worth sending."""
        left, self._rest = self._rest, b""
        if left.strip() != END_MARK:
            return b""
        self._tail += left
        return left.rstrip() + b"\n\n"


def _end_of_events(data: bytes) -> int:
    """Where the last whole event ends; 0 if there is none."""
    lf, crlf = data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n")
    return max(lf + 2 if lf >= 0 else 0, crlf + 4 if crlf >= 0 else 0)


def without_usage(data: bytes) -> bytes:
    """Whole events without those that only tell how much was used: who did not ask for them may not expect one without choices."""
    *events, rest = data.replace(b"\r\n", b"\n").split(b"\n\n")
    return b"".join([event + b"\n\n" for event in events if event and not _is_only_usage(event)]) + rest


def _is_only_usage(event: bytes) -> bool:
    if b'"usage"' not in event or not event.startswith(b"data:"):
        return False
    try:
        said = json.loads(event[5:])
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("choices") == [] and isinstance(said.get("usage"), dict)


def begins_a_stream(data: bytes) -> bool:
    return data.lstrip(BLANK).startswith(BEGINNINGS)


def may_begin_a_stream(data: bytes) -> bool:
    """The same, of what may be less than a line; not of nothing."""
    start = data.lstrip(BLANK)
    return bool(data) and (start.startswith(BEGINNINGS) or any(one.startswith(start) for one in BEGINNINGS))


def says_something(data: bytes) -> bool:
    """Whether a whole line of an event is there: not only comments, by which servers say that they are at work, and no half of one."""
    return DATA_LINE.search(data.lstrip(BLANK)) is not None or len(data) > LONGEST_EVENT


def says_more_than_a_role(data: bytes) -> bool:
    """Whether more than one event is there: llama.cpp's first says whose words follow. Both come in one piece as a rule, and not always."""
    return len(DATA_LINE.findall(data.lstrip(BLANK))) > 1 or not may_begin_a_stream(data)


def is_error(data: bytes) -> bool:
    """Whether the first event of a stream says that there will be no answer."""
    if b'"error"' not in data or (found := DATA_LINE.search(data.lstrip(BLANK))) is None:
        return False
    try:
        said = json.loads(found[1])
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("error") is not None


def error_event(message: str, code: str) -> bytes:
    """An error in the middle of a stream, in the shape in which OpenAI's API and its clients have it."""
    error = {"error": {"message": message, "type": "api_error", "code": code, "param": None}}
    return b"data: " + json.dumps(error).encode() + b"\n\n"
