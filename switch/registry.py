"""What hermes_db keeps, as switch knows it: read when hermes says that it changed, and now and then without being told."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from config.clock import utc_now
from config.contracts.switch import RegistryStatus
from config.database import Database
from switch import repository
from switch.choosing import repository as choosing
from switch.choosing.specialties import Specialties
from switch.repository import KeptCli, KeptModel

KEPT_SECONDS = 60.0
"""How long what was read is believed without looking again: nobody may have been able to tell."""


@dataclass(frozen=True, slots=True)
class Known:
    """Models by name, with their numbers, the tools that switch may ask as it would ask a model, and the types of task."""

    model_ids: dict[str, int]
    active_models: frozenset[str]
    models: tuple[KeptModel, ...]
    tools: tuple[KeptCli, ...]
    specialties: Specialties
    read_at: datetime

    @property
    def clis(self) -> tuple[str, ...]:
        return tuple(tool.name for tool in self.tools)


class Registry:
    """hermes_db's tables, which every service may read and only hermes_db writes."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: Known | None = None
        self._read_at = float("-inf")
        self.followers: list[Callable[[Known], Awaitable[None]]] = []
        """Told of every reading, before it is answered to whoever wanted it."""

    @property
    def last(self) -> Known | None:
        """What was read last, however long ago; None before the first time."""
        return self._known

    async def known(self) -> Known:
        """What the registry holds, at most a minute old. Raises what the database raises."""
        if self._known is None or time.monotonic() - self._read_at > KEPT_SECONDS:
            return await self.read()
        return self._known

    async def read(self) -> Known:
        """Look again, now. Raises what the database raises; what was known before stays then."""
        async with self._db.read() as session:
            models = await repository.models(session)
            clis = await repository.prompt_clis(session)
            rows = await choosing.specialties(session)
        self._known = known = Known(
            model_ids={model.name: model.id for model in models},
            active_models=frozenset(model.name for model in models if model.is_active),
            models=tuple(models),
            tools=tuple(clis),
            specialties=Specialties.of(rows),
            read_at=utc_now(),
        )
        self._read_at = time.monotonic()
        for follower in self.followers:
            await follower(known)
        return known

    def forget(self) -> None:
        """Look again before the next answer."""
        self._read_at = float("-inf")


def told(known: Known) -> RegistryStatus:
    """What is known, for whoever asks."""
    return RegistryStatus(models=len(known.active_models), clis=list(known.clis), read_at=known.read_at)
