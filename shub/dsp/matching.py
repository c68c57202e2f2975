"""The equalizer that brings one tonal balance near to another: a handful of bands, fitted to the difference by third octaves.

Bands and not a long filter: they are effects that a chain can hold, that a person can read and change, and that add no pre-echo. What a
handful of bands cannot follow are narrow peaks and holes, which belong to the music and not to its balance.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.effects import sections

LARGEST_DB: Final = 9.0
LEAST_DB: Final = 0.3
"""A band that does less is left out: nobody hears it."""
LOWEST_HZ, HIGHEST_HZ = 31.5, 16_000.0
FAINT_DB: Final = 50.0
"""What lies so far below the loudest third octave is noise of the recording, and no model for anything."""

_SHELVES: Final = (("eq_low_shelf", 63.0), ("eq_high_shelf", 11_000.0))
_BELLS_HZ: Final = (100.0, 180.0, 320.0, 560.0, 1_000.0, 1_800.0, 3_200.0, 5_600.0)
_BELL_Q, _SHELF_Q = 1.2, 0.7071
_ROUNDS, _STIFFNESS = 6, 0.02


def matching_bands(
    ours_db: Mapping[float, float], theirs_db: Mapping[float, float], match: float, rate_hz: int
) -> list[dict[str, Any]]:
    """Effects that take `match` (0 to 1) of the way from our balance to theirs; both are levels by third octave (their centres in Hz).

    How loud they are does not count. No band does more than 9 dB.
    """
    hertz, wanted = _difference(ours_db, theirs_db, rate_hz)
    if len(hertz) < 3 or match == 0.0:
        return []
    wanted = np.clip(wanted * match, -LARGEST_DB, LARGEST_DB)
    bands = [(kind, at, _SHELF_Q) for kind, at in _SHELVES] + [("eq_peak", at, _BELL_Q) for at in _BELLS_HZ]
    bands = [band for band in bands if hertz[0] / 1.3 <= band[1] <= hertz[-1] * 1.3 and band[1] < 0.45 * rate_hz]
    gains = _fitted(bands, hertz, wanted, rate_hz)
    made = [
        {"type": kind, "freq_hz": at, "gain_db": gain, "q": q}
        for (kind, at, q), gain in zip(bands, (round(float(gain), 1) for gain in gains), strict=True)
        if abs(gain) >= LEAST_DB
    ]
    return sorted(made, key=lambda effect: effect["freq_hz"])


def remaining_db(ours_db: Mapping[float, float], theirs_db: Mapping[float, float], rate_hz: int) -> float | None:
    """Root of the mean square of what differs between two balances, in dB by third octave, smoothed as for the match."""
    hertz, wanted = _difference(ours_db, theirs_db, rate_hz)
    return float(np.sqrt(np.mean(wanted**2))) if len(hertz) else None


def _difference(
    ours_db: Mapping[float, float], theirs_db: Mapping[float, float], rate_hz: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres, and theirs minus ours there, smoothed over an octave, without the difference in level."""
    quietest = max(max(levels.values(), default=0.0) for levels in (ours_db, theirs_db))
    floors = [max(levels.values(), default=quietest) - FAINT_DB for levels in (ours_db, theirs_db)]
    hertz = np.array(
        [
            centre
            for centre in ours_db
            if LOWEST_HZ <= centre <= min(HIGHEST_HZ, 0.45 * rate_hz)
            and ours_db[centre] > floors[0]
            and theirs_db.get(centre, -np.inf) > floors[1]
        ]
    )
    if not len(hertz):
        return hertz, hertz
    wanted = np.array([theirs_db[centre] - ours_db[centre] for centre in hertz])
    padded = np.concatenate((wanted[:1], wanted, wanted[-1:]))
    smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return hertz, smooth - smooth.mean()


def _fitted(
    bands: list[tuple[str, float, float]], hertz: NDArray[np.float64], wanted: NDArray[np.float64], rate_hz: int
) -> NDArray[np.float64]:
    """Gains whose curve together is nearest to what is wanted but for its level: Gauss-Newton with a little stiffness, as neighboring
    bands would otherwise work against each other."""
    gains = np.zeros(len(bands))
    for _ in range(_ROUNDS):
        curve = _curve(bands, gains, hertz, rate_hz)
        slopes = np.stack(
            [
                _curve([band], np.array([gain + 0.5]), hertz, rate_hz)
                - _curve([band], np.array([gain - 0.5]), hertz, rate_hz)
                for band, gain in zip(bands, gains, strict=True)
            ],
            axis=1,
        )
        level = np.ones((len(hertz), 1))  # how loud it gets does not count: a column of its own takes that up
        system = np.hstack((slopes, level))
        stiff = np.diag([_STIFFNESS * len(hertz)] * len(bands) + [1e-9])
        push = np.concatenate((_STIFFNESS * len(hertz) * gains, [0.0]))
        step = np.linalg.solve(system.T @ system + stiff, system.T @ (wanted - curve) - push)[:-1]
        gains = np.clip(gains + step, -LARGEST_DB, LARGEST_DB)
    return gains


def _curve(
    bands: list[tuple[str, float, float]], gains: NDArray[np.float64], hertz: NDArray[np.float64], rate_hz: int
) -> NDArray[np.float64]:
    """Decibels of all bands together."""
    total = np.zeros(len(hertz))
    for (kind, at, q), gain in zip(bands, gains, strict=True):
        section = _SECTIONS[kind](rate_hz, at, float(gain), q)
        total += 20.0 * np.log10(np.abs(sections.response(section, rate_hz, hertz)))
    return total


_SECTIONS = {"eq_peak": sections.peak, "eq_low_shelf": sections.low_shelf, "eq_high_shelf": sections.high_shelf}
