"""A local model's process: starting it, knowing at once when it dies, ending it."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from switch.failures import Failure
from switch.upstream import Address

SCRIPT = Path(__file__).with_name("child.py")
STOP_SECONDS = 3.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
KEPT_OUTPUT_BYTES = 2000
QUIET_THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
"""Waiting threads sleep: spinning ones made a busy machine 17 times slower."""
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME")


class StartFailed(Exception):
    """The process ended, or said nothing, before it was ready; the text tells why as far as it is known."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to load, and how; `child.py` reads it."""

    path: str
    name: str
    slots: int
    """Requests that it answers at the same time."""
    context_tokens: int
    """Of all slots together."""
    threads: int
    sleep_after_seconds: int
    """Time without a request after which it gives the model's memory back; -1 for never."""
    max_tokens: int
    """Longest answer where the request does not say; -1 for as long as there is room."""
    temperature: float | None = None
    """Where the request does not say; None for what the file or llama.cpp says."""
    repeat_penalty: float | None = None


@dataclass(frozen=True)
class Ready:
    """What the process says once it listens."""

    address: str
    pid: int


class _Pipe(asyncio.Protocol):
    """Keeps the end of what comes through a pipe of the process, and tells when the process lets go of it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.output = b""
        self.first_line: asyncio.Future[bytes] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()

    def data_received(self, data: bytes) -> None:
        self.output = (self.output + data)[-KEPT_OUTPUT_BYTES:]
        if b"\n" in self.output and not self.first_line.done():
            self.first_line.set_result(self.output.partition(b"\n")[0])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.first_line.done():
            self.first_line.cancel()
        if not self.closed.done():
            self.closed.set_result(None)


class LlamaProcess:
    """One running llama.cpp server, made by `start`."""

    def __init__(self, process: "subprocess.Popen[bytes]", key: str) -> None:
        self._process, self._key = process, key
        self._address: Address | None = None
        self._pipes: list[asyncio.BaseTransport] = []
        self.is_stopping = False

    @classmethod
    async def start(cls, order: Order, *, within_seconds: float) -> "LlamaProcess":
        """Start the process and wait until the model is loaded. Raises StartFailed."""
        key = secrets.token_urlsafe(32)
        # Started from this very thread: PR_SET_PDEATHSIG fires when the thread that started the process ends, not only the whole parent.
        process = subprocess.Popen(  # noqa: ASYNC220 - and it takes a millisecond
            [sys.executable, "-P", str(SCRIPT), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            process_group=0,
        )
        made = cls(process, key)
        try:
            await made._get_ready(asdict(order) | {"key": key}, within_seconds)
        except BaseException:
            await made.stop()
            raise
        return made

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def address(self) -> Address:
        assert self._address is not None
        return self._address

    @property
    def died(self) -> "asyncio.Future[None]":
        """Done as soon as the process is no more."""
        return self._output.closed

    @property
    def resident_bytes(self) -> int:
        """Memory that it has now, the pages of the model's file among them; 0 once it is gone. Source: proc_pid_statm(5)."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES
        except OSError:
            return 0

    async def is_well(self, within_seconds: float) -> bool:
        """Whether the server answers at all; it does so asleep too."""
        try:
            exchange = await self.address.get("/health", within_seconds=within_seconds)
        except Failure:
            return False
        exchange.release()
        return exchange.status == 200

    async def stop(self) -> None:
        """End the process: asked first, killed after three seconds. Returns when it is gone."""
        self.is_stopping = True
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        self.let_go()

    def kill(self) -> None:
        """End the process at once; `died` tells when it is gone."""
        self._process.kill()

    def let_go(self) -> None:
        """Give back what belonged to a process that is gone."""
        for pipe in self._pipes:
            pipe.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._address is not None:
            self._address.close()

    async def reap(self) -> int:
        """The exit status of a process that has died; negative for a signal."""
        return await asyncio.to_thread(self._process.wait)

    async def _get_ready(self, order: dict[str, object], within_seconds: float) -> None:
        self._output, self._errors = await self._listen("stdout"), await self._listen("stderr")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            async with asyncio.timeout(within_seconds):
                ready = Ready(**json.loads(await asyncio.shield(self._output.first_line)))
        except TimeoutError as exc:
            raise StartFailed(f"it was not ready within {within_seconds:g} seconds") from exc
        except asyncio.CancelledError as exc:
            if not self._output.first_line.cancelled():
                raise  # we are the one who is cancelled
            raise StartFailed(await self._last_words()) from exc
        except (OSError, ValueError, TypeError) as exc:
            raise StartFailed(await self._last_words()) from exc
        self._address = Address(
            ready.address,
            {"authorization": f"Bearer {self._key}"},
            name=str(order["name"]),
            connect_seconds=2.0,
            keeps_connections=False,  # each kept one would hold a thread of the server
        )

    async def _listen(self, name: str) -> _Pipe:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_read_pipe(_Pipe, getattr(self._process, name))
        self._pipes.append(transport)
        return protocol

    async def _last_words(self) -> str:
        self._process.kill()
        status = await self.reap()
        lines = self._errors.output.decode(errors="replace").strip().splitlines()
        ended = f"it ended with status {status}" if status >= 0 else f"it was ended by signal {-status}"
        return f"{ended}: {lines[-1][:300]}" if lines else ended


def _environment() -> dict[str, str]:
    """Of ours only what a Python needs: no tokens, no keys."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return kept | QUIET_THREADS | {"PYTHONUNBUFFERED": "1"}
