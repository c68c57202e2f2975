"""Effects on the middle and on the sides, each alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shub.dsp.decode import Block
from shub.dsp.effects.levels import MONO, STEREO, middle_and_sides, put_left_and_right
from shub.dsp.effects.line import Line, OpenTap
from shub.dsp.effects.processor import Sound
from shub.dsp.refusals import AudioRefused, StereoNeeded

Build = Callable[[Sound, Sequence[Mapping[str, Any]]], Line]


class MidSide:
    """A Processor: half the sum and half the difference of left and right, a line of effects on each, and back. Without effects, blocks
    pass as they are. Raises StereoNeeded for other sounds."""

    def __init__(
        self, sound: Sound, build: Build, *, mid: Sequence[Mapping[str, Any]], side: Sequence[Mapping[str, Any]]
    ) -> None:
        if sound.speakers != STEREO:
            raise StereoNeeded(f"it works on left and right, and this sound has {', '.join(sound.speakers)}")
        self.out, self._is_nothing = sound, not mid and not side
        one = Sound(sound.rate_hz, MONO, sound.frames)
        self._lines = tuple(_built(build, one, name, effects) for name, effects in (("mid", mid), ("side", side)))
        self._waiting = [np.empty((0, 1), np.float32) for _ in self._lines]

    def listen(self, open_tap: OpenTap) -> None:
        for line in self._lines:
            line.listen(open_tap)

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._is_nothing:
            return block
        parts = middle_and_sides(block, 0, 1)
        return self._joined([line.process(part) for line, part in zip(self._lines, parts, strict=True)])

    def flush(self) -> Block:
        return self._joined([line.flush() for line in self._lines])

    def told(self) -> dict[str, float]:
        """As its effects say, by their place: `mid.1.max_reduction_db` is of the first on the middle."""
        return {
            f"{name}.{number}.{what}": value
            for name, line in zip(("mid", "side"), self._lines, strict=True)
            for number, effect in enumerate(line.told(), start=1)
            for what, value in effect.items()
            if what != "type"
        }

    def _joined(self, parts: list[Block]) -> Block:
        """Left and right, as far as both are there: one line may run later than the other."""
        there = [np.concatenate((kept, part)) for kept, part in zip(self._waiting, parts, strict=True)]
        frames = min(len(part) for part in there)
        self._waiting = [part[frames:] for part in there]
        made = np.empty((frames, 2), np.float32)
        put_left_and_right(made, 0, 1, there[0][:frames], there[1][:frames])
        return made


def _built(build: Build, sound: Sound, name: str, effects: Sequence[Mapping[str, Any]]) -> Line:
    try:
        return build(sound, effects)
    except AudioRefused as refusal:
        raise type(refusal)(f"{name}: {refusal.detail}") from refusal
