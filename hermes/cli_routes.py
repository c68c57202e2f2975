"""HTTP in, HTTP out: command-line tools."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from config.auth import CallerDep
from config.contracts.common import Job
from config.contracts.hermes import CliScan, DiscoverRequest
from config.errors import FleetHalted, IdempotencyConflict, documented
from config.idempotency import KeyDep
from hermes.clis.tools import Tools
from hermes.discover.discoveries import Discoveries
from hermes.discover.errors import BrowserMissing


async def _tools(request: Request) -> Tools:
    tools: Tools = request.app.state.tools
    return tools


async def _discoveries(request: Request) -> Discoveries:
    discoveries: Discoveries = request.app.state.discoveries
    return discoveries


ToolsDep = Annotated[Tools, Depends(_tools)]
DiscoveriesDep = Annotated[Discoveries, Depends(_discoveries)]
PresentQuery = Annotated[bool | None, Query(description="Only tools that are here, or only those that are not")]
KindQuery = Annotated[str | None, Query(max_length=50, description="Only tools of this kind")]
PromptsQuery = Annotated[bool | None, Query(description="Only tools that answer prompts, or only those that do not")]

_ENDED: dict[int | str, dict[str, Any]] = {200: {"model": Job, "description": "It ended within `wait_seconds`"}}

cli_router = APIRouter(tags=["clis"])


@cli_router.get("/clis", summary="The command-line tools of this box")
async def list_clis(
    tools: ToolsDep, present: PresentQuery = None, kind: KindQuery = None, answers_prompts: PromptsQuery = None
) -> CliScan:
    """By the last look. A version that is `pending` comes in the background."""
    return await tools.found(present=present, kind=kind, answers_prompts=answers_prompts)


@cli_router.post("/clis/scan", summary="Look for the tools again")
async def scan_clis(
    tools: ToolsDep, present: PresentQuery = None, kind: KindQuery = None, answers_prompts: PromptsQuery = None
) -> CliScan:
    """Answers at once. What changed is then written into the registry, and switch is told."""
    return await tools.scan(present=present, kind=kind, answers_prompts=answers_prompts)


@cli_router.post(
    "/cli/discover",
    status_code=202,
    summary="Look for how a tool is installed",
    responses=_ENDED | documented(BrowserMissing, FleetHalted, IdempotencyConflict),
)
async def discover_cli(
    body: DiscoverRequest, response: Response, caller: CallerDep, discoveries: DiscoveriesDep, key: KeyDep
) -> Job:
    """`registry` asks the package indexes of the machine's own pip and npm; `browser` looks at pages with a real Chromium.

    The job's `result` says what they say, where, and how far that is to be believed. Nothing of it is run.
    """
    job = await discoveries.discover(body, caller, key)
    response.status_code = 200 if job.status.is_final else 202
    return job
