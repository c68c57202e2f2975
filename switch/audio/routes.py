"""HTTP in, HTTP out: audio mode, under the name that the original documents gave it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from config.auth import CallerDep
from config.contracts.switch import ShubActivateRequest, ShubModeStatus
from config.errors import Forbidden, documented
from switch.audio.mode import AudioMode

router = APIRouter(prefix="/shub")


async def _audio(request: Request) -> AudioMode:
    audio: AudioMode = request.app.state.audio
    return audio


AudioDep = Annotated[AudioMode, Depends(_audio)]


@router.post("/activate", summary="Read every request as one about audio", responses=documented(Forbidden))
async def activate(caller: CallerDep, audio: AudioDep, body: ShubActivateRequest | None = None) -> ShubModeStatus:
    """Or only those that look like it, with `active: false`. For services and the owner; kept in memory, until switch ends."""
    if not (caller.is_service or "*" in caller.scopes):
        raise Forbidden("only services of the fleet and the owner change how everybody's requests are read")
    audio.activate((body or ShubActivateRequest()).active)
    return await audio.status()


@router.get("/status", summary="Whether audio mode is on, and what shub does for it")
async def status(audio: AudioDep) -> ShubModeStatus:
    return await audio.status()
