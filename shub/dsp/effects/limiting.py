"""The true-peak limiter as an effect."""

from shub.dsp import limiter
from shub.dsp.decode import Block
from shub.dsp.effects.processor import Sound


class Limiter:
    """Drives the sound and holds its true peak under the ceiling; it aims `CEILING_MARGIN_DB` lower, for the meters of others."""

    def __init__(
        self, sound: Sound, *, ceiling_dbtp: float, drive_db: float, release_ms: float, lookahead_ms: float
    ) -> None:
        self.out = sound
        self._limiter = limiter.Limiter(
            sound.rate_hz,
            sound.channels,
            ceiling_dbtp - limiter.CEILING_MARGIN_DB,
            drive_db,
            release_seconds=release_ms / 1000,
            lookahead_seconds=lookahead_ms / 1000,
        )

    def process(self, block: Block, key: Block | None = None) -> Block:
        return self._limiter.process(block)

    def flush(self) -> Block:
        return self._limiter.flush()

    def told(self) -> dict[str, float]:
        return {"max_reduction_db": self._limiter.max_reduction_db}
