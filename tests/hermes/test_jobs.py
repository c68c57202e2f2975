"""Jobs as those who follow them see them."""

import asyncio

import pytest

from config.auth import Caller

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOMEBODY = Caller("somebody", frozenset({"*"}))


async def test_all_who_follow_a_job_hear_of_its_end_also_those_who_were_there_before(hermes):
    """One who comes between the cancellation and the end of the work takes no word from those who wait."""
    jobs = hermes.app.state.jobs
    begun, told, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_job):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.set()
            await may_end.wait()

    async def followed():
        return [event.event async for event in jobs.events(job.job_id, 0)]

    jobs.offer("probe", work)
    job = await jobs.order("probe", {}, SOMEBODY, None)
    await begun.wait()
    first = jobs.events(job.job_id, 0)
    assert (await anext(first)).event == "running"
    waiting = asyncio.create_task(anext(first))
    cancelling = asyncio.create_task(jobs.cancel(job.job_id))
    await told.wait()
    assert await followed() == ["cancelled"]
    may_end.set()
    assert (await asyncio.wait_for(waiting, 60)).event == "cancelled"
    assert (await cancelling).status == "CANCELLED"
