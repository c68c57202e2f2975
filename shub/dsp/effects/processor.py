"""What every effect is to the chain that runs it."""

from dataclasses import dataclass
from typing import Protocol

from shub.dsp.decode import Block


@dataclass(frozen=True)
class Sound:
    """What comes in or goes out of an effect. `speakers` as `kweighting.speakers_of` names them; `frames` None: not known."""

    rate_hz: int
    speakers: tuple[str, ...]
    frames: int | None = None

    @property
    def channels(self) -> int:
        return len(self.speakers)


class Processor(Protocol):
    """An effect at work on one stream, fed in blocks of any size; the sizes leave no trace in what comes out.

    `process` may give fewer frames than it was given (what looks ahead runs late) and must not change the block that it is given. `flush`
    ends the stream and gives the rest. Together they give as many frames as went in, in step with them, but for the effects that change
    the length by their nature (trim, resample, the tails of delay and reverb). State is float64 and free of denormals; blocks are float32.
    """

    out: Sound
    """What comes out, of what went in."""

    def process(self, block: Block, key: Block | None = None) -> Block:
        """`key` has the same frames of the signal whose level decides (a side-chain), where the effect takes one."""
        ...

    def flush(self) -> Block: ...

    def told(self) -> dict[str, float]:
        """What it did, for the report: `max_reduction_db`, `gain_db`, …; empty where there is nothing to say."""
        ...
