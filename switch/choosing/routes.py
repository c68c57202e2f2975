"""HTTP in, HTTP out: feedback on answers, and how models have done."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from config.auth import CallerDep
from config.contracts.common import Page
from config.contracts.switch import FeedbackReply, FeedbackRequest, ModelPerformance, TaskType
from config.errors import Conflict, Forbidden, IdempotencyConflict, NotFound, documented
from config.idempotency import KeyDep
from config.pages import PageDep
from switch.choosing.feedback import Feedback

router = APIRouter()


async def _feedback(request: Request) -> Feedback:
    feedback: Feedback = request.app.state.feedback
    return feedback


FeedbackDep = Annotated[Feedback, Depends(_feedback)]


@router.post(
    "/feedback",
    summary="Say how good an answer was",
    responses=documented(NotFound, Forbidden, Conflict, IdempotencyConflict),
)
async def give_feedback(body: FeedbackRequest, caller: CallerDep, key: KeyDep, feedback: FeedbackDep) -> FeedbackReply:
    """Again for the same decision replaces what was said before."""
    return await feedback.give(body, caller, key)


@router.get("/performance", summary="How models have done, and what was learned of them")
async def performance(
    page: PageDep,
    feedback: FeedbackDep,
    provider: Annotated[str | None, Query(max_length=64, pattern=r"^[\w.:-]+$")] = None,
    task_type: Annotated[TaskType | None, Query()] = None,
) -> Page[ModelPerformance]:
    return await feedback.performance(page, provider=provider, task_type=task_type)
