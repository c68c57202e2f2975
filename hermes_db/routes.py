"""HTTP in, HTTP out: models, tools and how they were used; one call to the registry each."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from config.auth import CallerDep
from config.contracts.hermes_db import (
    LARGEST_INTEGER,
    Active,
    Cli,
    CliChange,
    CliFacts,
    CliNew,
    CliPage,
    Kind,
    Label,
    Model,
    ModelChange,
    ModelKept,
    ModelNew,
    ModelPage,
    ModelUse,
    ModelUseRecorded,
    SpecialtyName,
    Stats,
    UseBatch,
    UsesRecorded,
)
from config.contracts.hermes_db import CliName as CliNameText
from config.errors import Conflict, NotFound, documented
from config.idempotency import KeyDep
from config.pages import PageDep
from hermes_db.repository import CliFilter, ModelFilter
from hermes_db.service import Registry

router = APIRouter()


async def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


RegistryDep = Annotated[Registry, Depends(_registry)]
ModelId = Annotated[int, Path(ge=1, le=LARGEST_INTEGER)]
CliName = Annotated[CliNameText, Path()]
ActiveQuery = Annotated[Active, Query(description="Only active entries, only inactive ones, or all")]
ActiveOnlyQuery = Annotated[bool | None, Query(description="The original name: true is active=true, false active=all")]
SearchQuery = Annotated[str | None, Query(min_length=1, max_length=200, description="Part of a name, in any case")]


async def _model_filter(
    active: ActiveQuery = Active.ACTIVE,
    active_only: ActiveOnlyQuery = None,
    specialty: Annotated[SpecialtyName | None, Query(description="This specialty or one below it")] = None,
    source: Kind | None = None,
    model_type: Kind | None = None,
    tag: Label | None = None,
    max_size_bytes: Annotated[int | None, Query(ge=0, le=LARGEST_INTEGER)] = None,
    search: SearchQuery = None,
) -> ModelFilter:
    return ModelFilter(_either(active, active_only), specialty, source, model_type, tag, max_size_bytes, search)


async def _cli_filter(
    active: ActiveQuery = Active.ACTIVE,
    active_only: ActiveOnlyQuery = None,
    kind: Kind | None = None,
    answers_prompts: bool | None = None,
    search: SearchQuery = None,
) -> CliFilter:
    return CliFilter(_either(active, active_only), kind, answers_prompts, search)


def _either(active: Active, active_only: bool | None) -> Active:
    if active_only is None:
        return active
    return Active.ACTIVE if active_only else Active.ALL


@router.get("/models", response_model=ModelPage, summary="List models")
async def models(
    wanted: Annotated[ModelFilter, Depends(_model_filter)], page: PageDep, registry: RegistryDep
) -> Response:
    found = await registry.models(wanted, page)
    # What is our own contract already need not be taken apart and checked again: a fifth of what a long page costs.
    return Response(found.model_dump_json(), media_type="application/json")


@router.post("/models", status_code=201, summary="Register a model", responses=documented(Conflict))
async def register_model(body: ModelNew, caller: CallerDep, key: KeyDep, registry: RegistryDep) -> Model:
    return await registry.register_model(body, caller, key)


@router.put(
    "/models",
    summary="Register a model that lies on this box, or bring it up to date",
    responses=documented(Conflict) | {201: {"model": Model, "description": "The model was not known before"}},
)
async def keep_model(body: ModelKept, caller: CallerDep, registry: RegistryDep, response: Response) -> Model:
    """The one way of models whose file was read: what hermes fetched, and what a package brought.

    One that is known by its name or path gets the new facts of its file; name, tags, specialty and score stay, metadata is added to.
    """
    model, is_new = await registry.keep_model(body, caller)
    response.status_code = 201 if is_new else 200
    return model


@router.get("/models/{model_id}", summary="Show a model", responses=documented(NotFound))
async def model(model_id: ModelId, registry: RegistryDep) -> Model:
    return await registry.model(model_id)


@router.put("/models/{model_id}", summary="Replace what is known of a model", responses=documented(NotFound, Conflict))
async def replace_model(model_id: ModelId, body: ModelNew, caller: CallerDep, registry: RegistryDep) -> Model:
    return await registry.replace_model(model_id, body, caller)


@router.patch("/models/{model_id}", summary="Change a model", responses=documented(NotFound, Conflict))
async def change_model(model_id: ModelId, body: ModelChange, caller: CallerDep, registry: RegistryDep) -> Model:
    """Change what is sent and keep the rest. `{"is_active": true}` brings a deactivated model back."""
    return await registry.change_model(model_id, body, caller)


@router.delete("/models/{model_id}", summary="Deactivate a model", responses=documented(NotFound))
async def deactivate_model(model_id: ModelId, caller: CallerDep, registry: RegistryDep) -> Model:
    """Lists show it no more unless asked to. No file and no row is deleted: PATCH with `{"is_active": true}` brings it back."""
    return await registry.deactivate_model(model_id, caller)


@router.post("/models/{model_id}/usage", summary="Count one use of a model", responses=documented(NotFound, Conflict))
async def record_model_use(
    model_id: ModelId, caller: CallerDep, key: KeyDep, registry: RegistryDep, body: ModelUse | None = None
) -> ModelUseRecorded:
    return await registry.record_model_use(model_id, body or ModelUse(), caller, key)


@router.get("/clis", summary="List command-line tools")
async def clis(wanted: Annotated[CliFilter, Depends(_cli_filter)], page: PageDep, registry: RegistryDep) -> CliPage:
    return await registry.clis(wanted, page)


@router.post("/clis", status_code=201, summary="Register a tool", responses=documented(Conflict))
async def register_cli(body: CliNew, caller: CallerDep, key: KeyDep, registry: RegistryDep) -> Cli:
    return await registry.register_cli(body, caller, key)


@router.get("/clis/{name}", summary="Show a tool", responses=documented(NotFound))
async def cli(name: CliName, registry: RegistryDep) -> Cli:
    return await registry.cli(name)


@router.put(
    "/clis/{name}",
    summary="Register a tool, or replace what is known of it",
    responses=documented(Conflict) | {201: {"model": Cli, "description": "The tool was not known before"}},
)
async def put_cli(name: CliName, body: CliFacts, caller: CallerDep, registry: RegistryDep, response: Response) -> Cli:
    cli, is_new = await registry.put_cli(name, body, caller)
    response.status_code = 201 if is_new else 200
    return cli


@router.patch("/clis/{name}", summary="Change a tool", responses=documented(NotFound))
async def change_cli(name: CliName, body: CliChange, caller: CallerDep, registry: RegistryDep) -> Cli:
    """Change what is sent and keep the rest. `{"is_active": true}` brings a deactivated tool back."""
    return await registry.change_cli(name, body, caller)


@router.delete("/clis/{name}", summary="Deactivate a tool", responses=documented(NotFound))
async def deactivate_cli(name: CliName, caller: CallerDep, registry: RegistryDep) -> Cli:
    """Lists show it no more unless asked to. PATCH with `{"is_active": true}` brings it back."""
    return await registry.deactivate_cli(name, caller)


@router.post("/usage", summary="Record a batch of uses", responses=documented(Conflict))
async def record_uses(body: UseBatch, caller: CallerDep, key: KeyDep, registry: RegistryDep) -> UsesRecorded:
    """All of them or none: one that names a model or tool that does not exist refuses the batch, naming it."""
    return await registry.record_uses(body, caller, key)


@router.get("/stats", summary="What is registered, and how it was used")
async def stats(
    registry: RegistryDep,
    days: Annotated[int, Query(ge=1, le=3660, description="How many times 24 hours to look back")] = 30,
) -> Stats:
    return await registry.stats(days)
