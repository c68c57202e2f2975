"""The first loading of a file that came from elsewhere: by spawner, in a sandbox and within limits, before it is loaded for real."""

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from typing import Protocol

import structlog

from config.clients.spawner import CommandRefused, InputRefused, ProtectionUnmet, SpawnNotFound
from config.clock import new_id
from config.contracts.spawner import TRY_OUT_PROFILE, InputFile, Reason, SpawnRecord, SpawnRequest
from config.default_model import ModelUnusable
from config.errors import FleetError, Forbidden
from config.settings import MIB
from switch.local.child import NOT_HELD
from switch.local.process import QUIET_THREADS, SCRIPT, Order
from switch.local.registered import TrialUnfinished

WAIT_SECONDS = 30.0  # of one question to spawner; it is asked again as long as the trial goes on
MOST_SECONDS = 300.0
SPARE = 1.5  # times the memory that the model should take: a first estimate must not fail a good file
SPARE_BYTES = 512 * MIB

log = structlog.get_logger()


class RunsProcesses(Protocol):
    """spawner, as far as it matters here."""

    async def spawn(self, request: SpawnRequest, *, idempotency_key: str) -> SpawnRecord: ...
    async def kill(self, spawn_id: str) -> SpawnRecord: ...


class Trial:
    """Call it with what is to be loaded. Returns a sentence on how it went, for people; raises ModelUnusable when the file failed, and
    TrialUnfinished when there was no time to find out.

    Where no trial can be held (no spawner, no sandbox that shows the file) the sentence says so, and the file is loaded without.
    """

    def __init__(self, spawner: RunsProcesses) -> None:
        self._spawner = spawner

    async def __call__(self, order: Order, sha256: str, memory_bytes: int) -> str:
        request = SpawnRequest(
            name="switch-try-out",
            command="python3",
            args=["-P", "try.py", "--try"],
            env=QUIET_THREADS,
            stdin=json.dumps(asdict(order)) + "\n",
            files=[InputFile(path="try.py", content=SCRIPT.read_text())],
            profile=TRY_OUT_PROFILE,
            timeout_seconds=MOST_SECONDS,
            max_memory_mb=int(memory_bytes * SPARE + SPARE_BYTES) // MIB,
            max_processes=64,
            max_output_bytes=64 * 1024,
            ttl_seconds=60.0,
        )
        try:
            record = await self._run(request, new_id("try"))
        except (CommandRefused, InputRefused, ProtectionUnmet, Forbidden) as exc:
            return _not_held(f"spawner refused it: {exc.detail}", order)
        except FleetError as exc:
            return _not_held(f"spawner does not answer: {exc.detail}", order)
        return _verdict(record, order)

    async def _run(self, request: SpawnRequest, key: str) -> SpawnRecord:
        starting = asyncio.ensure_future(self._spawner.spawn(request, idempotency_key=key))
        try:
            record = await asyncio.shield(starting)
            waiting = request.model_copy(update={"wait_seconds": WAIT_SECONDS})
            while not record.status.is_final:
                record = await self._spawner.spawn(waiting, idempotency_key=key)
        except BaseException:  # nobody waits for the model any more, or spawner is gone
            await asyncio.shield(self._kill(starting))
            raise
        return record

    async def _kill(self, starting: "asyncio.Future[SpawnRecord]") -> None:
        with suppress(FleetError, SpawnNotFound):
            record = await starting
            if not record.status.is_final:
                await self._spawner.kill(record.spawn_id)


def _verdict(record: SpawnRecord, order: Order) -> str:
    """What a trial says of the file. Raises ModelUnusable, and TrialUnfinished."""
    said = (record.stderr.strip() or record.stdout.strip()).splitlines()
    last = said[-1].strip()[:300] if said else ""
    match record.reason:
        case Reason.EXITED if record.exit_code == 0:
            return f"tried out by spawner: {last}"
        case Reason.EXITED if record.exit_code == NOT_HELD:
            return _not_held(last, order)
        case Reason.REFUSED | Reason.LOST | Reason.KILLED:
            return _not_held(f"the trial was {record.reason}: {record.detail or ''}", order)
        case Reason.OOM:
            raise ModelUnusable(f"its trial needed more than {record.limits.max_memory_mb} MiB of memory")
        case Reason.TIMEOUT:
            raise TrialUnfinished(f"its trial was not done within {record.limits.timeout_seconds:g} seconds")
    ended = f"exit code {record.exit_code}" if record.signal is None else f"signal {record.signal}"
    raise ModelUnusable(f"its trial ended with {ended}{': ' + last if last else ''}")


def _not_held(why: str, order: Order) -> str:
    log.warning("local_model_not_tried_out", model=order.name, reason=why)
    return f"loaded without a trial: {why}"
