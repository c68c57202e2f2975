"""What kind of file this is, judged by its bytes alone. Standard library only: the web process uses it on the first bytes of an upload."""

from pathlib import PurePath
from typing import BinaryIO, Literal

from shub.dsp.foreign import refusal_of
from shub.dsp.refusals import Mislabelled, NotAudio

Container = Literal["wav", "flac", "mp3", "ogg"]

HEAD_BYTES = 16
"""What `could_be_audio` needs to see."""

SUFFIXES: dict[str, Container] = {
    **dict.fromkeys((".wav", ".wave", ".bwf", ".rf64"), "wav"),
    **dict.fromkeys((".flac",), "flac"),
    **dict.fromkeys((".mp3", ".mp2", ".mpga"), "mp3"),
    **dict.fromkeys((".ogg", ".oga", ".opus"), "ogg"),
}
OTHER_AUDIO_SUFFIXES = frozenset(
    {".aif", ".aiff", ".aifc", ".m4a", ".m4b", ".m4p", ".mp4", ".aac", ".wma", ".caf", ".au", ".ac3", ".ape"}
)


def could_be_audio(head: bytes) -> bool:
    """False as soon as the first `HEAD_BYTES` rule out every format we read; True promises nothing yet."""
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return head[8:12] == b"WAVE"
    return head[:4] in (b"fLaC", b"OggS") or head[:3] == b"ID3" or mpeg_frame_bytes(head[:4]) > 0


def container_of(file: BinaryIO) -> Container:
    """The container, by content; the position of `file` is left anywhere.

    Raises NotAudio when it is none of those we read, among them other audio formats and Ogg without Vorbis, Opus or FLAC.
    """
    file.seek(0)
    head = file.read(64)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"OggS":
        if any(mark in head for mark in (b"\x01vorbis", b"OpusHead", b"\x7fFLAC")):
            return "ogg"
        raise NotAudio("an Ogg file without Vorbis, Opus or FLAC inside")
    start = id3v2_bytes(head)
    file.seek(start)
    after_tag = file.read(4)
    if after_tag == b"fLaC":
        return "flac"
    frame = mpeg_frame_bytes(after_tag)
    if frame:
        # One frame header is 11 set bits, which random bytes show often; two in the right distance are not chance.
        file.seek(start + frame)
        following = file.read(4)
        if len(following) < 4 or mpeg_frame_bytes(following):
            return "mp3"
    raise NotAudio("an ID3 tag without MP3 behind it" if head[:3] == b"ID3" else refusal_of(head))


def refuse_false_name(name: str, found: Container) -> None:
    """Raises Mislabelled when the name ends like another audio format; a name that promises nothing passes."""
    suffix = PurePath(name).suffix.lower()
    if SUFFIXES.get(suffix, found) != found or suffix in OTHER_AUDIO_SUFFIXES:
        raise Mislabelled(f"{name!r} is named {suffix} but holds {found.upper()}; give it its true name")


def id3v2_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag that `head` starts with, or 0. Source: ID3v2.4 structure, section 3.1 (size in 4 x 7 bits)."""
    if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) > 127:
        return 0
    footer = 10 if head[5] & 0x10 else 0
    return 10 + footer + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


_KBIT_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBIT = {  # by "is MPEG-1" and layer bits: 3 is Layer I, 1 is Layer III
    (True, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _KBIT_MPEG2,
    (False, 1): _KBIT_MPEG2,
}
_RATES = (44100, 48000, 32000)


def mpeg_frame_bytes(header: bytes) -> int:
    """Length in bytes of the MPEG audio frame that this 4-byte header opens, or 0 when it is no such header.

    Source: ISO/IEC 11172-3 section 2.4.2.3 and 13818-3; AAC's ADTS (layer bits 00) and free-format streams give 0.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = (
        header[1] >> 3 & 3,
        header[1] >> 1 & 3,
    )  # version 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5; layer 1: Layer III
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 0 or bitrate in (0, 15) or rate == 3:
        return 0
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    kbit = _KBIT[version == 3, layer][bitrate]
    if layer == 3:
        return (12_000 * kbit // hertz + padding) * 4
    samples = 576 if layer == 1 and version != 3 else 1152
    return samples // 8 * 1000 * kbit // hertz + padding
