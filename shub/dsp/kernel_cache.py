"""Where the machine code of the sample loops is kept. Standard library only: the web process asks without importing numba."""

import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path

_COMPLETE = "complete"


def cache_dir(base: Path | None = None) -> Path:
    """The cache folder of exactly these sources, under `base`: NUMBA_CACHE_DIR, else the user's cache folder.

    Numba looks only at the file of the function that it compiled, and misses a change in another file whose function or constant
    went into it. So every state of our sources, of numba and of the processor has a folder of its own.
    """
    return (base or _usual_base()) / f"shub-{_fingerprint()}"


def _usual_base() -> Path:
    if told := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(told)  # a container's user may have no home to look for
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vx11"


def is_complete(folder: Path) -> bool:
    """Whether everything was compiled into this folder once, so that nothing compiles at the first job."""
    return (folder / _COMPLETE).exists()


def mark_complete(folder: Path) -> None:
    (folder / _COMPLETE).touch()


def _fingerprint() -> str:
    seen = hashlib.sha256(f"{sys.version} {version('numba')} {version('llvmlite')}".encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        seen.update(source.read_bytes())
    processor = Path("/proc/cpuinfo")
    if processor.exists():
        lines = processor.read_text().splitlines()
        seen.update("".join(sorted({line for line in lines if line.startswith(("flags", "model name"))})).encode())
    return seen.hexdigest()[:16]
