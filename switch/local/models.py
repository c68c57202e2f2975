"""Everything that this machine can answer by itself, in the words of the rest of switch."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from config.clients.switch import UnknownModel
from config.contracts.switch import (
    LightStatus,
    LoadedModel,
    LocalModelState,
    LocalModelStatus,
    QueueStatus,
    RotationStatus,
)
from config.default_model import ModelUnusable, VerifiedModel, configured_model
from config.errors import Conflict
from switch.calls import LOCAL, Choice
from switch.local.light import Light
from switch.local.memory import budget_bytes
from switch.local.model import LocalModel
from switch.local.pool import Pool
from switch.local.queue import Queue
from switch.local.registered import RegisteredModel, TryOut, is_local
from switch.local.remembered import Remembered
from switch.local.rotation import Rotation, RotationRules
from switch.local.scheduling import Rules
from switch.registry import KEPT_SECONDS, Known, Registry
from switch.settings import SwitchSettings

log = structlog.get_logger()


class LocalModels:
    """The light model, which is always there, and the models of hermes_db's registry whose files lie here; `run` follows the registry.

    `try_out` loads a file within limits before it is loaded here for the first time; see `trial.py`.
    """

    def __init__(self, settings: SwitchSettings, registry: Registry, try_out: TryOut) -> None:
        self._settings, self._registry, self._try_out = settings, registry, try_out
        rules = Rules(
            ageing_seconds=settings.switch_queue_ageing.total_seconds(),
            patience_seconds=settings.switch_queue_patience.total_seconds(),
            budget_bytes=budget_bytes(settings.local_memory_mb),
        )
        rotation = RotationRules(
            warm_after_uses=settings.local_warm_after_uses,
            cooldown_seconds=settings.local_cooldown.total_seconds(),
            window_seconds=settings.local_prediction_window.total_seconds(),
            guess_seconds=settings.local_decision_cache.total_seconds(),
        )
        self._pool = Pool(Queue(rules, limit=settings.switch_queue_limit), Rotation(rotation))
        self._remembered = Remembered(settings.state_dir / "models" / "local.json")
        self._following = asyncio.Lock()
        self.light = Light(settings, self._pool)
        self._pool.light = self.light
        self._choices: list[Choice] = [self.light.choice]
        registry.followers.append(self.follow)

    # --- who can be asked ------------------------------------------------------------------------------------------

    @property
    def choices(self) -> list[Choice]:
        """Every model of this machine that can be asked, the light one last. Always the same list until something changes."""
        return self._choices

    def named(self, name: str) -> Choice | None:
        """The model of this name, with or without `local/` before it; also one that cannot be asked: asking says why."""
        bare = name.removeprefix(f"{LOCAL}/")
        if bare == self.light.model:
            return self.light.choice
        model = self._pool.models.get(bare) or self._pool.models.get(name)
        return None if model is None or model.is_removed else model.choice

    def is_busy(self, choice: Choice) -> bool:
        """Whether it is a model of this machine, other than the light one, that others keep busy or out of memory now."""
        return isinstance(choice.backend, RegisteredModel) and self._pool.is_busy(choice.backend)

    async def verify_light(self) -> VerifiedModel:
        """The light model's file, found to be what it should be. Raises ModelUnusable. Quick after the first time."""
        found = await self.light.verify()
        await self.light.read_facts(found)
        self._list()
        return found

    # --- telling ---------------------------------------------------------------------------------------------------

    async def light_status(self) -> LightStatus:
        """Where the light model stands, as far as it can be told without starting it."""
        return await self.light.status(self._pool.queue.count_for(self.light.model))

    def loaded(self) -> list[LoadedModel]:
        """The models whose files are in use: their processes run, or are being started or ended."""
        found = []
        for model in self._models:
            if model.runner.is_resident and (path := self._path(model)) is not None:
                found.append(LoadedModel(name=model.model, path=path))
        return found

    def status(self) -> RotationStatus:
        """Which models are in memory, and what they take."""
        models = [self._told(model) for model in self._models]
        active = next((one.name for one in models if one.role == "active"), None)
        warm = next((one.name for one in models if one.role == "warm"), None)
        used = self._pool.budget_bytes - self._pool.free_bytes
        return RotationStatus(
            budget_bytes=self._pool.budget_bytes, used_bytes=used, active=active, warm=warm, models=models
        )

    def queue_status(self) -> QueueStatus:
        """Who waits."""
        return self._pool.status()

    def rotate(self, name: str | None) -> RotationStatus:
        """Begin to make a model the active one, or the one that the policy chooses. Raises UnknownModel, and Conflict for one that is
        unusable."""
        if name is None:
            model: LocalModel | None = self._pool.suggestion()
        else:
            choice = self.named(name)
            if choice is None:
                raise UnknownModel(f"{name[:200]!r} is no model of this machine", param="model")
            model = (
                self.light if name.removeprefix(f"{LOCAL}/") == self.light.model else self._pool.models[choice.model]
            )
        if model is not None and model.unusable:
            raise Conflict(f"{model.model} cannot be loaded: {model.unusable}")
        if model is not None:
            self._pool.order(model)
        return self.status()

    # --- life ------------------------------------------------------------------------------------------------------

    async def follow(self, known: Known) -> None:
        """Take the registry as it is known now, and look at the files."""
        async with self._following:
            rows = {row.name: row for row in known.models if is_local(row) and not self.light.is_row(row)}
            for row in known.models:
                if self.light.is_row(row):
                    self.light.registered(row)
            for name in [one for one in self._pool.models if one not in rows]:
                self._pool.remove(name, "it is not in the registry any more, or not active")
            for name, row in rows.items():
                model = self._pool.models.get(name)
                if model is None or model.is_removed:
                    if model is not None and model.runner.is_resident:
                        continue  # what is left of an earlier one by that name has to go first
                    model = RegisteredModel(row, self._settings, self._pool, self._remembered, self._try_out)
                await model.look(row, self._pool.budget_bytes)
                self._pool.models[name] = model
            self._list()
            self._pool.step()

    async def run(self) -> None:
        """Look at the registry and at the files now and then, until cancelled."""
        while True:
            try:
                await self.follow(await self._registry.known())
            except SQLAlchemyError as exc:
                log.warning("registry_not_read", error=repr(exc))
            await asyncio.sleep(KEPT_SECONDS)

    async def close(self) -> None:
        """End all processes; whoever waits is told."""
        await self._pool.close()

    @property
    def _models(self) -> list[LocalModel]:
        return [*self._pool.models.values(), self.light]

    def _list(self) -> None:
        self._choices = [model.choice for model in self._models if model is self.light or not model.unusable]

    def _path(self, model: LocalModel) -> str | None:
        if model.loaded_path is not None:
            return str(model.loaded_path)
        if isinstance(model, RegisteredModel):
            return model.row.path
        try:
            return str(configured_model(self._settings).path)
        except ModelUnusable:  # being started in vain
            return None

    def _told(self, model: LocalModel) -> LocalModelStatus:
        runner = model.runner
        is_light = model is self.light
        role = "light" if is_light else "none"
        if not is_light and runner.is_resident:
            role = "active" if model.model == self._pool.active else "warm"
        return LocalModelStatus(
            name=model.model,
            path=self._path(model) or "",
            state=_state(model),
            role=role,
            detail=model.unusable or model.load_failure or model.detail,
            memory_bytes=model.memory_bytes,
            pid=runner.pid,
            answering=runner.answering,
            waiting=sum(ticket.is_request for ticket in self._pool.queue.waiting_for(model.model)),
            uses=model.uses,
            loads=runner.starts,
            last_used_at=model.last_used_at,
        )


def _state(model: LocalModel) -> LocalModelState:
    runner = model.runner
    if runner.is_stopping:
        return LocalModelState.STOPPING
    if runner.is_loading:
        return LocalModelState.LOADING
    if runner.is_ready:
        return LocalModelState.ASLEEP if runner.sleeps else LocalModelState.READY
    return LocalModelState.UNUSABLE if model.unusable else LocalModelState.STOPPED
