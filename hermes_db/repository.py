"""The registry's SQL: takes a session, answers with contract objects, never commits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic_core import from_json
from sqlalchemy import (
    JSON,
    ColumnElement,
    Float,
    Integer,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    case,
    desc,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy import cast as cast_in_sql
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.common import Wire
from config.contracts.hermes_db import (
    ActionUses,
    Active,
    Cli,
    CliUses,
    DayUses,
    Model,
    ModelUses,
    ModuleUses,
    Specialty,
    SpecialtyNew,
    Use,
    Uses,
)
from config.database import connection_of
from config.db_schema import CliRow, ModelRow, SpecialtyRow, UsageStatRow

MODELS = cast(Table, ModelRow.__table__)
CLIS = cast(Table, CliRow.__table__)
SPECIALTIES = cast(Table, SpecialtyRow.__table__)
USAGE = cast(Table, UsageStatRow.__table__)

ESCAPE = "\\"
LONGEST_RANKING = 500
"""Most entries of one list in the statistics."""

PRIOR_USES, MEMORY_USES = 10, 100
"""For how many uses a model's score stands before it was used, and at most."""

Shape = TypeVar("Shape", bound=Wire)


@dataclass(frozen=True)
class Window:
    """Part of a list: up to `most` entries with an id above `after`."""

    after: int
    most: int


@dataclass(frozen=True)
class ModelFilter:
    """Which models a list shows; None asks nothing."""

    active: Active = Active.ACTIVE
    specialty: str | None = None
    source: str | None = None
    model_type: str | None = None
    tag: str | None = None
    max_size_bytes: int | None = None
    search: str | None = None


@dataclass(frozen=True)
class CliFilter:
    """Which tools a list shows; None asks nothing."""

    active: Active = Active.ACTIVE
    kind: str | None = None
    answers_prompts: bool | None = None
    search: str | None = None


# --- models --------------------------------------------------------------------------------------------------------


async def models(session: AsyncSession, wanted: ModelFilter, window: Window) -> tuple[list[Model], int]:
    """The models of one window, and how many fit the filter in all."""
    asked = {name: value for name, value in vars(wanted).items() if value is not None and name != "active"}
    listing = _models_listing(_dialect(session), wanted.active, frozenset(asked))
    return await _window(session, listing, asked, window, Model)


@lru_cache(maxsize=512)
def _models_listing(dialect: str, active: Active, asked: frozenset[str]) -> "_Listing":
    conditions = {
        "specialty": MODELS.c.specialty.in_(_specialty_and_below(bindparam("specialty"))),
        "source": func.lower(MODELS.c.source) == func.lower(bindparam("source")),
        "model_type": MODELS.c.model_type == bindparam("model_type"),
        "tag": _contains(dialect, MODELS.c.tags, bindparam("tag")),
        "max_size_bytes": MODELS.c.size_bytes <= bindparam("max_size_bytes"),
        "search": or_(_holds(MODELS.c.name), _holds(MODELS.c.model_id)),
    }
    return _Listing.of(MODELS, _active(MODELS, active) + [conditions[name] for name in sorted(asked)])


async def model(session: AsyncSession, model_id: int) -> Model | None:
    return await _one(session, select(MODELS).where(MODELS.c.id == model_id), Model)


async def model_named(session: AsyncSession, name: str) -> Model | None:
    return await _one(session, select(MODELS).where(MODELS.c.name == name), Model)


async def model_at(session: AsyncSession, path: str) -> Model | None:
    """The model whose file lies there; the first registered if there are several."""
    return await _one(session, select(MODELS).where(MODELS.c.path == path).order_by(MODELS.c.id).limit(1), Model)


async def add_model(session: AsyncSession, values: Mapping[str, Any]) -> Model:
    """Raises IntegrityError when the name is taken."""
    row = (await session.execute(insert(MODELS).values(dict(values)).returning(*MODELS.c))).mappings().one()
    return Model.model_validate(dict(row))


async def change_model(session: AsyncSession, model_id: int, values: Mapping[str, Any]) -> Model:
    """Raises IntegrityError when the new name is taken."""
    query = update(MODELS).where(MODELS.c.id == model_id).values(dict(values)).returning(*MODELS.c)
    return Model.model_validate(dict((await session.execute(query)).mappings().one()))


# --- command-line tools --------------------------------------------------------------------------------------------


async def clis(session: AsyncSession, wanted: CliFilter, window: Window) -> tuple[list[Cli], int]:
    """The tools of one window, and how many fit the filter in all."""
    asked = {name: value for name, value in vars(wanted).items() if value is not None and name != "active"}
    return await _window(session, _clis_listing(wanted.active, frozenset(asked)), asked, window, Cli)


@lru_cache(maxsize=64)
def _clis_listing(active: Active, asked: frozenset[str]) -> "_Listing":
    conditions = {
        "kind": CLIS.c.kind == bindparam("kind"),
        "answers_prompts": CLIS.c.answers_prompts == bindparam("answers_prompts"),
        "search": _holds(CLIS.c.name),
    }
    return _Listing.of(CLIS, _active(CLIS, active) + [conditions[name] for name in sorted(asked)])


async def cli_named(session: AsyncSession, name: str) -> Cli | None:
    return await _one(session, select(CLIS).where(CLIS.c.name == name), Cli)


async def add_cli(session: AsyncSession, values: Mapping[str, Any]) -> Cli:
    """Raises IntegrityError when the name is taken."""
    row = (await session.execute(insert(CLIS).values(dict(values)).returning(*CLIS.c))).mappings().one()
    return Cli.model_validate(dict(row))


async def change_cli(session: AsyncSession, cli_id: int, values: Mapping[str, Any]) -> Cli:
    query = update(CLIS).where(CLIS.c.id == cli_id).values(dict(values)).returning(*CLIS.c)
    return Cli.model_validate(dict((await session.execute(query)).mappings().one()))


# --- specialties ---------------------------------------------------------------------------------------------------


async def specialties(session: AsyncSession, window: Window) -> tuple[list[Specialty], int]:
    """The specialties of one window with their active models counted, and how many there are in all."""
    query = _specialties().where(SPECIALTIES.c.id > window.after).order_by(SPECIALTIES.c.id).limit(window.most)
    rows = (await session.execute(query)).mappings()
    count = await session.scalar(select(func.count()).select_from(SPECIALTIES))
    return [Specialty.model_validate(dict(row)) for row in rows], count or 0


async def specialty_named(session: AsyncSession, name: str) -> Specialty | None:
    return await _one(session, _specialties().where(SPECIALTIES.c.name == name), Specialty)


async def specialty_names(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(SPECIALTIES.c.name).order_by(SPECIALTIES.c.name)))


async def add_specialty(session: AsyncSession, new: SpecialtyNew, parent_id: int | None) -> int:
    """The id of the new specialty. Raises IntegrityError when the name is taken."""
    values = new.model_dump(exclude={"parent"}) | {"parent_id": parent_id}
    return int((await session.execute(insert(SPECIALTIES).values(values).returning(SPECIALTIES.c.id))).scalar_one())


async def change_specialty(session: AsyncSession, specialty_id: int, values: Mapping[str, Any]) -> None:
    await session.execute(update(SPECIALTIES).where(SPECIALTIES.c.id == specialty_id).values(dict(values)))


async def children(session: AsyncSession, specialty_id: int) -> list[str]:
    """The names of the next narrower ones."""
    query = select(SPECIALTIES.c.name).where(SPECIALTIES.c.parent_id == specialty_id).order_by(SPECIALTIES.c.id)
    return list(await session.scalars(query))


async def ancestors(session: AsyncSession, name: str) -> list[str]:
    """The names of all wider ones, the next first."""
    start = select(SPECIALTIES.c.parent_id, literal(0).label("distance")).where(SPECIALTIES.c.name == name)
    chain = start.cte("chain", recursive=True)
    above = select(SPECIALTIES.c.parent_id, chain.c.distance + 1).join(chain, SPECIALTIES.c.id == chain.c.parent_id)
    chain = chain.union_all(above)
    query = select(SPECIALTIES.c.name).join(chain, SPECIALTIES.c.id == chain.c.parent_id).order_by(chain.c.distance)
    return list(await session.scalars(query))


# --- usage ---------------------------------------------------------------------------------------------------------


async def unknown_ids(session: AsyncSession, table: Table, ids: Iterable[int]) -> set[int]:
    """Those of the ids that no row of the table has."""
    asked = set(ids)
    if not asked:
        return asked
    return asked - set(await session.scalars(select(table.c.id).where(table.c.id.in_(asked))))


async def add_uses(session: AsyncSession, uses: Iterable[Use], now: datetime) -> None:
    """Add the uses and count them on their models and tools; models are scored by them. A use without a time gets `now`."""
    rows = [use.model_dump() | {"at": use.at or now} for use in uses]
    await session.execute(insert(USAGE), rows)
    for table, key in ((MODELS, "model_id"), (CLIS, "cli_id")):
        found: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            if row[key] is not None:
                found.setdefault(row[key], []).append(row)
        counted = [
            {
                "used_id": used_id,
                "uses": len(of_one),
                "successes": sum(row["success"] for row in of_one),
                "latest": max(row["at"] for row in of_one),
            }
            for used_id, of_one in found.items()
        ]
        if counted:
            await session.execute(_count_uses(table), counted)


# --- statistics ----------------------------------------------------------------------------------------------------


async def registered(session: AsyncSession) -> dict[str, int]:
    """How many models and tools are active and not, and how many bytes the active models have."""
    active_size = func.sum(case((MODELS.c.is_active.is_(True), MODELS.c.size_bytes), else_=0))
    models_row = (await session.execute(select(*_active_and_not(MODELS), func.coalesce(active_size, 0)))).one()
    clis_row = (await session.execute(select(*_active_and_not(CLIS)))).one()
    return {
        "active_models": models_row[0],
        "inactive_models": models_row[1],
        "total_size_bytes": int(models_row[2]),
        "active_clis": clis_row[0],
        "inactive_clis": clis_row[1],
    }


async def uses_since(session: AsyncSession, since: datetime) -> int:
    return int(await session.scalar(select(func.count()).select_from(USAGE).where(USAGE.c.at >= since)) or 0)


async def total_uses(session: AsyncSession, since: datetime) -> Uses:
    row = (await session.execute(select(*_figures()).where(USAGE.c.at >= since))).mappings().one()
    return Uses.model_validate(dict(row))


async def uses_by_module(session: AsyncSession, since: datetime) -> list[ModuleUses]:
    return await _ranking(session, since, [USAGE.c.module], ModuleUses)


async def uses_by_action(session: AsyncSession, since: datetime) -> list[ActionUses]:
    return await _ranking(session, since, [USAGE.c.action_type], ActionUses)


async def uses_by_model(session: AsyncSession, since: datetime) -> list[ModelUses]:
    return await _ranking(session, since, [USAGE.c.model_id, MODELS.c.name], ModelUses, MODELS, USAGE.c.model_id)


async def uses_by_cli(session: AsyncSession, since: datetime) -> list[CliUses]:
    return await _ranking(session, since, [USAGE.c.cli_id, CLIS.c.name], CliUses, CLIS, USAGE.c.cli_id)


async def uses_by_day(session: AsyncSession, since: datetime) -> list[DayUses]:
    day = func.date(USAGE.c.at).label("day")  # connections to Postgres speak UTC, and SQLite holds it
    query = select(day, *_figures()).where(USAGE.c.at >= since).group_by(day).order_by(day)
    rows = (await session.execute(query)).mappings()
    return [DayUses.model_validate(dict(row) | {"day": str(row["day"])}) for row in rows]


# --- how it is asked -----------------------------------------------------------------------------------------------


def _active(table: Table, wanted: Active) -> list[ColumnElement[bool]]:
    return [] if wanted is Active.ALL else [table.c.is_active.is_(wanted is Active.ACTIVE)]


def _dialect(session: AsyncSession) -> str:
    return session.get_bind().dialect.name


def _contains(dialect: str, column: ColumnElement[Any], value: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a JSON list of strings holds the value."""
    each = func.json_array_elements_text if dialect == "postgresql" else func.json_each
    items = each(column).table_valued("value")
    return exists(select(literal(1)).select_from(items).where(items.c.value == value))


def _holds(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a text holds the parameter `search`, in any case."""
    return column.icontains(bindparam("search"), escape=ESCAPE)


def _escaped(text: str) -> str:
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return text


def _specialty_and_below(name: ColumnElement[str]) -> Select[str]:
    """The names of a specialty and of all narrower ones."""
    tree = select(SPECIALTIES.c.id, SPECIALTIES.c.name).where(SPECIALTIES.c.name == name).cte("tree", recursive=True)
    below = select(SPECIALTIES.c.id, SPECIALTIES.c.name).join(tree, SPECIALTIES.c.parent_id == tree.c.id)
    return select(tree.union(below).c.name)


def _specialties() -> Select[Any]:
    parents = SPECIALTIES.alias("parents")
    counted = (
        select(func.count())
        .select_from(MODELS)
        .where(MODELS.c.specialty == SPECIALTIES.c.name, MODELS.c.is_active.is_(True))
        .scalar_subquery()
    )
    return select(SPECIALTIES, parents.c.name.label("parent"), counted.label("model_count")).join_from(
        SPECIALTIES, parents, SPECIALTIES.c.parent_id == parents.c.id, isouter=True
    )


async def _one(session: AsyncSession, query: Select[Any], shape: type[Shape]) -> Shape | None:
    row = (await session.execute(query)).mappings().one_or_none()
    return None if row is None else shape.model_validate(dict(row))


@dataclass(frozen=True)
class _Listing:
    """Two statements for one combination of filters. They are kept: to build and to compile them takes longer than to run them."""

    page: Select[Any]
    """The rows with an id above `after`, at most `most`; each with `in_all`, how many there are without regard to that. JSON comes as text:
    Pydantic reads it in a third of the time, and it is most of what a long page costs."""
    count: Select[int]
    json: tuple[str, ...]
    """The columns that hold JSON."""

    @classmethod
    def of(cls, table: Table, where: list[ColumnElement[bool]]) -> "_Listing":
        count = select(func.count()).select_from(table).where(*where)
        json = tuple(column.name for column in table.c if isinstance(column.type, JSON))
        columns = [
            cast_in_sql(column, Text).label(column.name) if column.name in json else column for column in table.c
        ]
        rows = select(*columns, count.scalar_subquery().label("in_all")).where(table.c.id > bindparam("after"), *where)
        return cls(rows.order_by(table.c.id).limit(bindparam("most", type_=Integer())), count, json)


async def _window(
    session: AsyncSession, listing: _Listing, asked: dict[str, Any], window: Window, shape: type[Shape]
) -> tuple[list[Shape], int]:
    connection = await connection_of(session)
    if "search" in asked:
        asked = asked | {"search": _escaped(asked["search"])}
    places = {"after": window.after, "most": window.most}
    rows = list((await connection.execute(listing.page, asked | places)).mappings())
    if rows:
        read = [{**row, **{name: from_json(row[name]) for name in listing.json}} for row in rows]
        return [shape.model_validate(row) for row in read], rows[0]["in_all"]
    if window.after == 0:
        return [], 0
    return [], (await connection.execute(listing.count, asked)).scalar_one_or_none() or 0


def _active_and_not(table: Table) -> tuple[ColumnElement[int], ColumnElement[int]]:
    active = case((table.c.is_active.is_(True), 1), else_=0)
    return func.coalesce(func.sum(active), 0), func.coalesce(func.sum(1 - active), 0)


def _count_uses(table: Table) -> Update:
    """Adds `uses` to the row `used_id`, last used at `latest` unless it was used later already; scores it if it is a model."""
    last, latest = table.c.last_used_at, bindparam("latest", type_=table.c.last_used_at.type)
    uses = bindparam("uses", type_=table.c.usage_count.type)
    values: dict[str, ColumnElement[Any]] = {
        "usage_count": table.c.usage_count + uses,
        "last_used_at": case((or_(last.is_(None), last < latest), latest), else_=last),
    }
    if table is MODELS:
        values["performance_score"] = _score_after(uses, bindparam("successes", type_=Float()))
    return update(table).where(table.c.id == bindparam("used_id")).values(values)


def _score_after(uses: ColumnElement[int], successes: ColumnElement[float]) -> ColumnElement[Any]:
    """The share of uses that went well, by a model's score before: `(score * weight + successes) / (weight + uses)`.

    The weight is how many uses the score before stands for: those that were counted and `PRIOR_USES`, at most `MEMORY_USES`. So a model's
    first score, or one that a person sets, is where it starts from, and what happened long ago fades. Source: the mean of a Beta
    distribution after Bernoulli trials (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.4), with a bounded number of trials.
    """
    counted = MODELS.c.usage_count
    weight = case((counted < MEMORY_USES - PRIOR_USES, counted + PRIOR_USES), else_=MEMORY_USES) * 1.0
    return (MODELS.c.performance_score * weight + successes) / (weight + uses)


def _figures() -> list[ColumnElement[Any]]:
    uses = func.count(USAGE.c.id)
    successes = func.coalesce(func.sum(case((USAGE.c.success.is_(True), 1), else_=0)), 0)
    return [
        uses.label("uses"),
        successes.label("successes"),
        (uses - successes).label("failures"),
        (successes * 1.0 / func.nullif(uses, 0)).label("success_rate"),
        func.avg(USAGE.c.duration_ms).label("mean_duration_ms"),
        func.max(USAGE.c.duration_ms).label("max_duration_ms"),
        func.coalesce(func.sum(USAGE.c.duration_ms), 0.0).label("total_duration_ms"),
    ]


async def _ranking(
    session: AsyncSession,
    since: datetime,
    by: list[ColumnElement[Any]],
    shape: type[Shape],
    named_in: Table | None = None,
    key: ColumnElement[Any] | None = None,
) -> list[Shape]:
    """Figures per value of `by`, most used first; `named_in` is joined by its id and `key`."""
    query = select(*by, *_figures()).where(USAGE.c.at >= since)
    if named_in is not None and key is not None:
        query = query.join_from(USAGE, named_in, key == named_in.c.id)
    query = query.group_by(*by).order_by(desc(literal_column("uses")), *by).limit(LONGEST_RANKING)
    return [shape.model_validate(dict(row)) for row in (await session.execute(query)).mappings()]
