"""What an encoder that loses something does to a level, and what it must be given so that the decoder gives what was asked for."""

from dataclasses import dataclass
from typing import Final

from shub.dsp.limiter import CEILING_MARGIN_DB
from shub.dsp.meter import Loudness

MOST_ENCODINGS: Final = 5
_TOLERANCE_LU: Final = 0.08
_TOLERANCE_DB: Final = 0.02
_BELOW_DB: Final = 0.05
_MOST_LU: Final = 2.0
"""What loses more of its loudness than that is mostly noise above the encoder's band: it is left as it comes."""
_SHARE: Final = 0.6
"""Of the work that is left, what a try takes: how many there will be is not known before."""


@dataclass(frozen=True)
class Correction:
    """How much lower the ceiling must be, and how much louder the sound, in front of the encoder."""

    lower_db: float = 0.0
    louder_lu: float = 0.0


class Fitting:
    """Encodings of one sound, one after the other: each is made with `correction`, and then asked whether it `fits`.

    The peaks that a decoder gives are held as far below the ceiling as a limiter's, for the same reason: meters differ.
    """

    def __init__(self, ceiling_dbtp: float) -> None:
        self.correction, self._tries = Correction(), 0
        self._highest_dbtp = ceiling_dbtp - CEILING_MARGIN_DB

    def fits(self, heard: Loudness, target_lufs: float | None) -> bool:
        """Whether this came out as it should, or was the last try; else there is another `correction`.

        Without a target only the peak counts. In the last try the ceiling wins: all becomes softer, which moves no peak against another.
        """
        self._tries += 1
        over = 0.0 if heard.true_peak_dbtp is None else heard.true_peak_dbtp - self._highest_dbtp
        over = over + _BELOW_DB if over > _TOLERANCE_DB else 0.0
        missing = 0.0
        if target_lufs is not None and heard.integrated_lufs is not None:
            missing = target_lufs - heard.integrated_lufs
        if self._tries == MOST_ENCODINGS - 1:
            missing = -over
        elif abs(missing) <= _TOLERANCE_LU:
            missing = 0.0
        better = Correction(
            round(self.correction.lower_db + over, 2),
            round(min(_MOST_LU, max(-_MOST_LU, self.correction.louder_lu + missing)), 2),
        )
        if better == self.correction or self._tries == MOST_ENCODINGS:
            return True
        self.correction = better
        return False

    def progress(self, part: float) -> float:
        """How far all of it is when this try is so far."""
        return float(1.0 - (1.0 - _SHARE) ** self._tries * (1.0 - _SHARE * part))
