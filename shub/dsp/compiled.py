"""The one way sample loops are compiled.

The machine code is kept under NUMBA_CACHE_DIR, which the service sets to its state folder: an installed tree may be read-only. No
fast-math: sums keep their order, so results depend neither on the block size nor on the vector width.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

from shub.dsp.kernel_cache import cache_dir

Function = TypeVar("Function", bound=Callable[..., object])

numba.config.CACHE_DIR = str(cache_dir())  # type: ignore[attr-defined]


def compiled(function: Function) -> Function:
    """The function as machine code, made at its first call and kept; it runs without the interpreter lock."""
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
