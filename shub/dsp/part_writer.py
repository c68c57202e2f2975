"""A new file for a sound, or for a part of it."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from shub.dsp.decode import Block
from shub.dsp.encode import AudioWriter, BitDepth, Dither
from shub.dsp.excerpts import Part
from shub.dsp.formats import Format
from shub.dsp.meter import Loudness, Meter
from shub.dsp.tracks import MIX_BLOCK_FRAMES, STEREO


@dataclass(frozen=True)
class FileForm:
    """What kind of file."""

    container: Format
    bits: BitDepth
    dither: Dither = "auto"
    bitrate_kbps: int | None = None


class PartWriter:
    """Written forward with a stereo sound of `frames`; keeps the part, which is measured, or all, which is not."""

    def __init__(self, path: Path, form: FileForm, rate_hz: int, frames: int, part: Part | None) -> None:
        self._part, self._at, self._frames = part or Part(0, frames, rate_hz), 0, frames
        self._meter = Meter(rate_hz, STEREO) if part else None
        self._writer = AudioWriter(
            path,
            form.container,
            rate_hz,
            len(STEREO),
            form.bits,
            frames=self._part.frames,
            dither=form.dither,
            bitrate_kbps=form.bitrate_kbps,
        )

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def write(self, block: Block) -> None:
        first = max(0, self._part.start_frame - self._at)
        last = min(len(block), self._part.start_frame + self._part.frames - self._at)
        self._at += len(block)
        if first < last:
            self._writer.write(block[first:last])
            if self._meter is not None:
                self._meter.add(block[first:last])

    def fill_up(self) -> None:
        """Silence up to the end of the sound."""
        while self._at < self._frames:
            self.write(np.zeros((min(MIX_BLOCK_FRAMES, self._frames - self._at), len(STEREO)), np.float32))

    def read(self) -> Loudness | None:
        """The reading of the part; None where everything is written."""
        return None if self._meter is None else self._meter.read()
