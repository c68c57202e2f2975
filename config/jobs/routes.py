"""Jobs over HTTP, the same in every service that has some; its `app.state.jobs` does the work."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from config.contracts.common import Job, Page, StatusEnum
from config.errors import JobNotFound, documented
from config.jobs.running import Jobs
from config.pages import PageDep
from config.sse import LastEventIdDep, event_stream

_EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}

jobs_router = APIRouter(tags=["jobs"])


async def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


JobsDep = Annotated[Jobs, Depends(_jobs)]


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
    """A job that has ended stays as it is; what it had fetched or made so far is removed."""
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
