"""HTTP in, pictures out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from config.contracts.shub import Target
from config.errors import StorageFull, documented
from shub.errors import AnalysisTooSlow, AssetNotFound, AudioProblem, AudioWorkerLost
from shub.picture_names import DEFAULT_TARGET, Picture, PictureKind
from shub.pictures import Pictures


async def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.pictures
    return pictures


PicturesDep = Annotated[Pictures, Depends(_pictures)]

pictures_router = APIRouter(tags=["pictures"])

_PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


@pictures_router.get(
    "/assets/{asset_id}/pictures/{kind}.png",
    summary="A picture of a file: waveform, spectrogram or loudness over time",
    response_class=Response,
    responses=_PNG | documented(AssetNotFound, AudioProblem, AnalysisTooSlow, AudioWorkerLost, StorageFull),
)
async def get_picture(
    asset_id: str,
    kind: PictureKind,
    pictures: PicturesDep,
    width: Annotated[int, Query(ge=320, le=4096)] = 1200,
    height: Annotated[int, Query(ge=200, le=2160)] = 400,
    target: Annotated[Target, Query(description="What the loudness is shown against")] = DEFAULT_TARGET,
) -> Response:
    """In pixels. The waveform shows peaks, RMS and what is cut off; the spectrogram 90 dB from 20 Hz to 20 kHz; the loudness every scale of
    EBU R 128, the target and the ceiling."""
    content = await pictures.png(asset_id, Picture(kind, width, height, target))
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})
