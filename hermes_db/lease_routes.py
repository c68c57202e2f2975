"""HTTP in, HTTP out: turns with command-line tools."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from config.auth import CallerDep
from config.contracts.hermes_db import CliName, Lease, LeaseNew, LeaseReturn
from config.errors import Conflict, NotFound, TooManyRequests, documented
from config.idempotency import KeyDep
from hermes_db.leases import Leases

router = APIRouter(tags=["turns"])


async def _leases(request: Request) -> Leases:
    leases: Leases = request.app.state.leases
    return leases


LeasesDep = Annotated[Leases, Depends(_leases)]
Name = Annotated[CliName, Path()]
LeaseId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_]+$")]


@router.post(
    "/clis/{name}/leases",
    status_code=201,
    summary="Take a turn with a tool",
    responses=documented(NotFound, Conflict, TooManyRequests),
)
async def take(name: Name, caller: CallerDep, key: KeyDep, leases: LeasesDep, body: LeaseNew | None = None) -> Lease:
    """Before the tool is run. 429 names the limit that is reached (`limit`), and `Retry-After` when a turn can be had at the latest."""
    return await leases.take(name, body or LeaseNew(), caller, key)


@router.delete(
    "/clis/{name}/leases/{lease_id}",
    summary="Give a turn back, and tell how the tool did",
    responses=documented(NotFound),
)
async def give_back(
    name: Name, lease_id: LeaseId, caller: CallerDep, leases: LeasesDep, body: LeaseReturn | None = None
) -> Lease:
    """Counted as one use of the tool. A turn that is not given back ends at `expires_at` and counts as no use."""
    return await leases.give_back(name, lease_id, body or LeaseReturn(), caller)
