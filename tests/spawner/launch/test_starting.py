"""The threads that jobs are started from."""

import os

import pytest

from spawner import starting
from spawner.starting import Starters


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's threads take on a uid")
async def test_a_thread_that_could_not_take_on_its_uid_is_not_asked_a_second_time(monkeypatch):
    become, refusals = starting.become, [OSError("not now")]

    def refusing_once(uid: int) -> None:
        if refusals:
            raise refusals.pop()
        become(uid)

    monkeypatch.setattr(starting, "become", refusing_once)
    starters = Starters()
    try:
        with starters.hand(62_007, None) as hand, pytest.raises(OSError, match="not now"):
            await hand.call(os.getpid)
        with starters.hand(62_007, None) as another:
            assert await another.call(os.getpid) == os.getpid()
    finally:
        starters.close()
