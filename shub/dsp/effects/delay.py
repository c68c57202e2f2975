"""Echoes."""

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.cascade import SILENCE
from shub.dsp.effects.levels import MONO, PAIRS, STEREO
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import NONE, below_nyquist, highpass, lowpass

AUDIBLE: Final = 1e-3
"""-60 dB: the last echo that is waited for is not softer."""
LONGEST_TAIL_SECONDS: Final = 60.0
"""Echoes of 5 s that hardly fade would go on for eleven minutes."""
FADE_SECONDS: Final = 5.0
"""The end of a tail that is cut off."""


class Delay:
    """The sound times 1 - `wet`, and its echoes times `wet`: the first one as loud as the sound, every other one `feedback` times the one
    before. The filters (Butterworth, 12 dB/oct) lie in the loop: each echo goes through them once more.

    With `ping_pong` both sides go into the first echo on the left, and echoes change sides; mono becomes stereo.
    """

    def __init__(
        self,
        sound: Sound,
        *,
        time_ms: float,
        feedback: float,
        wet: float,
        ping_pong: bool,
        highpass_hz: float | None,
        lowpass_hz: float | None,
    ) -> None:
        rate = sound.rate_hz
        self._spreads = ping_pong and sound.speakers == MONO
        speakers = STEREO if self._spreads else sound.speakers
        self._feedback, self._wet = feedback, wet
        cut = NONE if highpass_hz is None else highpass(rate, below_nyquist(sound, "highpass_hz", highpass_hz), 2)
        dulled = NONE if lowpass_hz is None else lowpass(rate, below_nyquist(sound, "lowpass_hz", lowpass_hz), 2)
        self._filters = np.concatenate((cut, dulled))
        frames = max(1, round(time_ms / 1000.0 * rate))
        self._partners = _partners(speakers, ping_pong)
        self.ring = np.zeros((frames, len(speakers)))
        self.state = np.zeros((len(speakers), len(self._filters), 2))
        self._place = 0
        self._tail, self._is_cut = _tail(frames, feedback, wet, rate)
        self._fade = round(FADE_SECONDS * rate)
        length = None if sound.frames is None else sound.frames + self._tail
        self.out = replace(sound, speakers=speakers, frames=length)

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._spreads:
            block = np.repeat(block * np.float32(math.sqrt(0.5)), 2, axis=1)
        if self._wet == 0.0:
            return block
        made = np.empty(block.shape, np.float32)
        self._place = _echo(
            block, made, self.ring, self._filters, self.state, self._partners, self._feedback, self._wet, self._place
        )
        return made

    def flush(self) -> Block:
        channels = 1 if self._spreads else self.out.channels
        made = self.process(np.zeros((self._tail, channels), np.float32))
        if self._is_cut:
            made[-self._fade :] *= np.linspace(1.0, 0.0, self._fade, dtype=np.float32)[:, None]
        return made

    def told(self) -> dict[str, float]:
        return {"tail_seconds": self._tail / self.out.rate_hz}


def _partners(speakers: tuple[str, ...], ping_pong: bool) -> NDArray[np.int64]:
    """For every channel the one whose echo it repeats; -1 - that, where nothing but the echo goes in."""
    partners = np.arange(len(speakers))
    for left, right in PAIRS if ping_pong else ():
        if left in speakers:
            one, other = speakers.index(left), speakers.index(right)
            partners[one], partners[other] = other, -1 - one
    return partners


def _tail(frames: int, feedback: float, wet: float, rate_hz: int) -> tuple[int, bool]:
    """How many frames the echoes go on, and whether they are cut off."""
    if wet <= AUDIBLE:
        return 0, False
    echoes = 1 if feedback == 0.0 else 1 + math.floor(math.log(AUDIBLE / wet) / math.log(feedback))
    longest = round(LONGEST_TAIL_SECONDS * rate_hz)
    return min(echoes * frames, longest), echoes * frames > longest


@compiled
def _echo(
    block: Block,
    made: Block,
    ring: NDArray[np.float64],
    filters: NDArray[np.float64],
    state: NDArray[np.float64],
    partners: NDArray[np.int64],
    feedback: float,
    wet: float,
    place: int,
) -> int:
    frames, channels = block.shape
    length = ring.shape[0]
    echoes = np.empty(channels)
    for i in range(frames):
        for channel in range(channels):
            value = ring[place, channel]
            for k in range(filters.shape[0]):
                filtered = filters[k, 0] * value + state[channel, k, 0]
                first = filters[k, 1] * value - filters[k, 3] * filtered + state[channel, k, 1]
                second = filters[k, 2] * value - filters[k, 4] * filtered
                state[channel, k, 0] = first if abs(first) > SILENCE else 0.0
                state[channel, k, 1] = second if abs(second) > SILENCE else 0.0
                value = filtered
            echoes[channel] = value
        for channel in range(channels):
            partner = partners[channel]
            sample = np.float64(block[i, channel])
            made[i, channel] = np.float32((1.0 - wet) * sample + wet * echoes[channel])
            if partner < 0:
                sample, partner = np.float64(0.0), -1 - partner
            elif partner != channel:
                sample = (sample + np.float64(block[i, partner])) * 0.5
            value = sample + feedback * echoes[partner]
            ring[place, channel] = value if abs(value) > SILENCE else 0.0
        place = place + 1 if place + 1 < length else 0
    return place
