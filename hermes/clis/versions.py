"""What is known of tools' versions: kept in a file between starts, and found out by asking the tools.

A version belongs to a file as it was when it was asked: to its real path, its time of change and its size, and to the name and
arguments it was called by, because one file may be several tools (version managers' shims are). What stands behind a shim may change
without it, so a version that is known is asked again after some days, and one that could not be found out after some hours.
"""

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from config.contracts.common import Wire
from hermes.clis import probe
from hermes.clis.catalogue import Tool
from hermes.clis.presence import Installed
from hermes.clis.probe import Ending, Said

KNOWN_FOR = timedelta(days=7)
UNKNOWN_FOR = timedelta(hours=12)

Key = tuple[str, int, int, str, tuple[str, ...]]

log = structlog.get_logger()


class Answer(Wire):
    """What a tool answered when it was asked: its version, or why there is none."""

    version: str | None
    detail: str
    asked_at: float
    """Seconds since 1970."""

    @property
    def is_old(self) -> bool:
        kept = KNOWN_FOR if self.version is not None else UNKNOWN_FOR
        return not 0 <= time.time() - self.asked_at < kept.total_seconds()


class _Entry(Answer):
    path: str
    mtime_ns: int
    size_bytes: int
    called: str
    arguments: tuple[str, ...]


_ENTRIES = TypeAdapter(list[_Entry])


def key_of(tool: Tool, installed: Installed) -> Key:
    called = os.path.basename(installed.path)
    return installed.real_path, installed.mtime_ns, installed.size_bytes, called, tool.version


class Versions:
    """The answers that are kept, in memory and in a file. A file that cannot be read is as good as none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._answers: dict[Key, Answer] = {}

    def load(self) -> None:
        try:
            entries = _ENTRIES.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValidationError) as exc:
            log.warning("cli_versions_unreadable", error=type(exc).__name__)
            return
        for one in entries:
            key = (one.path, one.mtime_ns, one.size_bytes, one.called, one.arguments)
            self._answers[key] = Answer(version=one.version, detail=one.detail, asked_at=one.asked_at)

    def save(self) -> None:
        """Write what is known of files that are still there as they were. Raises OSError."""
        self._answers = {key: answer for key, answer in self._answers.items() if _is_still_there(key)}
        entries = [
            _Entry(path=key[0], mtime_ns=key[1], size_bytes=key[2], called=key[3], arguments=key[4], **dict(answer))
            for key, answer in self._answers.items()
        ]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".part")
        draft.write_bytes(_ENTRIES.dump_json(entries, indent=1))
        os.replace(draft, self._file)

    def of(self, key: Key) -> Answer | None:
        return self._answers.get(key)

    def keep(self, key: Key, answer: Answer) -> None:
        self._answers[key] = answer

    def wanting(self, key: Key) -> bool:
        """Whether the tool is to be asked: never answered, or too long ago."""
        return (answer := self.of(key)) is None or answer.is_old


def _is_still_there(key: Key) -> bool:
    try:
        found = os.stat(key[0])
    except OSError:
        return False
    return (found.st_mtime_ns, found.st_size) == (key[1], key[2])


def ask_all(
    wanted: Sequence[tuple[Tool, Installed]],
    versions: Versions,
    folders: Sequence[str],
    *,
    workers: int,
    limit_seconds: float,
    stopping: threading.Event,
) -> None:
    """Ask these tools, `workers` at a time, and keep each answer as it comes.

    Many at once slow one another down, and a slow starter then runs out of time: those that did are asked once more, one by one.
    """

    def ask(tool: Tool, installed: Installed) -> Said:
        if stopping.is_set():
            return Said(Ending.STOPPED)
        command = [installed.path, *tool.version]
        return probe.ask(command, folders, limit_seconds=limit_seconds, stopping=stopping)

    def keep(tool: Tool, installed: Installed, said: Said) -> None:
        if said.ending is not Ending.STOPPED:
            versions.keep(key_of(tool, installed), answer_of(tool, said, limit_seconds))

    late: list[tuple[Tool, Installed]] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="cli-version") as pool:
        asked = {pool.submit(ask, tool, installed): (tool, installed) for tool, installed in wanted}
        for done in as_completed(asked):
            tool, installed = asked[done]
            said = done.result()
            if said.ending is Ending.LATE and tool.version_in(said.stdout) is None:
                late.append((tool, installed))
            else:
                keep(tool, installed, said)
    for tool, installed in late:
        keep(tool, installed, ask(tool, installed))


def answer_of(tool: Tool, said: Said, limit_seconds: float) -> Answer:
    """The version in what a tool said, on stdout if it is there.

    What a tool that failed or was ended says on stderr is about its trouble: a version in there is somebody else's, such as the one of
    a library that it misses.
    """
    is_well = said.ending is Ending.EXITED and said.exit_code == 0
    version = tool.version_in(said.stdout) or (tool.version_in(said.stderr) if is_well else None)
    return Answer(version=version, detail="" if version else _why_none(said, limit_seconds), asked_at=time.time())


def _why_none(said: Said, limit_seconds: float) -> str:
    match said.ending:
        case Ending.LATE:
            return f"it did not end within {limit_seconds:g} seconds"
        case Ending.FLOODED:
            return "it wrote without end, and no version"
        case Ending.NOT_STARTED:
            return f"it cannot be started: {said.trouble}"
        case _ if said.exit_code:
            return f"it ended with {said.exit_code} and told no version"
        case _:
            return "it told no version"
