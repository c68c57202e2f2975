"""Files of every kind: what is taken, and what must be refused with a reason."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.shub.signals import sine, write

RATE = 44_100


def tone(channels: int = 2, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.repeat(0.3 * sine(rate, seconds, 0.0)[:, None], channels, axis=1)


GOOD: dict[str, dict[str, str]] = {
    "wav16": {"format": "WAV", "subtype": "PCM_16"},
    "wav24": {"format": "WAVEX", "subtype": "PCM_24"},
    "wav_float": {"format": "WAV", "subtype": "FLOAT"},
    "wav_8bit": {"format": "WAV", "subtype": "PCM_U8"},
    "rf64": {"format": "RF64", "subtype": "PCM_24"},
    "flac": {"format": "FLAC", "subtype": "PCM_24"},
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
}


def good(kind: str, path: Path) -> Path:
    """A second of a tone as this kind of file. The path needs no ending: nothing may depend on it."""
    return write(path, tone(), RATE, **GOOD[kind])


def cut(kind: str, part: float) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        whole = good(kind, path).read_bytes()
        path.write_bytes(whole[: int(len(whole) * part)])
        return path

    return make


def raw(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def with_nan(value: float) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        samples = tone()
        samples[30_000, 1] = value
        return write(path, samples, RATE, "FLOAT", format="WAV")

    return make


def flac_with_a_hole(path: Path) -> Path:
    """The header is right, the last frames are right, the middle is not."""
    noise = np.random.default_rng(0).standard_normal((RATE * 4, 1)) * 0.1
    content = bytearray(write(path, noise, RATE, "PCM_16", format="FLAC").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(content)
    return path


def wav_header(data_bytes: int, there: int = 0, rate: int = RATE, channels: int = 2) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", data_bytes) + bytes(there)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


BAD: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "no bytes": ("empty_audio", raw(b"")),
    "text": ("unsupported_audio", raw(b"these are the words of a song\n" * 100)),
    "random bytes": ("unsupported_audio", raw(np.random.default_rng(1).bytes(50_000))),
    "a picture": ("unsupported_audio", raw(b"\x89PNG\r\n\x1a\n" + bytes(5_000))),
    "video in RIFF": ("unsupported_audio", raw(b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(4_000))),
    "Ogg without audio": ("unsupported_audio", raw(b"OggS\x00\x02" + bytes(21) + b"\x01\x2a\x80theora" + bytes(500))),
    "AAC": ("unsupported_audio", raw((b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 200)),
    "Windows Media": ("unsupported_audio", raw(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(4_000))),
    "MP4": ("unsupported_audio", raw(b"\x00\x00\x00\x20ftypM4A " + bytes(4_000))),
    "AIFF": ("unsupported_audio", lambda path: write(path, tone(), RATE, format="AIFF")),
    "a ZIP archive": ("unsupported_audio", raw(b"PK\x03\x04" + bytes(4_000))),
    "a web page": ("unsupported_audio", raw(b"<!DOCTYPE html><html><body>404</body></html>" * 20)),
    "zeros": ("unsupported_audio", raw(bytes(10_000))),
    "protected MP4": ("unsupported_audio", raw(b"\x00\x00\x00\x20ftypM4P " + bytes(4_000))),
    "an ID3 tag alone": ("unsupported_audio", raw(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128))),
    "a WAV header without data": ("empty_audio", raw(wav_header(0))),
    "a WAV with no samples": ("empty_audio", lambda path: write(path, np.empty((0, 2)), RATE, format="WAV")),
    "a FLAC with no samples": ("empty_audio", lambda path: write(path, np.empty((0, 2)), RATE, format="FLAC")),
    "half a WAV": ("truncated_audio", cut("wav16", 0.5)),
    "half a float WAV": ("truncated_audio", cut("wav_float", 0.5)),
    "half an RF64": ("truncated_audio", cut("rf64", 0.5)),
    "a WAV of its first 12 bytes": ("empty_audio", cut("wav16", 12 / 176_444)),
    "half a FLAC": ("truncated_audio", cut("flac", 0.5)),
    "almost a FLAC": ("truncated_audio", cut("flac", 0.97)),
    "half an MP3": ("truncated_audio", cut("mp3", 0.5)),
    "half an Ogg": ("truncated_audio", cut("vorbis", 0.5)),
    "almost an Ogg": ("truncated_audio", cut("vorbis", 0.98)),
    "a WAV that claims 4 GB": ("truncated_audio", raw(wav_header(0xF0000000, 1_000))),
    "no channels": ("unreadable_audio", raw(wav_header(1_000, 1_000, channels=0))),
    "64 channels": ("too_many_channels", lambda path: write(path, tone(64, 0.1), RATE, "PCM_16", format="WAV")),
    "a rate of 4 kHz": ("unsupported_sample_rate", lambda path: write(path, tone(rate=4_000), 4_000, format="WAV")),
    "a rate of 384 kHz": ("unsupported_sample_rate", lambda path: write(path, tone(), 384_000, format="WAV")),
    "seven hours": (
        "audio_too_long",
        lambda path: write(path, np.zeros(8_000 * 25_000, np.int16)[::1], 8_000, "PCM_U8", format="WAV"),
    ),
}
"""By what is wrong with it: the code of the refusal, and how to make the file."""

BAD_INSIDE: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a NaN": ("not_finite_audio", with_nan(float("nan"))),
    "an infinity": ("not_finite_audio", with_nan(float("inf"))),
    "a number that is no sound": ("not_finite_audio", with_nan(3e9)),
    "a hole": ("unreadable_audio", flac_with_a_hole),
}
"""Files whose edges are right: only who reads all of them finds out."""


def samples_of(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]
