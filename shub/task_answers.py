"""What the worker says of what it made, in numbers and names that travel."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

DECIMALS = 3
"""Of a decibel: far finer than any meter's tolerance."""


def made_file(
    path: Path, name: str, container: Any, bits: Any, rate_hz: int, channels: int, frames: int
) -> dict[str, Any]:
    """A file that was made, once it is whole on the disk, as `kinds.MadeFile` has it."""
    from shub.dsp.encode import encoding_of
    from shub.dsp.provenance import sha256_of

    with path.open("rb+") as written:
        os.fsync(written.fileno())
    return {
        "path": str(path),
        "name": name,
        "format": container,
        "encoding": encoding_of(container, bits),
        "sha256": sha256_of(path),
        "size_bytes": path.stat().st_size,
        "duration_seconds": frames / rate_hz,
        "sample_rate_hz": rate_hz,
        "channels": channels,
    }


def readable(loudness: Any) -> dict[str, float | None]:
    return {name: rounded(value) for name, value in asdict(loudness).items()}


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def told(applied: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What effects did, each with its `type`."""
    return [
        {name: round(value, DECIMALS) if isinstance(value, float) else value for name, value in did.items()}
        for did in applied
    ]
