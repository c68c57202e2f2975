"""Signals whose level moves a gain somewhere else, given to each effect that listens, in step with what it works on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from shub.dsp.decode import Block
from shub.dsp.effects.processor import Processor, Sound


class KeyStream(Protocol):
    """A signal that decides, read forward from where the sound of the line begins."""

    def take(self, frames: int, rate_hz: int) -> Block:
        """The next frames at this rate (always the line's own), of any number of channels; exactly so many: silence after its end."""
        ...


Keys = Mapping[str, KeyStream]
"""By the name that effects call them."""
Shaper = Callable[[Sound], Processor]
"""What cuts or resamples before the place where somebody listens: it is done to the key too, or the two would part."""


class Tap:
    """What one listener hears of a key."""

    def __init__(self, key: "SharedKey", shapers: Sequence[Shaper]) -> None:
        self._key, self._number, self._shapers = key, key.join(), shapers
        self._processors: list[Processor] | None = None
        self._rest: Block | None = None

    def take(self, frames: int) -> Block:
        """The next frames, at the rate of the listener."""
        if not self._shapers:
            return self._key.take(self._number, frames)
        pieces = [] if self._rest is None else [self._rest]
        there = sum(len(piece) for piece in pieces)
        while there < frames:
            block = self._shaped(self._key.take(self._number, frames))
            pieces.append(block)
            there += len(block)
        joined = np.concatenate(pieces)
        self._rest = joined[frames:]
        return joined[:frames]

    def _shaped(self, block: Block) -> Block:
        if self._processors is None:
            self._processors, sound = [], Sound(self._key.rate_hz, ("C",) * block.shape[1])
            for shaper in self._shapers:
                self._processors.append(shaper(sound))
                sound = self._processors[-1].out
        for processor in self._processors:
            block = processor.process(block)
        return block


class SharedKey:
    """A key, kept from where its slowest listener is."""

    def __init__(self, stream: KeyStream, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._stream, self._kept, self._start = stream, np.empty((0, 0), np.float32), 0
        self._places: list[int] = []

    def join(self) -> int:
        """The number of a new listener, who begins at the start; before anybody takes."""
        self._places.append(0)
        return len(self._places) - 1

    def take(self, listener: int, frames: int) -> Block:
        place = self._places[listener]
        missing = place + frames - self._start - len(self._kept)
        if missing > 0:
            block = self._stream.take(missing, self.rate_hz)
            self._kept = np.concatenate((self._kept, block)) if len(self._kept) else block.copy()
        given = self._kept[place - self._start :][:frames]
        self._places[listener] = place + frames
        slowest = min(self._places)
        self._kept, self._start = self._kept[slowest - self._start :], slowest
        return given
