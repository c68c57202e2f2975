"""Where models lie: `<models>/<owner>--<name>/<revision>-<version>` for what is kept, and rooms of their own for the rest.

`.parts/<subject>/` holds a download until it is whole: part files named by what the hub calls their content, and under `whole/` the files
that were proved. A model becomes visible in one step, by the rename of that folder, with `.vx11.json` in it: what the registry is told of
it. `.trash` holds what is being removed. One hermes owns the folder.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from config.clock import new_id
from config.contracts.hermes_db import ModelNew
from config.errors import StorageFull

RECORD = ".vx11.json"
RESERVE_BYTES = 64 * 1024 * 1024
"""What a download leaves free: the database lies on the same disk as a rule."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ModelStore:
    """The folder of the models. All of it blocks a little."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts, self._trash = folder / ".parts", folder / ".trash"
        self.lock = asyncio.Lock()
        """Held while a model's folder and its row change together: placing and removing the same one must not cross."""

    def open(self) -> None:
        """Make the folders; what was being removed when somebody stopped us goes."""
        for folder in (self.folder, self._parts, self._trash):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.empty_trash()

    # --- a download ------------------------------------------------------------------------------------------------

    def part_of(self, subject: str, content_id: str) -> Path:
        return self._parts / subject / content_id

    def whole_of(self, subject: str) -> Path:
        """The folder of the files that were proved."""
        return self._parts / subject / "whole"

    def begin(self, subject: str) -> None:
        self.whole_of(subject).mkdir(mode=0o700, parents=True, exist_ok=True)

    def is_whole(self, subject: str, path: str, size_bytes: int) -> bool:
        """Whether a file was proved and kept before."""
        with suppress(OSError):
            facts = (self.whole_of(subject) / path).stat()
            return facts.st_size == size_bytes
        return False

    def keep_file(self, subject: str, content_id: str, path: str) -> None:
        """Put a proved part file, whose bytes are on the disk, under its own name."""
        target = self.whole_of(subject) / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.part_of(subject, content_id).replace(target)

    def bytes_there(self, subject: str) -> int:
        """How much of a download is on the disk."""
        return _size_of(self._parts / subject)

    def place(self, subject: str, target: Path, record: ModelNew) -> None:
        """Make a whole download visible at its place. Raises StorageFull."""
        whole = self.whole_of(subject)
        with _room():
            draft = whole / RECORD
            draft.write_text(record.model_dump_json(indent=1))
            for path in (draft, *_folders(whole)):
                _sync(path)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            whole.rename(target)
            for path in (target.parent, self.folder):
                _sync(path)
        self.discard(subject)

    def take_back(self, target: Path, subject: str) -> None:
        """Make what was placed invisible again, to be placed another time without being fetched."""
        (self._parts / subject).mkdir(mode=0o700, exist_ok=True)
        target.rename(self.whole_of(subject))
        self._forget_empty(target.parent)

    def discard(self, subject: str) -> None:
        """Remove what was fetched of a download."""
        shutil.rmtree(self._parts / subject, ignore_errors=True)

    def sweep_parts(self, keep: set[str], *, older_than: float | None = None) -> int:
        """Remove what downloads left that nobody continues; `older_than` spares what changed after that time (seconds since 1970)."""
        removed = 0
        for folder in self._parts.iterdir():
            if folder.name not in keep and (older_than is None or _changed_at(folder) < older_than):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    # --- what is kept ----------------------------------------------------------------------------------------------

    def place_of(self, model_id: str, revision: str, label: str) -> Path:
        owner, _, name = model_id.rpartition("/")
        return self.folder / f"{owner or '_'}--{name}" / f"{revision}-{label}"

    def holds(self, path: str | None) -> Path | None:
        """The model's own folder when a path lies in one, or None: then the file is somebody else's and never touched."""
        if path is None:
            return None
        parts = Path(path).relative_to(self.folder).parts if Path(path).is_relative_to(self.folder) else ()
        is_model = len(parts) >= 2 and ".." not in parts and not parts[0].startswith(".")
        return self.folder / parts[0] / parts[1] if is_model else None

    def kept(self) -> Iterator[tuple[Path, ModelNew]]:
        """The folders that were placed, and what the registry was told of them; what we did not place is left alone."""
        for record in sorted(self.folder.glob(f"[!.]*/*/{RECORD}")):
            with suppress(OSError, ValidationError):
                yield record.parent, self.record_of(record.parent)

    def record_of(self, folder: Path) -> ModelNew:
        """What the registry was, or should have been, told of a placed folder."""
        return ModelNew.model_validate_json((folder / RECORD).read_bytes())

    def remove(self, folder: Path) -> int:
        """Take a model's folder out of sight in one step, then free its bytes; how many. One that is gone frees none."""
        hidden = self._trash / new_id("trash")
        try:
            folder.rename(hidden)
        except FileNotFoundError:
            return 0
        _sync(folder.parent)
        size = _size_of(hidden)
        self.empty_trash()
        self._forget_empty(folder.parent)
        return size

    def size_of(self, folder: Path) -> int:
        return _size_of(folder)

    def empty_trash(self) -> None:
        for left in self._trash.iterdir():
            shutil.rmtree(left, ignore_errors=True)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free

    def require_room(self, size_bytes: int) -> None:
        """Raises StorageFull when so many bytes, and a reserve, do not fit."""
        free = self.free_bytes()
        if size_bytes + RESERVE_BYTES > free:
            raise StorageFull(
                f"this needs {size_bytes} bytes and the disk of {self.folder} has {free} free ({RESERVE_BYTES} of them are kept "
                "free): remove models (DELETE /hermes/models/{id}, POST /hermes/maintenance) or set VX11_HERMES_MODELS_DIR"
            )

    @staticmethod
    def _forget_empty(folder: Path) -> None:
        with suppress(OSError):  # another version of the same model is there
            folder.rmdir()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StorageFull("the disk is full; nothing was kept") from exc
        raise


def _folders(folder: Path) -> list[Path]:
    return [Path(found) for found, _, _ in os.walk(folder)]


def _size_of(folder: Path) -> int:
    total = 0
    for found, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(found, name)).st_size
    return total


def _changed_at(folder: Path) -> float:
    times = [os.stat(found).st_mtime for found, _, _ in os.walk(folder)]
    files = [os.lstat(os.path.join(found, name)).st_mtime for found, _, names in os.walk(folder) for name in names]
    return max([*times, *files], default=0.0)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no such thing for folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
