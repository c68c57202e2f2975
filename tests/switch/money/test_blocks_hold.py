"""Whatever calls do and whenever switches are killed: what counts is never less than what was spent, nor more than a budget allows."""

import asyncio
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from config.database import Database
from config.forensics import Trail
from switch.failures import Failure
from switch.money import repository
from switch.money.money import Hold, Money
from switch.money.usage import Usage
from tests.switch.money.conftest import NOON, PRICES, Clock, call, choice

LIMIT = 100_000_000  # nano-dollars: ten calls of a cent, less their margins
CALLERS, TASKS = ("token:a", "token:b"), ("code", "chat")
TOKEN = 10_000  # nano-dollars for one of output


class Blocks(RuleBasedStateMachine):
    """Two switches with one database and one budget. Every example has a day of its own."""

    day = NOON

    def __init__(self, loop: asyncio.AbstractEventLoop, db: Database, trail: Trail, make_settings: Any) -> None:
        super().__init__()
        Blocks.day += timedelta(days=1)
        self.clock = Clock()
        self.clock.now = Blocks.day
        self.loop, self.db, self.trail = loop, db, trail
        self.settings = make_settings(switch_budget_usd_per_day=LIMIT / 10**9, switch_prices=PRICES)
        self.spent = 0
        """What calls did cost, and those may have cost that were under way when their switch was killed."""
        self.beyond = 0
        """What calls cost beyond what was held for them."""
        self.under_way: list[list[tuple[Hold, int]]] = [[], []]

    def run(self, doing: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(doing, 30))

    @initialize()
    def start(self) -> None:
        self.switches = [self.started(), self.started()]

    def started(self) -> Money:
        money = Money(self.settings, self.db, self.trail, clock=self.clock)
        self.run(money.start())
        return money

    @rule(
        which=st.integers(0, 1),
        caller=st.sampled_from(CALLERS),
        task=st.sampled_from(TASKS),
        write=st.integers(1, 3000),
    )
    def hold(self, which: int, caller: str, task: str, write: int) -> None:
        try:
            hold = self.run(self.switches[which].hold(call(caller, task, write=write), choice(), "dec"))
        except Failure:
            return
        self.under_way[which].append((hold, write))

    @rule(which=st.integers(0, 1), writes=st.lists(st.integers(1, 3000), min_size=2, max_size=5))
    def hold_many_at_once(self, which: int, writes: list[int]) -> None:
        async def all_of_them() -> list[Any]:
            asked = [
                self.switches[which].hold(call(CALLERS[n % 2], write=write), choice(), "dec")
                for n, write in enumerate(writes)
            ]
            return await asyncio.gather(*asked, return_exceptions=True)

        for hold, write in zip(self.run(all_of_them()), writes, strict=True):
            if not isinstance(hold, Failure):
                self.under_way[which].append((hold, write))

    @precondition(lambda self: any(self.under_way))
    @rule(which=st.integers(0, 9), part=st.sampled_from([0.0, 0.01, 0.5, 1.0]))
    def settle(self, which: int, part: float) -> None:
        calls = self.under_way[0] or self.under_way[1]
        hold, write = calls.pop(which % len(calls))
        used = int(write * part)
        hold.settle(Usage(output_tokens=used), is_estimated=False)
        self.spent += used * TOKEN

    @precondition(lambda self: any(self.under_way))
    @rule()
    def settle_for_more_than_was_held(self) -> None:
        which = 0 if self.under_way[0] else 1
        hold, write = self.under_way[which].pop()
        hold.settle(Usage(output_tokens=2 * write + 10), is_estimated=False)
        self.run(self.switches[which].flush())
        self.spent += (2 * write + 10) * TOKEN
        self.beyond += (write + 10) * TOKEN

    @precondition(lambda self: any(self.under_way))
    @rule()
    def release(self) -> None:
        (self.under_way[0] or self.under_way[1]).pop()[0].release()

    @rule(which=st.integers(0, 1))
    def write_down(self, which: int) -> None:
        self.run(self.switches[which].flush())

    @rule(which=st.integers(0, 1))
    def kill(self, which: int) -> None:
        """Nothing that this switch had only in memory is left; what it had asked for may have been answered in full."""
        self.spent += sum(write * TOKEN for _, write in self.under_way[which])
        self.under_way[which] = []
        self.abandon(self.switches[which])
        self.switches[which] = self.started()

    @precondition(lambda self: not self.under_way[0])
    @rule()
    def stop_and_start(self) -> None:
        self.run(self.switches[0].close())
        self.switches[0] = self.started()

    @rule()
    def judge_wrongly_that_everybody_is_dead(self) -> None:
        async def judge() -> None:
            async with self.db.write() as session:
                await repository.assume(session, await repository.open_owners(session), self.clock())

        self.run(judge())

    @invariant()
    def what_counts_is_what_it_must_be(self) -> None:
        counted = self.run(self.counted())
        held = sum(write * TOKEN for calls in self.under_way for _, write in calls)
        assert counted >= self.spent + held
        assert counted <= LIMIT + self.beyond

    async def counted(self) -> int:
        async with self.db.read() as session:
            return (await repository.committed(session, self.clock().date().isoformat(), "", "")).everybody

    def abandon(self, money: Money) -> None:
        writing = money._spend._writing
        assert writing is not None
        writing.cancel()
        self.run(asyncio.gather(writing, return_exceptions=True))

    def teardown(self) -> None:
        for money in getattr(self, "switches", []):
            self.abandon(money)


def test_blocks_hold(settings_of, state_dir):
    loop = asyncio.new_event_loop()
    db = Database(settings_of().sqlalchemy_url(), "switch")
    try:
        run_state_machine_as_test(
            lambda: Blocks(loop, db, Trail("switch", state_dir), settings_of),
            settings=settings(
                max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    finally:
        loop.run_until_complete(db.close())
        loop.close()
