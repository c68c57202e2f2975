"""How to ask switch."""

from typing import Any

from config.clients.service_client import TIMEOUT_SECONDS, ServiceClient, segment
from config.contracts.common import Page
from config.contracts.switch import (
    Decision,
    FeedbackReply,
    FeedbackRequest,
    ModelPerformance,
    RegistryStatus,
    RouteReply,
    RouteRequest,
    SwitchStatus,
)
from config.errors import FleetError

GRACE_SECONDS = 2.0  # switch keeps the limit itself; ours is only for a switch that does not
LONGEST_ANSWER_SECONDS = 120.0


class SwitchClient(ServiceClient):
    """Raises, beyond what every client raises, the refusals below."""

    service = "switch"

    async def route(
        self,
        prompt: str,
        *,
        task_type: str | None = None,
        max_latency_ms: int | None = None,
        max_cost_usd: float | None = None,
        max_tokens: int | None = None,
        json_schema: dict[str, Any] | None = None,
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> RouteReply:
        """An answer to a prompt. Raises NoModelReachable, ModelRefused, and UpstreamUnavailable when switch itself is down or late."""
        body = RouteRequest(
            prompt=prompt,
            task_type=task_type,
            max_latency_ms=max_latency_ms,
            max_cost_usd=max_cost_usd,
            max_tokens=max_tokens,
            json_schema=json_schema,
            session_id=session_id,
        )
        limit_seconds = LONGEST_ANSWER_SECONDS if max_latency_ms is None else max_latency_ms / 1000
        return await self._post(
            "/switch/route",
            body,
            RouteReply,
            timeout_seconds=limit_seconds + GRACE_SECONDS,
            idempotency_key=idempotency_key,
        )

    async def decision(self, decision_id: str) -> Decision:
        """Why a model was chosen, and what was tried. Raises NotFound."""
        return await self._get(f"/switch/decisions/{segment(decision_id)}", Decision)

    async def feedback(
        self, decision_id: str, score: float, *, comment: str | None = None, idempotency_key: str | None = None
    ) -> FeedbackReply:
        """Say how good an answer was, from 0 (useless) to 1 (right), in place of what was said before. Raises NotFound, Forbidden for an
        caller's decision, and Conflict where nobody answered."""
        body = FeedbackRequest(decision_id=decision_id, score=score, comment=comment)
        return await self._post("/switch/feedback", body, FeedbackReply, idempotency_key=idempotency_key)

    async def performance(
        self, *, provider: str | None = None, task_type: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[ModelPerformance]:
        """How models have done, and what was learned of them (at one type of task, or at all)."""
        asked = {"provider": provider, "task_type": task_type, "limit": limit, "cursor": cursor}
        params = {name: value for name, value in asked.items() if value is not None}
        return await self._get("/switch/performance", Page[ModelPerformance], params=params)

    async def status(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> SwitchStatus:
        """The models that can be asked now, and in `loaded` those whose files are in use."""
        return await self._get("/switch/status", SwitchStatus, timeout_seconds=timeout_seconds)

    async def registry_changed(self) -> RegistryStatus:
        """Tell switch that hermes_db's models or tools changed: it reads them again, and says what it found."""
        return await self._post("/switch/registry/refresh", None, RegistryStatus)


class NoModelReachable(FleetError):
    """No model could answer: none is configured that is up, in time, and within the limits; the detail tells of each."""

    code, status, title = "no_model_reachable", 503, "No model can answer now"


class UnknownModel(FleetError):
    """No model goes by that name."""

    code, status, title = "model_not_found", 404, "There is no such model here"


class ModelRefused(FleetError):
    """The model does not take this request as it is: too long, or of a kind it cannot do. Asking again changes nothing."""

    code, status, title = "model_refused", 422, "The model does not take this request"


class UnsupportedByModel(FleetError):
    """The model's API has no words for something that the request wants, and leaving it out would change the answer; `param` names it."""

    code, status, title = "unsupported_by_model", 400, "The model's API cannot express this request"


class InvalidMessages(FleetError):
    """A request of Anthropic's Messages API that is not as that API has it, or wants what no other model could do."""

    code, status, title = "invalid_messages", 400, "The request does not fit the Messages API"


class SwitchBusy(FleetError):
    """Too many requests wait for the local model."""

    code, status, title = "switch_busy", 503, "Too many requests wait for this model"


class BudgetExceeded(FleetError):
    """The call could cost more than a budget still holds; nothing was spent. The detail names the budget and when it resets."""

    code, status, title = "budget_exceeded", 402, "The budget does not allow this"


class ProviderRefused(FleetError):
    """The provider does not accept the key that is set for it, or its account may not do this."""

    code, status, title = "provider_refused", 502, "The provider does not accept our key"


class ProviderLimited(FleetError):
    """The provider wants fewer requests from us; `Retry-After` tells when, if it said so."""

    code, status, title = "provider_limited", 429, "The provider wants fewer requests"


class ProviderFailed(FleetError):
    """The provider broke down, broke off, or answered something that is not an answer."""

    code, status, title = "provider_failed", 502, "The provider failed"
