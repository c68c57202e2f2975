"""Is the file all there? Decoders play what they find and say nothing of what is missing, so the containers are asked.

Standard library only. A stream that never announced its length cannot be found short; it is taken as it is.
"""

import os
import struct
from typing import BinaryIO

from shub.dsp.refusals import EmptyAudio, Truncated, Unreadable
from shub.dsp.sniff import Container, id3v2_bytes, mpeg_frame_bytes

_UNKNOWN_LENGTH = 0xFFFFFFFF
_OGG_PAGE_MAX_BYTES = 65_307


def refuse_cut_off(file: BinaryIO, container: Container) -> None:
    """Raises Truncated, EmptyAudio or Unreadable when the container's own bookkeeping does not fit the file."""
    size = file.seek(0, os.SEEK_END)
    if container == "wav":
        _check_wav(file, size)
    elif container == "ogg":
        _check_ogg(file, size)
    elif container == "mp3":
        _check_mp3(file, size)
    # FLAC announces its samples, not its bytes: `decode` reads the last one.


def _check_wav(file: BinaryIO, size: int) -> None:
    """Source: RIFF/WAVE (Microsoft, 1991), RF64: EBU Tech 3306 (sizes of 0xFFFFFFFF stand in the ds64 chunk)."""
    position, large_data, has_format = 12, 0, False
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"ds64" and length >= 24:
            large_data = struct.unpack("<QQQ", file.read(24))[1]
        has_format = has_format or name == b"fmt "
        if name == b"data":
            if not has_format:
                raise Unreadable("a WAV file whose samples come before their format")
            there = size - position - 8
            announced = large_data or length if length == _UNKNOWN_LENGTH else length
            if announced == 0 or there == 0:
                raise EmptyAudio("a WAV file without a single sample")
            if announced > there and announced != _UNKNOWN_LENGTH:
                raise Truncated(f"a WAV file that announces {announced} bytes of audio and holds {there}")
            return
        position += 8 + length + (length & 1)
    if position > size:
        raise Truncated("a WAV file that ends inside a chunk before its audio")
    raise EmptyAudio("a WAV file without audio data")


def _check_ogg(file: BinaryIO, size: int) -> None:
    """Source: RFC 3533 section 6: the last page carries the end-of-stream flag, and its segments give its length."""
    start = max(0, size - 2 * _OGG_PAGE_MAX_BYTES)
    file.seek(start)
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]  # only a tag or padding may follow the last page
    is_complete = len(page) >= 27 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
    if not is_complete or not page[5] & 4:
        raise Truncated("an Ogg file without its last page")


def _check_mp3(file: BinaryIO, size: int) -> None:
    """Source: the Xing/Info header as LAME writes it: its byte count covers the frame it stands in and all that follow."""
    file.seek(0)
    start = id3v2_bytes(file.read(10))
    file.seek(start)
    first = file.read(4)
    frame = mpeg_frame_bytes(first)
    if start + frame > size:
        raise Truncated("an MP3 file that ends inside its first frame")
    is_mpeg1, is_mono = first[1] >> 3 & 3 == 3, first[3] >> 6 == 3
    side_info = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    file.seek(start + 4 + side_info)
    tag = file.read(16)
    if tag[:4] not in (b"Xing", b"Info") or len(tag) < 16:
        return
    flags = struct.unpack(">I", tag[4:8])[0]
    if flags & 2:
        announced = struct.unpack(">I", tag[12:16] if flags & 1 else tag[8:12])[0]
        if start + announced > size:
            raise Truncated(f"an MP3 file that announces {announced} bytes of audio and holds {size - start}")
