"""hermes's way to the registry of models: hermes_db owns it, and switch is told when it changed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from config.clients.hermes_db import HermesDbClient
from config.clients.switch import SwitchClient
from config.contracts.hermes_db import Active, Model, ModelKept, ModelNew
from config.errors import Conflict, FleetError, NotFound, UpstreamUnavailable
from hermes.errors import ModelNotFound

PAGE = 500
MOST_TRIES = 6
FIRST_DELAY_SECONDS = 0.5
SOURCE = "huggingface"

Reply = TypeVar("Reply")

log = structlog.get_logger()


class ModelRegistry:
    """Raises UpstreamUnavailable when hermes_db is down, after trying for some seconds where work would be lost otherwise."""

    def __init__(self, hermes_db: HermesDbClient, switch: SwitchClient) -> None:
        self._hermes_db, self._switch = hermes_db, switch
        self._naming = asyncio.Lock()

    async def models(self, active: Active = Active.ACTIVE) -> list[Model]:
        """All of them."""
        found: list[Model] = []
        cursor: str | None = None
        while True:
            page = await self._hermes_db.models(active=active, limit=PAGE, cursor=cursor)
            found += page.items
            if (cursor := page.next_cursor) is None:
                return found

    async def model(self, model_id: int) -> Model:
        """Raises ModelNotFound."""
        try:
            return await self._hermes_db.model(model_id)
        except NotFound as exc:
            raise ModelNotFound(f"no model has the id {model_id}") from exc

    async def specialties(self) -> list[str]:
        return [one.name for one in (await self._hermes_db.specialties()).items]

    async def keep(self, new: ModelNew, *, is_name_chosen: bool) -> Model:
        """Register a model that lies at its place, once, and active: a row that stands for this place already is brought up to date.

        A name that was made up is changed until it is free. Raises Conflict when one that was chosen is taken.
        """
        async with self._naming:
            model = await _patiently(lambda: self._keep(new, is_name_chosen))
        await self.tell_switch()
        return model

    async def deactivate(self, model_id: int) -> Model:
        model = await _patiently(lambda: self._hermes_db.deactivate_model(model_id))
        await self.tell_switch()
        return model

    async def tell_switch(self) -> None:
        """A switch that cannot be told reads the registry by itself, a little later."""
        try:
            await self._switch.registry_changed()
        except FleetError as error:
            log.info("switch_not_told", code=error.code, detail=error.detail)

    async def _keep(self, new: ModelNew, is_name_chosen: bool) -> Model:
        known = await self.models(Active.ALL)
        name = next((row.name for row in known if row.path == new.path), None)
        if name is None:
            taken = {row.name for row in known if not is_free_for(row, new)}
            names = [new.name] if is_name_chosen else names_like(new.name, new.revision)
            name = next((one for one in names if one not in taken), None)
        if name is None:
            raise Conflict(f"a model named {new.name!r} exists: send another `name`")
        return await self._hermes_db.keep_model(ModelKept(**new.model_dump() | {"name": name, "is_active": True}))


def is_free_for(row: Model, new: ModelNew) -> bool:
    """Whether the row's name may go to this model: it stood for another revision of it, which is gone."""
    return not row.is_active and (row.model_id, row.source) == (new.model_id, new.source)


def names_like(name: str, revision: str | None) -> list[str]:
    """The name, the name with the revision's beginning, then numbered ones."""
    longer = f"{name[:180]}-{(revision or 'x')[:7]}"
    return [name, longer, *(f"{longer}-{number}" for number in range(2, 10))]


async def _patiently(ask: Callable[[], Awaitable[Reply]]) -> Reply:
    """What hermes_db answers, also when it is being started again right now."""
    for attempt in range(1, MOST_TRIES):
        try:
            return await ask()
        except UpstreamUnavailable as error:
            log.warning("registry_unavailable", detail=error.detail, attempt=attempt)
            await asyncio.sleep(FIRST_DELAY_SECONDS * 2 ** (attempt - 1))
    return await ask()
