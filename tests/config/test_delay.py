"""Things that are to be done after a while."""

import asyncio

from config.delay import Delay


async def test_what_is_taken_back_is_not_called_and_the_others_are_in_their_order() -> None:
    delay, called, done = Delay(0.02), list[str](), asyncio.Event()
    delay.call(lambda: called.append("first"))
    taken_back = delay.call(lambda: called.append("second"))
    delay.call(lambda: called.append("third"))
    delay.cancel(taken_back)
    await asyncio.sleep(0)
    delay.call(done.set)
    await asyncio.wait_for(done.wait(), 20)
    delay.cancel(taken_back)
    assert called == ["first", "third"]


async def test_it_goes_on_after_nothing_waited_for_a_while() -> None:
    delay = Delay(0.01)
    for _ in range(2):
        done = asyncio.Event()
        delay.call(done.set)
        await asyncio.wait_for(done.wait(), 20)


def test_what_waited_in_a_loop_that_is_gone_does_not_keep_the_next_one_waiting() -> None:
    delay, called = Delay(0.01), list[str]()

    async def leave() -> None:
        delay.call(lambda: called.append("of the loop that is gone"))

    async def wait() -> None:
        done = asyncio.Event()
        delay.call(done.set)
        await asyncio.wait_for(done.wait(), 20)

    asyncio.run(leave())
    asyncio.run(wait())
    assert called == []
