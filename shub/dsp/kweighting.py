"""The K filter and the channel weights of ITU-R BS.1770, for any sample rate."""

import math

import numpy as np
from numpy.typing import NDArray

from shub.dsp.refusals import UnknownLayout

SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
HIGHPASS_HZ, HIGHPASS_Q = 38.13547087602444, 0.5003270373238773

SURROUND = 1.41
"""Weight of a speaker at 60 to 120 degrees. Source: ITU-R BS.1770-4, table 4."""

LAYOUTS: dict[str, tuple[str, ...]] = {
    "mono": ("C",),
    "stereo": ("L", "R"),
    "3.0": ("L", "R", "C"),
    "quad": ("L", "R", "Ls", "Rs"),
    "5.0": ("L", "R", "C", "Ls", "Rs"),
    "5.1": ("L", "R", "C", "LFE", "Ls", "Rs"),
    "6.1": ("L", "R", "C", "LFE", "Cs", "Ls", "Rs"),
    "7.1": ("L", "R", "C", "LFE", "Lrs", "Rrs", "Ls", "Rs"),
}
"""Speakers in the order of WAVE files and FLAC (WAVEFORMATEXTENSIBLE; RFC 9639 section 9.1.3)."""
BY_COUNT = {len(speakers): name for name, speakers in LAYOUTS.items()}
VORBIS_ORDER: dict[int, tuple[str, ...]] = {
    3: ("L", "C", "R"),
    4: ("L", "R", "Ls", "Rs"),
    5: ("L", "C", "R", "Ls", "Rs"),
    6: ("L", "C", "R", "Ls", "Rs", "LFE"),
    7: ("L", "C", "R", "Ls", "Rs", "Cs", "LFE"),
    8: ("L", "C", "R", "Ls", "Rs", "Lrs", "Rrs", "LFE"),
}
"""Speakers in the order of Ogg Vorbis and Opus (Vorbis I section 4.3.9)."""
WEIGHTS = {"L": 1.0, "R": 1.0, "C": 1.0, "Cs": 1.0, "Lrs": 1.0, "Rrs": 1.0, "LFE": 0.0, "Ls": SURROUND, "Rs": SURROUND}


def speakers_of(channels: int, layout: str | None = None, *, vorbis_order: bool = False) -> tuple[str, ...]:
    """The speaker that each channel of a file feeds; without a layout, the usual one of that many channels.

    Raises UnknownLayout when there is no such layout or it has another number of channels.
    """
    name = layout or BY_COUNT.get(channels)
    if name is None or name not in LAYOUTS:
        raise UnknownLayout(f"no layout {layout or f'of {channels} channels'}; known: {', '.join(LAYOUTS)}")
    if len(LAYOUTS[name]) != channels:
        raise UnknownLayout(f"{name} has {len(LAYOUTS[name])} channels, the file {channels}")
    return VORBIS_ORDER.get(channels, LAYOUTS[name]) if vorbis_order else LAYOUTS[name]


def weights_of(speakers: tuple[str, ...]) -> NDArray[np.float64]:
    return np.array([WEIGHTS[speaker] for speaker in speakers])


def k_filter(rate_hz: int) -> NDArray[np.float64]:
    """b0, b1, b2, a1, a2 of the high shelf, then a1, a2 of the high-pass (whose b are 1, -2, 1).

    Source: ITU-R BS.1770-4 annex 1, tables 1 and 2 give them at 48 kHz; this is the bilinear form they come from, re-evaluated
    at the rate (as libebur128 does it).
    """
    k = math.tan(math.pi * SHELF_HZ / rate_hz)
    high = 10.0 ** (SHELF_DB / 20.0)
    band = high**0.4996667741545416
    a0 = 1.0 + k / SHELF_Q + k * k
    shelf = [
        (high + band * k / SHELF_Q + k * k) / a0,
        2.0 * (k * k - high) / a0,
        (high - band * k / SHELF_Q + k * k) / a0,
        2.0 * (k * k - 1.0) / a0,
        (1.0 - k / SHELF_Q + k * k) / a0,
    ]
    k = math.tan(math.pi * HIGHPASS_HZ / rate_hz)
    a0 = 1.0 + k / HIGHPASS_Q + k * k
    return np.array([*shelf, 2.0 * (k * k - 1.0) / a0, (1.0 - k / HIGHPASS_Q + k * k) / a0])
