"""Pictures that were drawn, kept until there are too many."""

from collections.abc import Set
from pathlib import Path

from shub.picture_names import Picture, is_current


class PictureShelf:
    """`<folder>/ab/<name of the picture>`. All of it can be drawn again, so nothing here is precious."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes

    def find(self, sha256: str, picture: Picture) -> bytes | None:
        """The picture, if it was drawn before; the ones that are looked at are kept longest."""
        path = self._path_of(sha256, picture)
        try:
            content = path.read_bytes()
            path.touch()
        except FileNotFoundError:
            return None
        return content

    def put(self, unfinished: Path, sha256: str, picture: Picture) -> None:
        """Keep a picture that is finished, and let go of the oldest where there are too many. Raises OSError on a full disk."""
        path = self._path_of(sha256, picture)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.replace(path)
        seen = [(one.stat(), one) for one in self._folder.glob("??/*")]
        total = sum(found.st_size for found, _ in seen)
        for found, one in sorted(seen, key=lambda each: each[0].st_mtime_ns):
            if total <= self._limit_bytes:
                break
            one.unlink(missing_ok=True)
            total -= found.st_size

    def forget(self, sha256: str) -> None:
        """Remove every picture of a content."""
        for path in (self._folder / sha256[:2]).glob(f"{sha256}-*"):
            path.unlink(missing_ok=True)

    def sweep(self, kept: Set[str]) -> int:
        """Remove pictures of contents that are not kept, and those that are drawn as they are not drawn any more."""
        removed = 0
        for path in self._folder.glob("??/*"):
            if path.name.partition("-")[0] not in kept or not is_current(path.name):
                path.unlink()
                removed += 1
        return removed

    def _path_of(self, sha256: str, picture: Picture) -> Path:
        return self._folder / sha256[:2] / picture.file_name(sha256)
