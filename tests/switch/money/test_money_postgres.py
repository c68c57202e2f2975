"""The same money on Postgres, where switches on several hosts keep one budget."""

import asyncio

import pytest

from config.database import Database
from config.forensics import Trail
from switch.failures import Failure
from switch.money import repository
from switch.money.money import Money
from switch.money.repository import Filter
from tests.switch.money.conftest import CENT, OWNER, PRICES, call, choice


async def test_two_switches_keep_one_budget_on_postgres(postgres_url, settings_of, state_dir, clock):
    settings = settings_of(database_url=postgres_url, switch_prices=PRICES, switch_budget_usd_per_day=0.1)
    dbs = [Database(settings.sqlalchemy_url(), "switch") for _ in range(2)]
    switches = [Money(settings, db, Trail("switch", state_dir), clock=clock) for db in dbs]
    for money in switches:
        await money.start()
    asked = [money.hold(call(f"token:{n}", f"task{n % 2}"), choice(), "dec") for n in range(8) for money in switches]
    found = await asyncio.gather(*asked, return_exceptions=True)
    holds = [hold for hold in found if not isinstance(hold, Failure)]
    assert 1 <= len(holds) <= 9
    for hold in holds:
        hold.settle(CENT, is_estimated=False)
    with pytest.raises(Failure):
        await switches[0].hold(call(write=10_000), choice(), "dec")
    for money in switches:
        await money.close()
    async with dbs[0].read() as session:
        counted = await repository.committed(session, "2026-11-22", "", "")
    assert counted.everybody == len(holds) * 10_000_000
    assert len(await switches[0].entries(OWNER, Filter(), after=None, limit=100)) == len(holds)
    for db in dbs:
        await db.close()
