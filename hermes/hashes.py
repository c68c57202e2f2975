"""Hashes of files and of lists of files."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

READ_BYTES = 256 * 1024


def sha256_of(path: Path) -> str:
    digest, buffer = hashlib.sha256(), memoryview(bytearray(READ_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def git_oid_of(path: Path) -> str:
    """The SHA-1 that git, and so the hub, knows a file by: of `blob <size>\\0` and its content."""
    digest = hashlib.sha1(b"blob %d\x00" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb", buffering=0) as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def sha256_of_list(files: Iterable[Mapping[str, Any]]) -> str:
    """One hash for several files: that of what `sha256sum` prints for them, sorted by name."""
    lines = [f"{file['sha256']}  {file['path']}\n" for file in sorted(files, key=lambda file: str(file["path"]))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
