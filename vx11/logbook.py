"""What the services log: kept in one file per service with a size cap, and shown so that a person can read it."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGEST_BYTES = 10 * 1024 * 1024
"""Size at which a log file is set aside as `<service>.log.1`, in place of the one before."""
LONGEST_LINE_BYTES = 64 * 1024
FOLLOW_SECONDS = 0.25
COLOURS = ("36", "33", "35", "32", "34", "96", "93", "95", "92", "94")
SHOWN_APART = frozenset({"service", "event", "level", "at"})


class LogFile:
    """An append-only file of lines that never grows past its cap. A full disk loses lines, never the service."""

    def __init__(self, path: Path, largest_bytes: int = LARGEST_BYTES) -> None:
        self._path, self._largest = path, largest_bytes
        self._descriptor: int | None = None
        self._size = 0

    def write(self, line: bytes) -> None:
        try:
            if self._descriptor is None or self._size + len(line) + 1 > self._largest:
                self._open_next()
            assert self._descriptor is not None
            self._size += os.write(self._descriptor, line + b"\n")
        except OSError:
            self.close()  # tried again with the next line

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open_next(self) -> None:
        self.close()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size >= self._largest // 2:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size


class Lines:
    """Cuts a stream of bytes into lines; one that is too long is cut too, so that no service can fill our memory."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            if line:
                yield line[:LONGEST_LINE_BYTES]
        if len(self._rest) > LONGEST_LINE_BYTES:
            cut, self._rest = self._rest[:LONGEST_LINE_BYTES], b""
            yield cut

    def end(self) -> Iterator[bytes]:
        if self._rest:
            yield self._rest
        self._rest = b""


class Printer:
    """Turns log lines into `time service event key=value`, with a colour per service on a terminal."""

    def __init__(self, services: list[str], *, colour: bool) -> None:
        self._width = max(len(name) for name in [*services, "vx11"])
        self._colours = dict(zip(services, COLOURS, strict=False)) if colour else {}

    def render(self, service: str, line: bytes) -> str:
        text = line.decode(errors="replace")
        fields = _fields(text)
        shown = text if fields is None else _sentence(fields)
        at = "" if fields is None else str(fields.get("at", ""))[11:19]
        name = (str(fields.get("service", service)) if fields else service).ljust(self._width)
        if code := self._colours.get(name.strip()):
            name = f"\x1b[{code}m{name}\x1b[0m"
        return "\n".join(f"{at or '        '} {name} | {part}" for part in shown.splitlines() or [""])


def plain(line: bytes) -> str:
    """What a log line says, on one line of at most 500 characters; of a traceback, the error."""
    text = line.decode(errors="replace").strip()
    fields = _fields(text)
    said = text if fields is None else _sentence(fields)
    if "Traceback (most recent call last)" in said:
        said = next((part for part in reversed(said.splitlines()) if part.strip()), said)
    return said.replace("\n", " / ").strip()[:500]


def _fields(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


def _sentence(fields: dict[str, Any]) -> str:
    level = str(fields.get("level", "info"))
    start = str(fields["event"]) if level == "info" else f"{level}: {fields['event']}"
    trace = fields.get("exception")
    rest = " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in fields.items()
        if key not in SHOWN_APART and key != "exception"
    )
    return "\n".join(part for part in (f"{start} {rest}".rstrip(), str(trace) if trace else "") if part)


def last_lines(folder: Path, services: list[str], count: int) -> list[tuple[str, bytes]]:
    """The newest `count` lines of the services together, oldest first."""
    found = list[tuple[str, str, bytes]]()
    for service in services:
        before = ""
        for line in _tail(folder / f"{service}.log", count):
            fields = _fields(line.decode(errors="replace"))
            before = str(fields.get("at", before)) if fields else before
            found.append((before, service, line))
    found.sort(key=lambda one: one[0])  # stable: lines without a time stay with the line before them
    return [(service, line) for _, service, line in found[-count:]]


def follow(folder: Path, services: list[str]) -> Iterator[tuple[str, bytes]]:
    """Every line that is written from now on, for ever; a file that was set aside is left for its successor."""
    seen = {service: _at_end(folder / f"{service}.log") for service in services}
    cutters = {service: Lines() for service in services}
    while True:
        quiet = True
        for service in services:
            path, (inode, offset) = folder / f"{service}.log", seen[service]
            if not path.exists():
                continue
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                file.seek(offset if stat.st_ino == inode and stat.st_size >= offset else 0)
                data = file.read()
                seen[service] = (stat.st_ino, file.tell())
            for line in cutters[service].feed(data):
                quiet = False
                yield service, line
        if quiet:
            time.sleep(FOLLOW_SECONDS)


def _at_end(path: Path) -> tuple[int, int]:
    if not path.exists():
        return (0, 0)
    stat = path.stat()
    return (stat.st_ino, stat.st_size)


def _tail(path: Path, count: int) -> list[bytes]:
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - max(64 * 1024, count * 512))
        file.seek(start)
        lines = file.read().splitlines()
    return lines[1:][-count:] if start else lines[-count:]
