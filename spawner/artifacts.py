"""Files that a job left: found by globs, measured, and read again; never through a symlink, never anything but regular files."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config.contracts.spawner import Artifact
from spawner.errors import ArtifactNotFound
from spawner.folders import opened

DEEPEST = 32
MOST_LOOKED_AT = 100_000
"""Entries of a job's folder that are looked at: a job may have made millions."""
REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe is opened without waiting for its writer
PIECE = 256 * 1024


@dataclass
class Collected:
    """What was found, and what there is to say about the rest."""

    artifacts: list[Artifact] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _TooMany(Exception):
    pass


class Collector:
    """Finds a job's artifacts, once it has ended."""

    def __init__(self, *, most_files: int, most_bytes: int) -> None:
        self._most_files, self._most_bytes = most_files, most_bytes

    def collect(self, folder: Path, globs: Sequence[str]) -> Collected:
        """The regular files under `folder` that match one of the globs, by path. Reads all of them, so it runs in a thread."""
        found = Collected()
        if not globs:
            return found
        wanted = re.compile("|".join(f"(?:{pattern_of(glob)})" for glob in globs), re.DOTALL)
        matched: list[str] = []
        try:
            with opened(folder) as top:
                for path in _files(top, "", 0, [MOST_LOOKED_AT]):
                    if wanted.fullmatch(path):
                        matched.append(path)
        except _TooMany:
            found.notes.append(f"only {MOST_LOOKED_AT} entries of the folder were looked at for artifacts")
        matched.sort()
        if len(matched) > self._most_files:
            found.notes.append(
                f"{len(matched) - self._most_files} artifacts more than {self._most_files} were not kept"
            )
        left = self._most_bytes
        for path in matched[: self._most_files]:
            artifact = _measured(folder, path, left)
            if artifact is None:
                found.notes.append(f"the artifact {path!r} was not kept: unreadable, or too large")
                continue
            left -= artifact.size_bytes
            found.artifacts.append(artifact)
        return found


def pattern_of(glob: str) -> str:
    """A regular expression for a glob: `*` and `?` within one part of a path, `[abc]`, and `**` for any number of folders.

    What lies between two stars is matched where it is first found, and not looked for again (atomic groups): so that no glob and no name
    that a job thinks of can make it slow.
    """
    groups: list[list[str]] = [[]]
    for part in glob.split("/"):
        if part != "**":
            groups[-1].append(_part_pattern(part))
        elif groups[-1] or len(groups) == 1:
            groups.append([])
    first, *later = groups
    if not later:
        return "/".join(first)
    found = "".join(f"{part}/" for part in first)
    *between, last = later
    for group in between:
        found += "(?>(?:[^/]+/)*?" + "".join(f"{part}/" for part in group) + ")"
    return found + "(?:[^/]+/)*" + ("/".join(last) or "[^/]+")


def _part_pattern(part: str) -> str:
    """Raises nothing: what is no proper class is taken as it is written."""
    pieces = [""]
    at = 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append("")
        elif char == "?":
            pieces[-1] += "[^/]"
        elif char == "[" and (end := part.find("]", at + 1 + (part[at : at + 1] == "!"))) > 0:
            pieces[-1] += _class_pattern(part[at:end])
            at = end + 1
        else:
            pieces[-1] += re.escape(char)
    first, *later = pieces
    if not later:
        return first
    *between, last = later
    return first + "".join(f"(?>[^/]*?{piece})" for piece in between) + f"[^/]*{last}"


def _class_pattern(inside: str) -> str:
    negated, inside = inside.startswith("!"), inside.removeprefix("!")
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside)
    try:
        re.compile(f"[{escaped}]")
    except re.error:  # a range that runs backwards holds nothing
        return "(?!)"
    return f"[{'^/' if negated else ''}{escaped}]"


def _files(folder: int, prefix: str, depth: int, left: list[int]) -> Iterator[str]:
    """Paths of the regular files under a folder, down to a depth, symlinks not followed. Raises _TooMany."""
    inner: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            left[0] -= 1
            if left[0] < 0:
                raise _TooMany
            try:
                entry.name.encode()
            except UnicodeEncodeError:  # no name that an answer could hold
                continue
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                yield prefix + entry.name
    if depth >= DEEPEST:
        return
    for name in inner:
        try:
            with opened(name, within=folder) as below:
                yield from _files(below, f"{prefix}{name}/", depth + 1, left)
        except PermissionError:  # the job took our rights away: nothing in there is an artifact
            continue


def open_regular(folder: Path, path: str) -> int:
    """A descriptor of a regular file below `folder`, reached part by part without following a symlink. Raises ArtifactNotFound."""
    *parents, name = path.split("/")
    try:
        within = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for part in parents:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
                os.close(within)
                within = inner
            descriptor = os.open(name, REGULAR, dir_fd=within)
        finally:
            os.close(within)
    except OSError as exc:
        raise ArtifactNotFound(f"there is no file {path!r} any more ({exc.strerror})") from exc
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArtifactNotFound(f"{path!r} is not a regular file")
    return descriptor


def _measured(folder: Path, path: str, most_bytes: int) -> Artifact | None:
    try:
        descriptor = open_regular(folder, path)
    except ArtifactNotFound:
        return None
    digest, size = hashlib.sha256(), 0
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if os.fstat(descriptor).st_size > most_bytes:
            return None
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
    return Artifact(path=path, size_bytes=size, sha256=digest.hexdigest())
