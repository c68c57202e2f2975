"""HTTP in, HTTP out."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from config.auth import CallerDep
from config.contracts.common import Job, Page
from config.contracts.shub import Asset, AssetDeleted, ChainCheck, ChainRequest, MasterRequest, MixRequest, NamedChain
from config.contracts.shub_analysis import AnalyzeRequest, AudioAnalysis
from config.errors import (
    BodyTooLarge,
    FleetHalted,
    GrantRefused,
    IdempotencyConflict,
    InvalidRequest,
    StorageFull,
    documented,
)
from config.idempotency import KeyDep
from config.pages import PageDep
from shub.assets import Assets
from shub.chaining import CHAIN, check
from shub.chains import CHAINS, ChainNotFound
from shub.errors import (
    AnalysisTooSlow,
    AssetInUse,
    AssetNotFound,
    AudioProblem,
    AudioWorkerLost,
    CallerGone,
    NoSuchPart,
    UnsupportedAudio,
    UploadBroken,
    UploadMissing,
)
from shub.making import Making
from shub.mastering import MASTER
from shub.mixing import MIX
from shub.sending import AudioFile

MEDIA_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg"}

Reply = TypeVar("Reply")


async def _assets(request: Request) -> Assets:
    assets: Assets = request.app.state.assets
    return assets


async def _making(request: Request) -> Making:
    making: Making = request.app.state.making
    return making


AssetsDep = Annotated[Assets, Depends(_assets)]
MakingDep = Annotated[Making, Depends(_making)]

Documented = dict[int | str, dict[str, Any]]

assets_router = APIRouter(tags=["assets"])
making_router = APIRouter(tags=["jobs"])

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": _FILE, "name": {"type": "string"}},
                }
            },
            "application/octet-stream": {"schema": _FILE},
        },
    }
}


_KNOWN: Documented = {200: {"model": Asset, "description": "The same content is here already: the file that holds it"}}
_CHECKED: Documented = {200: {"model": ChainCheck, "description": "What the chain would do (`dry_run`)"}}
_CONTENT: Documented = {
    200: {"content": {kind: {"schema": _FILE} for kind in MEDIA_TYPES.values()}},
    206: {"description": "The part that Range asked for"},
}


@assets_router.post(
    "/assets",
    status_code=201,
    summary="Upload an audio file",
    openapi_extra=_UPLOAD,
    responses=_KNOWN
    | documented(
        UploadMissing, UploadBroken, BodyTooLarge, UnsupportedAudio, AudioProblem, IdempotencyConflict, StorageFull
    ),
)
async def upload(
    request: Request,
    response: Response,
    caller: CallerDep,
    assets: AssetsDep,
    key: KeyDep,
    name: Annotated[str | None, Query(max_length=500, description="Its name, when the body is the file itself")] = None,
) -> Asset:
    """WAV, FLAC, MP3 or Ogg (Vorbis, Opus, FLAC), as the field `file` of a multipart form or as the body itself.

    The bytes decide what it is; a name that ends like another format is refused.
    """
    asset, is_new = await assets.take_in(request, name, caller, key)
    response.status_code = 201 if is_new else 200
    return asset


@assets_router.get("/assets", summary="Audio files, newest first")
async def list_assets(
    assets: AssetsDep,
    page: PageDep,
    name: Annotated[str | None, Query(max_length=200, description="Part of the name")] = None,
    format_: Annotated[Literal["wav", "flac", "mp3", "ogg"] | None, Query(alias="format")] = None,
) -> Page[Asset]:
    return await assets.page(page, name=name, format_=format_)


@assets_router.get("/assets/{asset_id}", summary="What is known of a file", responses=documented(AssetNotFound))
async def get_asset(asset_id: str, assets: AssetsDep) -> Asset:
    return await assets.asset(asset_id)


@assets_router.api_route(
    "/assets/{asset_id}/content",
    methods=["GET", "HEAD"],
    summary="The file itself; takes Range",
    response_class=AudioFile,
    responses=_CONTENT | documented(AssetNotFound, NoSuchPart),
)
async def get_content(asset_id: str, assets: AssetsDep) -> AudioFile:
    asset, path = await assets.content(asset_id)
    headers = {"ETag": f'"{asset.sha256}"', "Cache-Control": "private, max-age=31536000, immutable"}
    return AudioFile(path, media_type=MEDIA_TYPES[asset.format], filename=asset.name, headers=headers)


@assets_router.delete(
    "/assets/{asset_id}",
    summary="Delete a file; needs a grant or the scope shub:delete",
    responses=documented(GrantRefused, AssetNotFound, AssetInUse, IdempotencyConflict),
)
async def delete_asset(
    asset_id: str,
    caller: CallerDep,
    assets: AssetsDep,
    key: KeyDep,
    grant: Annotated[str | None, Header(alias="X-VX11-Grant", max_length=4096)] = None,
) -> AssetDeleted:
    return await assets.delete(asset_id, caller, grant, key)


@assets_router.post(
    "/analyze",
    summary="Measure a file: loudness, peaks, clipping, spectrum, stereo, tempo, key, with verdicts",
    responses=documented(AssetNotFound, AudioProblem, AnalysisTooSlow, AudioWorkerLost),
)
async def analyze(body: AnalyzeRequest, request: Request, assets: AssetsDep) -> AudioAnalysis:
    """Loudness and peaks to ITU-R BS.1770 and EBU R 128; silence is null. Each measure has a verdict against `target`, in two languages."""
    return await _unless_gone(request, assets.analyze(body))


@making_router.get("/chains", summary="The chains that come with the house")
async def list_chains() -> Page[NamedChain]:
    """Name one in `POST /shub/chain`, or take its effects over and change them."""
    return Page(items=list(CHAINS))


@making_router.post(
    "/chain",
    status_code=202,
    summary="Effects on one file, as a job; with `dry_run`, only a check",
    responses=_CHECKED | documented(AssetNotFound, ChainNotFound, InvalidRequest, IdempotencyConflict, FleetHalted),
)
async def chain(
    body: ChainRequest, response: Response, caller: CallerDep, making: MakingDep, assets: AssetsDep, key: KeyDep
) -> Job | ChainCheck:
    """The file stays as it is; what is made is a new one, whose provenance says from what, by which chain and which versions.

    The same order makes the same bytes. No effects at all is an export into another format.
    """
    if body.dry_run:
        response.status_code = 200
        return check(body, await assets.asset(body.asset_id))
    return await making.order(CHAIN, body, caller, key)


@making_router.post(
    "/mix",
    status_code=202,
    summary="Mix stems, as a job",
    responses=documented(AssetNotFound, InvalidRequest, IdempotencyConflict, FleetHalted),
)
async def mix(body: MixRequest, caller: CallerDep, making: MakingDep, key: KeyDep) -> Job:
    """Each stem is staged to its level (or that of its role), goes through its chain, stands at its level again, is placed and summed, over
    buses or not; the sum goes through the chain of the mix and is brought to `target_lufs` under `ceiling_dbtp`.

    `auto` finds places and room for the stems; with `dry_run` the result is only what it would do, as an order that can be edited and sent.
    """
    return await making.order(MIX, body, caller, key)


@making_router.post(
    "/master",
    status_code=202,
    summary="Bring a file to a target or near to a reference, as a job",
    responses=documented(AssetNotFound, InvalidRequest, IdempotencyConflict, FleetHalted),
)
async def master(body: MasterRequest, caller: CallerDep, making: MakingDep, key: KeyDep) -> Job:
    """The result says the chain that was applied, which `POST /shub/chain` can apply again; with `dry_run` it is only proposed.

    The ceiling wins over the loudness; what is missing then is told.
    """
    return await making.order(MASTER, body, caller, key)


async def _unless_gone(request: Request, work: Awaitable[Reply]) -> Reply:
    """The result of `work`, which is stopped when the client goes away. Raises CallerGone."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait([working, gone], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise CallerGone("the client closed the connection; the work was stopped")
    finally:
        gone.cancel()
        working.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
