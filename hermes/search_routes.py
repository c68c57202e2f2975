"""HTTP in, HTTP out: searching."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from config.contracts.hermes import SearchRequest, SearchResult
from config.errors import documented
from hermes.errors import CatalogueUnavailable, HubBroken, HubRateLimited, HubTokenRefused, HubUnreachable
from hermes.search import Search

search_router = APIRouter(tags=["search"])


async def _search(request: Request) -> Search:
    search: Search = request.app.state.search
    return search


SearchDep = Annotated[Search, Depends(_search)]


@search_router.post(
    "/search",
    summary="Find models on the hub and elsewhere",
    responses=documented(HubTokenRefused, HubRateLimited, HubBroken, HubUnreachable, CatalogueUnavailable),
)
async def find_models(body: SearchRequest, search: SearchDep) -> SearchResult:
    """Ranked, with sizes and whether they fit this machine. A source that cannot be asked is a warning, unless no source answered."""
    return await search.find(body)
