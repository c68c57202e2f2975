"""The router: who may answer, who does, and what is told about it."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from config.auth import Caller
from config.clients.switch import ModelRefused, NoModelReachable, ProviderFailed, UnknownModel
from config.clock import new_id
from config.contracts.common import Check, HealthState
from config.contracts.switch import (
    AudioReading,
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
from config.errors import Forbidden, IdempotencyInProgress, InvalidRequest, NotFound
from config.idempotency import Idempotency
from switch import needs, policy, repository
from switch.audio.mode import AUDIO, AudioMode
from switch.calls import GENERAL, LOCAL, Call, Choice, Trail, Tried
from switch.choosing import criteria
from switch.choosing.chooser import Chooser, Ranked
from switch.choosing.specialties import EVERYDAY
from switch.clis.hub import CliHub
from switch.clis.tool import CLI
from switch.flight import Flight
from switch.ledger import Ledger
from switch.local.models import LocalModels
from switch.meters import Meters
from switch.providers.roster import Roster
from switch.registry import Registry, told
from switch.relay import Answered, Relay

INTERACTIVE: frozenset[Priority] = frozenset({"SYSTEM_CRITICAL", "USER_INTERACTIVE"})
"""Who asks so has somebody waiting: the light model answers at once where the best one is another local model that is busy."""
MOST_NAMED = 20  # models in the words of an error

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
        chooser: Chooser,
        roster: Roster,
        local: LocalModels,
        clis: CliHub,
        audio: AudioMode,
        meters: Meters,
        *,
        auto_models: Sequence[str],
        longest_answer_seconds: float,
    ) -> None:
        self._db, self._ledger, self._registry, self._relay = db, ledger, registry, relay
        self._chooser, self.meters = chooser, meters
        self._roster, self._local, self._clis, self._audio = roster, local, clis, audio
        self._auto_models = frozenset(auto_models)
        self._longest_answer_seconds = longest_answer_seconds
        self._under_way: set[tuple[str, str]] = set()

    # --- who may answer --------------------------------------------------------------------------------------------

    def flight(
        self, call: Call, model: str, *, among: Sequence[Choice] | None = None, preference: str | None = None
    ) -> Flight:
        """A request on its way to whoever `model` means: one by name, or of everybody (or `among` these) who fits, best first.

        Raises UnknownModel, and InvalidRequest for a type of task that nobody knows.
        """
        wanted = policy.wanted(model)
        call.decision_id = new_id("dec")
        if wanted.task_type is not None:
            call.task_type = wanted.task_type
        if call.task_type is not GENERAL and (
            no_task := self._chooser.why_no_task(call.task_type, lambda: self.models)
        ):
            if wanted.task_type is not None:
                raise UnknownModel(no_task, param="model")
            raise InvalidRequest(no_task, param="task_type")
        if wanted.name is not None:
            choice = self._named(wanted.name)
            why_not = criteria.too_dear(choice, call.needs)
            trail = Trail([Tried(choice) if why_not is None else Tried(choice, "unfit", why_not)])
        else:
            ranked = self._chooser.rank(self._for_auto() if among is None else among, call)
            trail = Trail([_candidate(one) for one in ranked])
            if ranked and call.priority in INTERACTIVE and self._local.is_busy(ranked[0].choice):
                trail.tried.sort(key=lambda one: one.choice.backend is not self._local.light or one.outcome == "unfit")
            if preference is not None:
                trail.tried.sort(
                    key=lambda one: (one.outcome == "unfit", not policy.is_preferred(one.choice, preference))
                )
        return Flight(call, wanted, trail, relay=self._relay, book=self._ledger)

    def _named(self, name: str) -> Choice:
        provider, _, model = name.partition("/")
        found = self._local.named(name.removeprefix(f"{LOCAL}/"))
        if found is None and provider == CLI:
            found = self._clis.named(model)
            if found is None:
                raise UnknownModel(self._clis.why_not(model), param="model")
        if found is None and model:
            found = self._roster.named(provider, model)
        if found is None:
            if model and (lacking := self._roster.why_not(provider)):
                raise UnknownModel(f"{name[:200]!r} cannot be asked: {lacking}", param="model")
            known = [*(choice.name for choice in self._local.choices), *(f"{one}/…" for one in self._roster.providers)]
            raise UnknownModel(f"{name[:200]!r} is none of auto, {', '.join(known[:MOST_NAMED])}", param="model")
        return found

    def _for_auto(self) -> list[Choice]:
        local = self._local.choices
        if not self._auto_models:
            return [*self._roster.auto, *local]
        given = [choice for choice in (*local, *self._clis.choices) if choice.name in self._auto_models]
        return [*self._roster.auto, *given]

    @property
    def models(self) -> list[Choice]:
        """Every model that is known by name, those of this machine last."""
        return [*self._roster.models, *self._clis.choices, *self._local.choices]

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
            call = self._call(body, caller, request.priority, request.max_latency_ms, request.max_cost_usd)
            call.session_id, call.task_type = request.session_id, request.task_type or GENERAL
            is_open = request.json_schema is None and call.task_type in (*EVERYDAY, AUDIO)
            audio = (
                await self._read_as_audio(call, request.prompt, is_audio=call.task_type == AUDIO) if is_open else None
            )
            with self.flight(call, "auto") as flight:
                reply = _route_reply(flight, await self._text(flight), audio)
                async with self._db.write() as session:
                    await repository.save(session, [flight.record()])
                    await asked_before.claim(session, flight.decision_id)
                    await asked_before.keep(session, 200, reply.model_dump(mode="json"))
                flight.is_saved = True
            return reply

    def _call(
        self,
        body: dict[str, Any],
        caller: Caller,
        priority: Priority,
        max_latency_ms: float | None = None,
        max_cost_usd: float | None = None,
    ) -> Call:
        limit_seconds = self._longest_answer_seconds
        if max_latency_ms is not None:
            limit_seconds = min(limit_seconds, max_latency_ms / 1000)
        return Call(
            body,
            priority=priority,
            caller=caller.id,
            may_overspend=caller.may("switch:overspend"),
            needs=needs.of(body, max_latency_ms=max_latency_ms, max_cost_usd=max_cost_usd),
            deadline=time.monotonic() + limit_seconds,
        )

    async def query(self, request: QueryRequest, caller: Caller, key: str | None) -> QueryReply:
        """The same in the words of the original documents."""
        content = request.model_dump(mode="json", exclude_unset=True)
        asked_before = Idempotency.of("switch", caller.id, key, "query", content)
        with self._once(asked_before):
            async with self._db.read() as session:
                earlier = await asked_before.earlier(session)
            if earlier is not None:
                return QueryReply.model_validate(earlier.answer)
            body = {"messages": [{"role": "user", "content": request.query}]}
            call = self._call(body, caller, PRIORITY_OF[request.priority])
            audio = await self._read_as_audio(call, request.query, is_audio=request.module_type.upper() == "SHUB")
            with self._preferred(call, request.model_preference, requires_cli=request.requires_cli) as flight:
                text = await self._text(flight)
                reply = _query_reply(flight, text, request.timestamp, audio)
                async with self._db.write() as session:
                    await repository.save(session, [flight.record()])
                    await asked_before.claim(session, flight.decision_id)
                    await asked_before.keep(session, 200, reply.model_dump(mode="json"))
                flight.is_saved = True
            return reply

    async def _read_as_audio(self, call: Call, text: str, *, is_audio: bool) -> AudioReading | None:
        """What the text wants in terms of audio; the call is then one for an audio engineer. None, and nothing changed, if it does not."""
        reading = self._audio.reading(text, call.caller, is_audio=is_audio)
        if reading is None:
            return None
        left = self._longest_answer_seconds if call.deadline is None else call.deadline - time.monotonic()
        reading = await self._audio.interpret(reading, text, within_seconds=left / 4)
        call.task_type = AUDIO
        call.plain_messages = call.body["messages"]
        told = {"role": "system", "content": self._audio.prompt(reading)}
        call.body["messages"] = [told, *call.plain_messages]
        limits = {"max_latency_ms": call.needs.max_latency_ms, "max_cost_usd": call.needs.max_cost_usd}
        call.needs = needs.of(call.body, **limits)
        return reading

    def audio_model(self) -> str | None:
        """The first model made for audio that `auto` may choose."""
        return next((one.name for one in self._for_auto() if AUDIO in one.facts.specialties), None)

    def _preferred(self, call: Call, preference: str | None, *, requires_cli: bool) -> Flight:
        """A flight to the model of that name, or to any, those first whose name holds the preference."""
        among = self._clis.choices if requires_cli else None
        if among == []:
            raise NoModelReachable("no command-line tool can be asked; GET /switch/clis tells of each why")
        if preference is not None and (not requires_cli or preference.startswith(f"{CLI}/")):
            try:
                return self.flight(call, preference)
            except UnknownModel:
                pass  # a preference, not an order
        return self.flight(call, "auto", among=among, preference=preference)

    async def _text(self, flight: Flight) -> str:
        """What the model wrote. Raises ModelRefused, ProviderFailed, and what `Flight.ask` raises."""
        answered = await flight.ask()
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
        light = await self._local.light_status()
        return SwitchStatus(
            active=light.state is not LightState.UNUSABLE or bool(self._roster.auto),
            models=[choice.name for choice in self.models],
            light_llm=light,
            rotation=self._local.status(),
            queue=self._local.queue_status(),
            shub_mode_active=self._audio.is_active,
            loaded=self._local.loaded(),
            registry=told(await self._registry.known()),
            providers=self._roster.status(),
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
        light = await self._local.light_status()
        state = HealthState.DEGRADED if light.state is LightState.UNUSABLE else HealthState.OK
        found = {"light_model": Check(status=state, detail=f"{light.name}: {light.state}; {light.detail}")}
        for provider in self._roster.status():
            is_well = provider.state == "ok"
            found[f"provider_{provider.name}"] = Check(
                status=HealthState.OK if is_well else HealthState.DEGRADED,
                detail=provider.detail or f"{len(provider.models)} models for auto",
            )
        return found


def _candidate(ranked: Ranked) -> Tried:
    if ranked.unfit is not None:
        return Tried(ranked.choice, "unfit", ranked.unfit, score=ranked.score, parts=ranked.parts)
    return Tried(ranked.choice, score=ranked.score, parts=ranked.parts)


def _route_reply(flight: Flight, text: str, audio: AudioReading | None) -> RouteReply:
    assert flight.choice is not None
    return RouteReply(
        decision_id=flight.decision_id,
        answer=text,
        model=flight.choice.model,
        provider=flight.choice.backend.name,
        reason=flight.reason,
        cost_usd=flight.cost_usd,
        latency_ms=round(flight.latency_ms, 3),
        queue_ms=round(flight.call.queue_ms, 3),
        audio=audio,
    )


def _status(choice: Choice, audio: AudioReading | None) -> Literal["success", "light_llm", "shub_mode", "cli"]:
    if choice.backend.name == CLI:
        return "cli"
    if audio is not None:
        return "shub_mode"
    return "light_llm" if choice.is_local else "success"


def _query_reply(flight: Flight, text: str, timestamp: float, audio: AudioReading | None) -> QueryReply:
    assert flight.choice is not None
    return QueryReply(
        status=_status(flight.choice, audio),
        model_used=flight.choice.name,
        provider=flight.choice.backend.name,
        response=text,
        decision_id=flight.decision_id,
        processing_time=round(flight.latency_ms / 1000, 6),
        timestamp=timestamp,
        audio=audio,
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
