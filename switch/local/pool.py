"""The local models together: who is in memory, who is asked next, and who has to go. Every change is one step of one state machine."""

import asyncio
import time

import structlog

from config.clock import utc_now
from config.contracts.switch import Priority, QueueStatus
from switch.failures import Failure, FailureKind
from switch.local.light import Light
from switch.local.model import LocalModel
from switch.local.queue import Queue
from switch.local.registered import RegisteredModel
from switch.local.rotation import Rotation
from switch.local.scheduling import MOST_RESIDENTS, Resident, in_order, next_turn

MEASURE_SECONDS = 1.0  # at most so often is it looked how much memory a model takes

log = structlog.get_logger()


class Pool:
    """Gives turns. `models` are those that share the memory budget; the light one has memory of its own."""

    def __init__(self, queue: Queue, rotation: Rotation) -> None:
        self.queue, self.rotation = queue, rotation
        self.budget_bytes = queue.rules.budget_bytes
        self.models: dict[str, RegisteredModel] = {}
        self.light: Light | None = None
        self.active: str | None = None
        """The model that was asked last, as long as it is in memory."""
        self._measured_at = 0.0
        self._is_closed = False

    # --- what models ask of it -------------------------------------------------------------------------------------

    async def turn(self, model: LocalModel, priority: Priority) -> None:
        """Wait until the model is in memory and has a place, and take it. Raises Failure: busy, or why it cannot be loaded."""
        if model.unusable:
            raise Failure(FailureKind.UNUSABLE, model.unusable)
        if self._is_closed:
            raise Failure(FailureKind.UNUSABLE, "switch is stopping")
        if model is not self.light:
            self.rotation.used(model.model, time.monotonic())
        runner = model.runner
        if (
            runner.is_ready
            and runner.answering < runner.habits.places
            and self.queue.is_empty
            and not model.is_outdated
        ):
            self.queue.served += 1
            self._take(model)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before, rejected = self.queue.waiting_for(model.model)[:1], self.queue.rejected
        ticket = self.queue.join(model.model, priority, turn)
        if not before or before[0].priority > ticket.priority or self.queue.rejected > rejected:
            self.step()  # else it waits for the same as those before it
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                runner.give_back()  # our turn came in the very moment we left
            else:
                self.queue.leave(ticket)
                self.step()  # perhaps nobody waits any more for what is being loaded
            raise

    def is_waited_for(self, model: LocalModel) -> bool:
        return self.queue.count_for(model.model) > 0

    def changed(self, model: LocalModel, failure: Failure | None) -> None:
        if failure is not None:
            for ticket in self.queue.waiting_for(model.model):
                self.queue.refuse(ticket, failure)
            model.load_failure = failure.detail
        elif model.runner.is_ready:
            model.load_failure = ""
        if isinstance(model, RegisteredModel) and model.runner.is_ready:
            self._measure(model)
        self.step()

    def availability(self, model: LocalModel) -> float:
        """1 where a place is free now; then the light one, which wakes in under a second; less the more wait or have to go before it."""
        runner = model.runner
        if model.unusable or model.trouble or self._is_closed:
            return 0.0
        waiting = self.queue.count_for(model.model)
        if runner.is_ready and not model.is_outdated:
            is_free = runner.answering < runner.habits.places and not waiting
            return (0.8 if runner.sleeps else 1.0) if is_free else 0.5 / (1 + waiting)
        if model is self.light:
            return 0.8 / (1 + waiting)
        if runner.is_loading:
            return 0.4 / (1 + waiting)
        others = [one.runner for one in self.models.values() if one.runner.is_resident]
        is_held_up = sum(one.answering > 0 or not one.is_ready for one in others)
        return (0.3 if not is_held_up else 0.1) / (1 + waiting)

    def is_busy(self, model: LocalModel) -> bool:
        """Whether a request for it would wait for others to end."""
        runner = model.runner
        if runner.is_ready and not model.is_outdated:
            return runner.answering >= runner.habits.places or bool(self.queue.waiting_for(model.model))
        others = (one.runner for one in self.models.values() if one is not model and one.runner.is_resident)
        return any(one.answering or not one.is_ready for one in others)

    # --- what others ask of it -------------------------------------------------------------------------------------

    def order(self, model: LocalModel) -> None:
        """Have a model loaded as soon as there is room, before requests that come later; it is the active one then."""
        model.is_ahead = False
        if model is self.light:
            model.runner.load()
        elif not any(not ticket.is_request for ticket in self.queue.waiting_for(model.model)):
            self.queue.order(model.model)
            self.step()

    def suggestion(self) -> RegisteredModel | None:
        """What the policy would make active: what the first in the queue waits for, else what is warm, else what is guessed."""
        waited_for = [ticket.model for ticket in self.queue.tickets if ticket.model in self.models]
        warm = [name for name, one in self.models.items() if one.runner.is_ready and name != self.active]
        guess = self.rotation.guess(self._residents(), self._sizes(), self.free_bytes, time.monotonic())
        name = next(iter([*waited_for, *warm, *([guess] if guess else [])]), None)
        return None if name is None else self.models[name]

    def remove(self, name: str, why: str) -> None:
        """Nobody can ask this model any more; it goes as soon as it is not busy."""
        model = self.models[name]
        model.unusable, model.is_outdated, model.is_removed = why, True, True
        for ticket in self.queue.waiting_for(name):
            self.queue.refuse(ticket, Failure(FailureKind.NO_SUCH_MODEL, why))
        self.step()

    @property
    def free_bytes(self) -> int:
        return self.budget_bytes - sum(one.memory_bytes for one in self.models.values() if one.runner.is_resident)

    def status(self) -> QueueStatus:
        starts = sum(one.runner.starts for one in self.models.values())
        return self.queue.status(loads=starts + (self.light.runner.starts if self.light is not None else 0))

    async def close(self) -> None:
        """End all processes; whoever waits is told."""
        self._is_closed = True
        for ticket in self.queue.tickets:
            self.queue.refuse(ticket, Failure(FailureKind.UNUSABLE, "switch is stopping"))
        models = [*self.models.values(), *([self.light] if self.light is not None else [])]
        await asyncio.gather(*(model.runner.close() for model in models))

    # --- the state machine -----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Do whatever can be done now. Called whenever something has changed; nothing in it waits."""
        if self._is_closed:
            return
        now = time.monotonic()
        if self.light is not None:
            self._serve_light(self.light, now)
        if not self.models:
            return
        for ticket in self.queue.tickets:
            model = self.models.get(ticket.model)
            if model is None:
                continue
            if model.unusable:
                self.queue.refuse(ticket, Failure(FailureKind.UNUSABLE, model.unusable))
            elif not ticket.is_request and model.runner.is_ready:
                self.active = ticket.model
                self.queue.serve(ticket)
        self._put_away()
        waiters = [ticket for ticket in self.queue.tickets if ticket.model in self.models]
        residents = self._residents()
        turn = next_turn(waiters, list(residents.values()), self._sizes(), self.queue.rules, now)
        for waiter in turn.begin:
            self._take(self.models[waiter.model])
            self.queue.serve(waiter)
        for name in turn.stop:
            log.info("local_model_put_away", model=name)
            self.rotation.put_away(name, now)
            self.models[name].runner.stop()
        if turn.load is not None:
            self._load(self.models[turn.load], is_ahead=False)
        elif not waiters and len(residents) < min(MOST_RESIDENTS, len(self.models)):
            self._load_ahead(residents, now)

    def _serve_light(self, light: Light, now: float) -> None:
        waiting = self.queue.waiting_for(light.model)
        if not waiting:
            return
        runner = light.runner
        if not runner.is_ready:
            runner.load()
            return
        for ticket in in_order(waiting, self.queue.rules, now)[: runner.habits.places - runner.answering]:
            self._take(light)
            self.queue.serve(ticket)

    def _put_away(self) -> None:
        """What is outdated, and what is being loaded though nobody waits for it any more."""
        for model in list(self.models.values()):
            runner = model.runner
            if runner.is_loading and not model.is_ahead and not self.queue.count_for(model.model):
                log.info("local_model_load_abandoned", model=model.model)
                runner.stop()
            elif model.is_outdated and runner.is_resident and not runner.answering:
                runner.stop()
            if model.is_outdated and not runner.is_resident and model.is_removed:
                del self.models[model.model]

    def _residents(self) -> dict[str, Resident]:
        found = dict[str, Resident]()
        for name, model in self.models.items():
            runner = model.runner
            if runner.is_resident:
                found[name] = Resident(
                    name,
                    model.memory_bytes,
                    runner.used_at,
                    is_ready=runner.is_ready and not model.is_outdated,
                    is_stopping=runner.is_stopping or model.is_outdated,
                    is_fresh=runner.is_fresh,
                    answering=runner.answering,
                    places=runner.habits.places,
                )
        if self.active is not None and self.active not in found:
            self.active = None
        return found

    def _sizes(self) -> dict[str, int]:
        return {
            name: model.memory_bytes
            for name, model in self.models.items()
            if not model.runner.is_resident and not model.unusable
        }

    def _take(self, model: LocalModel) -> None:
        model.runner.take()
        model.uses += 1
        model.last_used_at = utc_now()
        if model is not self.light:
            model.is_ahead = False
            self.active = model.model

    def _load(self, model: RegisteredModel, *, is_ahead: bool) -> None:
        model.is_ahead = is_ahead
        model.runner.load()

    def _load_ahead(self, residents: dict[str, Resident], now: float) -> None:
        if all(resident.is_ready for resident in residents.values()):
            sizes = {name: size for name, size in self._sizes().items() if not self.models[name].load_failure}
            guess = self.rotation.guess(residents, sizes, self.free_bytes, now)
            if guess is not None:
                log.info("local_model_loaded_ahead", model=guess)
                self._load(self.models[guess], is_ahead=True)

    def _measure(self, model: RegisteredModel) -> None:
        now = time.monotonic()
        if now - self._measured_at >= MEASURE_SECONDS or model.runner.is_fresh:
            self._measured_at = now
            model.measure(self.budget_bytes)
