"""Effects in series."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

import numpy as np

from shub.dsp.decode import Block
from shub.dsp.effects.cascade import Cascade
from shub.dsp.effects.processor import Processor, Sound


class KeyStream(Protocol):
    """The signal that decides what another effect does, read forward in step with it."""

    def take(self, frames: int) -> Block:
        """The next frames, of any number of channels; exactly so many: silence after its end."""
        ...


OpenKey = Callable[[int, int], KeyStream]
"""Given a sample rate in Hz and a number of frames at that rate: the signal at that rate, from that frame on. Every effect that listens
opens its own, for two effects may not be at the same place at the same time."""
Keys = Mapping[str, OpenKey]


@runtime_checkable
class Listening(Protocol):
    """An effect of effects (mid-side), whose own may want keys."""

    def listen(self, keys: Keys, skipped_seconds: Fraction) -> None: ...


@dataclass(frozen=True)
class Placed:
    """An effect of a chain, at work; `key` is the name of the signal that decides, `skipped_seconds` what was cut off before it."""

    processor: Processor
    key: str | None = None
    skipped_seconds: Fraction = Fraction(0)


class Line:
    """Effects in series, itself a Processor; neighboring filters run as one. Without effects, blocks pass as they are.

    `process` raises KeyError when an effect listens to a signal that `listen` was not given.
    """

    def __init__(self, sound: Sound, effects: Sequence[Placed]) -> None:
        self.out = effects[-1].processor.out if effects else sound
        self._effects = effects
        self._stages = _fused(effects)
        self._streams: dict[int, KeyStream] = {}

    def listen(self, keys: Keys, skipped_seconds: Fraction = Fraction(0)) -> None:
        """Give side-chains their signals; before the first block."""
        for number, stage in enumerate(self._stages):
            skipped = skipped_seconds + stage.skipped_seconds
            if isinstance(stage.processor, Listening):
                stage.processor.listen(keys, skipped)
            elif stage.key is not None:
                rate = stage.processor.out.rate_hz
                self._streams[number] = keys[stage.key](rate, round(skipped * rate))

    def process(self, block: Block, key: Block | None = None) -> Block:
        return self._through(block, 0)

    def flush(self) -> Block:
        """The rest of every effect, taken through those after it."""
        parts = [self._through(stage.processor.flush(), number + 1) for number, stage in enumerate(self._stages)]
        return np.concatenate([np.empty((0, self.out.channels), np.float32), *parts])

    def told(self) -> dict[str, float]:
        """As `told_each`, in one: `3.max_reduction_db` is of the third effect."""
        each = enumerate(self.told_each(), start=1)
        return {f"{number}.{name}": value for number, told in each for name, value in told.items()}

    def told_each(self) -> list[dict[str, float]]:
        """What every effect did, in the order of the chain."""
        return [effect.processor.told() for effect in self._effects]

    def _through(self, block: Block, first: int) -> Block:
        for number in range(first, len(self._stages)):
            if not len(block):
                return np.empty((0, self.out.channels), np.float32)
            stage = self._stages[number]
            if stage.key is None:
                block = stage.processor.process(block)
            else:
                block = stage.processor.process(block, self._streams[number].take(len(block)))
        return block


def _fused(effects: Sequence[Placed]) -> list[Placed]:
    stages: list[Placed] = []
    for effect in effects:
        before = stages[-1].processor if stages else None
        if isinstance(before, Cascade) and isinstance(effect.processor, Cascade):
            stages[-1] = Placed(before.followed_by(effect.processor), None, effect.skipped_seconds)
        else:
            stages.append(effect)
    return stages
