"""Money on a database of its own, with a clock that stands where it is put."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.auth import Caller
from config.database import Database
from config.forensics import Trail
from switch.calls import Call, Choice, Facts, Needs
from switch.money.money import Money
from switch.money.usage import Usage

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PRICES = {"paid/model": {"input": 1.0, "output": 10.0, "cached_input": 0.1}}
"""So that tests of budgets can be worked out by heart: a thousand tokens of output cost a cent."""

CENT = Usage(output_tokens=1000)
"""What `call()` may cost at most, but for the margin of its input."""
OWNER = Caller("owner", frozenset({"*"}))


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Backend:
    """Somebody who has models, as far as money is concerned."""

    def __init__(self, name: str) -> None:
        self.name = name


def choice(provider: str = "paid", model: str = "model", **facts: Any) -> Choice:
    return Choice(Backend(provider), model, Facts(**facts))


def call(
    caller: str = "owner", task_type: str = "general", *, read: int = 0, write: int | None = 1000, **more: Any
) -> Call:
    """A call that may cost a cent and what is set aside for an input that is larger than thought: 16 millionths."""
    needs = Needs(input_tokens=read, output_tokens=write)
    return Call({"messages": []}, caller=caller, task_type=task_type, needs=needs, **more)


MoneyMaker = Callable[..., Awaitable[Money]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def db(settings_of) -> AsyncIterator[Database]:
    database = Database(settings_of().sqlalchemy_url(), "switch")
    yield database
    await database.close()


@pytest.fixture
async def money_of(db, settings_of, clock, state_dir) -> AsyncIterator[MoneyMaker]:
    """`await money_of(switch_budget_usd_per_day=1)`: Money that has been started; closed at the end."""
    async with AsyncExitStack() as stack:

        async def make(**given: Any) -> Money:
            settings = settings_of(**({"switch_prices": PRICES} | given))
            money = Money(settings, db, Trail("switch", state_dir), clock=clock)
            await money.start()
            stack.push_async_callback(money.close)
            return money

        yield make
