"""The files themselves: each content once, under its SHA-256, and a room for what is not finished.

A file becomes visible in one step (rename) after its bytes are on the disk, and never changes afterwards. Paths follow from the hash, so
the database holds none. One shub owns the folder; a shared or an object store would stand behind the same five methods.
Pictures of a content go when it goes.
"""

import asyncio
import contextlib
import errno
import hashlib
import io
import os
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from config.clock import new_id
from config.errors import StorageFull
from config.settings import MIB
from shub.picture_shelf import PictureShelf

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Received:
    """A whole file that is not yet kept."""

    path: Path
    sha256: str
    size_bytes: int


class Store:
    """`<folder>/files/ab/<sha256>` for what is kept, `<folder>/unfinished` for the rest."""

    def __init__(self, folder: Path, pictures_limit_bytes: int = 256 * MIB) -> None:
        self._files, self.unfinished = folder / "files", folder / "unfinished"
        self.pictures = PictureShelf(folder / "pictures", pictures_limit_bytes)
        self.lock = asyncio.Lock()
        """Held while a file and its row change together: putting and deleting the same content must not cross."""

    def open(self) -> None:
        """Make the folders, and clear away what a stopped or killed service left unfinished."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        for folder in (self._files, self.unfinished):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path_of(self, sha256: str) -> Path:
        return self._files / sha256[:2] / sha256

    def new_path(self) -> Path:
        """A path for something unfinished."""
        return self.unfinished / new_id("part")

    @asynccontextmanager
    async def receive(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Received]:
        """Write the chunks to the disk as they come, and hash them; what the block does not `keep` is removed.

        Raises StorageFull when there is no room.
        """
        path = self.new_path()
        try:
            yield await self._write(path, chunks)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def discard(self, unfinished: Path) -> None:
        """Remove something unfinished, and whatever stands beside it under a longer name."""
        for path in self.unfinished.glob(f"{unfinished.name}*"):
            path.unlink(missing_ok=True)

    async def keep(self, unfinished: Path, sha256: str) -> Path:
        """Make an unfinished file, whose bytes are on the disk, the content of that hash. Call it with the lock held."""
        return await asyncio.to_thread(self._keep, unfinished, self.path_of(sha256))

    async def remove(self, sha256: str) -> None:
        """Delete a content. Call it with the lock held, after its row is gone for good."""
        await asyncio.to_thread(self.path_of(sha256).unlink, missing_ok=True)
        await asyncio.to_thread(self.pictures.forget, sha256)

    def sweep(self, kept: Iterable[str]) -> int:
        """Remove files that no row speaks of: a kill came between a rename and its row, or a deleted row and its file."""
        known, removed = set(kept), 0
        for path in self._files.glob("??/*"):
            if path.name not in known:
                path.unlink()
                removed += 1
        return removed + self.pictures.sweep(known)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._files).free

    async def _write(self, path: Path, chunks: AsyncIterator[bytes]) -> Received:
        digest, size = hashlib.sha256(), 0

        def append(file: io.FileIO, content: bytes) -> None:
            digest.update(content)
            left = memoryview(content)
            while left:  # a disk that is nearly full takes a part, and says so only to whoever sends the rest
                left = left[file.write(left) :]

        try:
            with _open(path) as file:
                async for content in _gathered(chunks):
                    size += len(content)
                    await asyncio.to_thread(append, file, content)
                await asyncio.to_thread(os.fsync, file.fileno())
        except OSError as exc:
            if exc.errno in _FULL:
                raise StorageFull(f"the disk was full after {size} bytes; nothing was kept") from exc
            raise
        return Received(path, digest.hexdigest(), size)

    def _keep(self, unfinished: Path, target: Path) -> Path:
        try:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            unfinished.replace(target)
            for folder in (target.parent, self._files):  # the names, too, must be on the disk
                _sync_folder(folder)
        except OSError as exc:
            if exc.errno in _FULL:
                raise StorageFull("the disk is full; nothing was kept") from exc
            raise
        return target


async def _gathered(chunks: AsyncIterator[bytes], size: int = 1024 * 1024) -> AsyncIterator[bytes]:
    """The same bytes in larger pieces: a thread for every 64 KiB would cost more than the writing."""
    parts, there = list[bytes](), 0
    async for chunk in chunks:
        parts.append(chunk)
        there += len(chunk)
        if there >= size:
            yield b"".join(parts)
            parts, there = [], 0
    if parts:
        yield b"".join(parts)


def _open(path: Path) -> io.FileIO:
    return io.FileIO(path, "x")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems have no such thing
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
