"""One model's process through its life: loaded when told, back when it dies, watched while it answers, put away when nobody asks."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from config.default_model import ModelUnusable
from switch import policy
from switch.failures import Failure, FailureKind
from switch.local.process import LlamaProcess, Order, StartFailed
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


@dataclass(frozen=True, slots=True)
class Habits:
    """How a model's process is kept."""

    places: int
    """Requests that it answers at the same time."""
    start_seconds: float
    """Longest wait for the model to load."""
    answer_seconds: float
    """Longest silence before an answer."""
    stop_after_seconds: float
    """How long it is kept without a request."""
    sleep_after_seconds: float
    """Time without a request after which llama.cpp gives the model's memory back by itself; infinite for never."""
    comes_back: bool
    """Whether it is started again at once when it dies, though nobody asks."""


class Runner:
    """`load` and `stop` begin something and return; `changed` is called when it has come about, and whenever a place becomes free.

    Who asks has `take`n a place first. `prepare` gives the order for the process just before each start; it may raise ModelUnusable.
    `changed` gets the Failure when loading failed. `first_words` gives the request with which a model is warmed up before it counts as
    loaded, or None where that would only hold somebody up.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[], Awaitable[Order]],
        habits: Habits,
        changed: Callable[["Runner", Failure | None], None],
        first_words: Callable[[], bytes | None],
    ) -> None:
        self.name, self.habits = name, habits
        self._prepare, self._changed, self._first_words = prepare, changed, first_words
        self._process: LlamaProcess | None = None
        self._starting: asyncio.Task[LlamaProcess] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._is_abandoned = self._is_closed = False
        self.answering = self.starts = self.deaths = self.deaths_in_a_row = self.served = 0
        self.is_fresh = False
        """Loaded, and nobody was served since."""
        self.used_at = float("-inf")
        self._died_at = self._heard_at = float("-inf")

    # --- how it is -------------------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        return self._process is not None

    @property
    def is_loading(self) -> bool:
        return self._starting is not None and not self._is_abandoned

    @property
    def is_stopping(self) -> bool:
        return self._stopping is not None or self._is_abandoned

    @property
    def is_resident(self) -> bool:
        """Whether it has memory, or is about to have."""
        return self._process is not None or self._starting is not None or self._stopping is not None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def resident_bytes(self) -> int:
        return 0 if self._process is None else self._process.resident_bytes

    @property
    def sleeps(self) -> bool:
        """Whether nobody has asked for so long that it gave the model's memory back, but not the process."""
        is_idle = self._process is not None and not self.answering
        return is_idle and time.monotonic() - self.used_at > self.habits.sleep_after_seconds

    # --- answering -------------------------------------------------------------------------------------------------

    def take(self) -> None:
        """One more request is with it."""
        self.answering += 1
        self.served += 1
        self.is_fresh = False
        self.used_at = time.monotonic()

    def give_back(self) -> None:
        """One less."""
        self.used_at = time.monotonic()
        self.answering -= 1
        self._changed(self, None)

    async def ask(self, body: bytes) -> Exchange:
        """Ask the process, and wait until the answer begins. Raises Failure; UNREACHABLE means that it can be tried again."""
        process = await self._proven()
        asked_at = time.monotonic()
        try:
            return await process.address.post("/v1/chat/completions", body, within_seconds=self.habits.answer_seconds)
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

    def heard(self) -> None:
        """It has answered something that is an answer."""
        self._heard_at = time.monotonic()
        self.deaths_in_a_row = 0

    async def _proven(self) -> LlamaProcess:
        """The running process, asked whether it is well if it has not been heard for a while. Raises Failure."""
        process = self._process
        if process is None:
            raise Failure(FailureKind.UNREACHABLE, f"the process of {self.name} has just ended")
        if self.answering > 1 or time.monotonic() - self._heard_at < UNPROVEN_SECONDS:
            return process  # where there are others, `_watch` looks after all of them
        if await process.is_well(PROBE_SECONDS):
            self._heard_at = time.monotonic()
            return process
        log.warning("local_model_hangs", model=self.name, pid=process.pid)
        process.kill()
        await self._see_the_end_of(process)
        raise Failure(FailureKind.UNREACHABLE, f"the process of {self.name} hung and was ended")

    async def _see_the_end_of(self, process: LlamaProcess) -> None:
        """Its connections close a moment before the process is seen to be gone; asking again in between would be in vain."""
        await asyncio.wait([process.died], timeout=PROBE_SECONDS)
        if process.died.done():
            self._forget(process)

    # --- life ------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Begin to load it, unless that is done or under way."""
        if self._is_closed or self.is_resident:
            return
        self._starting = asyncio.create_task(self._start_up())
        self._starting.add_done_callback(self._started)

    def stop(self) -> None:
        """Begin to end it, or break off loading it. Its memory is free when `is_resident` is false."""
        if self._starting is not None:
            self._is_abandoned = True
            self._starting.cancel()
        elif self._process is not None:
            process, self._process = self._process, None
            self._stopping = asyncio.create_task(process.stop())
            self._stopping.add_done_callback(self._stopped)

    async def close(self) -> None:
        """End the process and everything that could start it again."""
        self._is_closed = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self.stop()
        while tasks := [task for task in (self._starting, self._stopping) if task is not None]:
            await asyncio.wait(tasks)

    async def _start_up(self) -> LlamaProcess:
        pause = self._died_at + policy.restart_delay(self.deaths_in_a_row) - time.monotonic()
        if pause > PATIENCE_SECONDS:
            raise Failure(
                FailureKind.UNUSABLE,
                f"{self.name} died {self.deaths_in_a_row} times in a row; it is started again in {pause:.0f} seconds",
                retry_after_seconds=pause,
            )
        try:
            await asyncio.sleep(max(0.0, pause))
            order = await self._prepare()
            began = time.monotonic()
            self.starts += 1
            process = await LlamaProcess.start(order, within_seconds=self.habits.start_seconds)
        except ModelUnusable as exc:
            raise Failure(FailureKind.UNUSABLE, str(exc)) from exc
        except StartFailed as exc:
            self._count_death()
            raise Failure(FailureKind.UNREACHABLE, f"{self.name} did not start: {exc}") from exc
        try:
            await self._warm_up(process)
        except BaseException as exc:
            await process.stop()
            if isinstance(exc, Failure):
                self._count_death()
            raise
        log.info("local_model_ready", model=self.name, pid=process.pid, seconds=round(time.monotonic() - began, 2))
        return process

    async def _warm_up(self, process: LlamaProcess) -> None:
        """Have every place compute what all requests begin with. Raises Failure for a model that cannot even answer that."""
        body = self._first_words()
        if body is None:
            return

        async def say() -> None:
            exchange = await process.address.post(
                "/v1/chat/completions", body, within_seconds=self.habits.start_seconds
            )
            exchange.release()

        await asyncio.gather(*(say() for _ in range(self.habits.places)))

    def _started(self, task: "asyncio.Task[LlamaProcess]") -> None:
        self._starting, self._is_abandoned = None, False
        if task.cancelled():
            self._changed(self, None)
            return
        if (error := task.exception()) is not None:
            if not isinstance(error, Failure):
                log.error("local_model_not_loaded", model=self.name, exc_info=error)
                error = Failure(FailureKind.UNUSABLE, f"{self.name} could not be loaded: {error!r}")
            self._changed(self, error)
            return
        self._process = process = task.result()
        self._heard_at = self.used_at = time.monotonic()
        self.is_fresh = True
        self._watching = asyncio.create_task(self._watch(process))
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._look_for_idleness()
        if self._is_closed:
            self.stop()
        self._changed(self, None)

    def _stopped(self, task: "asyncio.Task[None]") -> None:
        self._stopping = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("local_model_not_stopped", model=self.name, exc_info=error)
        self._changed(self, None)

    async def _watch(self, process: LlamaProcess) -> None:
        """Wait until the process dies by itself, seeing to it that it does when it hangs, and bring it back."""
        silences = 0
        while not (await asyncio.wait([process.died], timeout=CHECK_SECONDS))[0]:
            is_well = not self.answering or await process.is_well(PROBE_SECONDS)
            silences = 0 if is_well else silences + 1
            if silences >= MOST_SILENCES:
                log.warning("local_model_hangs", model=self.name, pid=process.pid, requests=self.answering)
                process.kill()
        if process.is_stopping:
            return
        self._forget(process)
        self._count_death()
        status = await process.reap()
        log.warning("local_model_died", model=self.name, pid=process.pid, status=status, in_a_row=self.deaths_in_a_row)
        if self.habits.comes_back and self.deaths_in_a_row <= MOST_DEATHS:
            self.load()
        self._changed(self, None)

    def _count_death(self) -> None:
        self.deaths += 1
        self.deaths_in_a_row += 1
        self._died_at = time.monotonic()

    def _forget(self, process: LlamaProcess) -> None:
        if self._process is process:
            self._process = None
            process.let_go()

    def _look_for_idleness(self) -> None:
        """Stop the process once nobody has asked for long enough; look again when that could be."""
        if self._process is None or self._is_closed:
            return
        limit = self.habits.stop_after_seconds
        left = limit if self.answering else self.used_at + limit - time.monotonic()
        if left > 0:
            self._idle_timer = asyncio.get_running_loop().call_later(left, self._look_for_idleness)
            return
        log.info("local_model_stopped", model=self.name, pid=self.pid, idle_seconds=limit)
        self.stop()
