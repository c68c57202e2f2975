"""Madre's routes: HTTP in, one call to the service, HTTP out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from config.auth import CallerDep
from config.clients.spawner import DaughterNotFound
from config.contracts.common import Page
from config.contracts.spawner import DaughterResult
from config.errors import Conflict, FleetHalted, Forbidden, IdempotencyConflict, InvalidRequest, documented
from config.idempotency import KeyDep
from config.pages import PageDep
from config.sse import LastEventIdDep, event_stream
from madre.core.models import (
    ChatRequest,
    ChatResponse,
    ConfirmRequest,
    ConfirmResponse,
    ControlRequest,
    ControlResponse,
    HaltRequest,
    HaltState,
    IntentName,
    IntentV2,
    ParseRequest,
    PlanSummary,
    PlanV2,
    Session,
    StatusEnum,
)
from madre.errors import (
    ConfirmationRefused,
    PlanNotCancellable,
    PlanNotFound,
    SessionNotFound,
    UnknownControl,
)
from madre.service import Madre

router = APIRouter(tags=["madre"])


async def _madre(request: Request) -> Madre:
    madre: Madre = request.app.state.madre
    return madre


MadreDep = Annotated[Madre, Depends(_madre)]
Id = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[\w.:@-]+$")]
Responses = dict[int | str, dict[str, Any]]
ACCEPTED: Responses = {202: {"model": ChatResponse, "description": "Accepted: under way, or waiting for a person"}}
PENDING: Responses = {
    202: {"model": ControlResponse | ChatResponse, "description": "Waits for its confirmation, or is under way"}
}
EVENTS: Responses = {200: {"content": {"text/event-stream": {}}}}


@router.post("/chat", summary="Hand madre an intent", responses=ACCEPTED | documented(IdempotencyConflict))
async def chat(body: ChatRequest, caller: CallerDep, key: KeyDep, madre: MadreDep, response: Response) -> ChatResponse:
    """Say what is wanted, in Spanish or English. 200 when it is finished, 202 when it goes on or waits for an answer."""
    reply = await madre.chat(body, caller, key)
    response.status_code = 200 if reply.status.is_final else 202
    return reply


@router.post(
    "/control",
    summary="Ask for one action by name",
    responses=PENDING | documented(IdempotencyConflict, UnknownControl),
)
async def control(
    body: ControlRequest, caller: CallerDep, key: KeyDep, madre: MadreDep, response: Response
) -> ControlResponse | ChatResponse:
    """The same without language. A dangerous action comes back with the one-use token that confirms it."""
    reply = await madre.control(body, caller, key)
    is_finished = isinstance(reply, ChatResponse) and reply.status.is_final
    response.status_code = 200 if is_finished else 202
    return reply


@router.post("/parse", summary="Show how a message is read")
async def parse(body: ParseRequest, madre: MadreDep) -> IntentV2:
    """The reading alone; nothing is done or kept."""
    return await madre.read(body.message)


@router.get("/plans", summary="List plans, newest first")
async def plans(
    page: PageDep,
    caller: CallerDep,
    madre: MadreDep,
    status: StatusEnum | None = None,
    session_id: Annotated[str | None, Query(max_length=128)] = None,
    intent: IntentName | None = None,
) -> Page[PlanSummary]:
    return await madre.plans(page, caller, status=status, session_id=session_id, intent=intent)


@router.get("/plans/{plan_id}", summary="One plan with its steps", responses=documented(PlanNotFound))
async def plan(plan_id: Id, caller: CallerDep, madre: MadreDep) -> PlanV2:
    return await madre.plan(plan_id, caller)


@router.post(
    "/plans/{plan_id}/confirm",
    summary="Confirm a plan that waits",
    responses=documented(PlanNotFound, ConfirmationRefused, FleetHalted),
)
async def confirm(
    plan_id: Id,
    caller: CallerDep,
    key: KeyDep,
    madre: MadreDep,
    body: ConfirmRequest = ConfirmRequest(),  # noqa: B008 - frozen
) -> ConfirmResponse:
    """A HIGH plan needs its one-use token; a MED plan that asked for a yes needs none."""
    return await madre.confirm(plan_id, body, caller, key)


@router.post("/plans/{plan_id}/cancel", summary="Stop a plan", responses=documented(PlanNotFound, PlanNotCancellable))
async def cancel(plan_id: Id, caller: CallerDep, key: KeyDep, madre: MadreDep) -> PlanV2:
    return await madre.cancel(plan_id, caller, key)


@router.get(
    "/plans/{plan_id}/events",
    summary="Follow a plan (server-sent events)",
    response_class=StreamingResponse,
    responses=EVENTS | documented(PlanNotFound),
)
async def events(
    plan_id: Id, caller: CallerDep, madre: MadreDep, request: Request, after: LastEventIdDep
) -> StreamingResponse:
    """Every event of the plan from the beginning (or after `Last-Event-ID`) until it ends."""
    return event_stream(await madre.events(plan_id, after, caller), request)


@router.post(
    "/daughters/{daughter_task_id}/result",
    status_code=204,
    summary="Spawner: a daughter has ended",
    responses=documented(DaughterNotFound),
)
async def daughter_ended(daughter_task_id: Id, body: DaughterResult, caller: CallerDep, madre: MadreDep) -> None:
    """For spawner alone. Her row must be closed before: it is what the plan goes on with. Telling it again changes nothing."""
    if not caller.is_service or caller.id != "spawner":
        raise Forbidden("only spawner tells how a daughter went")
    if body.daughter_task_id != daughter_task_id:
        raise InvalidRequest("the body speaks of another daughter than the path")
    await madre.daughter_ended(body)


@router.get("/sessions/{session_id}", summary="A conversation", responses=documented(SessionNotFound))
async def session(session_id: Id, caller: CallerDep, madre: MadreDep) -> Session:
    return await madre.session(session_id, caller)


@router.post("/halt", summary="Stop everything", responses=documented(Conflict))
async def halt(caller: CallerDep, madre: MadreDep, body: HaltRequest = HaltRequest()) -> HaltState:  # noqa: B008 - frozen
    """No step starts from now on, steps under way are interrupted, jobs are cancelled; it stays so over restarts until resume."""
    return await madre.halt(body.reason, caller)


@router.post("/resume", summary="Go on after a halt")
async def resume(caller: CallerDep, madre: MadreDep) -> HaltState:
    return await madre.resume(caller)
