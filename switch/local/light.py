"""The local light model: started by the first question, alive as long as there are some, back by itself when it dies."""

import asyncio
import time

import structlog

from config.contracts.switch import LightState, LightStatus, LoadedModel
from config.default_model import DEFAULT_NAME, ModelUnusable, VerifiedModel, configured_model, ensure_default_model
from switch import policy
from switch.calls import LOCAL, Call
from switch.failures import Failure, FailureKind
from switch.local.process import LlamaProcess, StartFailed
from switch.local.prompt import with_system_prompt
from switch.local.slots import Slots
from switch.settings import SwitchSettings
from switch.upstream import Exchange

UNPROVEN_SECONDS = 3.0  # silence after which the process is asked whether it is well before it gets a request
CHECK_SECONDS = 3.0  # how often it is asked that while requests are with it
PROBE_SECONDS = (
    3.0  # how long it may take to say so; its HTTP threads do nothing else, and a busy machine is no reason to end it
)
MOST_SILENCES = 2  # in a row, after which a process with requests counts as hanging
PATIENCE_SECONDS = 5.0  # longest back-off that a request waits out; after that it is told
MOST_DEATHS = 5  # in a row, after which only a new request starts it again

log = structlog.get_logger()


class Light:
    """The backend that is this machine. One process, which the next request starts again whenever it is not there."""

    name = LOCAL
    tries = 3  # its process may die under a request, and a new one can answer it

    def __init__(self, settings: SwitchSettings) -> None:
        self._settings = settings
        self._slots = Slots(settings.light_slots, most_waiting=settings.light_most_waiting)
        self._answer_seconds = settings.switch_answer_timeout.total_seconds()
        self._process: LlamaProcess | None = None
        self._starting: asyncio.Task[LlamaProcess] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._is_closed = False
        self._starts = self._deaths = self._deaths_in_a_row = 0
        self._died_at = self._heard_at = self._used_at = float("-inf")
        try:
            self.model = configured_model(settings).name
        except ModelUnusable:  # asking says so, and why
            self.model = DEFAULT_NAME

    # --- Backend ---------------------------------------------------------------------------------------------------

    async def ask(self, call: Call, model: str) -> Exchange:
        waited_from = time.perf_counter()
        await self._slots.take(call.priority)
        call.queue_ms += (time.perf_counter() - waited_from) * 1000
        try:
            process = await self._ready()
            body = await call.written(model=model, messages=with_system_prompt(call.body["messages"]))
            asked_at = time.monotonic()
            try:
                exchange = await process.address.post("/v1/chat/completions", body, within_seconds=self._answer_seconds)
            except Failure as failure:
                if failure.kind is FailureKind.LATE and self._heard_at <= asked_at:
                    process.kill()  # it has answered nobody since: it hangs, and nobody else should wait for it
                elif failure.kind is FailureKind.UNREACHABLE:
                    await self._see_the_end_of(process)
                raise
            except asyncio.CancelledError:
                if self._heard_at <= asked_at:
                    self._heard_at = float("-inf")  # perhaps it was not answering at all: the next one makes sure first
                raise
        except BaseException:
            self._give_back()
            raise
        exchange.on_release = self._give_back
        return exchange

    def failed(self, failure: Failure) -> None:
        log.info("light_model_failed", kind=failure.kind, detail=failure.detail)

    def answered(self) -> None:
        self._heard_at = time.monotonic()
        self._deaths_in_a_row = 0

    @property
    def is_cooling(self) -> bool:
        return False

    def hide(self, text: str) -> str:
        return text  # its key never leaves this process and that one

    # --- life ------------------------------------------------------------------------------------------------------

    async def verify(self) -> VerifiedModel:
        """The model's file, found to be what it should be. Raises ModelUnusable. Quick after the first time."""
        return await asyncio.to_thread(ensure_default_model, self._settings)

    async def status(self) -> LightStatus:
        """Where it stands, as far as it can be told without starting it."""
        state, detail = LightState.STOPPED, "starts with the next question"
        try:
            model = await self.verify()
            if not model.is_expected:
                detail += "; its file was not compared with a checksum (VX11_LIGHT_MODEL_SHA256 is not set)"
        except ModelUnusable as exc:
            state, detail = LightState.UNUSABLE, str(exc)
        if self._process is not None:
            state, detail = LightState.READY, f"asleep after {self._settings.light_sleep_after} without a question"
        elif self._starting is not None:
            state, detail = LightState.STARTING, "loading"
        elif state is LightState.STOPPED and self._deaths_in_a_row:
            detail = f"died {self._deaths_in_a_row} times in a row; {detail}"
        return LightStatus(
            name=self.model,
            state=state,
            detail=detail,
            pid=self._process.pid if self._process else None,
            starts=self._starts,
            deaths=self._deaths,
            answering=self._slots.taken,
            waiting=self._slots.waiting,
            asleep_after_seconds=self._settings.light_sleep_after.total_seconds(),
            stopped_after_seconds=self._settings.light_stop_after.total_seconds(),
        )

    def loaded(self) -> list[LoadedModel]:
        """The model whose file is in use: its process runs or is being started. None otherwise.

        A process that sleeps for want of questions reads its file again at the next one, so it counts.
        """
        if self._process is None and self._starting is None:
            return []
        try:
            model = configured_model(self._settings)
        except ModelUnusable:  # being started in vain
            return []
        return [LoadedModel(name=model.name, path=str(model.path))]

    async def close(self) -> None:
        """End the process and everything that could start it again."""
        self._is_closed = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for task in (self._starting, self._watching):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._process is not None:
            await self._process.stop()
            self._process = None
        if self._stopping is not None:
            await self._stopping

    async def _ready(self) -> LlamaProcess:
        """The running process, started if need be. Raises Failure."""
        while True:
            process = self._process
            if process is None:
                return await asyncio.shield(
                    self._start()
                )  # one start for all who wait; it goes on when one of them leaves
            if self._slots.taken > 1 or time.monotonic() - self._heard_at < UNPROVEN_SECONDS:
                return process  # where there are others, `_watch` looks after all of them
            if await process.is_well(PROBE_SECONDS):
                self._heard_at = time.monotonic()
                return process
            log.warning("light_model_hangs", pid=process.pid)
            process.kill()
            await asyncio.shield(process.died)
            self._forget(process)

    async def _see_the_end_of(self, process: LlamaProcess) -> None:
        """Its connections close a moment before the process is seen to be gone; asking again in between would be in vain."""
        await asyncio.wait([process.died], timeout=PROBE_SECONDS)
        if process.died.done():
            self._forget(process)

    def _start(self) -> "asyncio.Task[LlamaProcess]":
        if self._is_closed:
            raise Failure(FailureKind.UNUSABLE, "switch is stopping")
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_up())
            self._starting.add_done_callback(self._started)
        return self._starting

    async def _start_up(self) -> LlamaProcess:
        try:
            model = await self.verify()
        except ModelUnusable as exc:
            raise Failure(FailureKind.UNUSABLE, str(exc)) from exc
        pause = self._died_at + policy.restart_delay(self._deaths_in_a_row) - time.monotonic()
        if pause > PATIENCE_SECONDS:
            raise Failure(
                FailureKind.UNUSABLE,
                f"the local model died {self._deaths_in_a_row} times in a row; it is started again in {pause:.0f} seconds",
                retry_after_seconds=pause,
            )
        try:
            await asyncio.sleep(max(0.0, pause))
            began = time.monotonic()
            self._starts += 1
            process = await LlamaProcess.start(model, self._settings)
        except StartFailed as exc:
            self._count_death()
            raise Failure(FailureKind.UNREACHABLE, f"the local model did not start: {exc}") from exc
        except asyncio.CancelledError as exc:  # only `close` cancels this; those who wait are not themselves cancelled
            raise Failure(FailureKind.UNUSABLE, "switch is stopping") from exc
        log.info("light_model_ready", pid=process.pid, seconds=round(time.monotonic() - began, 2))
        return process

    def _started(self, task: "asyncio.Task[LlamaProcess]") -> None:
        self._starting = None
        if task.cancelled() or task.exception() is not None:
            return
        self._process = process = task.result()
        self._heard_at = self._used_at = time.monotonic()
        self._watching = asyncio.create_task(self._watch(process))
        self._look_for_idleness()

    async def _watch(self, process: LlamaProcess) -> None:
        """Wait until the process dies by itself, seeing to it that it does when it hangs, and bring it back."""
        silences = 0
        while not (await asyncio.wait([process.died], timeout=CHECK_SECONDS))[0]:
            is_well = not self._slots.taken or await process.is_well(PROBE_SECONDS)
            silences = 0 if is_well else silences + 1
            if silences >= MOST_SILENCES:
                log.warning("light_model_hangs", pid=process.pid, requests=self._slots.taken)
                process.kill()
        if process.is_stopping:
            return
        self._forget(process)
        self._count_death()
        status = await process.reap()
        log.warning("light_model_died", pid=process.pid, status=status, in_a_row=self._deaths_in_a_row)
        if self._deaths_in_a_row <= MOST_DEATHS and not self._is_closed:
            self._start()

    def _count_death(self) -> None:
        self._deaths += 1
        self._deaths_in_a_row += 1
        self._died_at = time.monotonic()

    def _forget(self, process: LlamaProcess) -> None:
        if self._process is process:
            self._process = None
            process.let_go()

    def _give_back(self) -> None:
        self._used_at = time.monotonic()
        self._slots.give()

    # --- rest ------------------------------------------------------------------------------------------------------

    def _look_for_idleness(self) -> None:
        """Stop the process once nobody has asked for long enough; look again when that could be."""
        if self._process is None or self._is_closed:
            return
        limit = self._settings.light_stop_after.total_seconds()
        left = limit if self._slots.taken else self._used_at + limit - time.monotonic()
        if left > 0:
            self._idle_timer = asyncio.get_running_loop().call_later(left, self._look_for_idleness)
            return
        process, self._process = self._process, None
        log.info("light_model_stopped", pid=process.pid, idle_seconds=limit)
        self._stopping = asyncio.create_task(process.stop())
