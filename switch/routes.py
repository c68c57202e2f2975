"""HTTP in, HTTP out: one call to the router each. `/v1/chat/completions` is in completions.py."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from config.auth import CallerDep
from config.clients.switch import (
    BudgetExceeded,
    ModelRefused,
    NoModelReachable,
    ProviderFailed,
    ProviderLimited,
    ProviderRefused,
    SwitchBusy,
    UnknownModel,
)
from config.contracts.switch import (
    Decision,
    QueryReply,
    QueryRequest,
    RegistryStatus,
    RouteReply,
    RouteRequest,
    SwitchStatus,
)
from config.errors import Forbidden, IdempotencyConflict, NotFound, NotInFleet, documented
from config.idempotency import KeyDep
from switch.client_watch import CLIENT_CLOSED_REQUEST, ClientWatch
from switch.service import Switch

router = APIRouter()


async def switch_of(request: Request) -> Switch:
    switch: Switch = request.app.state.switch
    return switch


SwitchDep = Annotated[Switch, Depends(switch_of)]
REFUSALS = (
    BudgetExceeded,
    ModelRefused,
    ProviderLimited,
    ProviderRefused,
    ProviderFailed,
    NoModelReachable,
    SwitchBusy,
)


@router.post(
    "/route",
    summary="Answer a prompt with the model that fits",
    response_model=RouteReply,
    responses=documented(IdempotencyConflict, UnknownModel, *REFUSALS),
)
async def route(
    body: RouteRequest, caller: CallerDep, key: KeyDep, switch: SwitchDep, request: Request
) -> RouteReply | Response:
    with ClientWatch(request.receive):
        return await switch.route(body, caller, key)
    return Response(status_code=CLIENT_CLOSED_REQUEST)


@router.post(
    "/query",
    summary="The same, as the original documents ask",
    response_model=QueryReply,
    responses=documented(IdempotencyConflict, UnknownModel, NotInFleet, *REFUSALS),
)
async def query(
    body: QueryRequest, caller: CallerDep, key: KeyDep, switch: SwitchDep, request: Request
) -> QueryReply | Response:
    with ClientWatch(request.receive):
        return await switch.query(body, caller, key)
    return Response(status_code=CLIENT_CLOSED_REQUEST)


@router.get("/decisions/{decision_id}", summary="Why a model was chosen", responses=documented(NotFound))
async def decision(
    decision_id: Annotated[str, Path(max_length=64, pattern=r"^[\w-]+$")], switch: SwitchDep
) -> Decision:
    return await switch.decision(decision_id)


@router.get("/status", summary="What can be asked, and how it is")
async def status(switch: SwitchDep) -> SwitchStatus:
    return await switch.status()


@router.post("/registry/refresh", summary="Read the registry's models and tools again", responses=documented(Forbidden))
async def refresh_registry(caller: CallerDep, switch: SwitchDep) -> RegistryStatus:
    return await switch.refresh_registry(caller)
