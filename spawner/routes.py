"""Spawner's routes: HTTP in, one call to the service, HTTP out."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from config.auth import Caller, CallerDep
from config.contracts.common import Page, StatusEnum
from config.contracts.spawner import (
    Artifact,
    Logs,
    ProtectionsReport,
    RuntimeSample,
    SpawnRecord,
    SpawnRequest,
    SpawnSummary,
)
from config.errors import Forbidden, GrantRefused, IdempotencyConflict, StorageFull, documented
from config.idempotency import KeyDep
from config.pages import PageDep
from config.sse import LastEventIdDep, event_stream
from spawner.daughters import Daughters
from spawner.errors import (
    ArtifactNotFound,
    CommandRefused,
    DaughterNotFound,
    FleetHalted,
    InputRefused,
    LogsGone,
    ProtectionUnmet,
    QueueFull,
    SpawnNotFound,
)
from spawner.service import Spawner

MOST_LOG_BYTES, LEAST_LOG_BYTES = 1024 * 1024, 4  # a character may have four
LARGEST_OFFSET = 2**30 - 1
PIECE_BYTES = 256 * 1024

Documented = dict[int | str, dict[str, Any]]
_FINISHED: Documented = {
    202: {"model": SpawnRecord, "description": "It waits or runs"},
    200: {"model": SpawnRecord, "description": "It has ended within wait_seconds"},
}
_EVENTS: Documented = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}
_BYTES: Documented = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}

router = APIRouter(tags=["spawn"])
daughters_router = APIRouter(prefix="/daughters", tags=["daughters"])


async def _spawner(request: Request) -> Spawner:
    spawner: Spawner = request.app.state.spawner
    return spawner


async def _daughters(request: Request) -> Daughters:
    daughters: Daughters = request.app.state.daughters
    return daughters


async def _services_only(caller: CallerDep) -> Caller:
    if not caller.is_service:
        raise Forbidden("daughters are madre's: cancel the plan, or halt the fleet, and she sees to them")
    return caller


SpawnerDep = Annotated[Spawner, Depends(_spawner)]
DaughtersDep = Annotated[Daughters, Depends(_daughters)]
Id = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[\w.:@-]+$")]


@router.post(
    "/spawn",
    status_code=202,
    summary="Run a process",
    responses=_FINISHED
    | documented(
        CommandRefused,
        InputRefused,
        ProtectionUnmet,
        GrantRefused,
        IdempotencyConflict,
        FleetHalted,
        QueueFull,
        StorageFull,
    ),
)
async def spawn(
    body: SpawnRequest,
    response: Response,
    caller: CallerDep,
    spawner: SpawnerDep,
    key: KeyDep,
    grant: Annotated[str | None, Header(alias="X-VX11-Grant", max_length=4096)] = None,
) -> SpawnRecord:
    """In a sandbox, with no network unless a grant for exactly `{"command", "args", "network"}` or the scope spawner:network allows it.

    `command` is a bare name, looked up in the allowed folders, or an absolute path into them. With `wait_seconds` the answer waits for the
    end, and is 200 when that came. While the fleet is halted nothing new is taken.
    """
    record = await spawner.spawn(body, caller, grant, key)
    response.status_code = 200 if record.status.is_final else 202
    return record


@router.get("/spawn/list", summary="Jobs, newest first")
async def list_spawns(
    asker: CallerDep,
    spawner: SpawnerDep,
    page: PageDep,
    status: Annotated[list[StatusEnum] | None, Query()] = None,
    name: Annotated[str | None, Query(max_length=100, description="The whole name")] = None,
    caller: Annotated[str | None, Query(max_length=200, description="Whose jobs")] = None,
    daughter_task_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[SpawnSummary]:
    """One's own; the owner and services see everybody's."""
    return await spawner.page(
        page, asker, statuses=status or [], name=name, caller=caller, daughter_task_id=daughter_task_id
    )


@router.get("/spawn/{spawn_id}", summary="A job and how it went", responses=documented(SpawnNotFound))
@router.get("/spawn/{spawn_id}/status", summary="A job and how it went", responses=documented(SpawnNotFound))
async def get_spawn(spawn_id: Id, caller: CallerDep, spawner: SpawnerDep) -> SpawnRecord:
    return await spawner.record(spawn_id, caller)


@router.get(
    "/spawn/{spawn_id}/logs",
    summary="What a job has written, both streams from an offset on",
    responses=documented(SpawnNotFound, LogsGone),
)
async def logs(
    spawn_id: Id,
    caller: CallerDep,
    spawner: SpawnerDep,
    stdout_offset: Annotated[int, Query(ge=0, le=LARGEST_OFFSET)] = 0,
    stderr_offset: Annotated[int, Query(ge=0, le=LARGEST_OFFSET)] = 0,
    limit_bytes: Annotated[int, Query(ge=LEAST_LOG_BYTES, le=MOST_LOG_BYTES, description="Of each stream")] = 65_536,
) -> Logs:
    """Pieces are cut between characters; bytes that are no UTF-8 become U+FFFD. `total_bytes` is what is kept by now."""
    return await spawner.logs(spawn_id, caller, {"stdout": stdout_offset, "stderr": stderr_offset}, limit_bytes)


@router.get(
    "/spawn/{spawn_id}/events",
    summary="Follow a job to its end",
    response_class=StreamingResponse,
    responses=_EVENTS | documented(SpawnNotFound),
)
async def events(
    spawn_id: Id, request: Request, caller: CallerDep, spawner: SpawnerDep, last_event_id: LastEventIdDep
) -> StreamingResponse:
    """Events `stdout` and `stderr` with `{offset, text}` as it writes, and `status` with the job; the last one is its end."""
    await spawner.record(spawn_id, caller)
    return event_stream(spawner.events(spawn_id, caller, last_event_id), request)


@router.post("/spawn/{spawn_id}/kill", summary="End a job and all its processes", responses=documented(SpawnNotFound))
async def kill(spawn_id: Id, caller: CallerDep, spawner: SpawnerDep) -> SpawnRecord:
    """The job as it ended; one that has ended before stays as it is."""
    return await spawner.kill(spawn_id, caller)


@router.get("/spawn/{spawn_id}/artifacts", summary="Files that a job left", responses=documented(SpawnNotFound))
async def artifacts(spawn_id: Id, caller: CallerDep, spawner: SpawnerDep) -> Page[Artifact]:
    """Those that match the globs of its request, with their hashes; known when it has ended."""
    return Page[Artifact](items=(await spawner.record(spawn_id, caller)).artifacts)


@router.get(
    "/spawn/{spawn_id}/artifacts/{path:path}",
    summary="One of the files",
    response_class=StreamingResponse,
    responses=_BYTES | documented(SpawnNotFound, ArtifactNotFound),
)
async def artifact(
    spawn_id: Id, path: Annotated[str, Path(max_length=4096)], caller: CallerDep, spawner: SpawnerDep
) -> StreamingResponse:
    found, descriptor = await spawner.artifact(spawn_id, path, caller)
    headers = {
        "Content-Length": str(found.size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2], safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "ETag": f'"{found.sha256}"',
        "Cache-Control": "private, no-store",
    }
    return _Bytes(descriptor, found.size_bytes, headers)


@router.get("/spawn/{spawn_id}/samples", summary="What a job used while it ran", responses=documented(SpawnNotFound))
async def samples(spawn_id: Id, caller: CallerDep, spawner: SpawnerDep, page: PageDep) -> Page[RuntimeSample]:
    """About one a second, oldest first; kept for as long as the job's folder."""
    return await spawner.samples(spawn_id, page, caller)


@router.get("/protections", summary="What jobs are kept from on this machine")
async def protections(spawner: SpawnerDep) -> ProtectionsReport:
    """Found at the start, by running each way to run a job."""
    return spawner.report


@daughters_router.post(
    "/wake",
    status_code=204,
    summary="There is a new daughter",
    dependencies=[Depends(_services_only)],
)
async def wake(daughters: DaughtersDep) -> None:
    """Only for services."""
    daughters.wake()


@daughters_router.post(
    "/halt",
    status_code=204,
    summary="End everything that runs, because the fleet was halted",
    dependencies=[Depends(_services_only)],
)
async def halt(daughters: DaughtersDep, spawner: SpawnerDep) -> None:
    """Only for services. Daughters wait again; other jobs are killed (`the fleet was halted`), and those of them that wait keep their turn.
    None starts until madre's halt is over."""
    await asyncio.gather(daughters.halt(), spawner.halt())


@daughters_router.post(
    "/{daughter_id}/cancel",
    status_code=204,
    summary="End a daughter, waiting or running",
    responses=documented(DaughterNotFound),
    dependencies=[Depends(_services_only)],
)
async def cancel(daughter_id: Id, daughters: DaughtersDep) -> None:
    """Only for services. One that has ended stays as she is."""
    await daughters.cancel(daughter_id)


class _Bytes(StreamingResponse):
    """The bytes of an open file, which is closed whatever becomes of the answer."""

    def __init__(self, descriptor: int, size_bytes: int, headers: dict[str, str]) -> None:
        self._descriptor = descriptor
        super().__init__(self._pieces(size_bytes), media_type="application/octet-stream", headers=headers)

    async def __call__(self, *args: Any) -> None:
        try:
            await super().__call__(*args)
        finally:
            os.close(self._descriptor)

    async def _pieces(self, left: int) -> AsyncIterator[bytes]:
        while left > 0:
            piece = await asyncio.to_thread(os.read, self._descriptor, min(PIECE_BYTES, left))
            if not piece:
                return  # shorter than it was: the length that was promised is missed, and the client sees it
            left -= len(piece)
            yield piece
