"""What people say of answers: kept with the decision, learned by the chooser, shown with what else is known of models."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.clock import utc_now
from config.contracts.common import Page
from config.contracts.switch import FeedbackReply, FeedbackRequest, ModelPerformance
from config.database import Database
from config.db_schema import RouteDecisionRow
from config.errors import Conflict, Forbidden, InvalidRequest, NotFound
from config.idempotency import Idempotency
from config.pages import PageQuery, page_of
from switch.calls import GENERAL
from switch.choosing import repository
from switch.choosing.chooser import Chooser, Given
from switch.choosing.memory import name_of
from switch.choosing.reward import reward


class Feedback:
    """`catch_up` writes down decisions that are a moment old."""

    def __init__(self, db: Database, chooser: Chooser, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._db, self._chooser, self._catch_up = db, chooser, catch_up

    async def give(self, feedback: FeedbackRequest, caller: Caller, key: str | None) -> FeedbackReply:
        """Keep feedback and learn from it, in one transaction; it replaces what was said of the same decision before.

        Raises NotFound, Forbidden for another caller's decision, Conflict where nobody answered, and IdempotencyConflict.
        """
        keyed = Idempotency.of("switch", caller.id, key, "feedback", feedback.model_dump(mode="json"))
        await self._catch_up()
        async with self._db.write() as session:
            earlier = await keyed.earlier(session)
            if earlier is not None:
                return FeedbackReply.model_validate(earlier.answer)
            row = await self._decided(session, feedback.decision_id, caller)
            assert row.provider is not None
            assert row.model is not None
            task_type = row.task_type or GENERAL
            worth = reward(feedback.score, latency_ms=max(0.0, row.latency_ms - row.queue_ms), cost_usd=row.cost_usd)
            given = await self._chooser.keep_feedback(
                session, name_of(row.provider, row.model), task_type, worth, _given(row.feedback)
            )
            await repository.keep_feedback(session, row.id, _written(feedback, caller, given))
            reply = FeedbackReply(
                decision_id=row.id, model=row.model, provider=row.provider, task_type=task_type, score=feedback.score
            )
            await keyed.claim(session, row.id)
            await keyed.keep(session, 200, reply.model_dump(mode="json"))
            return reply

    async def performance(
        self, page: PageQuery, *, provider: str | None, task_type: str | None
    ) -> Page[ModelPerformance]:
        """How models have done so far. With a type of task, what was learned of others is left out.

        Raises InvalidRequest for a cursor that is none of ours.
        """
        after = None
        if page.cursor is not None:
            after_provider, slash, after_model = page.cursor.partition("/")
            if not slash:
                raise InvalidRequest("cursor must be the next_cursor of the page before", param="cursor")
            after = after_provider, after_model
        await self._catch_up()
        async with self._db.read() as session:
            found = await repository.performance(session, provider=provider, after=after, most=page.limit + 1)
        filled = [
            one.model_copy(update={"learned": self._chooser.learned(name_of(one.provider, one.model), task_type)})
            for one in found
        ]
        return page_of(filled, page, cursor="id")

    async def _decided(self, session: AsyncSession, decision_id: str, caller: Caller) -> RouteDecisionRow:
        row = await repository.decided(session, decision_id)
        if row is None:
            raise NotFound(f"there is no decision {decision_id}")
        if row.caller != caller.id and not (caller.is_service or "*" in caller.scopes):
            raise Forbidden("this decision was made for another caller")
        if row.outcome != "answered" or row.model is None or row.provider is None:
            raise Conflict(f"this request was not answered ({row.outcome}): there is nothing to say of its answer")
        return row


def _written(feedback: FeedbackRequest, caller: Caller, given: Given) -> dict[str, Any]:
    """As it is kept: what was said, and what of it was learned."""
    said = {"score": feedback.score, "comment": feedback.comment, "caller": caller.id, "at": utc_now().isoformat()}
    return said | {"reward": given.worth, "learned": {kept: list(turns) for kept, turns in given.at.items()}}


def _given(kept: dict[str, Any] | None) -> Given | None:
    if kept is None:
        return None
    return Given(kept["reward"], {name: (turn, changes) for name, (turn, changes) in kept["learned"].items()})
