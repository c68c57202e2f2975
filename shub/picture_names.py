"""Which pictures there are of a file, where they are asked for, and under which name each is kept. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from config.contracts.shub import Target

PictureKind = Literal["waveform", "spectrogram", "loudness"]
KINDS: Final[tuple[PictureKind, ...]] = ("waveform", "spectrogram", "loudness")
DRAWING_VERSION: Final = 1
"""Another number for every change of how they look: what was drawn before is not shown any more."""
DEFAULT_TARGET: Final[Target] = "streaming"


@dataclass(frozen=True)
class Picture:
    """One picture of a content. Only that of the loudness shows a target."""

    kind: PictureKind
    width: int
    height: int
    target: Target

    def file_name(self, sha256: str) -> str:
        against = f"-{self.target}" if self.kind == "loudness" else ""
        return f"{sha256}-{self.kind}{against}-{self.width}x{self.height}-v{DRAWING_VERSION}.png"


def is_current(file_name: str) -> bool:
    """Whether a picture of that name is drawn as we draw today."""
    return file_name.endswith(f"-v{DRAWING_VERSION}.png")


def paths_of(asset_id: str, target: Target) -> dict[str, str]:
    """Path of each picture of a file, that of the loudness against the target."""
    paths: dict[str, str] = {kind: f"/shub/assets/{asset_id}/pictures/{kind}.png" for kind in KINDS}
    if target != DEFAULT_TARGET:
        paths["loudness"] += f"?target={target}"
    return paths
