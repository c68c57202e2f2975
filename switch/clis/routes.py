"""HTTP in, HTTP out: the tools that answer prompts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from config.contracts.common import Page
from config.contracts.switch import CliStatus
from switch.clis.hub import CliHub

router = APIRouter()


async def _hub(request: Request) -> CliHub:
    hub: CliHub = request.app.state.clis
    return hub


@router.get("/clis", summary="Command-line tools that answer prompts")
async def clis(hub: Annotated[CliHub, Depends(_hub)]) -> Page[CliStatus]:
    """Those of hermes_db's registry, and for those that are not asked the reason."""
    return Page[CliStatus](items=hub.status())
