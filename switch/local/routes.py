"""The routes of the local models: what is in memory, who waits, and having another model loaded."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, status

from config.clients.switch import UnknownModel
from config.contracts.switch import QueueStatus, RotateRequest, RotationStatus
from config.errors import Conflict, documented
from switch.local.models import LocalModels

router = APIRouter()


async def _local(request: Request) -> LocalModels:
    local: LocalModels = request.app.state.local
    return local


LocalDep = Annotated[LocalModels, Depends(_local)]


@router.get("/queue", summary="Who waits for local models")
async def queue(local: LocalDep) -> QueueStatus:
    return local.queue_status()


@router.get("/rotation", summary="Which local models are in memory")
async def rotation(local: LocalDep) -> RotationStatus:
    return local.status()


@router.post(
    "/rotate",
    summary="Have a local model loaded, and make it the active one",
    status_code=status.HTTP_202_ACCEPTED,
    responses=documented(UnknownModel, Conflict),
)
async def rotate(local: LocalDep, body: RotateRequest | None = None) -> RotationStatus:
    """Comes back at once; `GET /switch/rotation` tells when it is done. Without a model the policy chooses one."""
    return local.rotate(None if body is None else body.model)
