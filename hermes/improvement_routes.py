"""HTTP in, HTTP out: better models than those kept."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from config.auth import CallerDep
from config.contracts.common import Job
from config.contracts.hermes import Improvements
from config.errors import FleetHalted, IdempotencyConflict, documented
from config.idempotency import KeyDep
from hermes.improvements import Improving

improvements_router = APIRouter(tags=["improvements"])


async def _improving(request: Request) -> Improving:
    improving: Improving = request.app.state.improving
    return improving


ImprovingDep = Annotated[Improving, Depends(_improving)]


@improvements_router.get("/improvements", summary="Better models than those kept, as found last")
async def last_improvements(improving: ImprovingDep) -> Improvements:
    return await improving.last()


@improvements_router.post(
    "/improvements/search",
    status_code=202,
    summary="Look for better models now, as a job",
    responses=documented(FleetHalted, IdempotencyConflict),
)
async def search_improvements(caller: CallerDep, key: KeyDep, improving: ImprovingDep) -> Job:
    """The search that is under way, if there is one. The job's `result` is what `GET /hermes/improvements` answers from then on."""
    return await improving.order(caller, key)
