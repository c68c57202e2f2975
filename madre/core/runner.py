"""Carries a plan out, step by step, so that a kill at any point loses nothing and repeats nothing that had finished.

The engine calls `run()` for a plan, at its start and again after a kill. What a step gave is written to `plan_steps` together with its
end, and there alone: a step that the table calls DONE is never asked again. Before each step the halt switch is looked at;
a halt or a cancel interrupts the step under way within a moment and cancels its job; a halted step is asked again, under a new key,
after the resume.

A step that needs a process leaves a daughter to spawner, in the transaction in which the plan turns WAITING, and waits for her end. A halt
does not interrupt that wait: spawner kills her and takes her up again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from config.clock import utc_now
from config.contracts.common import Page
from config.database import Database
from config.errors import (
    Conflict,
    FleetError,
    IdempotencyInProgress,
    UpstreamContractError,
    UpstreamUnavailable,
)
from config.forensics import Trail
from config.pages import PageQuery
from madre.core import daughters, job_words, model_plans, model_words, words
from madre.core import db as repository
from madre.core.daughters import DaughterFailed
from madre.core.delegation import Delegation, Order
from madre.core.models import IntentName, PlanV2, StatusEnum, StepType, StepV2
from madre.core.studio import CONTEXT_KEY as STUDIO
from madre.core.studio import Take
from madre.engine import Engine
from madre.settings import MadreSettings

log = structlog.get_logger()

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 30.0
PROGRESS_STEP = 0.05


@dataclass(frozen=True)
class Begun:
    """A step that was just written down as RUNNING for the first time."""

    status: StatusEnum = StatusEnum.RUNNING
    generation: int = 0
    result: None = None


class Interrupted(Exception):
    """The step under way was stopped by a halt or a cancel."""


class Runner:
    """Runs plans. Everything here is one process's view; where two madres share a database, each runs the plans it started."""

    def __init__(
        self, settings: MadreSettings, database: Database, trail: Trail, delegation: Delegation, engine: Engine
    ) -> None:
        self._settings, self._db, self._trail = settings, database, trail
        self._delegation, self._engine = delegation, engine
        self._open = asyncio.Event()  # set while the fleet is not halted
        self._under_way: dict[str, asyncio.Task[Any]] = {}
        self._with_daughter: set[str] = set()
        self._calls = daughters.Calls()
        self._interrupted: set[asyncio.Task[Any]] = set()
        self._bodies: set[asyncio.Task[Any]] = set()
        self._changed: dict[str, set[asyncio.Event]] = {}
        self._ends: dict[str, set[asyncio.Event]] = {}
        self._fresh: dict[str, PlanV2] = {}
        self._carried: set[str] = set()
        self._begun: set[str] = set()
        """Plans saved with their first step running, which nobody has asked for yet; none that a halt or a cancel has met since."""
        self._open.set()

    # --- what the service calls -------------------------------------------------------------------------------------

    async def start(self, plan_id: str, fresh: PlanV2 | None = None) -> None:
        """Have the engine carry the plan out. `fresh` is the plan as it was just saved, which spares reading it again."""
        if fresh is not None:
            self._fresh[plan_id] = fresh
            self._carried.add(plan_id)
        try:
            await self._engine.start(plan_id)
        except BaseException:
            self._fresh.pop(plan_id, None)
            self._carried.discard(plan_id)
            self._begun.discard(plan_id)
            raise

    def begun(self, plan: PlanV2) -> PlanV2:
        """The plan as it is saved when its first step starts with it, which spares a transaction; as it is, where that one has to wait.

        To be followed by `start`, or by `not_begun` where it could not be saved.
        """
        if not plan.steps or plan.steps[0].type is StepType.SPAWN_DAUGHTER or not self._open.is_set():
            return plan
        self._begun.add(plan.plan_id)
        running = {"status": StatusEnum.RUNNING, "started_at": utc_now()}
        first = plan.steps[0].model_copy(update={**running, "attempts": 1})
        return plan.model_copy(update={**running, "steps": [first, *plan.steps[1:]]})

    def not_begun(self, plan_id: str) -> None:
        self._begun.discard(plan_id)

    def is_carrying(self, plan_id: str) -> bool:
        """Whether this plan, started fresh, has not ended yet: `watch` will tell of its end."""
        return plan_id in self._carried

    async def reconcile(self) -> int:
        """Start what should run and has no workflow (a kill fell between saving and starting); returns how many there were.

        A plan whose workflow has ended without ending the plan is closed as failed, so that nothing seems to run that does not.
        """
        started = 0
        async with self._db.read() as session:
            unfinished = await repository.unfinished_plans(session)
        for plan_id in unfinished:
            carried = await self._engine.state(plan_id)
            if carried is None:
                await self._engine.start(plan_id)
                started += 1
            elif carried == "ended":
                await self._give_up(plan_id)
        return started

    async def forget(self, before: datetime) -> None:
        """Drop what the engine keeps of plans that ended before that time."""
        await self._engine.forget(before)

    def halt(self) -> None:
        """Interrupt every step under way but those that wait for a daughter; no step starts until `resume`."""
        self._open.clear()
        self._begun.clear()
        for plan_id in set(self._under_way) - self._with_daughter:
            self._interrupt(plan_id)

    def resume(self) -> None:
        self._open.set()
        self._calls.all_came()

    def tell_of_halt(self) -> None:
        """Let go of those who wait for the end of a plan: it does not come before the resume. Daughters are looked at."""
        self._calls.all_came()
        for plan_id in list(self._ends):
            self.announce(plan_id, end=True)

    def cancel(self, plan_id: str) -> None:
        """Interrupt this plan's step under way; the plan itself was marked CANCELLED by the caller."""
        self._begun.discard(plan_id)  # saved, and not started yet: its first step is looked at before it is asked
        self._interrupt(plan_id)
        self.announce(plan_id, end=True)

    def daughter_ended(self, daughter_id: str) -> None:
        """Spawner says that this daughter's row is worth a look."""
        self._calls.came(daughter_id)

    async def stop(self) -> None:
        """Let go of every plan, as a kill would: the next start carries them on."""
        bodies = list(self._bodies)
        for body in bodies:
            body.cancel()
        await asyncio.gather(*bodies, return_exceptions=True)

    def watch(self, plan_id: str, *, end_only: bool = False) -> asyncio.Event:
        """An event that is set whenever something happens to this plan, or only when it ends or the fleet is halted; give it back
        with `unwatch`."""
        event = asyncio.Event()
        (self._ends if end_only else self._changed).setdefault(plan_id, set()).add(event)
        return event

    def unwatch(self, plan_id: str, event: asyncio.Event) -> None:
        for watched in (self._changed, self._ends):
            watchers = watched.get(plan_id, set())
            watchers.discard(event)
            if not watchers:
                watched.pop(plan_id, None)

    def announce(self, plan_id: str, *, end: bool = False) -> None:
        for event in self._changed.get(plan_id, ()):
            event.set()
        for event in self._ends.get(plan_id, ()) if end else ():
            event.set()

    def _interrupt(self, plan_id: str) -> None:
        if task := self._under_way.get(plan_id):
            self._interrupted.add(task)
            task.cancel()

    # --- what the engine calls --------------------------------------------------------------------------------------

    async def run(self, plan_id: str) -> None:
        """Carry the plan to its end."""
        body = asyncio.current_task()
        assert body is not None, "the engine runs plans as tasks"
        self._bodies.add(body)
        body.add_done_callback(self._bodies.discard)
        body.add_done_callback(lambda _: self._carried.discard(plan_id))
        plan, is_confirmed = self._fresh.pop(plan_id, None), False
        is_begun = plan is not None and plan_id in self._begun
        self._begun.discard(plan_id)
        if plan is None:
            async with self._db.read() as session:
                plan = await repository.plan_of(session, plan_id)
                task = await repository.task_state(session, plan_id)
            if plan is None or task is None or plan.status.is_final:
                return
            is_confirmed = task.confirmed_at is not None
        results: dict[str, dict[str, Any]] = {}
        for number, step in enumerate(plan.steps):
            is_last = number == len(plan.steps) - 1
            result = await self._step(
                plan, step, results, is_last=is_last, is_confirmed=is_confirmed, is_begun=is_begun and number == 0
            )
            if result is None:
                return
            results[step.step_id] = result

    async def _step(
        self,
        plan: PlanV2,
        step: StepV2,
        results: dict[str, Any],
        *,
        is_last: bool,
        is_confirmed: bool,
        is_begun: bool = False,
    ) -> dict[str, Any] | None:
        """Ask for one step until it is done, and give its result; None when it has failed for good or the plan is cancelled.

        `is_begun` says that the step was saved as RUNNING just now, with its plan.
        """
        if step.type is StepType.SPAWN_DAUGHTER:
            return await self._daughter(plan, step, results, is_last=is_last, is_confirmed=is_confirmed)
        attempt, key, first_asked = 0, "", utc_now()
        while True:
            await self._open.wait()
            begun: Any = Begun() if is_begun else await self._begin(plan, step)
            is_begun = False
            if begun is None:
                await self._delegation.abandon(key)  # cancelled between two attempts: the job may be there still
                return None
            if begun.status == StatusEnum.DONE:  # before a kill
                return dict(begun.result)
            attempt += 1
            key = f"{plan.plan_id}:{step.step_id}" + (f":{begun.generation}" if begun.generation else "")
            try:
                try:
                    result = await self._interruptible(plan.plan_id, self._ask(plan, step, results, key, is_confirmed))
                except IdempotencyInProgress as error:  # asked before a kill or a halt, and still being done
                    if utc_now() > first_asked + self._settings.madre_step_timeout:
                        await self._fail(plan, step, error)
                        return None
                    attempt -= 1
                    await self._interruptible(plan.plan_id, asyncio.sleep(FIRST_RETRY_SECONDS))
                    continue
                except FleetError as error:
                    most = min(self._settings.madre_step_attempts, ATTEMPTS.get(step.operation, 100))
                    if not is_passing(error) or attempt >= most:
                        await self._fail(plan, step, error)
                        return None
                    told = {"step_id": step.step_id, "attempt": attempt, "error": error.detail}
                    await self._event(plan.plan_id, "step_retry", **told)
                    await self._interruptible(plan.plan_id, asyncio.sleep(retry_delay(attempt)))
                    continue
            except Interrupted:
                attempt, first_asked = 0, utc_now()
                await self._delegation.abandon(key)
                # A job was cancelled with its key. Anything else may have been done before the interrupt: its key finds that out.
                await self._take_back(plan, step, begun.generation + (step.operation in JOBS))
                continue
            except Exception as exc:
                log.exception("step_failed", plan_id=plan.plan_id, step_id=step.step_id)
                await self._fail(plan, step, FleetError(f"an unexpected error in madre ({type(exc).__name__})"))
                return None
            await self._done(plan, step, results | {step.step_id: result}, result, is_last)
            return dict(result)

    async def _ask(
        self, plan: PlanV2, step: StepV2, results: dict[str, Any], key: str, is_confirmed: bool
    ) -> dict[str, Any]:
        params = resolved(step.params, results)
        if own := OWN_STEPS.get(step.operation):
            return await own(self, plan, params)
        told = 0.0

        async def progress(share: float) -> None:
            nonlocal told
            if share >= told + PROGRESS_STEP:
                told = share
                await self._event(plan.plan_id, "step_progress", step_id=step.step_id, progress=round(share, 3))

        order = Order(plan.plan_id, step.step_id, step.operation, params, key, is_confirmed, progress)
        limit = self._settings.madre_job_timeout if step.operation in JOBS else self._settings.madre_step_timeout
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self._delegation.ask(order)
        except TimeoutError as exc:
            raise UpstreamUnavailable(f"{step.operation} took longer than {limit.total_seconds():.0f} s") from exc

    async def _daughter(
        self, plan: PlanV2, step: StepV2, results: dict[str, Any], *, is_last: bool, is_confirmed: bool
    ) -> dict[str, Any] | None:
        """Have spawner run a process, and give what came of it; None when it failed or the plan was cancelled.

        A madre that was killed meanwhile finds the daughter by the step's key, and waits on.
        """
        await self._open.wait()
        begun = await self._bear(plan, step, is_confirmed)
        if begun is None or isinstance(begun, dict):
            return begun
        self._with_daughter.add(plan.plan_id)
        try:
            row = await self._interruptible(plan.plan_id, self._end_of(plan, step, begun))
            if row is None:
                raise Interrupted
            result = daughters.outcome_of(row)
        except Interrupted:
            await self._delegation.cancel_daughter(begun)
            return None
        except FleetError as error:
            await self._fail(plan, step, error)
            return None
        except Exception as exc:
            log.exception("step_failed", plan_id=plan.plan_id, step_id=step.step_id)
            await self._fail(plan, step, FleetError(f"an unexpected error in madre ({type(exc).__name__})"))
            return None
        finally:
            self._with_daughter.discard(plan.plan_id)
        if row.status == StatusEnum.DONE:
            await self._done(plan, step, results | {step.step_id: result}, result, is_last)
            return result
        failure = DaughterFailed(job_words.failed("en", result))
        response = words.say("failed", plan.intent.language, detail=job_words.failed(plan.intent.language, result))
        await self._fail(plan, step, failure, result=result, response=response)
        return None

    async def _end_of(self, plan: PlanV2, step: StepV2, daughter_id: str) -> Any:
        """The row of a daughter once she has ended; None when her plan has.

        A spawner that cannot be reached is waited for: she is queued, and her plan can be cancelled.
        """
        named = {"name": step.params.get("name", "job"), "plan_id": plan.plan_id}
        with self._calls.about(daughter_id) as called:
            if (wrong := await self._delegation.wake_spawner()) is not None:
                await self._tell(plan, "daughter_unheard", named | {"detail": wrong})
            told = "daughter_queued"
            while True:
                called.clear()
                async with self._db.read() as session:
                    row = await repository.daughter_state(session, daughter_id)
                if row is None:
                    raise DaughterFailed(f"the record of daughter {daughter_id} is gone")
                if StatusEnum(row.plan_status).is_final:
                    return None
                if StatusEnum(row.status).is_final:
                    return row
                if (key := self._standing(row)) != told:
                    told = key
                    await self._tell(plan, key, named | {"spawn_id": row.spawn_id or "–"})
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(daughters.LOOK_SECONDS):
                        await called.wait()

    def _standing(self, row: Any) -> str:
        """What is said of a daughter that has not ended."""
        if row.status == StatusEnum.RUNNING:
            return "daughter_running"
        return "daughter_queued" if self._open.is_set() else "daughter_halted"

    async def _interruptible(self, plan_id: str, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        self._under_way[plan_id] = task
        if not self._open.is_set() and plan_id not in self._with_daughter:
            self._interrupt(plan_id)  # the halt came between looking at the switch and here
        try:
            return await task
        except asyncio.CancelledError:
            if task in self._interrupted:
                raise Interrupted from None
            task.cancel()
            raise
        finally:
            self._interrupted.discard(task)
            self._under_way.pop(plan_id, None)

    # --- what is written down ---------------------------------------------------------------------------------------

    async def _begin(self, plan: PlanV2, step: StepV2) -> Any:
        """Mark the step RUNNING; None when the plan was cancelled meanwhile."""
        async with self._db.write() as session:
            task = await repository.task_state(session, plan.plan_id)
            if task is None or StatusEnum(task.status).is_final:
                return None
            row = await repository.step_state(session, plan.plan_id, step.step_id)
            if row.status == StatusEnum.DONE:
                return row
            now = utc_now()
            begun = {"status": StatusEnum.RUNNING, "started_at": row.started_at or now, "attempts": row.attempts + 1}
            await repository.update_step(session, plan.plan_id, step.step_id, **begun)
            started: list[tuple[str, dict[str, Any]]] = []
            if task.status != StatusEnum.RUNNING:
                running = {"status": StatusEnum.RUNNING, "started_at": task.started_at or now}
                await repository.update_task(session, plan.plan_id, **running)
                started = [("plan_started", {})] if task.started_at is None else []
            await repository.add_events(session, plan.plan_id, *started, _step_started(step))
        self.announce(plan.plan_id)
        return row

    async def _bear(self, plan: PlanV2, step: StepV2, is_confirmed: bool) -> str | dict[str, Any] | None:
        """Leave the step's process to spawner and turn step and plan WAITING, in one transaction; returns the daughter's id.

        Gives the step's result instead when it was done before a kill, and None when the plan was cancelled meanwhile.
        """
        key, request = daughters.key_of(plan, step), daughters.request_of(step, is_confirmed=is_confirmed)
        async with self._db.write() as session:
            task = await repository.task_state(session, plan.plan_id)
            if task is None or StatusEnum(task.status).is_final:
                return None
            row = await repository.step_state(session, plan.plan_id, step.step_id)
            if row.status == StatusEnum.DONE:
                return dict(row.result)
            found = await repository.daughter_of(session, key)
            if found is not None:
                return str(found.id)
            most = daughters.most_attempts(request.spawn)
            daughter_id = await repository.add_daughter(
                session, plan, step.step_id, key=key, request=request, most_attempts=most
            )
            now = utc_now()
            begun = {"status": StatusEnum.WAITING, "started_at": row.started_at or now, "attempts": row.attempts + 1}
            await repository.update_step(session, plan.plan_id, step.step_id, **begun)
            named = {"name": request.spawn.name, "plan_id": plan.plan_id}
            waiting = {
                "status": StatusEnum.WAITING,
                "started_at": task.started_at or now,
                "confirm_expires_at": None,  # nothing waits for a person any more
                "response": words.say("daughter_queued", plan.intent.language, **named),
            }
            await repository.update_task(session, plan.plan_id, **waiting)
            started: list[tuple[str, dict[str, Any]]] = [("plan_started", {})] if task.started_at is None else []
            about = {"step_id": step.step_id, "daughter_task_id": daughter_id}
            await repository.add_events(
                session,
                plan.plan_id,
                *started,
                _step_started(step),
                ("step_waiting", about),
            )
        self.announce(plan.plan_id)
        return daughter_id

    async def _tell(self, plan: PlanV2, key: str, values: dict[str, Any]) -> None:
        """Say how far a plan that waits for its daughter is."""
        async with self._db.write() as session:
            standing = await repository.status_of(session, plan.plan_id)
            if standing is None or standing.is_final:
                return
            response = words.say(key, plan.intent.language, **values)
            await repository.update_task(session, plan.plan_id, response=response)
            await repository.add_events(session, plan.plan_id, (key, {"response": response}))
        self.announce(plan.plan_id)

    async def _done(
        self, plan: PlanV2, step: StepV2, results: dict[str, Any], result: dict[str, Any], is_last: bool
    ) -> None:
        async with self._db.write() as session:
            await repository.update_step(
                session,
                plan.plan_id,
                step.step_id,
                status=StatusEnum.DONE,
                result=result,
                error=None,
                finished_at=utc_now(),
            )
            await repository.add_events(session, plan.plan_id, ("step_done", {"step_id": step.step_id}))
            if is_last:
                steps = [one.model_copy(update={"result": results.get(one.step_id)}) for one in plan.steps]
                response = words.report(plan.intent, steps)
                await self._end(session, plan, StatusEnum.DONE, response, result=result, artifacts=artifacts_of(steps))
                await self._remember(session, plan, steps)
        self.announce(plan.plan_id, end=is_last)

    async def _fail(
        self,
        plan: PlanV2,
        step: StepV2,
        error: FleetError,
        *,
        result: dict[str, Any] | None = None,
        response: str | None = None,
    ) -> None:
        """End the plan with this error; `result` is what a process that failed left all the same."""
        key = "no_model" if error.code in ("no_model_reachable",) or _is_question_unanswered(plan, error) else "failed"
        if response is None and step.operation.startswith("hermes:"):
            response = model_words.trouble(plan.intent.language, error)
        response = response or words.say(key, plan.intent.language, detail=error.detail)
        failed = {"status": StatusEnum.ERROR, "error": error.detail, "finished_at": utc_now()}
        async with self._db.write() as session:
            kept = failed if result is None else failed | {"result": result}
            await repository.update_step(session, plan.plan_id, step.step_id, **kept)
            await repository.add_events(
                session, plan.plan_id, ("step_failed", {"step_id": step.step_id, "error": error.detail})
            )
            await self._end(
                session, plan, StatusEnum.ERROR, response, result=result, error=f"/errors/{error.code}: {error.detail}"
            )
        self.announce(plan.plan_id, end=True)

    async def _give_up(self, plan_id: str) -> None:
        async with self._db.write() as session:
            plan = await repository.plan_of(session, plan_id)
            if plan is None or plan.status.is_final:
                return
            error = "the engine gave this plan up; the log of madre says why"
            response = words.say("failed", plan.intent.language, detail=error)
            await self._end(session, plan, StatusEnum.ERROR, response, error=f"/errors/internal: {error}")
        log.error("plan_given_up", plan_id=plan_id)
        self.announce(plan_id, end=True)

    async def _end(self, session: Any, plan: PlanV2, status: StatusEnum, response: str, **values: Any) -> None:
        standing = await repository.status_of(session, plan.plan_id)
        if standing is None or standing.is_final:
            return  # cancelled while its last step was finishing: the cancel stands
        await repository.update_task(
            session, plan.plan_id, status=status, response=response, question=None, finished_at=utc_now(), **values
        )
        await repository.close_intent(session, plan.intent_id, status=status, response=response)
        await repository.add_events(session, plan.plan_id, (f"plan_{status.lower()}", {"response": response}))
        await self._trail.record(
            session,
            f"plan_{status.lower()}",
            plan.plan_id,
            plan.caller,
            table="madre_actions",
            error=values.get("error"),
        )

    async def _take_back(self, plan: PlanV2, step: StepV2, generation: int) -> None:
        """After an interrupt: the step is to be asked again, or, in a cancelled plan, never."""
        async with self._db.write() as session:
            standing = await repository.status_of(session, plan.plan_id)
            is_over = standing is None or standing.is_final
            status = StatusEnum.CANCELLED if is_over else StatusEnum.PENDING
            await repository.update_step(session, plan.plan_id, step.step_id, status=status, generation=generation)
            if not is_over:
                await repository.add_events(session, plan.plan_id, ("step_halted", {"step_id": step.step_id}))
        self.announce(plan.plan_id)

    async def _event(self, plan_id: str, event: str, **data: Any) -> None:
        async with self._db.write() as session:
            await repository.add_events(session, plan_id, (event, data))
        self.announce(plan_id)

    async def _remember(self, session: Any, plan: PlanV2, steps: list[StepV2]) -> None:
        """Keep what the session was last about, so that its next message can build on it."""
        if made := artifacts_of(steps):
            await repository.set_context(session, scope_of(plan.caller, plan.session_id), "last_asset", made[0])
        if found := model_plans.listed_in(steps):
            scope = scope_of(plan.caller, plan.session_id)
            await repository.set_context(session, scope, model_plans.LISTED, {"models": found})

    # --- steps that madre does herself ------------------------------------------------------------------------------

    async def _own_health(self, _plan: PlanV2, _params: dict[str, Any]) -> dict[str, Any]:
        checks = await self._delegation.check_dependencies()
        return {"checks": {name: check.model_dump(mode="json") for name, check in checks.items()}}

    async def _own_plans(self, plan: PlanV2, _params: dict[str, Any]) -> dict[str, Any]:
        page, found = PageQuery(limit=20, cursor=None), []
        async with self._db.read() as session:
            for status in (StatusEnum.RUNNING, StatusEnum.PENDING, StatusEnum.WAITING):
                found += await repository.list_plans(
                    session, page, caller=plan.caller, status=status, session_id=None, intent=None
                )
        items = [item.model_dump(mode="json") for item in found if item.plan_id != plan.plan_id]
        return Page[dict[str, Any]](items=items).model_dump(mode="json")

    async def _own_help(self, _plan: PlanV2, _params: dict[str, Any]) -> dict[str, Any]:
        return {"intents": [name.value for name in IntentName]}

    async def _own_take(self, plan: PlanV2, params: dict[str, Any]) -> dict[str, Any]:
        """What was made in the studio becomes what the session's next command builds on."""
        heard = {name: params[name] for name in ("current", "unmastered")}
        take = Take.model_validate({**params["take"], **heard, "plan_id": plan.plan_id})
        scope = scope_of(plan.caller, plan.session_id)
        async with self._db.write() as session:
            kept = (await repository.studio_of(session, scope)).with_take(take)
            await repository.set_context(session, scope, STUDIO, kept.model_dump(mode="json"))
        return {"takes": len(kept.takes)}

    async def _own_undo(self, plan: PlanV2, params: dict[str, Any]) -> dict[str, Any]:
        scope = scope_of(plan.caller, plan.session_id)
        async with self._db.write() as session:
            studio = await repository.studio_of(session, scope)
            kept, steps = studio.back(int(params["steps"]), plan.plan_id)
            await repository.set_context(session, scope, STUDIO, kept.model_dump(mode="json"))
        now = kept.now
        is_followed = len(plan.steps) > 1  # then what is heard is told by the steps after this one
        return {
            "steps": steps,
            "asset_id": now.current,
            "is_in_the_making": now.is_in_the_making,
            "is_followed": is_followed,
        }


OWN_STEPS: dict[str, Callable[[Runner, PlanV2, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
    "madre:health": Runner._own_health,
    "madre:plans": Runner._own_plans,
    "madre:help": Runner._own_help,
    "madre:take": Runner._own_take,
    "madre:undo": Runner._own_undo,
}
MIX = "shub:mix"
MAKING = frozenset({MIX, "shub:chain", "shub:master"})
JOBS = MAKING | {"hermes:download"}
ATTEMPTS = {"switch:route": 2, "spawner:status": 2, "hermes:search": 1}
"""Operations that are given up earlier: a person waits for the answer."""


def is_passing(error: FleetError) -> bool:
    """Whether asking again later makes sense. Off its contract is as good as down; that no model can answer is an answer."""
    is_down = isinstance(error, UpstreamUnavailable | UpstreamContractError)
    return is_down or (error.status in (429, 503) and error.code != "no_model_reachable")


def retry_delay(attempt: int) -> float:
    """Seconds to wait after failed attempt number `attempt` (1-based): doubling from 0.5 up to 30."""
    if attempt < 1:
        raise ValueError("attempts count from 1")
    return min(FIRST_RETRY_SECONDS * 2.0 ** (attempt - 1), LONGEST_RETRY_SECONDS)


def resolved(params: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """The parameters with pointers to earlier steps replaced by what those steps returned.

    Raises Conflict when an earlier step's result lacks what is pointed at.
    """
    found = dict(params)
    for name, value in params.items():
        if isinstance(value, dict) and set(value) == {"from", "key"}:
            try:
                found[name] = results[value["from"]][value["key"]]
            except (KeyError, TypeError) as exc:
                raise Conflict(f"step {value['from']} left no {value['key']}") from exc
    return found


def artifacts_of(steps: list[StepV2]) -> list[dict[str, Any]]:
    """The files that steps which make one have made."""
    made = []
    for step in steps:
        if step.operation in MAKING and step.result:
            asset = step.result
            made.append(
                {
                    "asset_id": asset["asset_id"],
                    "name": asset.get("name", step.operation.partition(":")[2]),
                    "size_bytes": asset.get("size_bytes", 0),
                }
            )
            made += [
                {
                    "asset_id": stem["stem_asset_id"],
                    "name": stem["name"],
                    "size_bytes": stem.get("stem_size_bytes") or 0,
                }
                for stem in asset.get("stems", ())
                if stem.get("stem_asset_id")
            ]
    return made


def scope_of(caller: str, session_id: str) -> str:
    """Where a session's context is kept: sessions of different callers never meet, even under one name."""
    return f"{caller}/{session_id}"


def starting_events(plan: PlanV2) -> list[tuple[str, dict[str, Any]]]:
    """What is told of a plan that is saved as RUNNING, with its first step."""
    return [("plan_started", {}), _step_started(plan.steps[0])] if plan.status is StatusEnum.RUNNING else []


def _step_started(step: StepV2) -> tuple[str, dict[str, Any]]:
    return "step_started", {"step_id": step.step_id, "operation": step.operation}


def _is_question_unanswered(plan: PlanV2, error: FleetError) -> bool:
    return isinstance(error, UpstreamUnavailable | UpstreamContractError) and plan.intent.name in (
        IntentName.GENERAL_QUESTION,
        IntentName.CODE_QUESTION,
    )
