"""Keeps the fleet running: forks its processes, waits for their health, keeps their logs, restarts what dies, stops it all."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from config.clock import utc_now
from config.serve import EXIT_CONFIGURATION
from config.settings import SERVICES, FleetSettings
from vx11 import control
from vx11.control import FleetStatus, UnitStatus
from vx11.logbook import Lines, LogFile, plain
from vx11.process import fork_apps

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 1.0, 30.0
STEADY_SECONDS = 30.0
"""A process that lived this long starts its back-off anew when it dies."""
LOOP_AFTER = 3
"""Deaths in a row after which it is called a crash loop."""
NO_START = 1 << 8
"""The wait status of a process that ended with status 1."""
POLL_SECONDS = 0.05
LAST_OUTPUT_SECONDS = 1.0
"""How long the output of a dead process is read on, where something it started still holds it."""
STOP_MARGIN_SECONDS = 3.0
"""What a process gets beyond its own graceful stop before it is killed."""

Echo = Callable[[str, bytes], None]


class State(StrEnum):
    STARTING = "starting"
    HEALTHY = "healthy"
    WAITING = "waiting"
    """Dead, and to be started again after its back-off."""
    FAILED = "failed"
    """It said that it cannot start as things are; a restart is asked for by hand."""
    STOPPED = "stopped"


def retry_delay(deaths: int) -> float:
    """Wait before the start that follows death number `deaths` in a row (1-based), in seconds: 1, doubling up to 30."""
    return float(min(FIRST_DELAY_SECONDS * 2 ** (deaths - 1), LONGEST_DELAY_SECONDS))


@dataclass
class Unit:
    """One process of the fleet and the services in it."""

    name: str
    services: tuple[str, ...]
    state: State = State.STARTING
    pid: int | None = None
    started: float = 0.0
    restarts: int = 0
    deaths: int = 0
    """Deaths in a row."""
    last_words: str = ""
    detail: str = ""
    wanted_again: bool = False
    """It was stopped to be started again: no back-off."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    exit_status: int = 0

    def status(self) -> UnitStatus:
        alive = self.pid is not None
        return UnitStatus(
            name=self.name,
            services=list(self.services),
            state=self.state,
            pid=self.pid,
            restarts=self.restarts,
            uptime_seconds=round(time.monotonic() - self.started, 1) if alive else 0.0,
            detail=self.detail,
        )


class Supervisor:
    """Runs the units until it is told to stop by SIGTERM, SIGINT, SIGHUP or the control socket.

    `apps` are from `process.prepare_apps`. `echo` gets every log line with the name of its unit.
    """

    def __init__(
        self,
        settings: FleetSettings,
        apps: dict[str, FastAPI],
        units: Sequence[Unit],
        run_dir: Path,
        logs_dir: Path,
        echo: Echo,
    ) -> None:
        self._settings, self._apps, self._run_dir, self._echo = settings, apps, run_dir, echo
        self._units = {unit.name: unit for unit in units}
        self._logs = {name: LogFile(logs_dir / f"{name}.log") for name in [*self._units, "vx11"]}
        self._stopping = asyncio.Event()
        self._force = asyncio.Event()
        self._host = _reachable(settings.host)
        self._began = time.monotonic()
        self._was_up = False
        self.failure: str | None = None
        """Why the fleet never came up, where a service said that it cannot start as things are."""

    async def run(self) -> None:
        """Returns when every process is gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        server = await asyncio.start_unix_server(self._answer, sock=control.listen(self._run_dir))
        keepers = [asyncio.create_task(self._keep(unit), name=unit.name) for unit in self._units.values()]
        await asyncio.gather(*keepers)
        server.close()
        (self._run_dir / "control.sock").unlink(missing_ok=True)
        self._tell("stopped")
        for log in self._logs.values():
            log.close()

    def stop(self) -> None:
        """End the fleet; said twice, at once."""
        if self._stopping.is_set():
            self._force.set()
        else:
            self._tell("stopping")
        self._stopping.set()
        for unit in self._units.values():
            unit.hurry.set()

    async def _keep(self, unit: Unit) -> None:
        """One unit's life: start, wait for its end, and again."""
        while not self._stopping.is_set():
            try:
                output = self._start(unit)
            except OSError as exc:  # no memory or no process left: as good as a death
                unit.exit_status, unit.last_words = NO_START, f"cannot be forked: {exc.strerror}"
                await self._pause(unit)
                continue
            watcher = asyncio.create_task(self._watch_health(unit))
            await self._first_of(unit.ended, self._stopping)
            watcher.cancel()
            if not unit.ended.is_set():
                await self._end(unit)
            await asyncio.wait({output}, timeout=LAST_OUTPUT_SECONDS)
            output.cancel()
            unit.pid = None
            if self._stopping.is_set():
                break
            await self._pause(unit)
            unit.restarts += 1
        unit.state, unit.detail = State.STOPPED, ""

    def _start(self, unit: Unit) -> asyncio.Task[None]:
        unit.state, unit.detail, unit.last_words = State.STARTING, "", ""
        unit.ended.clear()
        unit.hurry.clear()
        unit.started = time.monotonic()
        unit.pid, reading = fork_apps({name: self._apps[name] for name in unit.services}, self._settings)
        return asyncio.create_task(self._read_output(unit, reading))

    async def _pause(self, unit: Unit) -> None:
        """Wait before the next start: not at all, the back-off, or until somebody asks."""
        lived = time.monotonic() - unit.started
        if unit.wanted_again:
            unit.wanted_again, unit.deaths = False, 0
            return
        how = _exit_in_words(unit.exit_status)
        if os.waitstatus_to_exitcode(unit.exit_status) == EXIT_CONFIGURATION:
            unit.state, unit.detail = State.FAILED, unit.last_words or how
            self._tell("failed", unit=unit.name, level="error", said=unit.last_words)
            if not self._was_up:  # nothing has begun yet: better no fleet than one that lacks a part from the start
                self.failure = f"{unit.name} {unit.detail}"
                self.stop()
            await self._first_of(unit.hurry, self._stopping)
            return
        unit.deaths = 1 if lived >= STEADY_SECONDS else unit.deaths + 1
        delay = retry_delay(unit.deaths)
        unit.state = State.WAITING
        unit.detail = f"{how} after {lived:.1f} s; starts again in {delay:g} s"
        if unit.deaths >= LOOP_AFTER:
            unit.detail = f"crash loop, {unit.deaths} deaths in a row: {unit.detail}"
        last_words = unit.last_words if os.WIFEXITED(unit.exit_status) else ""  # a killed process had no say
        if last_words:
            unit.detail += f"; its last words: {last_words}"
        self._tell(
            "crash_loop" if unit.deaths >= LOOP_AFTER else "died",
            unit=unit.name, level="error", how=how, lived_seconds=round(lived, 1), deaths_in_a_row=unit.deaths,
            next_start_in_seconds=delay, last_words=last_words,
        )  # fmt: skip
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._first_of(unit.hurry, self._stopping)

    async def _end(self, unit: Unit) -> None:
        """SIGTERM, then SIGKILL when it takes longer than its own graceful stop should."""
        self._signal(unit, signal.SIGTERM)
        patience = self._settings.shutdown_timeout.total_seconds() + STOP_MARGIN_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._first_of(unit.ended, self._force)
        if not unit.ended.is_set():
            self._tell("killed", unit=unit.name, level="warning", after_seconds=patience)
            self._signal(unit, signal.SIGKILL)
            await unit.ended.wait()

    async def _watch_health(self, unit: Unit) -> None:
        for service in unit.services:
            while not await _answers(self._host, self._settings.port_of(service)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(POLL_SECONDS)
        if not unit.ended.is_set():
            unit.state = State.HEALTHY
            seconds = round(time.monotonic() - unit.started, 2)
            self._tell("healthy", unit=unit.name, pid=unit.pid, after_seconds=seconds)
            self._announce()

    def _announce(self) -> None:
        if self._was_up or any(unit.state is not State.HEALTHY for unit in self._units.values()):
            return
        self._was_up = True
        self._tell("fleet_is_up", after_seconds=round(time.monotonic() - self._began, 2), address=self._address)

    @property
    def _address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._settings.gateway_port}"

    async def _read_output(self, unit: Unit, reading: int) -> None:
        """Log what the process says, until all that could write there are gone."""
        stream, lines = asyncio.StreamReader(), Lines()
        protocol = asyncio.StreamReaderProtocol(stream)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb", 0))
        try:
            while data := await stream.read(65536):
                for line in lines.feed(data):
                    self._log(unit, line)
            for line in lines.end():
                self._log(unit, line)
        finally:
            transport.close()

    def _log(self, unit: Unit, line: bytes) -> None:
        unit.last_words = plain(line)
        self._logs[unit.name].write(line)
        self._echo(unit.name, line)

    def _tell(self, event: str, *, level: str = "info", **fields: Any) -> None:
        at = utc_now().isoformat().replace("+00:00", "Z")
        fields = {name: value for name, value in fields.items() if value not in ("", None)}
        text = json.dumps({"event": event, **fields, "service": "vx11", "level": level, "at": at}, ensure_ascii=False)
        self._logs["vx11"].write(text.encode())
        self._echo("vx11", text.encode())

    def _reap(self) -> None:
        for unit in self._units.values():
            if unit.pid is None or unit.ended.is_set():
                continue
            pid, status = os.waitpid(unit.pid, os.WNOHANG)
            if pid == 0:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what it started and left behind
            unit.exit_status = status
            unit.ended.set()

    def _signal(self, unit: Unit, number: signal.Signals) -> None:
        if unit.pid is not None and not unit.ended.is_set():  # not reaped yet, so the pid is still its own
            os.kill(unit.pid, number)

    @staticmethod
    async def _first_of(*events: asyncio.Event) -> None:
        waiters = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question on the control socket."""
        try:
            asked = json.loads(await reader.readline())
            writer.write(json.dumps(self._obey(asked)).encode() + b"\n")
            await writer.drain()
        except (ValueError, OSError) as exc:
            self._tell("control_unreadable", level="warning", error=repr(exc))
        finally:
            writer.close()

    def _obey(self, asked: dict[str, Any]) -> dict[str, Any]:
        command = asked.get("command")
        if command == "status":
            units = [unit.status() for unit in self._units.values()]
            ports = {service: self._settings.port_of(service) for service in SERVICES}
            return asdict(FleetStatus(units, self._host, ports, self._address))
        if command == "stop":
            asyncio.get_running_loop().call_soon(self.stop)
            patience_seconds = self._settings.shutdown_timeout.total_seconds() + STOP_MARGIN_SECONDS
            return {"pid": os.getpid(), "patience_seconds": patience_seconds}
        if command == "restart" and (unit := self._unit_of(str(asked.get("service")))):
            return self._restart(unit)
        return {"error": f"cannot do that: {asked}"}

    def _unit_of(self, service: str) -> Unit | None:
        return next((u for u in self._units.values() if service == u.name or service in u.services), None)

    def _restart(self, unit: Unit) -> dict[str, Any]:
        self._tell("restart_asked", unit=unit.name)
        unit.hurry.set()
        unit.deaths = 0
        before = unit.pid
        if unit.pid is not None and not unit.ended.is_set():
            unit.wanted_again = True
            ending = asyncio.create_task(self._end(unit))
            ending.add_done_callback(lambda task: task.exception())
        return {"unit": unit.name, "pid": before}


async def _answers(host: str, port: int) -> bool:
    """Whether `GET /health` says 200 there."""
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _exit_in_words(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
