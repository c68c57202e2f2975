"""Effects in series."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from shub.dsp.decode import Block
from shub.dsp.effects.cascade import Cascade
from shub.dsp.effects.keying import Keys, Shaper, SharedKey, Tap
from shub.dsp.effects.processor import Processor, Sound
from shub.dsp.refusals import NotFinite

OpenTap = Callable[[str], Tap]
"""By the name of a key; every listener opens its own."""


@runtime_checkable
class Listening(Protocol):
    """An effect of effects (mid-side), whose own may listen to keys."""

    def listen(self, open_tap: OpenTap) -> None: ...


@dataclass(frozen=True)
class Placed:
    """An effect of a chain, at work. `key`: the name of the signal that decides. `shaper`: set where it moves what follows in time."""

    type: str
    processor: Processor
    key: str | None = None
    shaper: Shaper | None = None


class Line:
    """Effects in series, run like a Processor; neighboring filters run as one. Without effects, blocks pass as they are.

    `process` raises KeyError where an effect listens to a key and the line has none.
    """

    def __init__(self, sound: Sound, effects: Sequence[Placed]) -> None:
        self.out = effects[-1].processor.out if effects else sound
        self._sound, self._effects, self._stages = sound, effects, _fused(effects)
        self._taps: dict[int, Tap] = {}

    def listen_to(self, keys: Keys) -> None:
        """Give side-chains their signals, which start where the sound does; before the first block. Raises KeyError for one not there."""
        shared: dict[str, SharedKey] = {}
        shapers: list[Shaper] = []

        def open_tap(name: str) -> Tap:
            if name not in shared:
                shared[name] = SharedKey(keys[name], self._sound.rate_hz)
            return Tap(shared[name], tuple(shapers))

        self.listen(open_tap, shapers)

    def listen(self, open_tap: OpenTap, shapers: list[Shaper] | None = None) -> None:
        """As `listen_to`, inside of another line. What moves the sound in time is added to `shapers` on the way."""
        for number, stage in enumerate(self._stages):
            if isinstance(stage.processor, Listening):
                stage.processor.listen(open_tap)
            elif stage.key is not None:
                self._taps[number] = open_tap(stage.key)
            if stage.shaper is not None and shapers is not None:
                shapers.append(stage.shaper)

    def run(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """What comes out of the effects, up to the last tail. Raises NotFinite where they raise a sound beyond all numbers."""
        for block in blocks:
            yield from self._sound_in(self.process(block))
        yield from self._sound_in(self.flush())

    def _sound_in(self, made: Block) -> Iterator[Block]:
        if self._effects and not np.isfinite(made).all():
            raise NotFinite("the effects raise it beyond what numbers hold")
        if len(made):
            yield made

    def process(self, block: Block) -> Block:
        return self._through(block, 0)

    def flush(self) -> Block:
        """The rest of every effect, taken through those after it."""
        parts = [self._through(stage.processor.flush(), number + 1) for number, stage in enumerate(self._stages)]
        return np.concatenate([np.empty((0, self.out.channels), np.float32), *parts])

    def told(self) -> list[dict[str, Any]]:
        """What every effect did, in the order of the chain, each with its `type`."""
        return [{"type": effect.type, **effect.processor.told()} for effect in self._effects]

    def _through(self, block: Block, first: int) -> Block:
        for number in range(first, len(self._stages)):
            if not len(block):
                return np.empty((0, self.out.channels), np.float32)
            stage = self._stages[number]
            if stage.key is None:
                block = stage.processor.process(block)
            else:
                block = stage.processor.process(block, self._taps[number].take(len(block)))
        return block


def _fused(effects: Sequence[Placed]) -> list[Placed]:
    stages: list[Placed] = []
    for effect in effects:
        before = stages[-1].processor if stages else None
        if isinstance(before, Cascade) and isinstance(effect.processor, Cascade):
            stages[-1] = Placed(effect.type, before.followed_by(effect.processor))
        else:
            stages.append(effect)
    return stages
