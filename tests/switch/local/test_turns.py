"""Turns at a model that is there: few at a time, the urgent first, and nobody takes a place along who leaves."""

import asyncio
from types import SimpleNamespace

import pytest

from switch.failures import Failure, FailureKind
from switch.local.pool import Pool
from switch.local.queue import Queue
from switch.local.rotation import Rotation, RotationRules
from switch.local.scheduling import Rules


class Runner:
    """A process on paper."""

    is_ready = is_resident = True
    is_loading = is_stopping = is_fresh = sleeps = False
    habits = SimpleNamespace(places=1)
    used_at, starts, answering = 0.0, 1, 0

    def take(self) -> None:
        self.answering += 1

    def give_back(self) -> None:
        self.answering -= 1
        self.pool.step()


@pytest.fixture
def pool() -> Pool:
    return Pool(Queue(Rules(30.0, 30.0, 100), limit=10), Rotation(RotationRules(3, 300.0, 30.0, 60.0)))


@pytest.fixture(params=["light", "registered"])
def model(pool: Pool, request: pytest.FixtureRequest) -> SimpleNamespace:
    runner = Runner()
    runner.pool = pool
    made = SimpleNamespace(model="m", runner=runner, memory_bytes=10, uses=0, unusable="", trouble="", load_failure="",
                           is_outdated=False, is_removed=False, is_ahead=False)  # fmt: skip
    if request.param == "light":
        pool.light = made
    else:
        pool.models["m"] = made
    return made


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)  # let every task that can go on do so


async def test_the_urgent_are_served_first_and_equals_in_order(pool, model):
    served = []
    await pool.turn(model, "USER_INTERACTIVE")

    async def ask(name: str, priority: str) -> None:
        await pool.turn(model, priority)
        served.append(name)

    wanted = [("c", "BACKGROUND"), ("b1", "USER_INTERACTIVE"), ("a", "SYSTEM_CRITICAL"), ("b2", "USER_INTERACTIVE")]
    tasks = []
    for name, priority in wanted:
        tasks.append(asyncio.create_task(ask(name, priority)))
        await settle()
    assert pool.availability(model) == 0.1
    for _ in wanted:
        model.runner.give_back()
        await settle()
    assert served == ["a", "b1", "b2", "c"]
    assert model.runner.answering == 1
    model.runner.give_back()
    assert (model.runner.answering, pool.queue.is_empty, pool.availability(model)) == (0, True, 1.0)
    assert (model.uses, pool.queue.served) == (5, 5)


async def test_who_leaves_the_queue_does_not_take_a_place_along(pool, model):
    await pool.turn(model, "USER_INTERACTIVE")
    first, second = (asyncio.create_task(pool.turn(model, "USER_INTERACTIVE")) for _ in range(2))
    await settle()
    model.runner.give_back()  # the first one's turn comes…
    first.cancel()  # …in the very moment it leaves
    await settle()
    assert second.done()
    assert model.runner.answering == 1
    third = asyncio.create_task(pool.turn(model, "USER_INTERACTIVE"))
    await settle()
    third.cancel()
    await settle()
    assert pool.queue.is_empty


async def test_who_is_pushed_out_is_told_at_once(pool, model):
    await pool.turn(model, "USER_INTERACTIVE")
    waiting = [asyncio.create_task(pool.turn(model, "BACKGROUND")) for _ in range(10)]
    await settle()
    urgent = asyncio.create_task(pool.turn(model, "SYSTEM_CRITICAL"))
    await settle()
    assert [task.done() for task in waiting] == [False] * 9 + [True]
    refused = waiting[-1].exception()
    assert isinstance(refused, Failure)
    assert refused.kind is FailureKind.BUSY
    model.runner.give_back()
    await settle()
    assert urgent.done()
    for task in waiting[:-1]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert pool.queue.is_empty


async def test_a_failed_load_is_told_to_all_who_wait_for_it(pool, model):
    model.runner.is_ready = model.runner.is_resident = False
    model.runner.load = lambda: None
    waiting = [asyncio.create_task(pool.turn(model, "USER_INTERACTIVE")) for _ in range(2)]
    await settle()
    pool.changed(model, Failure(FailureKind.UNREACHABLE, "no room"))
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(one) for one in told] == ["no room"] * 2
