"""HTTP in, HTTP out: which providers there are."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from config.contracts.common import Page
from config.contracts.switch import KnownProvider
from config.pages import PageDep, page_of
from switch.providers.roster import Roster

router = APIRouter()


async def _roster(request: Request) -> Roster:
    roster: Roster = request.app.state.roster
    return roster


RosterDep = Annotated[Roster, Depends(_roster)]


@router.get("/providers", summary="Providers that switch knows, and which of them can be asked")
async def providers(
    page: PageDep,
    roster: RosterDep,
    usable: Annotated[bool | None, Query(description="Only those that can be asked now, or only the others")] = None,
) -> Page[KnownProvider]:
    """By name. A provider becomes usable when its key is set: in the settings, in one of its variables, or in hermes_db by its name."""
    fitting = [
        one
        for one in roster.known()
        if (usable is None or one.is_usable is usable) and (page.cursor is None or one.name > page.cursor)
    ]
    return page_of(fitting[: page.limit + 1], page, cursor="name")
