"""What the formats of files hold. Standard library only: the web process asks too, without reading audio."""

from typing import Final, Literal

Format = Literal["wav", "flac", "mp3", "ogg"]
LOSSY: Final = ("mp3", "ogg")
MOST_LOSSY_CHANNELS: Final = 2
"""More are possible in Ogg; the encoders are only asked for mono and stereo here."""
MP3_RATES_HZ: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Source: ISO/IEC 11172-3 and 13818-3 (and 8 to 12 kHz of MPEG-2.5)."""


def rate_for(container: Format, rate_hz: int) -> int:
    """The rate that a sound of this rate is written with: itself, or the highest of its family that the format holds."""
    if container != "mp3" or rate_hz in MP3_RATES_HZ:
        return rate_hz
    return 44_100 if rate_hz % 11_025 == 0 else 48_000
