"""The durable engine: a plan is carried once, and what is kept of an ended one goes."""

import asyncio
import time
from datetime import timedelta

import pytest
import sqlalchemy

from config.clock import utc_now
from madre.engine import DbosEngine, _sqlite_engine
from madre.settings import MadreSettings


async def test_a_plan_started_many_times_is_carried_once_and_forgotten_only_when_it_ended_long_ago(tmp_path):
    engine = DbosEngine(MadreSettings(state_dir=tmp_path, madre_engine_polling_seconds=0.02, _env_file=None))
    carried, may_end = [], asyncio.Event()

    async def body(plan_id):
        carried.append(plan_id)
        await may_end.wait()

    soon, before = utc_now() + timedelta(hours=1), utc_now() - timedelta(hours=1)
    await engine.open(body)
    try:
        await asyncio.gather(*(engine.start("plan_1") for _ in range(5)))
        await engine.forget(soon)
        assert await engine.state("plan_1") == "carried"
        may_end.set()
        async with asyncio.timeout(60):
            while await engine.state("plan_1") != "ended":
                await asyncio.sleep(0.01)
        assert carried == ["plan_1"]
        await engine.forget(before)
        assert await engine.state("plan_1") == "ended"
        await engine.forget(soon)
        assert await engine.state("plan_1") is None
    finally:
        await engine.close()


def test_an_old_sqlite_knows_the_milliseconds_that_the_engine_asks_it_for(tmp_path):
    with _sqlite_engine(f"sqlite:///{tmp_path / 'dbos.db'}").connect() as connection:
        milliseconds = connection.scalar(sqlalchemy.text("SELECT unixepoch('subsec') * 1000"))
        assert connection.scalar(sqlalchemy.text("SELECT unixepoch()")) == pytest.approx(time.time(), abs=5)
    assert milliseconds == pytest.approx(time.time() * 1000, abs=5000)
