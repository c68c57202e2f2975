"""What a job wrote to stdout and stderr, as its spool keeps it: the beginning for its record, pieces for those who follow."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")
HEAD_BYTES = 64 * 1024
"""Of each stream, kept in the record for good."""


@dataclass(frozen=True)
class Piece:
    """Text from `offset` on; `next_offset` is where the next piece starts, `kept_bytes` the size of all that is kept by now."""

    offset: int
    text: str
    next_offset: int
    kept_bytes: int


def read_piece(spool: Path, stream: Stream, offset: int, most_bytes: int, *, is_final: bool) -> Piece:
    """A piece of at most `most_bytes` (at least 4), cut between characters; bytes that are no UTF-8 become U+FFFD.

    `is_final`: nothing more will be written, so a character that is cut off at the end stays cut off.
    """
    try:
        with (spool / stream).open("rb") as file:
            kept = file.seek(0, 2)
            offset = min(offset, kept)
            file.seek(offset)
            data = file.read(most_bytes)
    except FileNotFoundError:  # it has not started yet
        return Piece(0, "", 0, 0)
    reaches_the_end = offset + len(data) >= kept
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=is_final and reaches_the_end)
    waiting = len(decoder.getstate()[0])
    return Piece(offset, text, offset + len(data) - waiting, max(kept, offset + len(data)))


def head(spool: Path, stream: Stream) -> str:
    """The beginning of a stream that has ended, without NUL, which a database may not be able to keep."""
    return read_piece(spool, stream, 0, HEAD_BYTES, is_final=True).text.replace("\x00", "\ufffd")


def kept_bytes(spool: Path, stream: Stream) -> int:
    try:
        return (spool / stream).stat().st_size
    except FileNotFoundError:
        return 0
