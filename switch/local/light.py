"""The light model: small, apart from all others, and there for every question that nobody else answers."""

import asyncio
from dataclasses import replace
from typing import Any

from pydantic_core import to_json

from config.contracts.switch import LightState, LightStatus
from config.default_model import DEFAULT_NAME, ModelUnusable, VerifiedModel, configured_model, ensure_default_model
from config.gguf import GgufBroken, read_gguf
from switch.calls import FREE, Call, Facts
from switch.local.memory import estimated_bytes
from switch.local.model import GivesTurns, LocalModel
from switch.local.process import Order
from switch.local.prompt import with_system_prompt
from switch.local.runner import Habits
from switch.repository import KeptModel
from switch.settings import SwitchSettings


class Light(LocalModel):
    """One process, which the next request starts again whenever it is not there."""

    def __init__(self, settings: SwitchSettings, pool: GivesTurns) -> None:
        try:
            name = configured_model(settings).name
        except ModelUnusable:  # asking says so, and why
            name = DEFAULT_NAME
        super().__init__(
            name,
            Habits(
                places=settings.light_slots,
                start_seconds=settings.light_start_timeout.total_seconds(),
                answer_seconds=settings.switch_answer_timeout.total_seconds(),
                stop_after_seconds=settings.light_stop_after.total_seconds(),
                sleep_after_seconds=settings.light_sleep_after.total_seconds(),
                comes_back=True,
            ),
            pool,
        )
        self._settings = settings
        self.facts = Facts(
            context_tokens=settings.light_context_tokens,
            modalities=frozenset(),
            tools=False,  # unless its file says otherwise
            schema=True,
            price=FREE,
        )

    async def verify(self) -> VerifiedModel:
        """The model's file, found to be what it should be. Raises ModelUnusable. Quick after the first time."""
        try:
            found = await asyncio.to_thread(ensure_default_model, self._settings)
        except ModelUnusable as exc:
            self.trouble = str(exc)
            raise
        self.trouble = ""
        return found

    async def read_facts(self, found: VerifiedModel) -> None:
        """Learn from the file what is known of the model before it is asked; what cannot be read stays unknown."""
        try:
            told = await asyncio.to_thread(read_gguf, found.path)
        except (GgufBroken, OSError):
            return  # asking says why
        context = min(self._settings.light_context_tokens, told.context_length or self._settings.light_context_tokens)
        self.memory_bytes = estimated_bytes(found.size_bytes, told, self._settings.light_context_tokens)
        self.facts = replace(
            self.facts,
            context_tokens=context,
            tools="tools" in (told.chat_template or ""),
            parameters=told.parameters,
            size_bytes=found.size_bytes,
        )

    def is_row(self, row: KeptModel) -> bool:
        """Whether the registry means this model by a row."""
        try:
            return row.name == self.model or row.path == str(configured_model(self._settings).path)
        except ModelUnusable:
            return row.name == self.model

    def registered(self, row: KeptModel) -> None:
        """Learn what the registry says of it."""
        facts = replace(
            self.facts,
            specialties=frozenset({*row.tags} | ({row.specialty} if row.specialty else set())),
            adjacent=frozenset(row.adjacent_fields),
            performance=row.performance_score,
        )
        if facts != self.facts:  # who chooses has counted on the ones that are there
            self.facts = facts

    async def prepare(self) -> Order:
        found = await self.verify()
        settings = self._settings
        return Order(
            path=str(found.path),
            name=found.name,
            slots=settings.light_slots,
            context_tokens=settings.light_context_tokens,
            threads=settings.threads,
            sleep_after_seconds=int(settings.light_sleep_after.total_seconds()),
            max_tokens=settings.light_max_tokens,
            temperature=settings.light_temperature,
            repeat_penalty=settings.light_repeat_penalty,
        )

    async def status(self, waiting: int) -> LightStatus:
        """Where it stands, as far as it can be told without starting it."""
        runner, settings = self.runner, self._settings
        state, detail = LightState.STOPPED, "starts with the next question"
        try:
            model = await self.verify()
            if not model.is_expected:
                detail += "; its file was not compared with a checksum (VX11_LIGHT_MODEL_SHA256 is not set)"
        except ModelUnusable as exc:
            state, detail = LightState.UNUSABLE, str(exc)
        if runner.is_ready:
            state, detail = LightState.READY, f"asleep after {settings.light_sleep_after} without a question"
        elif runner.is_loading:
            state, detail = LightState.STARTING, "loading"
        elif state is LightState.STOPPED and runner.deaths_in_a_row:
            detail = f"died {runner.deaths_in_a_row} times in a row; {detail}"
        return LightStatus(
            name=self.model,
            state=state,
            detail=detail,
            pid=runner.pid,
            starts=runner.starts,
            deaths=runner.deaths,
            answering=runner.answering,
            waiting=waiting,
            asleep_after_seconds=settings.light_sleep_after.total_seconds(),
            stopped_after_seconds=settings.light_stop_after.total_seconds(),
        )

    def _said(self, call: Call) -> dict[str, Any]:
        return {"messages": with_system_prompt(call.plain_messages or call.body["messages"])}

    def _first_words(self) -> bytes | None:
        """What every question begins with; a question that waits computes that by itself."""
        if self._pool.is_waited_for(self):
            return None
        body = {
            "model": self.model,
            "messages": with_system_prompt([{"role": "user", "content": "hi"}]),
            "max_tokens": 1,
        }
        return to_json(body)
