"""The router: who may answer, who does, and what is told about it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from config.auth import Caller
from config.clients.switch import ModelRefused, NoModelReachable, ProviderFailed, UnknownModel
from config.contracts.common import Check, HealthState
from config.contracts.switch import (
    Decision,
    LightState,
    ModulePriority,
    Priority,
    QueryReply,
    QueryRequest,
    RegistryStatus,
    RouteReply,
    RouteRequest,
    SwitchStats,
    SwitchStatus,
)
from config.database import Database
from config.errors import Forbidden, IdempotencyInProgress, NotFound, NotInFleet
from config.idempotency import Idempotency
from switch import policy, repository
from switch.calls import LOCAL, Call, Choice
from switch.flight import Flight
from switch.ledger import Ledger
from switch.local.light import Light
from switch.policy import Wanted
from switch.providers.roster import Roster
from switch.registry import Registry, told
from switch.relay import Answered, Relay

PRIORITY_OF: Mapping[ModulePriority, Priority] = {
    ModulePriority.CRITICAL: "SYSTEM_CRITICAL",
    ModulePriority.HIGH: "USER_INTERACTIVE",
    ModulePriority.MEDIUM: "BATCH_PROCESSING",
    ModulePriority.LOW: "BACKGROUND",
}


class Switch:
    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        registry: Registry,
        relay: Relay,
        light: Light,
        roster: Roster,
        *,
        longest_answer_seconds: float,
    ) -> None:
        self._db, self._ledger, self._registry, self._relay = db, ledger, registry, relay
        self._light, self._roster = light, roster
        self._longest_answer_seconds = longest_answer_seconds
        self._local = Choice(light, light.model)
        self._under_way: set[tuple[str, str]] = set()

    # --- who may answer --------------------------------------------------------------------------------------------

    def flight(
        self,
        call: Call,
        model: str,
        *,
        caller: str,
        session_id: str | None = None,
        task_type: str | None = None,
        preference: str | None = None,
        is_free: bool = False,
    ) -> Flight:
        """A request on its way to whoever `model` means. `is_free` leaves out models that may cost money. Raises UnknownModel."""
        wanted = policy.wanted(model, local_model=self._light.model, providers=self._roster.providers)
        if task_type is not None:
            wanted = Wanted(wanted.provider, wanted.model, task_type)
        choices = policy.preferring(self._choices(wanted, is_free=is_free), preference)
        return Flight(call, wanted, choices, caller=caller, session_id=session_id, relay=self._relay, book=self._ledger)

    def _choices(self, wanted: Wanted, *, is_free: bool) -> list[Choice]:
        if wanted.is_auto:
            return [self._local] if is_free else [*self._roster.auto, self._local]
        if wanted.provider == LOCAL:
            return [self._local]
        assert wanted.provider is not None
        assert wanted.model is not None
        return [self._roster.providers[wanted.provider].choice(wanted.model)]

    @property
    def models(self) -> list[Choice]:
        """Every model that can be named, the local one last."""
        return [*self._roster.models, self._local]

    # --- answering -------------------------------------------------------------------------------------------------

    async def route(self, request: RouteRequest, caller: Caller, key: str | None) -> RouteReply:
        """Answer a prompt and keep why. The same key and request get the same answer without asking again."""
        asked_before = Idempotency.of("switch", caller.id, key, "route", request.model_dump(mode="json"))
        with self._once(asked_before):
            async with self._db.read() as session:
                earlier = await asked_before.earlier(session)
            if earlier is not None:
                return RouteReply.model_validate(earlier.answer)
            body: dict[str, Any] = {"messages": [{"role": "user", "content": request.prompt}]}
            if request.max_tokens is not None:
                body["max_tokens"] = request.max_tokens
            if request.json_schema is not None:
                schema = {"name": "answer", "schema": request.json_schema}
                body["response_format"] = {"type": "json_schema", "json_schema": schema}
            flight = self.flight(
                Call(body, priority=request.priority),
                "auto",
                caller=caller.id,
                session_id=request.session_id,
                task_type=request.task_type,
                is_free=request.max_cost_usd is not None,
            )
            limit_seconds = self._longest_answer_seconds
            if request.max_latency_ms is not None:
                limit_seconds = min(limit_seconds, request.max_latency_ms / 1000)
            with flight:
                reply = _route_reply(flight, await self._text(flight, limit_seconds))
                async with self._db.write() as session:
                    await repository.save(session, [flight.record()])
                    await asked_before.claim(session, flight.decision_id)
                    await asked_before.keep(session, 200, reply.model_dump(mode="json"))
                flight.is_saved = True
            return reply

    async def query(self, request: QueryRequest, caller: Caller, key: str | None) -> QueryReply:
        """The same in the words of the original documents."""
        if request.requires_cli:
            raise NotInFleet("command-line tools do not answer prompts in this fleet yet: ask without requires_cli")
        content = request.model_dump(mode="json", exclude_unset=True)
        asked_before = Idempotency.of("switch", caller.id, key, "query", content)
        with self._once(asked_before):
            async with self._db.read() as session:
                earlier = await asked_before.earlier(session)
            if earlier is not None:
                return QueryReply.model_validate(earlier.answer)
            call = Call(
                {"messages": [{"role": "user", "content": request.query}]}, priority=PRIORITY_OF[request.priority]
            )
            with self._preferred(call, request.model_preference, caller) as flight:
                text = await self._text(flight, self._longest_answer_seconds)
                reply = _query_reply(flight, text, request.timestamp)
                async with self._db.write() as session:
                    await repository.save(session, [flight.record()])
                    await asked_before.claim(session, flight.decision_id)
                    await asked_before.keep(session, 200, reply.model_dump(mode="json"))
                flight.is_saved = True
            return reply

    def _preferred(self, call: Call, preference: str | None, caller: Caller) -> Flight:
        """A flight to the model of that name, or to any, those first whose name holds the preference."""
        if preference is not None:
            try:
                return self.flight(call, preference, caller=caller.id)
            except UnknownModel:
                pass  # a preference, not an order
        return self.flight(call, "auto", caller=caller.id, preference=preference)

    async def _text(self, flight: Flight, limit_seconds: float) -> str:
        """What the model wrote. Raises NoModelReachable, ModelRefused, and what `Flight.ask` raises."""
        try:
            async with asyncio.timeout(limit_seconds):
                answered = await flight.ask()
        except TimeoutError as exc:
            flight.land("late")
            asked = [one.choice.name for one in flight.trail.tried if one.outcome != "not_tried"]
            detail = f"no answer within {limit_seconds:g} seconds (asked: {', '.join(asked) or 'nobody yet'})"
            raise NoModelReachable(detail) from exc
        if answered.status >= 400:
            flight.land("refused")
            raise ModelRefused(f"{answered.choice.name} refused this: {_words(answered)}")
        text = _written(answered)
        if text is None:
            raise ProviderFailed(f"{answered.choice.name} answered without text")
        flight.land("answered")
        return text

    @contextmanager
    def _once(self, request: Idempotency) -> Iterator[None]:
        """One at a time of the same key. Raises IdempotencyInProgress."""
        if request.key is None:
            yield
            return
        name = (request.caller, request.key)
        if name in self._under_way:
            raise IdempotencyInProgress("ask again in a moment", headers={"Retry-After": "1"})
        self._under_way.add(name)
        try:
            yield
        finally:
            self._under_way.discard(name)

    # --- telling ---------------------------------------------------------------------------------------------------

    async def decision(self, decision_id: str) -> Decision:
        """Raises NotFound."""
        async with self._db.read() as session:
            found = await repository.decision(session, decision_id)
        if found is None:
            await self._ledger.save()  # it may be a moment old
            async with self._db.read() as session:
                found = await repository.decision(session, decision_id)
        if found is None:
            raise NotFound(f"there is no decision {decision_id}")
        return found

    async def status(self) -> SwitchStatus:
        ledger = self._ledger
        light = await self._light.status()
        providers = self._roster.status()
        return SwitchStatus(
            active=light.state is not LightState.UNUSABLE or bool(providers),
            models=[choice.name for choice in self.models],
            light_llm=light,
            loaded=self._light.loaded(),
            registry=told(await self._registry.known()),
            providers=providers,
            stats=SwitchStats(
                total_queries=ledger.total,
                answered=ledger.answered,
                errors=ledger.errors,
                failed_over=ledger.failed_over,
                avg_response_time_ms=round(ledger.mean_ms, 3),
                unreported_uses=ledger.unreported,
                lost_records=ledger.lost,
            ),
        )

    async def refresh_registry(self, caller: Caller) -> RegistryStatus:
        """Read hermes_db's models and tools again. Raises Forbidden for whoever is neither a service nor the owner."""
        if not (caller.is_service or "*" in caller.scopes):
            raise Forbidden("only services of the fleet and the owner tell switch that the registry changed")
        known, _ = await asyncio.gather(self._registry.read(), self._roster.refresh())
        return told(known)

    async def check(self) -> dict[str, Check]:
        """Health: the local model's file and process, and the providers."""
        light = await self._light.status()
        state = HealthState.DEGRADED if light.state is LightState.UNUSABLE else HealthState.OK
        found = {"light_model": Check(status=state, detail=f"{light.name}: {light.state}; {light.detail}")}
        for provider in self._roster.status():
            is_well = provider.state == "ok"
            found[f"provider_{provider.name}"] = Check(
                status=HealthState.OK if is_well else HealthState.DEGRADED,
                detail=provider.detail or f"{len(provider.models)} models for auto",
            )
        return found


def _route_reply(flight: Flight, text: str) -> RouteReply:
    assert flight.answered is not None
    return RouteReply(
        decision_id=flight.decision_id,
        answer=text,
        model=flight.answered.model,
        provider=flight.answered.backend.name,
        reason=flight.reason,
        cost_usd=flight.cost_usd,
        latency_ms=round(flight.latency_ms, 3),
        queue_ms=round(flight.call.queue_ms, 3),
    )


def _query_reply(flight: Flight, text: str, timestamp: float) -> QueryReply:
    assert flight.answered is not None
    return QueryReply(
        status="light_llm" if flight.answered.is_local else "success",
        model_used=flight.answered.name,
        provider=flight.answered.backend.name,
        response=text,
        decision_id=flight.decision_id,
        processing_time=round(flight.latency_ms / 1000, 6),
        timestamp=timestamp,
    )


def _written(answered: Answered) -> str | None:
    """The text of a chat completion."""
    match answered.content:
        case {"choices": [{"message": {"content": str(text)}}, *_]}:
            return text
    return None


def _words(answered: Answered) -> str:
    """What a refusal says, for people."""
    return answered.first.decode(errors="replace").strip()[:500]
