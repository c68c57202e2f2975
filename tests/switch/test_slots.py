"""Places at the local model: few at a time, the urgent first, and not too many waiting."""

import asyncio

import pytest

from switch.failures import Failure, FailureKind
from switch.local.slots import Slots


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)  # let every task that can go on do so


async def test_the_urgent_are_served_first_and_equals_in_order():
    slots, served = Slots(1, most_waiting=10), []
    await slots.take("USER_INTERACTIVE")

    async def ask(name: str, priority: str) -> None:
        await slots.take(priority)
        served.append(name)

    wanted = [("c", "BACKGROUND"), ("b1", "USER_INTERACTIVE"), ("a", "SYSTEM_CRITICAL"), ("b2", "USER_INTERACTIVE")]
    tasks = []
    for name, priority in wanted:
        tasks.append(asyncio.create_task(ask(name, priority)))
        await settle()
    for _ in wanted:
        slots.give()
        await settle()
    assert served == ["a", "b1", "b2", "c"]
    assert slots.taken == 1
    slots.give()
    assert (slots.taken, slots.waiting) == (0, 0)


async def test_more_than_may_wait_are_refused_at_once():
    slots = Slots(1, most_waiting=1)
    await slots.take("BACKGROUND")
    waiting = asyncio.create_task(slots.take("BACKGROUND"))
    await settle()
    with pytest.raises(Failure) as refused:
        await slots.take("SYSTEM_CRITICAL")
    assert refused.value.kind is FailureKind.BUSY
    waiting.cancel()
    await settle()
    assert slots.waiting == 0


async def test_who_leaves_the_queue_does_not_take_a_place_along():
    slots = Slots(1, most_waiting=5)
    await slots.take("USER_INTERACTIVE")
    first, second = (asyncio.create_task(slots.take("USER_INTERACTIVE")) for _ in range(2))
    await settle()
    slots.give()  # the first one's turn comes…
    first.cancel()  # …in the very moment it leaves
    await settle()
    assert second.done()
    assert slots.taken == 1
    slots.give()
    assert slots.taken == 0
