"""HTTP in, HTTP out: command-line tools."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from config.contracts.hermes import CliScan
from hermes.clis.tools import Tools


async def _tools(request: Request) -> Tools:
    tools: Tools = request.app.state.tools
    return tools


ToolsDep = Annotated[Tools, Depends(_tools)]
PresentQuery = Annotated[bool | None, Query(description="Only tools that are here, or only those that are not")]
KindQuery = Annotated[str | None, Query(max_length=50, description="Only tools of this kind")]
PromptsQuery = Annotated[bool | None, Query(description="Only tools that answer prompts, or only those that do not")]

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
