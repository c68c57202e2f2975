"""Server-sent events passed on whole: a client never gets half of one, and learns when the stream breaks off before its end."""

import json

LONGEST_EVENT = 1024 * 1024  # bytes; what is longer is passed on as it comes
TAIL_BYTES = 4096
END_MARK = b"data: [DONE]"
BEGINNINGS = (b"data:", b":", b"event:", b"id:", b"retry:")


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
        """Whether the end was there: OpenAI's end mark, or at least the reason why the model stopped."""
        tail = self._tail.replace(b": ", b":")
        return b"data:[DONE]" in tail or b'"finish_reason":"' in tail or b'"error":{' in tail

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
    kept = []
    for event in data.replace(b"\r\n", b"\n").split(b"\n\n"):
        if event and not _is_only_usage(event):
            kept.append(event + b"\n\n")
    return b"".join(kept)


def _is_only_usage(event: bytes) -> bool:
    if b'"usage"' not in event or not event.startswith(b"data:"):
        return False
    try:
        said = json.loads(event[5:])
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("choices") == [] and isinstance(said.get("usage"), dict)


def begins_a_stream(data: bytes) -> bool:
    return data.lstrip(b"\xef\xbb\xbf\r\n").startswith(BEGINNINGS)


def is_error(data: bytes) -> bool:
    """Whether the first event of a stream says that there will be no answer."""
    line = data.lstrip(b"\xef\xbb\xbf\r\n").partition(b"\n")[0]
    return line.startswith(b"data:") and line[5:].lstrip().replace(b" ", b"").startswith(b'{"error":')


def error_event(message: str, code: str) -> bytes:
    """An error in the middle of a stream, in the shape in which OpenAI's API and its clients have it."""
    error = {"error": {"message": message, "type": "api_error", "code": code, "param": None}}
    return b"data: " + json.dumps(error).encode() + b"\n\n"
