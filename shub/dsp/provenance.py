"""What must be known to make a file again, bit for bit."""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

import soundfile

from shub.dsp.kernel_cache import cache_dir

_LIBRARIES = ("numpy", "numba", "soundfile", "soxr")


def versions() -> dict[str, str]:
    """Of everything that has a part in the sound; `shub` is a fingerprint of the sound code and of what compiles it."""
    return {
        "shub": cache_dir().name,
        "python": platform.python_version(),
        "libsndfile": soundfile.__libsndfile_version__,
        **{name: version(name) for name in _LIBRARIES},
    }


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
