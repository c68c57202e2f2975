"""HTTP in, HTTP out: models and jobs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from config.auth import CallerDep
from config.contracts.common import Job, Page, StatusEnum
from config.contracts.hermes import DownloadRequest
from config.errors import Conflict, IdempotencyConflict, StorageFull, documented
from config.idempotency import KeyDep
from config.pages import PageDep
from config.sse import LastEventIdDep, event_stream
from hermes.downloads import Downloads
from hermes.errors import (
    FileNotOnHub,
    FileRefused,
    FilesNotChosen,
    GatedModel,
    HubBroken,
    HubRateLimited,
    HubTokenRefused,
    HubUnreachable,
    JobNotFound,
    ModelNotOnHub,
    ModelTooLarge,
    RevisionNotFound,
)
from hermes.jobs import Jobs


async def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


async def _downloads(request: Request) -> Downloads:
    downloads: Downloads = request.app.state.downloads
    return downloads


JobsDep = Annotated[Jobs, Depends(_jobs)]
DownloadsDep = Annotated[Downloads, Depends(_downloads)]

Documented = dict[int | str, dict[str, Any]]

models_router = APIRouter(tags=["models"])
jobs_router = APIRouter(tags=["jobs"])

_EVENTS: Documented = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@models_router.post(
    "/download",
    status_code=202,
    summary="Fetch a model, as a job",
    responses=documented(
        HubTokenRefused,
        GatedModel,
        ModelNotOnHub,
        RevisionNotFound,
        FileNotOnHub,
        IdempotencyConflict,
        Conflict,
        FilesNotChosen,
        FileRefused,
        ModelTooLarge,
        HubRateLimited,
        HubBroken,
        HubUnreachable,
        StorageFull,
    ),
)
async def download(body: DownloadRequest, caller: CallerDep, downloads: DownloadsDep, key: KeyDep) -> Job:
    """Every file is proved by the hub's own hash and read by the antivirus where there is one, before any of it can be seen; the job's
    `result` is the registered Model. What is here already is told at once, and the same download under way is not begun twice."""
    return await downloads.order(body, caller, key)


@jobs_router.get("/jobs", summary="Jobs, newest first")
async def list_jobs(
    jobs: JobsDep,
    page: PageDep,
    status: Annotated[list[StatusEnum] | None, Query()] = None,
    kind: Annotated[str | None, Query(max_length=20)] = None,
) -> Page[Job]:
    return await jobs.page(page, statuses=status or [], kind=kind)


@jobs_router.get("/jobs/{job_id}", summary="Where a job stands", responses=documented(JobNotFound))
async def get_job(job_id: str, jobs: JobsDep) -> Job:
    return await jobs.job(job_id)


@jobs_router.post("/jobs/{job_id}/cancel", summary="Stop a job", responses=documented(JobNotFound))
async def cancel_job(job_id: str, jobs: JobsDep) -> Job:
    """A job that has ended stays as it is; what a download had fetched is removed."""
    return await jobs.cancel(job_id)


@jobs_router.get(
    "/jobs/{job_id}/events",
    summary="Follow a job to its end",
    response_class=StreamingResponse,
    responses=_EVENTS | documented(JobNotFound),
)
async def job_events(job_id: str, request: Request, jobs: JobsDep, last_event_id: LastEventIdDep) -> StreamingResponse:
    """Events `pending`, `running`, `done`, `error`, `cancelled`; `data` is the job."""
    await jobs.job(job_id)
    return event_stream(jobs.events(job_id, last_event_id), request)
