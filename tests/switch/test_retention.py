"""What is kept for so long and no longer, in a real database and seen through the API."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import insert, select

from config.clock import utc_now
from config.database import Database
from config.db_schema import ProviderStatRow, RouteDecisionRow, SpendRow
from switch import retention
from switch.main import create_app
from switch.retention import Retention

NOW = utc_now()


@pytest.fixture
async def database(settings_of):
    found = Database(settings_of().sqlalchemy_url(), "switch")
    yield found
    await found.close()


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.0)


async def add(database: Database, row: type, *rows: dict) -> None:
    async with database.write() as session:
        for one in rows:
            await session.execute(insert(row).values(**one))


def decision(name: str, days: float) -> dict:
    return {"id": name, "caller": "owner", "reason": "", "candidates": [], "outcome": "answered", "latency_ms": 1.0,
            "queue_ms": 0.0, "created_at": NOW - timedelta(days=days)}  # fmt: skip


def money(name: str, days: int, *, kind: str = "call", state: str = "settled") -> dict:
    at = NOW - timedelta(days=days)
    return {"id": name, "kind": kind, "state": state, "day": at.date().isoformat(), "caller": "owner", "provider": "p",
            "model": "m", "amount_nanousd": 10**9, "created_at": at, "changed_at": at}  # fmt: skip


async def ids(database: Database, row: type) -> set[str]:
    async with database.read() as session:
        return set(await session.scalars(select(row.id)))


async def test_old_decisions_are_gone_and_others_are_told_as_before(settings_of, client_of, database, monkeypatch):
    monkeypatch.setattr(retention, "FIRST_SECONDS", 0.0)
    await add(database, RouteDecisionRow, decision("dec_new", 89), *(decision(f"dec_{n}", 91 + n) for n in range(5)))
    async with client_of(create_app(settings_of())) as client, asyncio.timeout(30):

        async def status(name: str) -> int:
            answer: httpx.Response = await client.get(f"/switch/decisions/{name}")
            return answer.status_code

        while await status("dec_0") != 404:  # the oldest go first
            await asyncio.sleep(0.005)  # the interval of a poll
        assert await status("dec_new") == 200
    assert await ids(database, RouteDecisionRow) == {"dec_new"}


async def test_what_calls_cost_goes_by_days_and_open_blocks_and_the_days_of_budgets_stay(
    settings_of, client_of, database
):
    rows = [money("today", 0), money("block", 0, kind="block", state="open"), money("yesterday", 1)]
    rows += [money(f"old_{n}", 3) for n in range(3)]
    rows += [money("closed", 3, kind="block", state="closed"), money("left", 30, kind="block", state="open")]
    await add(database, SpendRow, *rows)
    settings = settings_of(switch_keep_spend_days=1, switch_budget_usd_per_day=5.0)
    await Retention(settings, database).prune()
    assert await ids(database, SpendRow) == {"today", "block", "yesterday", "left"}
    async with client_of(create_app(settings)) as client:
        [day] = (await client.get("/switch/budget")).json()["items"]
        assert (day["spent_usd"], day["left_usd"]) == (1.0, 4.0)
        assert [one["id"] for one in (await client.get("/switch/spend")).json()["items"]] == ["yesterday", "today"]


async def test_models_that_nobody_asks_any_more_are_forgotten_and_those_in_use_are_not(settings_of, database):
    old, new = NOW - timedelta(days=100), NOW
    rows = [
        {"provider": "p", "model": name, "last_answered_at": answered, "last_failed_at": failed}
        for name, answered, failed in (("old", old, None), ("gone", None, old), ("back", new, old), ("ill", old, new))
    ]
    await add(database, ProviderStatRow, *rows)
    await Retention(settings_of(), database).prune()
    async with database.read() as session:
        assert set(await session.scalars(select(ProviderStatRow.model))) == {"back", "ill"}


async def test_zero_days_are_for_ever(settings_of, database):
    await add(database, RouteDecisionRow, decision("dec_old", 9000))
    await add(database, SpendRow, money("old", 9000))
    await Retention(settings_of(switch_keep_days=0, switch_keep_spend_days=0), database).prune()
    assert await ids(database, RouteDecisionRow) == {"dec_old"}
    assert await ids(database, SpendRow) == {"old"}
