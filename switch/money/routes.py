"""HTTP in, HTTP out: what may still be spent, and what was."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from config.auth import CallerDep
from config.contracts.common import Page
from config.contracts.switch import BudgetStatus, SpendEntry
from config.pages import PageDep, page_of
from switch.money.money import Money
from switch.money.repository import Filter

router = APIRouter()


async def money_of(request: Request) -> Money:
    money: Money = request.app.state.money
    return money


MoneyDep = Annotated[Money, Depends(money_of)]


async def _filter(
    day: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A UTC day")] = None,
    caller: Annotated[str | None, Query(max_length=200)] = None,
    provider: Annotated[str | None, Query(max_length=64)] = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    task_type: Annotated[str | None, Query(max_length=64)] = None,
) -> Filter:
    return Filter(day, caller, provider, model, task_type)


FilterDep = Annotated[Filter, Depends(_filter)]


@router.get("/budget", summary="Every budget, and how much of it is gone")
async def budget(caller: CallerDep, money: MoneyDep) -> Page[BudgetStatus]:
    """Today's. Who is neither the owner nor a service sees the day's budget and his own."""
    return Page[BudgetStatus](items=await money.budgets(caller))


@router.get("/spend", summary="What calls cost, the newest first")
async def spend(caller: CallerDep, wanted: FilterDep, page: PageDep, money: MoneyDep) -> Page[SpendEntry]:
    """Calls whose price is known and that were made to others than this machine. Who is neither the owner nor a service sees his own."""
    found = await money.entries(caller, wanted, after=page.cursor, limit=page.limit)
    return page_of(found, page, cursor="id")
