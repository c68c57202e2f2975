"""Madre: takes a message, reads it, weighs it, asks before harm, plans, starts the plan, and answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

import structlog

from config.auth import Caller
from config.clients.spawner import DaughterNotFound
from config.clock import new_id, utc_now
from config.contracts.common import Check, HealthState, Page
from config.contracts.shub_language import LONGEST_COMMAND, Interpretation
from config.contracts.spawner import DaughterResult
from config.database import Database
from config.errors import FleetError, FleetHalted, IdempotencyInProgress, InvalidRequest, UpstreamUnavailable
from config.forensics import Trail
from config.idempotency import Earlier, Idempotency, forget_old
from config.pages import PageQuery, page_of
from config.sse import Event
from madre.core import audio_answers, audio_plans, controls, planner, policy, processes, words
from madre.core import db as repository
from madre.core.delegation import Delegation
from madre.core.draft import Draft, Known
from madre.core.intents.questions import declines
from madre.core.model_knowledge import about_models
from madre.core.model_plans import LISTED, is_about_models
from madre.core.models import (
    ChatRequest,
    ChatResponse,
    Confirmation,
    ConfirmRequest,
    ConfirmResponse,
    ControlRequest,
    ControlResponse,
    HaltState,
    IntentName,
    IntentV2,
    ModeEnum,
    PlanSummary,
    PlanV2,
    RiskLevel,
    Session,
    StatusEnum,
)
from madre.core.parser import Outcome, Parser, Question, ask
from madre.core.runner import JOBS, Runner, scope_of, starting_events
from madre.core.studio import CONTEXT_KEY as STUDIO
from madre.core.studio import Studio, with_files
from madre.errors import (
    ConfirmationRefused,
    PlanNotCancellable,
    PlanNotFound,
    SessionNotFound,
)
from madre.settings import MadreSettings

log = structlog.get_logger()

HALT_SCOPE, HALT_KEY = "madre", "halt"
TURNS_SHOWN = 100
TIDY_SECONDS = 3600.0
LAST_ASSET_KEPT = timedelta(days=30)
FINISHED_WORKFLOWS_KEPT = timedelta(days=1)
"""How long the engine keeps its own rows of a plan that has ended; the plan itself is never deleted."""
ONLY_WAITING = ("expired", "declined")
"""Ways to end a plan that end only one which waits."""
INTERRUPTED = "madre stopped before this was planned; nothing was done, send it again"


@dataclass(frozen=True)
class Reading:
    """A message with what the session adds to it."""

    intent: IntentV2
    message: str
    files: list[str]
    asked: dict[str, Any] | None = None
    """What the audio engineer asked in this session before, if the message may answer that."""
    is_unheard: bool = False
    """Whether the audio engineer should have read it and could not."""


class Madre:
    """The orchestrator. Saves first; asks neighbours outside any transaction."""

    def __init__(
        self,
        settings: MadreSettings,
        database: Database,
        trail: Trail,
        parser: Parser,
        runner: Runner,
        delegation: Delegation,
        confirm_key: bytes,
    ) -> None:
        self._settings, self._db, self._trail = settings, database, trail
        self._parser, self._runner, self._delegation = parser, runner, delegation
        self._confirm_key = confirm_key
        self._halt = HaltState(halted=False)
        self._halting = asyncio.Lock()  # a halt that comes while a resume is written down must not be lost
        self._in_work: set[str] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tidied: float | None = None

    # --- start and upkeep -------------------------------------------------------------------------------------------

    async def wake(self) -> None:
        """At the start: is the fleet halted, and what did a kill leave half done?"""
        async with self._db.read() as session:
            stored = await repository.get_context(session, HALT_SCOPE, HALT_KEY)
            interrupted = await repository.unplanned_intents(session)
        if stored is not None:
            self._halt = HaltState.model_validate(stored)
        if self._halt.halted:
            self._runner.halt()
        if interrupted:
            async with self._db.write() as session:
                for row in interrupted:
                    await repository.close_intent(session, row.id, status=StatusEnum.ERROR, response=INTERRUPTED)

    async def upkeep(self) -> None:
        """See to it that what should run does, and that what is halted stands; close and forget what is past its time."""
        if self._halt.halted:
            await self._delegation.cancel_jobs()  # those of a neighbour that could not be reached when the halt came
        await self._runner.reconcile()
        async with self._db.read() as session:
            expired = await repository.expired_plans(session, utc_now())
        for plan_id in expired:
            await self._close(plan_id, "expired", by="madre")
        if self._tidied is None or time.monotonic() > self._tidied + TIDY_SECONDS:
            await self._tidy()
            self._tidied = time.monotonic()

    async def _tidy(self) -> None:
        async with self._db.write() as session:
            await forget_old(session, self._db.service)
            await repository.forget_older(session, "question", utc_now() - self._settings.madre_question_ttl)
            await repository.forget_older(session, "last_asset", utc_now() - LAST_ASSET_KEPT)
            await repository.forget_older(session, STUDIO, utc_now() - LAST_ASSET_KEPT)
            await repository.forget_older(session, LISTED, utc_now() - LAST_ASSET_KEPT)
        await self._runner.forget(utc_now() - FINISHED_WORKFLOWS_KEPT)

    # --- chat and control -------------------------------------------------------------------------------------------

    async def chat(self, request: ChatRequest, caller: Caller, key: str | None) -> ChatResponse:
        """Turn a message into a plan and start it, or say what is missing.

        The intent is on disk before anything is made of it. A HIGH plan waits for its confirm token. A switch that is down or
        answers nonsense is not an error: the local parser reads the message alone. Raises IdempotencyConflict for a key that
        came with another message.
        """
        session_id = request.session_id or new_id("session")
        once = Idempotency.of("madre", caller.id, key, "chat", request.model_dump(mode="json"))
        intent_id, earlier, waiting = await self._log(request, session_id, caller, once)
        if earlier is not None and earlier.answer is not None:
            return ChatResponse.model_validate(self._with_token(earlier.answer, caller))
        async with self._working_on(intent_id):
            reply = await self._made(intent_id) if earlier is not None else None
            if reply is None:
                reply = await self._answer_chat(request, caller, intent_id, session_id, waiting)
        reply = await self._settled(reply, request.wait_seconds)
        await self._keep(once, reply)
        return reply

    async def control(self, request: ControlRequest, caller: Caller, key: str | None) -> ChatResponse | ControlResponse:
        """Do a structured request; a dangerous one comes back with its confirm token.

        Raises UnknownControl when there is no such target or action; nothing is logged then.
        """
        intent = controls.intent_of(request.target, request.action, request.params)
        session_id = request.session_id or new_id("session")
        once = Idempotency.of("madre", caller.id, key, "control", request.model_dump(mode="json"))
        intent_id, earlier, _ = await self._log(request, session_id, caller, once)
        if earlier is not None and earlier.answer is not None:
            answer = self._with_token(earlier.answer, caller)
            pending = answer.get("status") == "pending_confirmation"
            return ControlResponse.model_validate(answer) if pending else ChatResponse.model_validate(answer)
        async with self._working_on(intent_id):
            chat = await self._made(intent_id) if earlier is not None else None
            if chat is None:
                reading = Reading(intent, str(request.params.get("prompt", "")), planner.named_files(intent))
                chat = await self._plan(reading, caller, intent_id, session_id, mode=None, dry_run=request.dry_run)
        chat = await self._settled(chat, request.wait_seconds)
        reply: ChatResponse | ControlResponse = chat
        if chat.confirmation is not None and chat.plan_id is not None:
            reply = ControlResponse(
                status="pending_confirmation",
                plan_id=chat.plan_id,
                confirm_token=chat.confirmation.confirm_token,
                expires_at=chat.confirmation.expires_at,
                risk=chat.risk,
                reason=chat.reason,
            )
        await self._keep(once, reply)
        return reply

    async def read(self, message: str) -> IntentV2:
        """What madre reads out of a message; nothing is done or kept."""
        return await self._parser.read(message)

    async def _answer_chat(
        self, request: ChatRequest, caller: Caller, intent_id: str, session_id: str, waiting: dict[str, Any] | None
    ) -> ChatResponse:
        if waiting is not None and datetime.fromisoformat(waiting["until"]) <= utc_now():
            waiting = None
        if waiting is not None and not request.dry_run:
            answered = await self._answer_question(waiting, request, caller, intent_id, session_id)
            if answered is not None:
                return answered
        reading = await self._reading(request, waiting)
        if reading is None:
            return await self._declined(waiting, caller, intent_id, session_id, dry_run=request.dry_run)
        async with self._in_turn(scope_of(caller.id, session_id)):
            return await self._plan(reading, caller, intent_id, session_id, mode=request.mode, dry_run=request.dry_run)

    def _in_turn(self, scope: str) -> asyncio.Lock:
        """Held while a session's message becomes a plan: of two at once the second builds on the first, and neither is lost."""
        return self._turns.setdefault(scope, asyncio.Lock())

    async def _reading(self, request: ChatRequest, waiting: dict[str, Any] | None) -> Reading | None:
        """The message read anew, or as the answer to the question that waits in its session; None when that is refused."""
        kind = waiting["kind"] if waiting is not None else None
        if kind in ("missing", "which") and not request.files and not request.params and declines(request.message):
            return None
        if (
            waiting is not None
            and kind == "missing"
            and (answered := await self._said_more(request, waiting)) is not None
        ):
            return answered
        if waiting is not None and kind == "missing" and request.files:
            asked = IntentV2.model_validate(waiting["intent"])
            said = await self._parser.read(request.message, len(request.files), ask_switch=False)
            if said.name is asked.name or said.name not in planner.TAKES_FILES:
                return Reading(_with_params(asked, request.params), waiting["message"], request.files)
            return Reading(_with_params(said, request.params), request.message, list(request.files))  # a new request
        if waiting is not None and kind == "which":
            question, files = Question.model_validate(waiting["question"]), request.files or waiting["files"]
            answer, chosen = await self._parser.answer(question, request.message, len(files))
            if answer.outcome is Outcome.DECLINED:
                return None
            if answer.outcome is Outcome.ASK_AGAIN or chosen is None:
                intent = await self._parser.read(question.message, len(files))
                return Reading(_with_params(intent, waiting["params"] | request.params), question.message, files)
            message = question.message if answer.outcome is Outcome.CHOSEN else request.message
            return Reading(_with_params(chosen, waiting["params"] | request.params), message, files)
        asks_switch = request.mode is not ModeEnum.AUDIO_ENGINEER  # the engineer is asked first
        intent = await self._parser.read(request.message, len(request.files), ask_switch=asks_switch)
        open_order = waiting.get("asked") if waiting is not None else None
        if waiting is not None and open_order is not None:
            open_order = open_order | {"files": waiting["files"]}
        return Reading(_with_params(intent, request.params), request.message, list(request.files), open_order)

    async def _said_more(self, request: ChatRequest, waiting: dict[str, Any]) -> Reading | None:
        """The order about processes or models that waits for a particular, together with the answer; None for a request of its own."""
        asked = IntentV2.model_validate(waiting["intent"])
        if asked.name not in (IntentName.RUN_PROCESS, IntentName.KILL_PROCESS) and not is_about_models(asked):
            return None
        said = await self._parser.read(request.message, len(request.files), ask_switch=False)
        if said.name is not IntentName.UNCLEAR:
            return None
        intent = _with_params(processes.completed(asked, request.message, self._settings.projects), request.params)
        files = list(dict.fromkeys([*waiting["files"], *request.files]))
        return Reading(intent, f"{waiting['message']}\n{request.message}", files)

    async def _declined(
        self, waiting: dict[str, Any] | None, caller: Caller, intent_id: str, session_id: str, *, dry_run: bool
    ) -> ChatResponse:
        """A person took back what they were asked about."""
        asked = {} if waiting is None else waiting["intent" if waiting["kind"] == "missing" else "question"]
        response = words.say("declined", asked.get("language", "en"))
        async with self._db.write() as session:
            if not dry_run:
                await repository.forget(session, scope_of(caller.id, session_id), "question")
            await repository.close_intent(session, intent_id, status=StatusEnum.DONE, response=response)
        return ChatResponse(
            intent_id=intent_id,
            session_id=session_id,
            plan_id=None,
            status=StatusEnum.DONE,
            mode=ModeEnum.MADRE,
            risk=RiskLevel.LOW,
            reason="",
            response=response,
            plan=None,
        )

    async def _answer_question(
        self, waiting: dict[str, Any], request: ChatRequest, caller: Caller, intent_id: str, session_id: str
    ) -> ChatResponse | None:
        """Take a plain yes or no to the plan that waits in this session; None if the message is something else.

        A yes never starts a HIGH plan: it is told what that needs, and the plan waits on.
        """
        if waiting["kind"] != "confirm":
            return None
        decision = False if declines(request.message) else words.yes_or_no(request.message)
        if decision is None:
            return None
        plan = await self.plan(waiting["plan_id"], caller)
        if plan.status is not StatusEnum.WAITING or plan.question is None:
            return None
        if decision and plan.risk is RiskLevel.HIGH:
            response = words.say("needs_token", plan.intent.language, plan_id=plan.plan_id)
            async with self._db.write() as session:
                await repository.close_intent(
                    session, intent_id, status=StatusEnum.DONE, response=response, plan_id=plan.plan_id
                )
            told = {"response": response, "question": response}
            return self._with_halt(_reply(plan, intent_id=intent_id)).model_copy(update=told)
        if decision:
            await self.confirm(plan.plan_id, ConfirmRequest(), caller)
            key = "confirmed"
        else:
            await self._close(plan.plan_id, "declined", by=caller.id)
            key = "declined"
        response = words.say(key, plan.intent.language)
        async with self._db.write() as session:
            await repository.forget(session, scope_of(caller.id, session_id), "question")
            await repository.close_intent(
                session, intent_id, status=StatusEnum.DONE, response=response, plan_id=plan.plan_id
            )
        return _reply(await self.plan(plan.plan_id, caller), intent_id=intent_id)

    async def _plan(
        self, reading: Reading, caller: Caller, intent_id: str, session_id: str, *, mode: ModeEnum | None, dry_run: bool
    ) -> ChatResponse:
        """Policy, plan, save, start."""
        scope = scope_of(caller.id, session_id)
        reading, command = await self._heard_by_engineer(reading, scope, mode)
        intent = reading.intent
        if command is None and intent.name is IntentName.UNCLEAR:
            question = ask(intent, reading.message)
            which = {"kind": "which", "question": question.model_dump(mode="json"), "params": intent.params}
            return await self._ask(question.text, which, reading, intent_id, session_id, scope, dry_run=dry_run)
        if command is not None:
            draft = audio_plans.plan(command, self._settings.madre_many_stems)
        else:
            known = await self._known(intent, reading.files, caller, scope)
            draft = planner.plan(intent, reading.message, reading.files, known)
            if reading.is_unheard and draft.refusal is not None and intent.name in planner.AUDIO:
                is_long = len(reading.message) > LONGEST_COMMAND
                text = words.say("command_too_long" if is_long else "engineer_unheard", intent.language)
                draft = Draft(refusal=text, refusal_code=InvalidRequest.code if is_long else UpstreamUnavailable.code)
        if draft.question is not None:
            remember: dict[str, Any] = {
                "kind": "missing",
                "intent": intent.model_dump(mode="json"),
                "asked": draft.asked,
            }
            return await self._ask(draft.question, remember, reading, intent_id, session_id, scope, dry_run=dry_run)
        verdict = policy.classify_risk(intent, takes_long=draft.takes_long)
        if verdict.risk is RiskLevel.HIGH:
            for step in draft.steps:  # a token that cannot change a module may not have madre harm it either
                caller.require(f"{step.operation.partition(':')[0]}:write")
        plan = PlanV2(
            plan_id=new_id("plan"),
            intent_id=intent_id,
            session_id=session_id,
            mode=planner.mode_of(intent, mode),
            status=policy.initial_status(verdict) if draft.refusal is None else StatusEnum.ERROR,
            risk=verdict.risk,
            reason=verdict.reason if draft.about is None else f"{verdict.reason}: {draft.about}",
            intent=intent,
            steps=draft.steps,
            warnings=draft.warnings,
            caller=caller.id,
            created_at=utc_now(),
        )
        if draft.refusal is not None:
            refused = {
                "response": draft.refusal,
                "error": f"/errors/{draft.refusal_code}: {draft.refusal}",
                "finished_at": utc_now(),
            }
            plan = plan.model_copy(update=refused)
        elif dry_run:
            plan = plan.model_copy(update={"response": words.say("dry_run", intent.language)})
        elif plan.status is StatusEnum.WAITING:
            text = words.confirmation_of(verdict.risk, plan.reason, plan.plan_id, intent.language)
            if verdict.risk is not RiskLevel.HIGH:
                text = draft.confirmation or text
            plan = plan.model_copy(update={"question": text, "response": text})
            if self._halt.halted:
                plan = plan.model_copy(
                    update={"warnings": [*plan.warnings, self._told_of_halt("halted_waiting", plan)]}
                )
        elif self._halt.halted:
            text = self._told_of_halt("halted", plan)
            plan = plan.model_copy(update={"response": text, "warnings": [*plan.warnings, text]})
        else:
            plan = plan.model_copy(update={"response": words.say("working", intent.language, plan_id=plan.plan_id)})
        if dry_run:
            async with self._db.write() as session:
                await repository.close_intent(
                    session, intent_id, status=StatusEnum.DONE, response=plan.response, intent=intent
                )
            return _reply(plan).model_copy(update={"plan_id": None})
        is_starting = plan.status is StatusEnum.PENDING
        plan = self._runner.begun(plan) if is_starting else plan
        try:
            confirmation = await self._save(plan, scope)
        except BaseException:
            self._runner.not_begun(plan.plan_id)
            raise
        if is_starting:
            await self._runner.start(plan.plan_id, plan)
        return _reply(plan, confirmation=confirmation)

    async def _heard_by_engineer(
        self, reading: Reading, scope: str, mode: ModeEnum | None
    ) -> tuple[Reading, audio_plans.Command | None]:
        """An order to the audio engineer as shub reads it, on this session's table; None for what is no such order.

        Where shub cannot be asked, the message stays as madre read it. A reading that deletes is planned like every other deletion.
        """
        intent = reading.intent
        async with self._db.read() as session:
            studio = await repository.studio_of(session, scope)
        is_deletion = intent.name is IntentName.DELETE_RESOURCE and not is_about_models(intent)
        is_on_table = is_deletion and bool(studio.takes or reading.files)
        is_on_table = is_on_table or (intent.name is IntentName.UNCLEAR and bool(studio.takes))
        if intent.source == "structured" or "stems" in intent.params:
            return reading, None
        if reading.asked is not None and (told := await self._completed(reading, reading.asked, studio)) is not None:
            return told
        if intent.name not in planner.AUDIO and mode is not ModeEnum.AUDIO_ENGINEER and not is_on_table:
            return reading, None
        files = await self._delegation.audio_files(reading.files)
        if files is None:
            return replace(await self._read_again(reading, mode), is_unheard=True), None
        heard = await self._delegation.interpret(reading.message, audio_plans.context_of(studio.now, files))
        if heard is None:
            return replace(await self._read_again(reading, mode), is_unheard=True), None
        if not audio_plans.is_for_studio(heard):
            if heard.needs_clarification and (intent.name in planner.AUDIO or intent.name is IntentName.UNCLEAR):
                return reading, audio_plans.Command(heard, studio, files)
            return await self._read_again(reading, mode), None
        intent, command = audio_plans.intent_of(heard), audio_plans.Command(heard, studio, files)
        if audio_plans.is_deletion(heard):
            intent = intent.model_copy(update={"target": "audio"})
            return Reading(intent, reading.message, audio_plans.to_delete(command)), None
        return Reading(intent, reading.message, reading.files), command

    async def _completed(
        self, reading: Reading, asked: dict[str, Any], studio: Studio
    ) -> tuple[Reading, audio_plans.Command] | None:
        """The order that waits for a particular, with the message as that particular; None for a message that says something else."""
        if reading.intent.name is not IntentName.UNCLEAR and reading.intent.name not in planner.AUDIO:
            return None
        named = list(dict.fromkeys([*asked["files"], *reading.files]))
        files = await self._delegation.audio_files(named)
        if files is None:
            return None
        heard, take = Interpretation.model_validate(asked["heard"]), with_files(studio.now, files)
        context = audio_plans.context_of(take, ())
        said = await self._delegation.interpret(reading.message, context)
        is_order = said is not None and audio_plans.is_for_studio(said) and not said.needs_clarification
        completed: Interpretation | None = None
        if asked["key"] == "mix_first" and said is not None:
            is_mix = is_order and all(action.action == "mix" for action in said.actions)
            completed = audio_answers.mixed_first(heard) if is_mix or words.yes_or_no(reading.message) else None
        elif asked["key"] in audio_answers.WHICH and said is not None and not is_order:
            as_order = audio_answers.as_command(reading.message, heard.language)
            tracks = await self._delegation.interpret(as_order, context.model_copy(update={"last_targets": []}))
            if tracks is not None and (of := audio_answers.tracks_named(tracks, take)):
                completed = audio_answers.about_tracks(heard, of, asked["absent"])
        if completed is None:
            return None
        command = audio_plans.Command(completed, studio, files)
        return Reading(audio_plans.intent_of(completed), reading.message, named), command

    async def _read_again(self, reading: Reading, mode: ModeEnum | None) -> Reading:
        """What was kept for the audio engineer and is none of his business: read by switch where our own rules are unsure."""
        if mode is not ModeEnum.AUDIO_ENGINEER or reading.intent.name is not IntentName.UNCLEAR:
            return reading
        intent = await self._parser.read(reading.message, len(reading.files))
        return Reading(_with_params(intent, reading.intent.params), reading.message, reading.files)

    async def _known(self, intent: IntentV2, files: list[str], caller: Caller, scope: str) -> Known:
        """What the planner needs to know besides the message; spawner is asked only where it matters which jobs there are."""
        whose = None if _sees_all(caller) else caller.id
        jobs = await self._delegation.open_jobs(whose) if intent.name is IntentName.KILL_PROCESS else None
        shown: dict[str, Any] | None = None
        if intent.name is IntentName.DOWNLOAD_MODEL:
            async with self._db.read() as session:
                shown = await repository.get_context(session, scope, LISTED)
        listed = [] if shown is None else shown["models"]
        known = Known(self._settings.madre_many_stems, self._settings.projects, whose, jobs, listed=listed)
        if intent.name is IntentName.DELETE_RESOURCE and (named := planner.assets_of(intent, files)):
            known = replace(known, files=await self._delegation.audio_files(named) or ())
        return await about_models(intent, known, self._delegation, self._settings.hermes_download_limit_bytes)

    async def _save(self, plan: PlanV2, scope: str) -> Confirmation | None:
        """Save the plan and the decisions about it; returns the token of a HIGH plan, which is kept only as its hash."""
        hashed, confirmation, expires_at = policy.plan_hash(plan), None, None
        confirm_hash: str | None = None
        if plan.status is StatusEnum.WAITING:
            expires_at = utc_now() + self._settings.madre_confirm_ttl
        if plan.status is StatusEnum.WAITING and plan.risk is RiskLevel.HIGH and expires_at is not None:
            token = self._token_of(plan.plan_id, plan.caller)
            confirm_hash = policy.confirm_hash(token, plan_id=plan.plan_id, plan_hash=hashed, caller=plan.caller)
            confirmation = Confirmation(confirm_token=token, expires_at=expires_at)
        async with self._db.write(durable=confirmation is not None) as session:
            await repository.save_plan(
                session, plan, plan_hash=hashed, confirm_hash=confirm_hash, confirm_expires_at=expires_at
            )
            made = ("plan_made", {"status": plan.status, "risk": plan.risk})
            await repository.add_events(session, plan.plan_id, made, *starting_events(plan))
            await repository.close_intent(
                session,
                plan.intent_id,
                status=plan.status,
                response=plan.response,
                intent=plan.intent,
                plan_id=plan.plan_id,
            )
            if not plan.status.is_final and expires_at is None and audio_plans.changes_studio(plan):
                studio = audio_plans.awaited(await repository.studio_of(session, scope), plan)
                await repository.set_context(session, scope, STUDIO, studio.model_dump(mode="json"))
            if expires_at is not None:
                waiting = {"kind": "confirm", "plan_id": plan.plan_id, "until": expires_at.isoformat()}
                await repository.set_context(session, scope, "question", waiting)
            else:
                await repository.forget(session, scope, "question")
            await self._trail.record(
                session,
                "plan_made",
                plan.plan_id,
                plan.caller,
                table="madre_actions",
                intent=plan.intent.name,
                source=plan.intent.source,
                confidence=plan.intent.confidence,
                risk=plan.risk,
                reason=plan.reason,
                status=plan.status,
                steps=[step.operation for step in plan.steps],
            )
        return confirmation

    async def _ask(
        self,
        text: str,
        remember: dict[str, Any],
        reading: Reading,
        intent_id: str,
        session_id: str,
        scope: str,
        *,
        dry_run: bool,
    ) -> ChatResponse:
        """Say what is missing, and keep the question for the session's next message."""
        verdict = policy.classify_risk(reading.intent)
        until = (utc_now() + self._settings.madre_question_ttl).isoformat()
        async with self._db.write() as session:
            if not dry_run:
                kept = {"message": reading.message, "files": reading.files, "params": {}, "until": until} | remember
                await repository.set_context(session, scope, "question", kept)
            await repository.close_intent(
                session, intent_id, status=StatusEnum.WAITING, response=text, intent=reading.intent
            )
            await self._trail.record(
                session,
                "question_asked",
                intent_id,
                scope.partition("/")[0],
                table="madre_actions",
                intent=reading.intent.name,
                confidence=reading.intent.confidence,
            )
        return ChatResponse(
            intent_id=intent_id,
            session_id=session_id,
            plan_id=None,
            status=StatusEnum.WAITING,
            mode=planner.mode_of(reading.intent, None),
            risk=verdict.risk,
            reason=verdict.reason,
            response=text,
            plan=None,
            question=text,
        )

    async def _log(
        self, request: ChatRequest | ControlRequest, session_id: str, caller: Caller, once: Idempotency
    ) -> tuple[str, Earlier | None, dict[str, Any] | None]:
        """Write the intent down, or find what an earlier request with this key left; and the question that waits in the session."""
        intent_id = new_id("intent")
        async with self._db.write() as session:
            earlier = await once.earlier(session)
            waiting = await repository.get_context(session, scope_of(caller.id, session_id), "question")
            if earlier is None:
                await repository.log_intent(session, intent_id, session_id, caller.id, request)
                await once.claim(session, intent_id)
                return intent_id, None, waiting
        return str(earlier.resource_id), earlier, waiting

    @asynccontextmanager
    async def _working_on(self, intent_id: str) -> AsyncIterator[None]:
        """While an intent is made into a plan or an answer; what goes wrong closes it, so that none seems under way that is not.

        Raises IdempotencyInProgress when another request with the same key is at it.
        """
        if intent_id in self._in_work:
            detail = "the first request with this key is still being planned"
            raise IdempotencyInProgress(detail, headers={"Retry-After": "1"})
        self._in_work.add(intent_id)
        try:
            yield
        except Exception as error:
            detail = error.detail if isinstance(error, FleetError) else "an unexpected error; the log of madre has it"
            async with self._db.write() as session:
                row = await repository.intent_row(session, intent_id)
                if row is not None and row.plan_id is None:  # a plan that is saved goes on, and closes it
                    await repository.close_intent(session, intent_id, status=StatusEnum.ERROR, response=detail)
            raise
        finally:
            self._in_work.discard(intent_id)

    async def _made(self, intent_id: str) -> ChatResponse | None:
        """What an earlier request with this key led to, if its answer was never kept; None if that is nothing yet."""
        async with self._db.read() as session:
            row = await repository.intent_row(session, intent_id)
            if row is None or row.plan_id is None:
                return None
            plan = await repository.plan_of(session, row.plan_id)
            task = await repository.task_row(session, row.plan_id)
        if plan is None or task is None:
            return None
        confirmation = None
        if plan.intent_id != intent_id:  # a yes or no to a plan that was asked for before: its token was told then
            return _reply(plan, intent_id=intent_id)
        if plan.status is StatusEnum.WAITING and task.confirm_hash is not None and task.confirm_expires_at is not None:
            token = self._token_of(plan.plan_id, plan.caller)
            confirmation = Confirmation(confirm_token=token, expires_at=task.confirm_expires_at)
        return _reply(plan, confirmation=confirmation, intent_id=intent_id)

    def _token_of(self, plan_id: str, caller: str) -> str:
        return policy.confirm_token(self._confirm_key, plan_id=plan_id, caller=caller)

    async def _keep(self, once: Idempotency, reply: ChatResponse | ControlResponse) -> None:
        """Keep the answer for repeats, all but its confirm token: that is never on disk."""
        if once.key is None:
            return
        answer = reply.model_dump(mode="json")
        for part in (answer, answer.get("confirmation") or {}):
            part.pop("confirm_token", None)
        async with self._db.write() as session:
            await once.keep(session, 200, answer)

    def _with_token(self, answer: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """A kept answer as it was given."""
        token = {"confirm_token": self._token_of(str(answer["plan_id"]), caller.id)}
        if answer.get("confirmation"):
            return answer | {"confirmation": answer["confirmation"] | token}
        return answer | token if answer["status"] == "pending_confirmation" else answer

    async def _settled(self, reply: ChatResponse, wait_seconds: float) -> ChatResponse:
        """The reply once its plan has ended, or as it stands when the wait is over: at its time, or because the fleet is halted."""
        if reply.plan_id is None or reply.status.is_final or reply.question is not None:
            return reply
        ended = self._runner.watch(reply.plan_id, end_only=True)
        try:
            async with asyncio.timeout(0 if self._halt.halted else wait_seconds):
                if self._runner.is_carrying(reply.plan_id) or not await self._has_ended(reply.plan_id):
                    await ended.wait()
        except TimeoutError:
            pass  # it goes on; the reply tells how far it is
        finally:
            self._runner.unwatch(reply.plan_id, ended)
        plan = await self._plan_of(reply.plan_id)
        return reply if plan is None else self._with_halt(_reply(plan, intent_id=reply.intent_id))

    def _told_of_halt(self, key: str, plan: PlanV2) -> str:
        return words.halted(key, plan.intent.language, by=self._halt.by, reason=self._halt.reason)

    def _with_halt(self, reply: ChatResponse) -> ChatResponse:
        """The reply about a plan that has not ended, with the warning that everything stands still if it does."""
        if not self._halt.halted or reply.plan is None or reply.status.is_final:
            return reply
        text = self._told_of_halt("halted_waiting" if reply.question else "halted", reply.plan)
        return reply if text in reply.warnings else reply.model_copy(update={"warnings": [*reply.warnings, text]})

    async def _has_ended(self, plan_id: str) -> bool:
        async with self._db.read() as session:
            status = await repository.status_of(session, plan_id)
        return status is None or status.is_final

    # --- plans ------------------------------------------------------------------------------------------------------

    async def plan(self, plan_id: str, caller: Caller) -> PlanV2:
        """A plan with its steps. Raises PlanNotFound, also for another caller's."""
        plan = await self._plan_of(plan_id)
        if plan is None or not _may_see(caller, plan.caller):
            raise PlanNotFound(f"there is no plan {plan_id}")
        return plan

    async def plans(
        self,
        page: PageQuery,
        caller: Caller,
        *,
        status: StatusEnum | None,
        session_id: str | None,
        intent: IntentName | None,
    ) -> Page[PlanSummary]:
        """Plans, newest first; those of everybody for the owner, their own for others."""
        mine = None if _sees_all(caller) else caller.id
        async with self._db.read() as session:
            found = await repository.list_plans(
                session, page, caller=mine, status=status, session_id=session_id, intent=intent
            )
        return page_of(found, page, cursor="plan_id")

    async def confirm(
        self, plan_id: str, request: ConfirmRequest, caller: Caller, key: str | None = None
    ) -> ConfirmResponse:
        """Start a plan that waits. Of two that confirm at once, one succeeds; a repeat with the same Idempotency-Key hears it again.

        Raises PlanNotFound, FleetHalted, or ConfirmationRefused with the reason; a refusal is kept in the audit trail.
        """
        if self._halt.halted:
            raise FleetHalted("confirm again after POST /madre/resume; the token stays good until it expires")
        refusal: str | None
        once = Idempotency.of("madre", caller.id, key, f"confirm {plan_id}", request.model_dump(mode="json"))
        async with self._db.write(durable=True) as session:
            if await once.earlier(session) is not None:
                return ConfirmResponse(status="confirmed", plan_id=plan_id)
            task, plan = await repository.task_row(session, plan_id), await repository.plan_of(session, plan_id)
            if task is None or plan is None:
                raise PlanNotFound(f"there is no plan {plan_id}")
            hash_now = policy.plan_hash(plan)
            refusal = policy.refusal_of(task, request.confirm_token, caller=caller.id, hash_now=hash_now, now=utc_now())
            event = "confirmation_refused" if refusal else "plan_confirmed"
            if refusal is None:
                task.status, task.confirmed_at, task.confirm_hash, task.question = (
                    StatusEnum.PENDING,
                    utc_now(),
                    None,
                    None,
                )
                task.response = words.say("working", plan.intent.language, plan_id=plan_id)
                await once.claim(session, plan_id)
                await repository.add_events(session, plan_id, (event, {}))
                await repository.close_intent(
                    session, plan.intent_id, status=StatusEnum.PENDING, response=task.response
                )
            await self._trail.record(session, event, plan_id, caller.id, table="madre_actions", why=refusal)
        if refusal is not None:
            raise ConfirmationRefused(refusal)
        await self._runner.start(plan_id)
        self._runner.announce(plan_id)
        return ConfirmResponse(status="confirmed", plan_id=plan_id)

    async def cancel(self, plan_id: str, caller: Caller, key: str | None = None) -> PlanV2:
        """Stop a plan wherever it stands; a repeat with the same Idempotency-Key shows it again.

        Raises PlanNotFound, or PlanNotCancellable when it has ended.
        """
        await self.plan(plan_id, caller)
        once = Idempotency.of("madre", caller.id, key, f"cancel {plan_id}", None)
        async with self._db.read() as session:
            is_repeat = await once.earlier(session) is not None
        if not is_repeat and not await self._close(plan_id, "cancelled", by=caller.id, once=once):
            raise PlanNotCancellable(f"plan {plan_id} has ended already")
        return await self.plan(plan_id, caller)

    async def events(self, plan_id: str, after: int, caller: Caller) -> AsyncIterator[Event]:
        """What happened to a plan after event number `after`, and what happens from now on, until it ends."""
        await self.plan(plan_id, caller)
        return self._follow(plan_id, after)

    async def _follow(self, plan_id: str, after: int) -> AsyncIterator[Event]:
        changed = self._runner.watch(plan_id)
        try:
            while True:
                changed.clear()
                async with self._db.read() as session:
                    task = await repository.task_row(session, plan_id)
                    found = await repository.events_after(session, plan_id, after)
                for one in found:
                    after = one.seq
                    yield Event(id=str(one.seq), event=one.event, data=one.model_dump(mode="json"))
                if task is None or StatusEnum(task.status).is_final:
                    return
                await changed.wait()
        finally:
            self._runner.unwatch(plan_id, changed)

    async def _close(self, plan_id: str, how: str, *, by: str, once: Idempotency | None = None) -> bool:
        """End a plan that has not ended; returns whether it was so. `once` is the key of the request that ends it."""
        async with self._db.write() as session:
            task = await repository.task_row(session, plan_id)
            if task is None or StatusEnum(task.status).is_final:
                return False
            if how in ONLY_WAITING and not policy.waits_for_a_person(task):
                return False  # it was confirmed in the last moment
            if once is not None:
                await once.claim(session, plan_id)
            response = words.say(how, task.intent["language"])
            task.status, task.response, task.question = StatusEnum.CANCELLED, response, None
            task.confirm_hash, task.finished_at = None, utc_now()
            for step in await repository.step_rows(session, plan_id):
                if step.status != StatusEnum.DONE:
                    step.status = StatusEnum.CANCELLED
            await repository.add_events(session, plan_id, (f"plan_{how}", {"response": response}))
            await repository.close_intent(session, task.intent_id, status=StatusEnum.CANCELLED, response=response)
            await self._trail.record(session, f"plan_{how}", plan_id, by, table="madre_actions")
        self._runner.cancel(plan_id)
        return True

    async def _plan_of(self, plan_id: str) -> PlanV2 | None:
        async with self._db.read() as session:
            return await repository.plan_of(session, plan_id)

    async def daughter_ended(self, result: DaughterResult) -> None:
        """Spawner's word that a daughter has ended; her row tells how. Raises DaughterNotFound."""
        async with self._db.read() as session:
            known = await repository.daughter_state(session, result.daughter_task_id)
        if known is None:
            raise DaughterNotFound(f"there is no daughter {result.daughter_task_id}")
        self._runner.daughter_ended(result.daughter_task_id)

    # --- sessions ---------------------------------------------------------------------------------------------------

    async def session(self, session_id: str, caller: Caller) -> Session:
        """A conversation of this caller's. Raises SessionNotFound."""
        mine = None if _sees_all(caller) else caller.id
        async with self._db.read() as session:
            turns = await repository.turns_of(session, session_id, mine, TURNS_SHOWN)
            context = await repository.all_context(session, scope_of(caller.id, session_id))
        if not turns:
            raise SessionNotFound(f"nothing was said in session {session_id}")
        return Session(session_id=session_id, turns=turns, context=context)

    # --- halt -------------------------------------------------------------------------------------------------------

    async def halt(self, reason: str, caller: Caller) -> HaltState:
        """Stop everything: no step starts from now on, steps under way are interrupted, jobs are cancelled. Survives restarts."""
        self._runner.halt()  # first of all: writing it down may have to wait for the database
        async with self._halting:
            if not self._halt.halted:
                state = HaltState(halted=True, since=utc_now(), by=caller.id, reason=reason)
                await self._set_halt(state, "halted", caller)
            self._runner.halt()
        self._runner.tell_of_halt()
        cancelled = await self._delegation.cancel_jobs()
        self._runner.tell_of_halt()
        log.info("halted", by=caller.id, jobs_cancelled=cancelled)
        return self._halt

    async def resume(self, caller: Caller) -> HaltState:
        """Go on where the halt stopped."""
        async with self._halting:
            if self._halt.halted:
                await self._set_halt(HaltState(halted=False), "resumed", caller)
            self._runner.resume()
        await self._runner.reconcile()
        return self._halt

    async def checks(self) -> dict[str, Check]:
        """Madre's health: her neighbours, and whether the fleet is halted."""
        found = await self._delegation.check_dependencies()
        state = HealthState.DEGRADED if self._halt.halted else HealthState.OK
        why = f": {self._halt.reason}" if self._halt.reason else ""
        detail = f"halted by {self._halt.by}{why}" if self._halt.halted else "not halted"
        return found | {"halt": Check(status=state, detail=detail)}

    async def _set_halt(self, state: HaltState, event: str, caller: Caller) -> None:
        async with self._db.write(durable=True) as session:
            await repository.set_context(session, HALT_SCOPE, HALT_KEY, state.model_dump(mode="json"))
            if not state.halted:  # where a kill came before the halt could take a step back: its job is cancelled
                await repository.take_back_running(session, JOBS)
            await self._trail.record(session, event, "fleet", caller.id, table="madre_actions", reason=state.reason)
        self._halt = state


def _reply(plan: PlanV2, *, confirmation: Confirmation | None = None, intent_id: str | None = None) -> ChatResponse:
    return ChatResponse(
        intent_id=intent_id or plan.intent_id,
        session_id=plan.session_id,
        plan_id=plan.plan_id,
        status=plan.status,
        mode=plan.mode,
        risk=plan.risk,
        reason=plan.reason,
        response=plan.response,
        plan=plan,
        artifacts=plan.artifacts,
        question=plan.question,
        confirmation=confirmation,
        warnings=plan.warnings,
    )


def _with_params(intent: IntentV2, params: dict[str, Any]) -> IntentV2:
    return intent.model_copy(update={"params": intent.params | params}) if params else intent


def _sees_all(caller: Caller) -> bool:
    return caller.is_service or "*" in caller.scopes


def _may_see(caller: Caller, owner: str) -> bool:
    return caller.id == owner or _sees_all(caller)
