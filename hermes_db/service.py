"""What the registry does, in order: look the request's key up, check what it names, change, audit, answer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.clock import utc_now
from config.contracts.hermes_db import (
    Cli,
    CliChange,
    CliFacts,
    CliNew,
    CliPage,
    Model,
    ModelChange,
    ModelKept,
    ModelNew,
    ModelPage,
    ModelUse,
    ModelUseRecorded,
    Stats,
    Use,
    UsesRecorded,
)
from config.database import Database
from config.errors import Conflict, InvalidRequest, NotFound
from config.forensics import Trail
from config.pages import PageQuery, page_of
from hermes_db import repository
from hermes_db.once import SERVICE, module_of, once
from hermes_db.pages import window_of
from hermes_db.repository import CliFilter, ModelFilter
from hermes_db.specialties import require_specialty

OWN_CALLER = Caller(SERVICE, frozenset({f"{SERVICE}:*"}), is_service=True)
"""In whose name the registry does what nobody asked for: its first entries."""
FACTS_OF_A_FILE = {"model_id", "source", "path", "size_bytes", "sha256", "model_type", "version", "license", "revision"}
GIB = 1024**3


class Registry:
    """The models and tools this box knows, and how they were used."""

    def __init__(self, db: Database, trail: Trail) -> None:
        self._db, self._trail = db, trail

    # --- models ----------------------------------------------------------------------------------------------------

    async def models(self, wanted: ModelFilter, page: PageQuery) -> ModelPage:
        async with self._db.read() as session:
            found, count = await repository.models(session, wanted, window_of(page))
        shown = page_of(found, page, cursor="id")
        return ModelPage(items=shown.items, next_cursor=shown.next_cursor, count=count, models=shown.items)

    async def model(self, model_id: int) -> Model:
        """Raises NotFound."""
        async with self._db.read() as session:
            return _found(await repository.model(session, model_id), f"no model has the id {model_id}")

    async def register_model(self, new: ModelNew, caller: Caller, key: str | None) -> Model:
        """Raises Conflict when the name is taken, InvalidRequest when the specialty does not exist."""

        async def change(session: AsyncSession) -> Model:
            return await self._register_model(session, new, caller)

        return await once(self._db, caller, key, "register_model", new.model_dump(mode="json"), Model, change)

    async def keep_model(self, found: ModelKept, caller: Caller) -> tuple[Model, bool]:
        """Register a model that lies here, or bring what is known of its file up to date; tells which: True for a new one.

        Every model whose file was read comes this way, fetched by hermes or brought by a package. It is looked for by name, then by path.
        What people decide stays as it is: name, tags, specialty, score. Metadata is added to; whether it is active changes only if asked.
        """
        new = ModelNew.model_validate(found.model_dump())
        async with self._db.write() as session:
            before = await repository.model_named(session, new.name)
            if before is None and new.path is not None:
                before = await repository.model_at(session, new.path)
            if before is None:
                made = await self._register_model(session, new, caller)
                if found.is_active is False:
                    made = await self._change_model(session, made, {"is_active": False}, caller)
                return made, True
            values = _model_values(new)
            facts = {name: values[name] for name in FACTS_OF_A_FILE} | {"metadata": before.metadata | new.metadata}
            facts |= {} if found.is_active is None else {"is_active": found.is_active}
            return await self._change_model(session, before, facts, caller), False

    async def replace_model(self, model_id: int, new: ModelNew, caller: Caller) -> Model:
        """Put new facts in the place of all old ones; id, counters and whether it is active stay.

        Raises NotFound, and what registering raises.
        """
        async with self._db.write() as session:
            before = _found(await repository.model(session, model_id), f"no model has the id {model_id}")
            return await self._change_model(session, before, _model_values(new), caller)

    async def change_model(self, model_id: int, change: ModelChange, caller: Caller) -> Model:
        """Change what was sent. Raises as registering does, and NotFound."""
        async with self._db.write() as session:
            before = _found(await repository.model(session, model_id), f"no model has the id {model_id}")
            return await self._change_model(session, before, change.model_dump(exclude_unset=True), caller)

    async def deactivate_model(self, model_id: int, caller: Caller) -> Model:
        """Raises NotFound. Nothing is lost: an inactive model keeps its facts and figures, and can be made active again."""
        return await self.change_model(model_id, ModelChange(is_active=False), caller)

    async def _register_model(self, session: AsyncSession, new: ModelNew, caller: Caller) -> Model:
        await require_specialty(session, new.specialty)
        taken = await repository.model_named(session, new.name)
        if taken is not None:
            raise Conflict(f"a model named {new.name!r} exists: it has the id {taken.id}")
        try:
            made = await repository.add_model(session, _model_values(new) | {"added_at": utc_now()})
        except IntegrityError as exc:
            raise Conflict(f"a model named {new.name!r} exists") from exc
        await self._trail.record(
            session,
            "model_registered",
            f"model:{made.id}",
            caller.id,
            **new.model_dump(mode="json", exclude={"metadata"}),
        )
        return made

    async def _change_model(
        self, session: AsyncSession, before: Model, values: dict[str, Any], caller: Caller
    ) -> Model:
        changed = {name: value for name, value in values.items() if value != getattr(before, name)}
        if not changed:
            return before
        if "specialty" in changed:
            await require_specialty(session, changed["specialty"])
        if "name" in changed and (taken := await repository.model_named(session, changed["name"])) is not None:
            raise Conflict(f"a model named {taken.name!r} exists: it has the id {taken.id}")
        try:
            after = await repository.change_model(session, before.id, changed)
        except IntegrityError as exc:
            raise Conflict(f"a model named {changed.get('name')!r} exists") from exc
        await self._record_change(session, "model", before, after, changed, caller)
        return after

    # --- command-line tools ----------------------------------------------------------------------------------------

    async def clis(self, wanted: CliFilter, page: PageQuery) -> CliPage:
        async with self._db.read() as session:
            found, count = await repository.clis(session, wanted, window_of(page))
        shown = page_of(found, page, cursor="id")
        return CliPage(items=shown.items, next_cursor=shown.next_cursor, count=count, clis=shown.items)

    async def cli(self, name: str) -> Cli:
        """Raises NotFound."""
        async with self._db.read() as session:
            return _found(await repository.cli_named(session, name), f"no tool is called {name!r}")

    async def register_cli(self, new: CliNew, caller: Caller, key: str | None) -> Cli:
        """Raises Conflict when the name is taken."""

        async def change(session: AsyncSession) -> Cli:
            taken = await repository.cli_named(session, new.name)
            if taken is not None:
                raise Conflict(
                    f"a tool called {new.name!r} exists: PUT /hermes_db/clis/{new.name} replaces what is known of it"
                )
            return await self._add_cli(session, new.name, new, caller)

        return await once(self._db, caller, key, "register_cli", new.model_dump(mode="json"), Cli, change)

    async def put_cli(self, name: str, facts: CliFacts, caller: Caller) -> tuple[Cli, bool]:
        """Register the tool or replace what is known of it; tells which: True for a new one."""
        async with self._db.write() as session:
            before = await repository.cli_named(session, name)
            if before is None:
                return await self._add_cli(session, name, facts, caller), True
            return await self._change_cli(session, before, facts.model_dump(), caller), False

    async def change_cli(self, name: str, change: CliChange, caller: Caller) -> Cli:
        """Change what was sent. Raises NotFound."""
        async with self._db.write() as session:
            before = _found(await repository.cli_named(session, name), f"no tool is called {name!r}")
            return await self._change_cli(session, before, change.model_dump(exclude_unset=True), caller)

    async def deactivate_cli(self, name: str, caller: Caller) -> Cli:
        """Raises NotFound. Nothing is lost: the tool can be made active again."""
        return await self.change_cli(name, CliChange(is_active=False), caller)

    async def _add_cli(self, session: AsyncSession, name: str, facts: CliFacts, caller: Caller) -> Cli:
        values = facts.model_dump() | {"name": name, "added_at": utc_now()}
        try:
            made = await repository.add_cli(session, values)
        except IntegrityError as exc:
            raise Conflict(f"a tool called {name!r} exists") from exc
        told = facts.model_dump(mode="json", exclude={"metadata", "name"}, exclude_defaults=True)
        await self._trail.record(session, "cli_registered", f"cli:{name}", caller.id, **told)
        return made

    async def _change_cli(self, session: AsyncSession, before: Cli, values: dict[str, Any], caller: Caller) -> Cli:
        changed = {name: value for name, value in values.items() if value != getattr(before, name)}
        if not changed:
            return before
        after = await repository.change_cli(session, before.id, changed)
        await self._record_change(session, "cli", before, after, changed, caller)
        return after

    # --- usage -----------------------------------------------------------------------------------------------------

    async def record_model_use(self, model_id: int, use: ModelUse, caller: Caller, key: str | None) -> ModelUseRecorded:
        """Count one use of one model. Raises NotFound."""

        async def change(session: AsyncSession) -> ModelUseRecorded:
            _found(await repository.model(session, model_id), f"no model has the id {model_id}")
            values = use.model_dump() | {"module": use.module or module_of(caller), "model_id": model_id}
            await repository.add_uses(session, [Use.model_construct(**values)], utc_now())
            after = _found(await repository.model(session, model_id), f"no model has the id {model_id}")
            return ModelUseRecorded.model_validate(after.model_dump() | {"model_id": model_id})

        sent = use.model_dump(mode="json")
        return await once(self._db, caller, key, f"use_model:{model_id}", sent, ModelUseRecorded, change)

    async def record_uses(self, uses: Sequence[Use], caller: Caller, key: str | None) -> UsesRecorded:
        """Keep a batch of uses, all of them or none. Raises InvalidRequest naming the models and tools that do not exist."""

        async def change(session: AsyncSession) -> UsesRecorded:
            await _require_known(session, uses)
            await repository.add_uses(session, uses, utc_now())
            return UsesRecorded(recorded=len(uses))

        sent = [use.model_dump(mode="json") for use in uses]
        return await once(self._db, caller, key, "record_uses", sent, UsesRecorded, change)

    async def stats(self, days: int) -> Stats:
        """What is registered, and what was used in the last `days` times 24 hours."""
        until = utc_now()
        since = until - timedelta(days=days)
        async with self._db.read() as session:
            registered = await repository.registered(session)
            return Stats(
                **registered,
                total_size_gb=round(registered["total_size_bytes"] / GIB, 2),
                daily_usage=await repository.uses_since(session, until - timedelta(days=1)),
                since=since,
                until=until,
                total=await repository.total_uses(session, since),
                by_module=await repository.uses_by_module(session, since),
                by_model=await repository.uses_by_model(session, since),
                by_cli=await repository.uses_by_cli(session, since),
                by_action=await repository.uses_by_action(session, since),
                by_day=await repository.uses_by_day(session, since),
            )

    # --- how it is done --------------------------------------------------------------------------------------------

    async def _record_change(
        self,
        session: AsyncSession,
        kind: str,
        before: Model | Cli,
        after: Model | Cli,
        changed: dict[str, Any],
        caller: Caller,
    ) -> None:
        event = "changed"
        if "is_active" in changed:
            event = "activated" if after.is_active else "deactivated"
        old = before.model_dump(mode="json", include=set(changed) - {"metadata"})
        new = after.model_dump(mode="json", include=set(changed) - {"metadata"})
        subject = f"model:{before.id}" if kind == "model" else f"cli:{before.name}"
        await self._trail.record(session, f"{kind}_{event}", subject, caller.id, name=after.name, before=old, after=new)


def _model_values(new: ModelNew) -> dict[str, Any]:
    return new.model_dump() | {"model_id": new.model_id or new.name}


Found = TypeVar("Found")


def _found(row: Found | None, problem: str) -> Found:
    if row is None:
        raise NotFound(problem)
    return row


async def _require_known(session: AsyncSession, uses: Sequence[Use]) -> None:
    models = await repository.unknown_ids(session, repository.MODELS, (use.model_id for use in uses if use.model_id))
    clis = await repository.unknown_ids(session, repository.CLIS, (use.cli_id for use in uses if use.cli_id))
    errors = [
        {"field": f"body.{number}.{field}", "message": f"no {kind} has the id {value}"}
        for number, use in enumerate(uses)
        for field, kind, value, unknown in (
            ("model_id", "model", use.model_id, models),
            ("cli_id", "tool", use.cli_id, clis),
        )
        if value in unknown
    ]
    if errors:
        named = [f"{kind} {value}" for kind, values in (("model", models), ("tool", clis)) for value in sorted(values)]
        raise InvalidRequest(f"nothing was recorded; these do not exist: {', '.join(named)}", errors=errors)
