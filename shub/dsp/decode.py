"""Audio files in, blocks of float32 out. A whole file is never in memory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from shub.dsp.refusals import EmptyAudio, NotFinite, TooLong, TooManyChannels, Truncated, Unreadable, UnsupportedRate
from shub.dsp.sniff import Container, container_of
from shub.dsp.wholeness import refuse_cut_off

BLOCK_FRAMES = 65_536
LARGEST_SAMPLE = 1e6
"""120 dB above full scale: what a file of floats holds beyond that is no sound."""
Block = NDArray[np.float32]
"""Frames by channels, interleaved in memory, full scale at 1.0."""


@dataclass(frozen=True)
class Limits:
    """What is taken in. Channels: the 7.1 of ITU-R BS.1770 table 4 is the largest layout that we can measure."""

    max_duration_seconds: float = 14_400.0
    max_channels: int = 8
    min_rate_hz: int = 8_000
    max_rate_hz: int = 192_000


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file says, checked against its bytes as far as that goes without decoding everything."""

    container: Container
    subtype: str
    sample_rate_hz: int
    channels: int
    frames: int

    @property
    def duration_seconds(self) -> float:
        return self.frames / self.sample_rate_hz

    @property
    def has_vorbis_order(self) -> bool:
        """Ogg keeps surround channels in an order of its own (Vorbis I, section 4.3.9; RFC 7845 for Opus)."""
        return self.container == "ogg" and self.subtype in ("VORBIS", "OPUS")


class AudioReader:
    """An open audio file, read forward in blocks.

    Opening raises NotAudio, EmptyAudio, Truncated, Unreadable, TooLong, TooManyChannels or UnsupportedRate; reading raises
    NotFinite, Truncated, Unreadable and TooLong, for what only the samples show.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        with path.open("rb") as raw:
            if os.fstat(raw.fileno()).st_size == 0:
                raise EmptyAudio("the file has no bytes")
            container = container_of(raw)
            refuse_cut_off(raw, container)
        self._sound = _open(path)
        try:
            self.info = AudioInfo(
                container, self._sound.subtype, self._sound.samplerate, self._sound.channels, self._sound.frames
            )
            _refuse_outside(self.info, self._limits)
            if container == "flac":
                self._refuse_short_flac()
        except BaseException:
            self._sound.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._sound.close()

    def blocks(self, frames: int = BLOCK_FRAMES) -> Iterator[Block]:
        """Every sample once, in blocks of `frames` (the last may be shorter). A block is only good until the next one."""
        buffer = np.empty((frames, self.info.channels), np.float32)
        is_float = self.info.subtype in ("FLOAT", "DOUBLE")
        limit = int(self._limits.max_duration_seconds * self.info.sample_rate_hz)
        done = 0
        while True:
            try:
                block: Block = self._sound.read(out=buffer)
            except soundfile.LibsndfileError as exc:
                raise Unreadable(f"decoding failed after {done} frames: {exc.error_string}") from exc
            if is_float and len(block) and not (block.max() <= LARGEST_SAMPLE and block.min() >= -LARGEST_SAMPLE):
                bad = int(np.argmin((np.abs(block) <= LARGEST_SAMPLE).all(axis=1)))
                what = (
                    f"{np.abs(block[bad]).max():.3g} (full scale is 1)"
                    if np.isfinite(block[bad]).all()
                    else "NaN or infinity"
                )
                bad += done
                raise NotFinite(f"{what} at frame {bad} ({bad / self.info.sample_rate_hz:.3f} s)")
            done += len(block)
            if done > limit:
                raise TooLong(_too_long(done / self.info.sample_rate_hz, self._limits))
            if len(block):
                yield block
            if len(block) < frames:
                break
        if done == 0:
            raise EmptyAudio("the file decodes to nothing")
        if done < self.info.frames and self.info.container in ("wav", "flac"):
            raise Truncated(f"the header announces {self.info.frames} frames, {done} are there")

    def _refuse_short_flac(self) -> None:
        try:
            self._sound.seek(self.info.frames - 1)
            is_short = len(self._sound.read(1, dtype="float32")) != 1
            self._sound.seek(0)
        except soundfile.LibsndfileError as exc:
            raise Truncated(f"a FLAC file without its last frames ({exc.error_string})") from exc
        if is_short:
            raise Truncated("a FLAC file without its last frames")


def probe(path: Path, limits: Limits | None = None) -> AudioInfo:
    """What the file is, refused like a reader refuses it; quick, for nothing but the edges of the file is decoded."""
    with AudioReader(path, limits) as reader:
        return reader.info


class _ForwardOnly(soundfile.SoundFile):  # type: ignore[misc]
    """The binding seeks to where it is after every read. That is slow, and in an MP3 it loses the decoder's memory of the frames
    before: the next block starts with wrong samples."""

    def seekable(self) -> bool:
        return False


def _open(path: Path) -> _ForwardOnly:
    try:
        return _ForwardOnly(str(path))
    except soundfile.LibsndfileError as exc:
        raise Unreadable(f"the decoder refuses it: {exc.error_string}") from exc


def _refuse_outside(info: AudioInfo, limits: Limits) -> None:
    if info.frames <= 0:
        raise EmptyAudio("there is not one sample in it")
    if info.channels > limits.max_channels:
        raise TooManyChannels(f"{info.channels} channels; at most {limits.max_channels} can be measured and mixed")
    if not limits.min_rate_hz <= info.sample_rate_hz <= limits.max_rate_hz:
        raise UnsupportedRate(f"{info.sample_rate_hz} Hz; {limits.min_rate_hz} to {limits.max_rate_hz} Hz are taken")
    if info.duration_seconds > limits.max_duration_seconds:
        raise TooLong(_too_long(info.duration_seconds, limits))


def _too_long(seconds: float, limits: Limits) -> str:
    return f"it plays for {seconds:.1f} s or more; at most {limits.max_duration_seconds:.0f} s are taken"
