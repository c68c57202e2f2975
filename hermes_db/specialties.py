"""The tree of fields that models are good at; switch's task types."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.contracts.hermes_db import Specialty, SpecialtyChange, SpecialtyInTree, SpecialtyNew, SpecialtyPage
from config.database import Database
from config.errors import Conflict, InvalidRequest, NotFound
from config.forensics import Trail
from config.pages import PageQuery, page_of
from hermes_db import repository
from hermes_db.once import once
from hermes_db.pages import window_of

SEEDS = Path(__file__).parent / "specialties.json"


class Specialties:
    """The specialties; none is ever deleted, for models and statistics name them."""

    def __init__(self, db: Database, trail: Trail) -> None:
        self._db, self._trail = db, trail

    async def seed(self) -> int:
        """Add those of the first specialties that are not there; returns how many that was."""
        seeds = [SpecialtyNew.model_validate(seed) for seed in json.loads(SEEDS.read_text())]
        async with self._db.read() as session:
            known = set(await repository.specialty_names(session))
        missing = [seed for seed in seeds if seed.name not in known]
        if missing:
            async with self._db.write() as session:
                known = set(await repository.specialty_names(session))  # another one may have started with us
                for seed in missing:
                    if seed.name not in known:
                        await repository.add_specialty(session, seed, None)
        return len(missing)

    async def page(self, page: PageQuery) -> SpecialtyPage:
        async with self._db.read() as session:
            found, count = await repository.specialties(session, window_of(page))
        shown = page_of(found, page, cursor="id")
        return SpecialtyPage(items=shown.items, next_cursor=shown.next_cursor, count=count, specialties=shown.items)

    async def specialty(self, name: str) -> SpecialtyInTree:
        """Raises NotFound."""
        async with self._db.read() as session:
            return await _in_tree(session, await _found(session, name))

    async def add(self, new: SpecialtyNew, caller: Caller, key: str | None) -> Specialty:
        """Raises Conflict when the name is taken, InvalidRequest when the parent does not exist."""

        async def change(session: AsyncSession) -> Specialty:
            if await repository.specialty_named(session, new.name) is not None:
                raise Conflict(f"the specialty {new.name!r} exists")
            try:
                await repository.add_specialty(session, new, await _parent_id(session, new.parent))
            except IntegrityError as exc:
                raise Conflict(f"the specialty {new.name!r} exists") from exc
            return await _found(session, new.name)

        return await once(self._db, caller, key, "add_specialty", new.model_dump(mode="json"), Specialty, change)

    async def change(self, name: str, change: SpecialtyChange, caller: Caller) -> SpecialtyInTree:
        """Change what was sent. Raises NotFound, InvalidRequest when there is no such parent, Conflict when it is this one or below it."""
        sent = change.model_dump(exclude_unset=True)
        async with self._db.write() as session:
            before = await _found(session, name)
            told = {field: value for field, value in sent.items() if value != getattr(before, field)}
            if not told:
                return await _in_tree(session, before)
            values: dict[str, Any] = dict(told)
            if "parent" in values:
                parent = values.pop("parent")
                values["parent_id"] = await _parent_id(session, parent)
                if parent is not None and name in [parent, *await repository.ancestors(session, parent)]:
                    raise Conflict(
                        f"{parent!r} is {name!r} itself or below it: a specialty cannot be narrower than itself"
                    )
            await repository.change_specialty(session, before.id, values)
            await self._trail.record(session, "specialty_changed", f"specialty:{name}", caller.id, after=told)
            return await _in_tree(session, await _found(session, name))


async def require_specialty(session: AsyncSession, name: str | None, *, field: str = "specialty") -> None:
    """Raises InvalidRequest naming the known ones when there is none by that name; None is nothing to be asked for."""
    if name is None:
        return
    known = await repository.specialty_names(session)
    if name not in known:
        message = (
            f"no specialty is called {name!r}: POST /hermes_db/specialties makes one; there are {', '.join(known)}"
        )
        raise InvalidRequest(f"body.{field}: {message}", errors=[{"field": f"body.{field}", "message": message}])


async def _found(session: AsyncSession, name: str) -> Specialty:
    found = await repository.specialty_named(session, name)
    if found is None:
        raise NotFound(f"no specialty is called {name!r}")
    return found


async def _parent_id(session: AsyncSession, parent: str | None) -> int | None:
    if parent is None:
        return None
    await require_specialty(session, parent, field="parent")
    return (await _found(session, parent)).id


async def _in_tree(session: AsyncSession, one: Specialty) -> SpecialtyInTree:
    children = await repository.children(session, one.id)
    return SpecialtyInTree(
        **one.model_dump(), children=children, ancestors=await repository.ancestors(session, one.name)
    )
