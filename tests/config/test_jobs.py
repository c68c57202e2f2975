"""Long jobs, whatever service has them: turns, the end in a transaction of the work's own, and halts."""

import asyncio
import json

import pytest
import pytest_asyncio
from sqlalchemy import text

from config.auth import Caller
from config.db_schema import AudioJobRow
from config.errors import FleetHalted, NotFound, StorageFull
from config.jobs.running import Jobs

SOMEBODY = Caller("somebody", frozenset({"*"}))


@pytest.fixture
def db(open_sqlite_as):
    return open_sqlite_as("shub")


@pytest_asyncio.fixture
async def jobs(db):
    jobs = Jobs("shub", db, AudioJobRow)
    yield jobs
    await jobs.close()


async def test_work_that_waits_for_its_own_turn_runs_from_when_it_says_so(jobs):
    asked, turn = asyncio.Event(), asyncio.Event()

    async def work(job):
        asked.set()
        await turn.wait()
        await job.begin()
        job.progressed(0.5)
        return {"made": job.state["what"]}

    jobs.offer("probe", work, at_once=None)
    job = await jobs.order("probe", {}, SOMEBODY, None, state={"what": "sound"})
    await asked.wait()
    assert (await jobs.job(job.job_id)).status == "PENDING"
    turn.set()
    done = await jobs.finished(job.job_id)
    assert (done.status, done.progress, done.result) == ("DONE", 1.0, {"made": "sound"})
    assert done.started_at is not None


async def test_what_breaks_the_transaction_of_the_end_leaves_a_job_that_failed(db, jobs):
    async def work(job):
        async with db.write() as session:
            await job.finish(session, {"made": "sound"})
            raise StorageFull("the disk is full")

    jobs.offer("probe", work)
    ended = await jobs.finished((await jobs.order("probe", {}, SOMEBODY, None)).job_id)
    assert (ended.status, ended.result) == ("ERROR", None)
    assert ended.error.startswith("storage_full: ")


async def test_a_cancellation_that_comes_before_the_end_undoes_what_was_made_with_it(db, jobs):
    may_end = asyncio.Event()

    async def work(job):
        try:
            await may_end.wait()
        except asyncio.CancelledError:  # too late to stop: the row decides
            async with db.write() as session:
                await job.finish(session, {"made": "sound"})
            raise AssertionError("it was cancelled before") from None

    jobs.offer("probe", work)
    job = await jobs.order("probe", {}, SOMEBODY, None)
    await asyncio.sleep(0)
    assert (await jobs.cancel(job.job_id)).status == "CANCELLED"
    assert (await jobs.job(job.job_id)).result is None


async def test_what_is_not_there_makes_no_job_and_takes_no_key(jobs):
    is_there = False

    async def resolve(_session):
        if not is_there:
            raise NotFound("no such sound")
        return {}

    async def work(_job):
        return {}

    jobs.offer("probe", work)
    with pytest.raises(NotFound):
        await jobs.order("probe", {}, SOMEBODY, "key", state=resolve)
    is_there = True
    job = await jobs.order("probe", {}, SOMEBODY, "key", state=resolve)
    assert (await jobs.order("probe", {}, SOMEBODY, "key", state=resolve)).job_id == job.job_id
    await jobs.finished(job.job_id)


async def test_nothing_new_begins_while_the_fleet_is_halted(open_sqlite_as, jobs):
    async with open_sqlite_as("madre").write() as session:
        halted = {"halted": True, "since": "2026-01-01T00:00:00Z", "by": "owner", "reason": "a drill"}
        values = "('madre', 'halt', :halted, '2026-01-01 00:00:00.000000')"
        await session.execute(text(f"INSERT INTO context VALUES {values}"), {"halted": json.dumps(halted)})
    with pytest.raises(FleetHalted, match="a drill"):
        await jobs.order("probe", {}, SOMEBODY, None)
