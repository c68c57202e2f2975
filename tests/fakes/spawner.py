"""A spawner without a sandbox: it keeps to the contract (rows of daughter_tasks, calls to madre), and runs harmless commands for real."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import select, update

from config.clients.madre import MadreClient
from config.clock import new_id, utc_now
from config.contracts.common import StatusEnum
from config.contracts.spawner import (
    Artifact,
    DaughterRequest,
    DaughterResult,
    Limits,
    Reason,
    SpawnRecord,
    SpawnSummary,
)
from config.database import Database
from config.db_schema import DaughterTaskRow as Row
from config.errors import FleetError
from config.secrets import FleetSecrets
from config.settings import FleetSettings
from tests.fakes.line import over
from tests.fakes.neighbours import Fake, answer, problem


@dataclass
class FakeSpawner(Fake):
    """Daughters run while `works` is set; a test may end them itself. Jobs that were not born of a plan are put into `jobs`."""

    db: Database | None = None
    madre: MadreClient | None = None
    works: asyncio.Event = field(default_factory=asyncio.Event)
    calls_back: bool = True
    jobs: dict[str, SpawnRecord] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    halts: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _worker: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.works.set()

    # --- its routes -------------------------------------------------------------------------------------------------

    async def work(self, request: httpx.Request) -> httpx.Response:
        path, parts = request.url.path, request.url.path.strip("/").split("/")
        if path == "/spawner/daughters/wake":
            self.woken.set()
            return httpx.Response(204)
        if path == "/spawner/daughters/halt":
            self.halts += 1
            for daughter_id in list(self.running):
                await self.put_back(daughter_id)
            return httpx.Response(204)
        if parts[1] == "daughters" and parts[-1] == "cancel":
            self.cancelled.append(parts[2])
            await self.close(parts[2], StatusEnum.CANCELLED)
            return httpx.Response(204)
        if path == "/spawner/spawn/list":
            wanted = request.url.params
            found = [
                job
                for job in reversed(self.jobs.values())
                if (job.status in wanted.get_list("status") or "status" not in wanted)
                and wanted.get("name", job.name) == job.name
                and wanted.get("caller", job.caller) == job.caller
            ]
            items = [SpawnSummary.model_validate(job.model_dump()).model_dump(mode="json") for job in found]
            return answer({"items": items[: int(wanted.get("limit", 50))], "next_cursor": None})
        if parts[2] not in self.jobs:
            return problem("spawn_not_found", 404, f"there is no job {parts[2]}")
        if parts[-1] == "kill" and not self.jobs[parts[2]].status.is_final:
            ended = {"status": StatusEnum.CANCELLED, "reason": Reason.KILLED, "finished_at": utc_now()}
            self.jobs[parts[2]] = self.jobs[parts[2]].model_copy(update=ended)
        return answer(self.jobs[parts[2]])

    def add(self, name: str, *, status: StatusEnum = StatusEnum.RUNNING, caller: str = "owner", **values: Any) -> str:
        spawn_id = new_id("spawn")
        self.jobs[spawn_id] = SpawnRecord(
            spawn_id=spawn_id, name=name, status=status, command="sleep", args=["60"], queued_at=utc_now(), limits=Limits(),
            caller=caller, **values,
        )  # fmt: skip
        return spawn_id

    # --- its daughters ----------------------------------------------------------------------------------------------

    async def meet(self, settings: FleetSettings, secrets: FleetSecrets, madre: FastAPI) -> None:
        """Madre has started; so does spawner, the first time."""
        self.madre = MadreClient(settings, secrets, "spawner", line=over(httpx.ASGITransport(madre)))
        if self._worker is None:
            self.db = Database(settings.sqlalchemy_url(), "spawner")
            self._worker = asyncio.create_task(self._take_up())

    async def part(self) -> None:
        """Madre has ended."""
        if self.madre is not None:
            await self.madre.close()
        self.madre = None

    async def stop(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        for process in self.running.values():
            process.kill()
            await process.wait()
        if self.db is not None:
            await self.db.close()

    async def rows(self) -> list[Row]:
        assert self.db is not None
        async with self.db.read() as session:
            return list(await session.scalars(select(Row).order_by(Row.id)))

    async def close(self, daughter_id: str, status: StatusEnum, record: SpawnRecord | None = None) -> None:
        """Close a row that is open, as spawner does before it calls."""
        result = DaughterResult(daughter_task_id=daughter_id, status=status, spawn=record, attempts=1, fence=1)
        values = {"status": status, "result": result.model_dump(mode="json"), "finished_at": utc_now()}
        if await self._change(daughter_id, **values) and (process := self.running.pop(daughter_id, None)):
            process.kill()

    async def put_back(self, daughter_id: str) -> None:
        """Kill a running daughter, to be taken up again."""
        await self._change(daughter_id, status=StatusEnum.PENDING)
        if process := self.running.pop(daughter_id, None):
            process.kill()

    async def _change(self, daughter_id: str, **values: Any) -> bool:
        assert self.db is not None
        open_ones = Row.status.in_([StatusEnum.PENDING, StatusEnum.RUNNING])
        async with self.db.write() as session:
            done = await session.execute(update(Row).where(Row.id == daughter_id, open_ones).values(**values))
        return bool(done.rowcount)  # type: ignore[attr-defined]

    async def _take_up(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                await self.works.wait()
                for row in await self.rows():
                    if row.status == StatusEnum.PENDING:
                        leased = {"lease_by": "fake", "lease_until": utc_now() + timedelta(seconds=30)}
                        await self._change(
                            row.id, status=StatusEnum.RUNNING, attempts=row.attempts + 1, fence=row.fence + 1, **leased
                        )
                        tasks.add(asyncio.create_task(self._run(row)))
                self.woken.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self.woken.wait()
        finally:
            for task in tasks:
                task.cancel()

    async def _run(self, row: Row) -> None:
        spawn, started_at = DaughterRequest.model_validate(row.request).spawn, utc_now()
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(spawn.command, *spawn.args, stdout=pipe, stderr=pipe)
        self.running[row.id] = process
        stdout, stderr = await process.communicate()
        if self.running.pop(row.id, None) is None:
            return  # it was killed, by a cancel or a halt
        record = SpawnRecord(
            spawn_id=new_id("spawn"), name=spawn.name, status=StatusEnum.DONE if process.returncode == 0 else StatusEnum.ERROR,
            reason=Reason.EXITED, exit_code=process.returncode, command=spawn.command, args=spawn.args, stdout=stdout.decode(),
            stderr=stderr.decode(), stdout_bytes=len(stdout), stderr_bytes=len(stderr), queued_at=row.created_at,
            started_at=started_at, finished_at=utc_now(), limits=Limits(), caller=row.caller, daughter_task_id=row.id,
            artifacts=[Artifact(path="out.txt", size_bytes=3, sha256="0" * 64)] if spawn.artifacts else [],
        )  # fmt: skip
        self.jobs[record.spawn_id] = record
        await self.close(row.id, record.status, record)
        await self.call(row.id, record.status)

    async def call(self, daughter_id: str, status: StatusEnum) -> None:
        if self.calls_back and self.madre is not None:
            with contextlib.suppress(FleetError):  # a madre that is down is told by the row
                await self.madre.daughter_ended(DaughterResult(daughter_task_id=daughter_id, status=status))


def asked_paths(spawner: FakeSpawner) -> list[str]:
    return [request.url.path for request in spawner.asked]


def body_of(request: httpx.Request) -> Any:
    return json.loads(request.content)
