"""A picture by its name."""

from pathlib import Path
from typing import Any, Literal

from shub.dsp.decode import Limits
from shub.dsp.pictures.loudness import Aim, draw_loudness
from shub.dsp.pictures.spectrogram import draw_spectrogram
from shub.dsp.pictures.waveform import draw_waveform

Kind = Literal["waveform", "spectrogram", "loudness"]


def draw(
    kind: Kind,
    source: Path,
    name: str,
    aim: dict[str, Any],
    target: Path,
    width: int,
    height: int,
    limits: Limits | None = None,
) -> None:
    """A PNG of the sound at `source`, under the title `name`. Raises AudioRefused for a file that cannot be read."""
    match kind:
        case "waveform":
            draw_waveform(source, name, target, width, height, limits)
        case "spectrogram":
            draw_spectrogram(source, name, target, width, height, limits)
        case "loudness":
            draw_loudness(source, name, Aim(**aim), target, width, height, limits)
