"""From the channels of a stem to the two of a mix."""

import math

import numpy as np
from numpy.typing import NDArray

FOLD_DOWN: dict[str, tuple[float, float]] = {
    "L": (1.0, 0.0),
    "R": (0.0, 1.0),
    "C": (math.sqrt(0.5), math.sqrt(0.5)),
    "Ls": (math.sqrt(0.5), 0.0),
    "Rs": (0.0, math.sqrt(0.5)),
    "Lrs": (math.sqrt(0.5), 0.0),
    "Rrs": (0.0, math.sqrt(0.5)),
    "Cs": (0.5, 0.5),
    "LFE": (0.0, 0.0),
}
"""How much of each speaker goes left and right. Source: ITU-R BS.775-4, annex 4, table 2 (2/0 from 3/2; the LFE is left out)."""


def pan_matrix(speakers: tuple[str, ...], pan: float) -> NDArray[np.float64]:
    """Gains, a row per channel of the stem: what it gives to left and to right. `pan` runs from -1 (left) to 1 (right).

    Constant power: a mono stem is at cos and sin of the angle, -3.01 dB on both sides in the middle; what is stereo already is
    balanced by the same law, scaled to leave it untouched in the middle. Raises ValueError outside of -1 to 1.
    """
    if not -1.0 <= pan <= 1.0:
        raise ValueError(f"pan {pan} is outside of -1 to 1")
    angle = (pan + 1.0) * math.pi / 4.0
    left, right = math.cos(angle), math.sin(angle)
    if pan in (-1.0, 0.0, 1.0):  # exactly, where the cosine is only nearly so
        left, right = {-1.0: (1.0, 0.0), 0.0: (math.sqrt(0.5),) * 2, 1.0: (0.0, 1.0)}[pan]
    if speakers == ("C",):
        return np.array([[left, right]])
    balance = np.array([left, right]) / math.sqrt(0.5)
    return np.array([FOLD_DOWN[speaker] for speaker in speakers]) * balance
