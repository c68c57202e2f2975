"""A model of this machine, as one who can be asked."""

import time
from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from config.contracts.switch import Priority
from switch.calls import LOCAL, UNKNOWN, Call, Choice, Facts
from switch.failures import Failure, FailureKind
from switch.local.process import Order
from switch.local.runner import Habits, Runner
from switch.upstream import Exchange

log = structlog.get_logger()


class GivesTurns(Protocol):
    """Who decides when a model is asked what: the pool."""

    async def turn(self, model: "LocalModel", priority: Priority) -> None:
        """Wait until the model is in memory and has a place, and take it. Raises Failure."""

    def is_waited_for(self, model: "LocalModel") -> bool:
        """Whether requests wait for it."""

    def changed(self, model: "LocalModel", failure: Failure | None) -> None:
        """A place is free, or the process began or ended; `failure` tells why it could not be loaded."""

    def availability(self, model: "LocalModel") -> float:
        """From 1 (it answers at once) to 0 (it cannot)."""


def unknown_words(call: Call, facts: Facts) -> str | None:
    """The member of the request that llama.cpp would pass over in silence: tools where the model's template has no place for them, and the
    older `functions` always. None where nothing gets lost."""
    if not call.needs.tools or call.body.get("tool_choice") == "none" or call.body.get("function_call") == "none":
        return None
    if not call.body.get("tools"):
        return "functions"
    return "tools" if facts.tools is False else None


class LocalModel(ABC):
    """One model, its file and its process. Subclasses know what the process is ordered to do."""

    name = LOCAL
    tries = 3  # its process may die under a request, and a new one can answer it

    def __init__(self, model: str, habits: Habits, pool: GivesTurns) -> None:
        self.model = model
        self.facts: Facts = UNKNOWN
        self.unusable = ""
        """Why it cannot be asked at all; empty if it can."""
        self.trouble = ""
        """What was wrong when it was last looked at; it is asked last then, and asking looks again."""
        self.load_failure = ""
        """Why it could not be loaded the last time; it is not loaded ahead then, until it was looked at again."""
        self.detail = ""
        self.memory_bytes = 0
        """What it takes when loaded: measured where it was, estimated from its file otherwise."""
        self.is_outdated = False
        """Whether what is loaded is not what it should be any more: it is put away as soon as it is not busy."""
        self.is_removed = False
        self.is_ahead = False
        """Whether it was loaded on a guess, and nobody has asked it since."""
        self.loaded_path: Path | None = None
        self.uses = 0
        self.last_used_at: datetime | None = None
        self._pool = pool
        self.runner = Runner(model, self._ordered, habits, self._changed, self._first_words)

    @property
    def choice(self) -> Choice:
        return Choice(self, self.model, self.facts)

    @abstractmethod
    async def prepare(self) -> Order:
        """What its process is to load, verified just before. Raises ModelUnusable."""

    # --- Backend ---------------------------------------------------------------------------------------------------

    async def ask(self, call: Call, model: str) -> Exchange:
        if (name := unknown_words(call, self.facts)) is not None:
            what = f"the template of {self.model} has no words for {name}"
            raise Failure(FailureKind.UNSUPPORTED, f"{what}: it would answer as if there were none", param=name)
        waited_from = time.perf_counter()
        try:
            await self._pool.turn(self, call.priority)
        finally:
            call.queue_ms += (time.perf_counter() - waited_from) * 1000
        try:
            exchange = await self.runner.ask(await call.written(model=self.model, **self._said(call)))
        except BaseException:
            self.runner.give_back()
            raise
        exchange.on_release = self.runner.give_back
        return exchange

    def failed(self, failure: Failure) -> None:
        log.info("local_model_failed", model=self.model, kind=failure.kind, detail=failure.detail)

    def answered(self) -> None:
        self.runner.heard()

    def availability(self, model: str) -> float:
        return self._pool.availability(self)

    def hide(self, text: str) -> str:
        return text  # its key never leaves this process and that one

    # --- for those who extend it -----------------------------------------------------------------------------------

    def _said(self, call: Call) -> dict[str, Any]:
        """What is changed in the request."""
        return {}

    def _first_words(self) -> bytes | None:
        """A request with which a fresh process is warmed up; None for none."""
        return None

    async def _ordered(self) -> Order:
        order = await self.prepare()
        self.loaded_path, self.is_outdated = Path(order.path), False
        return order

    def _changed(self, runner: Runner, failure: Failure | None) -> None:
        self._pool.changed(self, failure)
