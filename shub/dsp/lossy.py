"""What an encoder that loses something does to a level, and what it must be given so that the decoder gives what was asked for."""

from dataclasses import dataclass
from typing import Final, Self

from shub.dsp.meter import Loudness

LOSSY: Final = ("mp3", "ogg")
MOST_ENCODINGS: Final = 4
_TOLERANCE_LU, _BELOW_DB = 0.08, 0.05
_MOST_LU: Final = 2.0
"""What loses more of its loudness than that is mostly noise above the encoder's band: it is left as it comes."""


@dataclass(frozen=True)
class Correction:
    """How much lower the ceiling must be, and how much louder the sound, in front of the encoder."""

    lower_db: float = 0.0
    louder_lu: float = 0.0

    def after(self, heard: Loudness, *, ceiling_dbtp: float, target_lufs: float | None) -> Self:
        """What to try next, when this came out; the same when it was good. Without a target only the peak counts."""
        over = 0.0 if heard.true_peak_dbtp is None else heard.true_peak_dbtp - ceiling_dbtp
        missing = 0.0
        if target_lufs is not None and heard.integrated_lufs is not None:
            missing = target_lufs - heard.integrated_lufs
        lower = self.lower_db + over + _BELOW_DB if over > 0.0 else self.lower_db
        louder = self.louder_lu + missing if abs(missing) > _TOLERANCE_LU else self.louder_lu
        return type(self)(round(lower, 2), round(min(_MOST_LU, max(-_MOST_LU, louder)), 2))
