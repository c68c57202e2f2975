"""Blocks in, audio file out."""

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import soundfile

from shub.dsp.decode import Block
from shub.dsp.formats import LOSSY, MOST_LOSSY_CHANNELS, MP3_RATES_HZ, Format
from shub.dsp.ogg_pages import set_serial_number
from shub.dsp.quantizing import DITHERED_BITS, to_integers
from shub.dsp.refusals import NotForThisFormat

BitDepth = Literal[16, 24, 32]
"""32 is floating point, and only WAV has it."""
Dither = Literal["auto", "tpdf", "none"]
_MP3_KBPS = {"mpeg1": (320, 32), "mpeg2": (160, 8)}
_OGG_KBPS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)
"""Nominal rates of Vorbis qualities 0 to 10 for two channels at 44.1 kHz. Source: the encoder's own documentation (vorbisenc)."""
_CODECS: dict[str, tuple[str, str]] = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS")}
_RIFF_LIMIT_BYTES = 0xFFFFFFFF - 65_536
_HEADER_BYTES = 4096
_FULL_BELOW_BYTES = 4 * 1024 * 1024


class AudioWriter:
    """A new file, written forward in blocks. `frames` is how many will come: a WAV beyond 4 GiB must start as RF64.

    The same blocks make the same bytes. Raises NotForThisFormat for channels or a rate that the format does not hold.
    """

    def __init__(
        self,
        path: Path,
        container: Format,
        rate_hz: int,
        channels: int,
        bits: BitDepth,
        *,
        frames: int,
        dither: Dither = "auto",
        bitrate_kbps: int | None = None,
        seed: int = 0,
    ) -> None:
        if container == "flac" and bits == 32:
            raise ValueError("FLAC has no floating point")
        _refuse_what_it_does_not_hold(container, rate_hz, channels)
        self._container, self._bits, self._seed, self._done, self._path = container, bits, seed, 0, path
        self._is_dithered = dither == "tpdf" or (dither == "auto" and bits <= DITHERED_BITS)
        self._takes_floats = container in LOSSY or bits == 32
        self._sound = soundfile.SoundFile(
            str(path),
            "w",
            samplerate=rate_hz,
            channels=channels,
            **(_lossy(container, rate_hz, bitrate_kbps) or _lossless(container, bits, frames * channels * bits // 8)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sound.close()
        if kind is None:
            self._make_repeatable()

    def write(self, block: Block) -> None:
        """Append a block. Raises OSError when the disk is full."""
        try:
            if self._takes_floats:
                self._sound.write(np.clip(block, -1.0, 1.0) if self._container in LOSSY else block)
            else:
                self._sound.write(to_integers(block, self._bits, self._done, self._seed, dithered=self._is_dithered))
        except (soundfile.LibsndfileError, AssertionError) as exc:
            # libsndfile says "System error", the binding counts the frames: both mean that the bytes did not get out.
            disk = os.statvfs(self._path.parent)
            reason = errno.ENOSPC if disk.f_bavail * disk.f_frsize < _FULL_BELOW_BYTES else errno.EIO
            raise OSError(reason, f"writing stopped after {self._done} frames: {exc}") from exc
        self._done += len(block)

    def _make_repeatable(self) -> None:
        """libsndfile puts the time of day or a random number into two formats; the same sound shall give the same bytes."""
        if self._container == "ogg":
            set_serial_number(self._path, 1)
        elif self._container == "wav" and self._bits == 32:
            _forget_time(self._path)


def encoding_of(container: Format, bits: BitDepth) -> str:
    """How the samples are kept, as libsndfile names it."""
    if container in LOSSY:
        return _CODECS[container][1]
    return "FLOAT" if bits == 32 else f"PCM_{bits}"


def _refuse_what_it_does_not_hold(container: Format, rate_hz: int, channels: int) -> None:
    if container in LOSSY and channels > MOST_LOSSY_CHANNELS:
        raise NotForThisFormat(f"{container} is written in mono and stereo here, not with {channels} channels")
    if container == "flac" and channels > 8:
        raise NotForThisFormat(f"FLAC holds 8 channels, not {channels}")
    if container == "mp3" and rate_hz not in MP3_RATES_HZ:
        raise NotForThisFormat(f"MP3 has no {rate_hz} Hz; the highest are 44100 and 48000 Hz")


def _lossless(container: Format, bits: BitDepth, size_bytes: int) -> dict[str, Any]:
    wav = "RF64" if size_bytes > _RIFF_LIMIT_BYTES else "WAV"
    return {"subtype": encoding_of(container, bits), "format": "FLAC" if container == "flac" else wav}


def _lossy(container: Format, rate_hz: int, kbps: int | None) -> dict[str, Any] | None:
    """libsndfile wants a compression from 0 to 1 where people think of a bit rate."""
    if container == "mp3":
        highest, lowest = _MP3_KBPS["mpeg1" if rate_hz >= 32_000 else "mpeg2"]
        wanted = min(highest, max(lowest, kbps or highest))
        level, mode = (highest - wanted) / (highest - lowest), {"bitrate_mode": "CONSTANT"}
    elif container == "ogg":
        quality = float(np.interp(kbps or 320, _OGG_KBPS, np.linspace(0.0, 1.0, len(_OGG_KBPS))))
        level, mode = 1.0 - quality, {}
    else:
        return None
    format_, subtype = _CODECS[container]
    return {"format": format_, "subtype": subtype, "compression_level": min(level, 0.99), **mode}


def _forget_time(path: Path) -> None:
    """The PEAK chunk of a floating-point WAV holds the time of day."""
    with path.open("rb+") as file:
        chunk = file.read(_HEADER_BYTES).find(b"PEAK")
        if chunk >= 0:
            file.seek(chunk + 12)  # after name, length and version
            file.write(bytes(4))
