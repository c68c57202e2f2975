"""What lies in a job's folder when it starts: the files it was given, the bytes of assets, the copy of a project."""

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from config.contracts.spawner import InputFile
from spawner.errors import InputRefused
from spawner.folders import DIRECTORY
from spawner.policy import PROJECT_FOLDER, content_of, parts_of
from spawner.slow_work import SlowWork

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_PROJECT_FILES = 200_000


class Assets(Protocol):
    """Where the bytes of assets come from."""

    def content(self, asset_id: str) -> AsyncIterator[bytes]:
        """The bytes, in pieces. Raises AssetNotFound, UpstreamUnavailable."""


async def lay_out(
    folder: Path,
    files: Iterable[InputFile],
    copies: Path | None,
    assets: Assets,
    *,
    uid: int | None,
    most_bytes: int,
    slow: SlowWork,
) -> None:
    """Fill a new folder, as the property of `uid`.

    Raises InputRefused when all of it together is more than `most_bytes`, OSError when it cannot be written, and what `assets` raises.
    """
    left = most_bytes
    if copies is not None:
        left -= await slow.do(_copy_project, copies, folder, uid, left)
    by_content = [(one, content) for one in files if (content := content_of(one)) is not None]
    left -= sum(len(content) for _, content in by_content)
    if left < 0:
        raise InputRefused(f"the inputs are larger than max_disk_mb ({most_bytes} bytes) allows")
    if by_content:
        await asyncio.to_thread(_write_all, folder, by_content, uid)
    for file in files:
        if file.asset_id is not None:
            left -= await _fetch(folder, file, file.asset_id, assets, uid, left)


def _write_all(folder: Path, files: list[tuple[InputFile, bytes]], uid: int | None) -> None:
    for file, content in files:
        descriptor = _create(folder, file, uid)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)


async def _fetch(folder: Path, file: InputFile, asset_id: str, assets: Assets, uid: int | None, most_bytes: int) -> int:
    written = 0
    with os.fdopen(await asyncio.to_thread(_create, folder, file, uid), "wb", buffering=0) as out:
        async with aclosing(assets.content(asset_id)) as pieces:  # type: ignore[type-var]  # a generator, which can be closed
            async for piece in pieces:
                written += len(piece)
                if written > most_bytes:
                    raise InputRefused(f"{file.path!r}, asset {asset_id}, is larger than max_disk_mb allows")
                await asyncio.to_thread(out.write, piece)
    return written


def _create(folder: Path, file: InputFile, uid: int | None) -> int:
    """A descriptor of a new file, reached part by part without following a symlink."""
    *parents, name = parts_of(file.path, "files")
    within = os.open(folder, DIRECTORY)
    try:
        for part in parents:
            try:
                os.mkdir(part, 0o700, dir_fd=within)
                if uid is not None:
                    os.chown(part, uid, uid, dir_fd=within, follow_symlinks=False)
            except FileExistsError:
                pass
            inner = os.open(part, DIRECTORY, dir_fd=within)
            os.close(within)
            within = inner
        descriptor = os.open(name, NEW_FILE, 0o700 if file.executable else 0o600, dir_fd=within)
    finally:
        os.close(within)
    if uid is not None:
        os.fchown(descriptor, uid, uid)
    return descriptor


def _copy_project(source: Path, folder: Path, uid: int | None, most_bytes: int) -> int:
    """Copy a project's folder, symlinks as symlinks and without devices, sockets and pipes. Returns how many bytes that was."""
    copied = files = 0
    todo = [(source, folder / PROJECT_FOLDER)]
    while todo:
        origin, target = todo.pop()
        target.mkdir(mode=0o700)
        _own(target, uid)
        for entry in os.scandir(origin):
            files += 1
            if files > MOST_PROJECT_FILES:
                raise InputRefused(f"the project has more than {MOST_PROJECT_FILES} files: too many to copy")
            copy = target / entry.name
            if entry.is_symlink():
                copy.symlink_to(os.readlink(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                todo.append((Path(entry.path), copy))
                continue
            elif entry.is_file(follow_symlinks=False):
                copied += entry.stat(follow_symlinks=False).st_size
                if copied > most_bytes:
                    raise InputRefused("the project is larger than max_disk_mb allows; run it without project_copy")
                shutil.copyfile(entry.path, copy, follow_symlinks=False)
                copy.chmod(stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) & 0o755 | 0o600)
            else:
                continue
            _own(copy, uid)
    return copied


def _own(path: Path, uid: int | None) -> None:
    if uid is not None:
        os.chown(path, uid, uid, follow_symlinks=False)
