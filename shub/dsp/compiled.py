"""The one way sample loops are compiled.

The machine code is kept in NUMBA_CACHE_DIR, which the service sets to its state folder: an installed tree may be read-only. No
fast-math: sums keep their order, so results depend neither on the block size nor on the vector width.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def _cache_of_these_sources() -> Path:
    """Numba looks only at the file of the function that it compiled, and misses a change in another file whose function or
    constant went into it. So every state of our sources has a cache folder of its own."""
    sources = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(source.read_bytes())
    base = (
        os.environ.get("NUMBA_CACHE_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vx11"
    )
    return Path(base) / f"shub-{sources.hexdigest()[:16]}"


CACHE_DIR = _cache_of_these_sources()
numba.config.CACHE_DIR = str(CACHE_DIR)  # type: ignore[attr-defined]


def compiled(function: Function) -> Function:
    """The function as machine code, made at its first call and kept; it runs without the interpreter lock."""
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
