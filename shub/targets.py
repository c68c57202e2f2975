"""Where sound is heard, and what is wanted there. Masters are made for it, and the verdicts of an analysis are against it."""

from dataclasses import dataclass
from typing import Final

from config.contracts.shub import Target


@dataclass(frozen=True)
class PlatformTarget:
    """What a place asks of what is delivered to it."""

    name: str
    """As a person calls it."""
    target_lufs: float | None
    """Integrated loudness; None: the place asks for none."""
    ceiling_dbtp: float
    tolerance_lu: float
    """How far from `target_lufs` is still as wanted."""
    is_delivery_rule: bool
    """What lies outside is sent back; otherwise the player turns it up or down, and only the sound is the poorer."""
    source: str


_PLAYER_LU: Final = 1.0
"""No player tells a tolerance: below 1 LU nobody hears the difference between two songs, and the player evens it out."""

TARGETS: Final[dict[Target, PlatformTarget]] = {
    "streaming": PlatformTarget(
        "streaming",
        -14.0,
        -1.0,
        _PLAYER_LU,
        False,
        "what Spotify, YouTube, Tidal and Amazon Music play at; -1 dBTP for lossy coding: AES TD1008 (2021)",
    ),
    "spotify": PlatformTarget(
        "Spotify",
        -14.0,
        -1.0,
        _PLAYER_LU,
        False,
        "Spotify for Artists, 'Loudness normalization': -14 dB LUFS, true peak below -1 dBTP",
    ),
    "apple_music": PlatformTarget(
        "Apple Music",
        -16.0,
        -1.0,
        _PLAYER_LU,
        False,
        "Sound Check plays at about -16 LUFS (measured by many, Apple names no figure); Apple Digital Masters: 1 dB of headroom",
    ),
    "youtube": PlatformTarget(
        "YouTube",
        -14.0,
        -1.0,
        _PLAYER_LU,
        False,
        "'content loudness' in the player's own statistics is relative to -14 LUFS; louder is turned down, softer stays",
    ),
    "tidal": PlatformTarget(
        "Tidal", -14.0, -1.0, _PLAYER_LU, False, "plays at -14 LUFS by the album; ceiling as AES TD1008 (2021)"
    ),
    "amazon_music": PlatformTarget(
        "Amazon Music", -14.0, -2.0, _PLAYER_LU, False, "Amazon asks for -14 LUFS and -2 dBTP of what Alexa plays"
    ),
    "podcast": PlatformTarget(
        "podcast",
        -16.0,
        -1.0,
        1.0,
        False,
        "Apple Podcasts, audio requirements: -16 dB LKFS with 1 dB of tolerance, true peak not above -1 dBFS",
    ),
    "ebu_r128": PlatformTarget(
        "EBU R 128", -23.0, -1.0, 0.5, True, "EBU R 128: -23.0 LUFS with 0.5 LU of tolerance, -1 dBTP"
    ),
    "atsc_a85": PlatformTarget(
        "ATSC A/85", -24.0, -2.0, 2.0, True, "ATSC A/85: -24 LKFS with 2 dB of tolerance, -2 dBTP"
    ),
    "cd": PlatformTarget(
        "CD",
        None,
        -0.1,
        0.0,
        False,
        "IEC 60908 knows no loudness; a hair below full scale, as pressing plants and players clip what touches it",
    ),
}
