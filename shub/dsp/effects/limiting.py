"""The true-peak limiter as an effect."""

from shub.dsp import limiter
from shub.dsp.decode import Block
from shub.dsp.effects.processor import Sound

SHORTEST_LOOKAHEAD_FRAMES = 22
"""A gain that moves quicker would bend the curve between the samples up (by 0.08 dB where it has 4 frames)."""
QUICK_RELEASE_MS, QUICK_MARGIN_DB = 40.0, 0.05
"""So does a gain that is released quickly: other meters read up to 0.12 dB more after a release of 1 to 10 ms, 0.03 after 80 ms (white
noise, clicks and drum hits at 96 kHz). Such a limiter aims so much lower still."""


class Limiter:
    """Drives the sound and holds its true peak under the ceiling, for the meters of others too: it aims `CEILING_MARGIN_DB` lower."""

    def __init__(
        self, sound: Sound, *, ceiling_dbtp: float, drive_db: float, release_ms: float, lookahead_ms: float
    ) -> None:
        self.out = sound
        margin = limiter.CEILING_MARGIN_DB + (QUICK_MARGIN_DB if release_ms < QUICK_RELEASE_MS else 0.0)
        self._limiter = limiter.Limiter(
            sound.rate_hz,
            sound.channels,
            ceiling_dbtp - margin,
            drive_db,
            release_seconds=release_ms / 1000,
            lookahead_seconds=max(lookahead_ms / 1000, SHORTEST_LOOKAHEAD_FRAMES / sound.rate_hz),
        )

    def process(self, block: Block, key: Block | None = None) -> Block:
        return self._limiter.process(block)

    def flush(self) -> Block:
        return self._limiter.flush()

    def told(self) -> dict[str, float]:
        return {"max_reduction_db": self._limiter.max_reduction_db}
