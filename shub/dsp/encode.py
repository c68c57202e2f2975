"""Blocks in, audio file out."""

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import soundfile

from shub.dsp.decode import Block
from shub.dsp.quantizing import to_integers

Format = Literal["wav", "flac"]
BitDepth = Literal[16, 24, 32]
"""32 is floating point, and only WAV has it."""
_RIFF_LIMIT_BYTES = 0xFFFFFFFF - 65_536
_HEADER_BYTES = 4096
_FULL_BELOW_BYTES = 4 * 1024 * 1024


class AudioWriter:
    """A new file, written forward in blocks. `frames` is how many will come: a WAV beyond 4 GiB must start as RF64."""

    def __init__(
        self, path: Path, container: Format, rate_hz: int, channels: int, bits: BitDepth, *, frames: int, seed: int = 0
    ) -> None:
        if container == "flac" and bits == 32:
            raise ValueError("FLAC has no floating point")
        large = frames * channels * bits // 8 > _RIFF_LIMIT_BYTES
        self._bits, self._seed, self._done, self._path = bits, seed, 0, path
        self._sound = soundfile.SoundFile(
            str(path),
            "w",
            samplerate=rate_hz,
            channels=channels,
            subtype="FLOAT" if bits == 32 else f"PCM_{bits}",
            format="FLAC" if container == "flac" else "RF64" if large else "WAV",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sound.close()
        if kind is None and self._bits == 32:
            _forget_time(self._path)

    def write(self, block: Block) -> None:
        """Append a block. Raises OSError when the disk is full."""
        try:
            if self._bits == 32:
                self._sound.write(block)
            else:
                self._sound.write(to_integers(block, self._bits, self._done, self._seed))
        except (soundfile.LibsndfileError, AssertionError) as exc:
            # libsndfile says "System error", the binding counts the frames: both mean that the bytes did not get out.
            disk = os.statvfs(self._path.parent)
            reason = errno.ENOSPC if disk.f_bavail * disk.f_frsize < _FULL_BELOW_BYTES else errno.EIO
            raise OSError(reason, f"writing stopped after {self._done} frames: {exc}") from exc
        self._done += len(block)


def _forget_time(path: Path) -> None:
    """libsndfile writes the time of day into the PEAK chunk of a floating-point WAV; the same sound shall give the same bytes."""
    with path.open("rb+") as file:
        chunk = file.read(_HEADER_BYTES).find(b"PEAK")
        if chunk >= 0:
            file.seek(chunk + 12)  # after name, length and version
            file.write(bytes(4))
