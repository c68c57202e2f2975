"""Whose level moves a gain: the sound itself, or a key."""

import numpy as np

from shub.dsp.decode import Block
from shub.dsp.effects.cascade import Cascade
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import below_nyquist, highpass


class SideChain:
    """Gives, for every block, what to listen to. `name` is that of the key, None for the sound itself."""

    def __init__(self, sound: Sound, name: str | None, highpass_hz: float | None = None) -> None:
        self._name = name
        self._sections = (
            None
            if highpass_hz is None
            else highpass(sound.rate_hz, below_nyquist(sound, "sidechain_highpass_hz", highpass_hz), 2)
        )
        self._filter: Cascade | None = None
        self._sound, self._channels = sound, sound.channels

    def heard(self, block: Block, key: Block | None) -> Block:
        """Raises ValueError when a key is named and not given, or is not as long as the block."""
        if self._name is not None and key is None:
            raise ValueError(f"the side-chain {self._name!r} was not given")
        if key is not None and len(key) != len(block):
            raise ValueError(f"{len(key)} frames of the side-chain for {len(block)} of the sound")
        return self._filtered(block if key is None else key)

    def silence(self, frames: int) -> Block:
        """What is heard after the end."""
        return self._filtered(np.zeros((frames, self._channels), np.float32))

    def _filtered(self, heard: Block) -> Block:
        self._channels = heard.shape[1]
        if self._sections is None:
            return heard
        if self._filter is None:  # only now it is known how many channels the key has
            speakers = tuple(str(number) for number in range(self._channels))
            self._filter = Cascade(Sound(self._sound.rate_hz, speakers), self._sections)
        return self._filter.process(heard)
