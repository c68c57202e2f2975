"""HTTP in, HTTP out: models."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request

from config.auth import CallerDep
from config.contracts.common import Job
from config.contracts.hermes import DownloadRequest, KeptModels, ModelRemoved, Upkeep, Verification
from config.contracts.hermes_db import LARGEST_INTEGER
from config.errors import (
    Conflict,
    FleetHalted,
    GrantRefused,
    IdempotencyConflict,
    StorageFull,
    UpstreamUnavailable,
    documented,
)
from config.idempotency import KeyDep
from config.pages import PageDep
from hermes.downloads import Downloads
from hermes.errors import (
    FileNotOnHub,
    FileRefused,
    FilesNotChosen,
    GatedModel,
    HubBroken,
    HubRateLimited,
    HubTokenRefused,
    HubUnreachable,
    ModelInUse,
    ModelNotFound,
    ModelNotOnHub,
    ModelTooLarge,
    RevisionNotFound,
)
from hermes.kept import Models
from hermes.maintenance import Maintenance


async def _downloads(request: Request) -> Downloads:
    downloads: Downloads = request.app.state.downloads
    return downloads


async def _models(request: Request) -> Models:
    models: Models = request.app.state.models
    return models


DownloadsDep = Annotated[Downloads, Depends(_downloads)]
ModelsDep = Annotated[Models, Depends(_models)]
ModelId = Annotated[int, Path(ge=1, le=LARGEST_INTEGER)]
GrantHeader = Annotated[str | None, Header(alias="X-VX11-Grant", max_length=4096)]

models_router = APIRouter(tags=["models"])


@models_router.post(
    "/download",
    status_code=202,
    summary="Fetch a model, as a job",
    responses=documented(
        FleetHalted,
        HubTokenRefused,
        GatedModel,
        ModelNotOnHub,
        RevisionNotFound,
        FileNotOnHub,
        IdempotencyConflict,
        Conflict,
        FilesNotChosen,
        FileRefused,
        ModelTooLarge,
        HubRateLimited,
        HubBroken,
        HubUnreachable,
        UpstreamUnavailable,
        StorageFull,
    ),
)
async def download(body: DownloadRequest, caller: CallerDep, downloads: DownloadsDep, key: KeyDep) -> Job:
    """Every file is proved by the hub's own hash and read by the antivirus where there is one, before any of it can be seen; the job's
    `result` is the registered Model. What is here already is told at once, and the same download under way is not begun twice."""
    return await downloads.order(body, caller, key)


@models_router.get("/models", summary="The models of this box", responses=documented(UpstreamUnavailable))
async def list_models(models: ModelsDep, page: PageDep) -> KeptModels:
    """Those of the registry that are in use, oldest first."""
    return await models.page(page)


@models_router.post(
    "/models/{model_id}/verify",
    summary="Read every file of a model again",
    responses=documented(ModelNotFound, Conflict, UpstreamUnavailable),
)
async def verify_model(model_id: ModelId, models: ModelsDep) -> Verification:
    """Each file's SHA-256 is compared with what was proved when it was fetched; a model with a wrong file is taken out of use."""
    return await models.verify(model_id)


@models_router.delete(
    "/models/{model_id}",
    summary="Remove a model and its files; needs a grant or the scope hermes:delete_model",
    responses=documented(
        GrantRefused, FleetHalted, ModelNotFound, ModelInUse, IdempotencyConflict, UpstreamUnavailable
    ),
)
async def delete_model(
    model_id: ModelId, caller: CallerDep, models: ModelsDep, key: KeyDep, grant: GrantHeader = None
) -> ModelRemoved:
    """One whose file hermes did not fetch is only taken out of use."""
    return await models.delete(model_id, caller, grant, key)


@models_router.post(
    "/maintenance",
    summary="Keep house: remove models beyond the limits; needs a grant or the scope hermes:maintenance, unless it is a dry run",
    responses=documented(GrantRefused, FleetHalted, UpstreamUnavailable),
)
async def maintain(
    request: Request,
    caller: CallerDep,
    dry_run: Annotated[bool, Query(description="Only tell what would be done")] = True,
    grant: GrantHeader = None,
) -> Upkeep:
    """Least recently used and worst performing first; never one that is loaded, was used or added in the last week, scores above 0.7, or is
    among the last two of its specialty."""
    maintenance: Maintenance = request.app.state.maintenance
    if dry_run:
        caller.require("hermes:write")
        return await maintenance.plan()
    return await maintenance.run_granted(request.app.state.ground, caller, grant)
