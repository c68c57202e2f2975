"""A command-line tool as someone who answers: a turn with it is taken from hermes_db, spawner runs it, and what it writes is the answer."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from config.clients.spawner import ProfileMissing, QueueFull, SpawnNotFound
from config.clock import new_id
from config.contracts.hermes_db import Lease, LeaseNew, LeaseReturn
from config.contracts.spawner import Logs, Reason, SpawnPriority, SpawnRecord, SpawnRequest
from config.errors import Conflict, FleetError, Forbidden, NotFound, TooManyRequests
from switch import policy
from switch.breaker import Breakers
from switch.calls import Answer, Call
from switch.clis.completion import completion, refused
from switch.clis.conversation import prompt_of
from switch.clis.invocation import Invocation, Unaskable
from switch.clis.secrets import without_secrets
from switch.failures import Failure, FailureKind

CLI = "cli"
"""Name of the backend that is every tool."""
WAIT_SECONDS = 25.0  # of one question to spawner how a run stands
QUEUE_SECONDS = 60.0  # that a run may wait for its turn at spawner, beyond its own time
KEPT_SECONDS = 60.0  # that what it wrote stays at spawner
MOST_OUTPUT_BYTES = 1024 * 1024
RECORD_BYTES = 64 * 1024  # of what it wrote, that spawner's record holds
BUSY_SECONDS = 1.0  # after which a tool may be asked again that others use
GIVEN_UP = "the request was given up"
LAST_WORDS = 300  # characters of what a tool said when it failed

log = structlog.get_logger()


class GivesTurns(Protocol):
    """hermes_db, as far as it matters here."""

    async def take_cli(self, name: str, lease: LeaseNew | None = None) -> Lease: ...
    async def give_cli_back(self, name: str, lease_id: str, how: LeaseReturn) -> Lease: ...


class RunsProcesses(Protocol):
    """Spawner, as far as it matters here."""

    async def spawn(self, request: SpawnRequest, *, idempotency_key: str) -> SpawnRecord: ...
    async def logs(self, spawn_id: str) -> Logs: ...
    async def kill(self, spawn_id: str) -> SpawnRecord: ...


@dataclass
class Afterwards:
    """What is still to be done when an answer is out, or not wanted any more."""

    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def done(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)


class Tool:
    """One tool. Its circuit (`switch/breaker.py`) tells when it is left alone."""

    name = CLI
    tries = 2
    """Again only where nothing was run: spawner or hermes_db was not reachable. What has run once may have done something."""

    def __init__(
        self,
        tool: str,
        command: str,
        invocation: Invocation,
        *,
        hermes_db: GivesTurns,
        spawner: RunsProcesses,
        afterwards: Afterwards,
        breakers: Breakers,
        timeout_seconds: float,
    ) -> None:
        self.tool, self.command, self.invocation = tool, command, invocation
        self._hermes_db, self._spawner, self._afterwards = hermes_db, spawner, afterwards
        self._breakers, self._timeout_seconds = breakers, timeout_seconds

    async def ask(self, call: Call, model: str) -> Answer:
        """Run it for this prompt; `model` is the tool's name, or `<tool>/<one of its own models>`.

        When this is cancelled the run is killed; the turn is given back in any case.
        """
        key = new_id("cli")
        try:
            args, stdin = self.invocation.command(prompt_of(call.body), model.partition("/")[2] or None)
        except Unaskable as exc:
            return refused(f"{CLI}/{model}: {exc}")
        seconds = self._timeout_seconds
        if call.deadline is not None:
            seconds = max(0.1, min(seconds, call.deadline - time.monotonic()))
        request = SpawnRequest(
            name=f"{CLI}/{self.tool}",
            command=self.command,
            args=args,
            stdin=stdin,
            env=self.invocation.env,
            profile=self.tool,
            priority=SpawnPriority(call.priority),
            timeout_seconds=seconds,
            max_memory_mb=self.invocation.memory_mb,
            max_processes=256,
            max_output_bytes=MOST_OUTPUT_BYTES,
            ttl_seconds=KEPT_SECONDS,
        )
        lease = await self._turn(seconds + QUEUE_SECONDS)
        started, error = time.monotonic(), GIVEN_UP
        try:
            record = await self._run(request, key)
            text = await self._text(record)
            error = ""
        except Failure as failure:
            error = failure.detail
            raise
        finally:
            duration_ms = (time.monotonic() - started) * 1000
            self._afterwards.do(self._give_back(lease, duration_ms, error))
        return completion(key, f"{CLI}/{model}", text, is_cut=record.truncated, is_stream=call.is_stream)

    def failed(self, failure: Failure) -> None:
        log.warning("cli_failed", tool=self.tool, kind=failure.kind, detail=failure.detail)

    def answered(self) -> None:
        """Its circuit counts that."""

    def availability(self, model: str) -> float:
        return self._breakers.availability(self.name, model)

    def hide(self, text: str) -> str:
        """As it is: what the tool itself said was cleaned before it came into any text."""
        return text

    # --- the turn ---------------------------------------------------------------------------------------------------

    async def _turn(self, seconds: float) -> Lease:
        """A turn with the tool, so that its limits hold whoever uses it. Raises Failure."""
        new = LeaseNew(lease_seconds=min(86_400, int(seconds) + 1))
        taking = asyncio.ensure_future(self._hermes_db.take_cli(self.tool, new))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._afterwards.do(self._give_up(taking))
            raise
        except TooManyRequests as exc:
            retry_after = policy.retry_after_seconds(exc.headers.get("Retry-After", ""))
            if retry_after is not None and exc.detail.startswith("max_concurrent"):
                retry_after = min(retry_after, BUSY_SECONDS)  # it may be free at any moment, and at the latest then
            raise Failure(FailureKind.LIMITED, exc.detail, retry_after_seconds=retry_after) from exc
        except (Conflict, NotFound) as exc:
            raise Failure(FailureKind.UNUSABLE, exc.detail) from exc
        except FleetError as exc:
            detail = f"hermes_db, which counts the turns of {self.tool}, does not answer: {exc.detail}"
            raise Failure(FailureKind.UNREACHABLE, detail) from exc

    async def _give_up(self, taking: "asyncio.Future[Lease]") -> None:
        """Give back a turn that was still being taken when nobody wanted it any more."""
        with suppress(FleetError):
            await self._give_back(await taking, 0.0, GIVEN_UP)

    async def _give_back(self, lease: Lease, duration_ms: float, error: str) -> None:
        how = LeaseReturn(
            success=not error, duration_ms=duration_ms, error_message=error or None, module="switch", action_type="chat"
        )
        try:
            await self._hermes_db.give_cli_back(self.tool, lease.lease_id, how)
        except FleetError as exc:  # it runs out by itself
            log.warning("cli_turn_not_given_back", tool=self.tool, lease_id=lease.lease_id, error=exc.detail)

    # --- the run ----------------------------------------------------------------------------------------------------

    async def _run(self, request: SpawnRequest, key: str) -> SpawnRecord:
        """The run when it has ended. Raises Failure. Whoever gives it up early kills it."""
        limit_seconds = request.timeout_seconds + QUEUE_SECONDS
        starting = asyncio.ensure_future(self._start(request, key))
        try:
            async with asyncio.timeout(limit_seconds):
                request, record = await asyncio.shield(starting)
                waiting = request.model_copy(update={"wait_seconds": WAIT_SECONDS})
                while not record.status.is_final:
                    record = await self._spawner.spawn(waiting, idempotency_key=key)
        except BaseException as exc:
            self._afterwards.do(self._kill(starting))
            if isinstance(exc, TimeoutError):
                detail = f"{self.tool} waited for spawner, and was not done within {limit_seconds:g} seconds"
                raise Failure(FailureKind.LATE, detail) from exc
            if isinstance(exc, FleetError):
                has_begun = starting.done() and starting.exception() is None
                raise self._lost(exc) if has_begun else self._not_run(exc) from exc
            raise
        return record

    async def _start(self, request: SpawnRequest, key: str) -> tuple[SpawnRequest, SpawnRecord]:
        """Start it in the profile made for it; where there is none, without one if it needs neither network nor keys."""
        try:
            return request, await self._spawner.spawn(request, idempotency_key=key)
        except ProfileMissing:
            if not self.invocation.offline:
                raise
        bare = request.model_copy(update={"profile": None})
        return bare, await self._spawner.spawn(bare, idempotency_key=key)

    def _not_run(self, error: FleetError) -> Failure:
        if isinstance(error, ProfileMissing):
            detail = (
                f"{self.tool} has no profile at spawner, which is what gives it network and its key: put "
                f'{{"{self.tool}": {{"callers": ["switch"], "network": true, "env": {{…}}}}}} into VX11_SPAWNER_PROFILES'
            )
            return Failure(FailureKind.UNUSABLE, detail)
        if isinstance(error, Forbidden):
            detail = (
                f"{error.detail}: `callers` of the profile {self.tool!r} in VX11_SPAWNER_PROFILES has to include switch"
            )
            return Failure(FailureKind.UNUSABLE, detail)
        if isinstance(error, QueueFull):
            return Failure(FailureKind.BUSY, error.detail)
        if error.status >= 500:
            return Failure(FailureKind.UNREACHABLE, f"spawner, which runs {self.tool}, does not answer: {error.detail}")
        return Failure(FailureKind.UNUSABLE, f"spawner does not run {self.tool}: {error.detail}")

    def _lost(self, error: FleetError) -> Failure:
        return Failure(FailureKind.SERVER_ERROR, f"spawner, which ran {self.tool}, does not answer: {error.detail}")

    async def _kill(self, starting: "asyncio.Future[tuple[SpawnRequest, SpawnRecord]]") -> None:
        with suppress(FleetError):  # it never began, or spawner is no more; its own time limit ends it in any case
            _, record = await starting
            if not record.status.is_final:
                with suppress(SpawnNotFound):
                    await self._spawner.kill(record.spawn_id)

    async def _text(self, record: SpawnRecord) -> str:
        """The answer. Raises Failure for a run that did not give one."""
        if record.reason is not Reason.EXITED or record.exit_code != 0:
            raise self._failure(record)
        stdout = record.stdout
        if record.stdout_bytes > RECORD_BYTES:
            try:
                stdout = (await self._spawner.logs(record.spawn_id)).stdout.text
            except FleetError as exc:
                raise Failure(FailureKind.SERVER_ERROR, f"what {self.tool} wrote cannot be read: {exc.detail}") from exc
        try:
            text = self.invocation.answer_in(stdout)
        except Unaskable as exc:
            raise Failure(FailureKind.GARBAGE, f"{self.tool} did not answer as it should: {exc}") from exc
        if not text:
            raise Failure(FailureKind.GARBAGE, f"{self.tool} answered nothing{_last_words(record)}")
        return text

    def _failure(self, record: SpawnRecord) -> Failure:
        said = _last_words(record)
        match record.reason:
            case Reason.EXITED:
                return Failure(FailureKind.SERVER_ERROR, f"{self.tool} ended with exit code {record.exit_code}{said}")
            case Reason.TIMEOUT:
                detail = f"{self.tool} was not done within {record.limits.timeout_seconds:g} seconds"
                return Failure(FailureKind.LATE, detail)
            case Reason.OOM:
                detail = f"{self.tool} needed more than {record.limits.max_memory_mb} MiB of memory"
                return Failure(FailureKind.SERVER_ERROR, detail)
            case Reason.REFUSED | Reason.KILLED:
                return Failure(
                    FailureKind.UNUSABLE, f"{self.tool} was {record.reason}: {record.detail or 'no reason told'}"
                )
        return Failure(FailureKind.SERVER_ERROR, f"{self.tool} ended by {record.reason}: {record.detail or ''}{said}")


def _last_words(record: SpawnRecord) -> str:
    """What the tool said last, without what looks like a key."""
    lines = (record.stderr.strip() or record.stdout.strip()).splitlines()
    return f": {without_secrets(lines[-1].strip()[:LAST_WORDS])}" if lines else ""
