"""What a file is that we do not read, judged by its first bytes: who sent it shall know what to do. Standard library only."""

from typing import Final

TAKEN: Final = "WAV, FLAC, MP3 and Ogg (Vorbis, Opus, FLAC)"

_PROTECTED_BRANDS = {b"M4P ": "iTunes", b"aax ": "Audible", b"aaxc": "Audible"}
_AUDIO: Final = (
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (WMA or WMV)"),
    (b"caff", "Core Audio (CAF)"),
    (b".snd", "Sun audio (AU)"),
    (b"MAC ", "Monkey's Audio (APE)"),
    (b"wvpk", "WavPack"),
    (b"TTA1", "True Audio (TTA)"),
    (b"DSD ", "DSD (DSF)"),
    (b"FRM8", "DSD (DSDIFF)"),
    (b"#!AMR", "AMR"),
    (b"\x0b\x77", "Dolby AC-3"),
    (b"\x7f\xfe\x80\x01", "DTS"),
    (b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (b"FLV\x01", "Flash video"),
)
_OTHER: Final = (
    (b"MThd", "MIDI, which holds notes and no sound: play it into a file first"),
    (b"PK\x03\x04", "a ZIP archive: unpack it and send what is in it one by one"),
    (b"Rar!", "a RAR archive: unpack it and send what is in it one by one"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it and send what is in it one by one"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


def refusal_of(head: bytes) -> str:
    """Why a file with these first bytes (16 or more) is not taken, in words for the person who sent it."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _PROTECTED_BRANDS:
            return (
                f"this is an MP4 protected against copying (DRM, {_PROTECTED_BRANDS[brand]}): only its own player can decode it; "
                f"get it without the protection, as {TAKEN}"
            )
        return _convert("MP4 (M4A, AAC, ALAC or video)")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _convert("AIFF")
    if head[:4] == b"RIFF":
        return _convert("RIFF without WAVE in it, such as AVI video")
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return _convert("AAC (ADTS)")
    for mark, name in _AUDIO:
        if head.startswith(mark):
            return _convert(name)
    for mark, name in _OTHER:
        if head.startswith(mark):
            return f"this is {name}; audio is taken as {TAKEN}"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"this is a web page or XML, as a failed download leaves it; audio is taken as {TAKEN}"
    if _is_text(head):
        return f"this is text; audio is taken as {TAKEN}"
    if head and not head.strip(b"\x00"):
        return f"the file begins with nothing but zeros, as an unfinished download does; audio is taken as {TAKEN}"
    return f"the bytes are none of {TAKEN}"


def _convert(name: str) -> str:
    return f"this is {name}; convert it to one of {TAKEN}, without loss if you can (WAV or FLAC)"


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        return all(byte >= 32 or byte in (0, 9, 10, 13) for byte in head[2:])
    shown = head.decode("utf-8", errors="ignore")  # the last character may be cut
    is_utf8 = len(shown.encode()) >= len(head) - 3
    return bool(shown) and is_utf8 and all(char.isprintable() or char in "\t\n\r" for char in shown)
