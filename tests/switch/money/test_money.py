"""Money is set aside before a call and settled after it, and no budget is ever passed."""

import asyncio

import pytest
from sqlalchemy import select

from config.auth import Caller
from config.db_schema import AuditRow, SpendRow
from switch.calls import FREE, LOCAL, Needs, Price
from switch.failures import Failure, FailureKind
from switch.money import spend
from switch.money.repository import Filter
from switch.money.usage import StreamUsage, Usage
from tests.switch.money.conftest import CENT, OWNER, call, choice

SERVICE = Caller("madre", frozenset({"*"}), is_service=True)


async def entries(money, asks=OWNER, **wanted):
    return await money.entries(asks, Filter(**wanted), after=None, limit=100)


async def budget(money, scope="day", caller=OWNER):
    return next(one for one in await money.budgets(caller) if one.scope == scope)


async def refused(money, *, asked=None, model=None) -> Failure:
    with pytest.raises(Failure) as raised:
        await money.hold(asked or call(), model or choice(), "dec_no")
    assert raised.value.kind is FailureKind.OVER_BUDGET
    return raised.value


async def rows(db, kind: str = "block"):
    async with db.read() as session:
        return list(await session.scalars(select(SpendRow).where(SpendRow.kind == kind).order_by(SpendRow.id)))


# --- what a call costs -----------------------------------------------------------------------------------------------


async def test_a_call_costs_what_it_used_and_is_told_of(money_of, clock):
    money = await money_of()
    hold = await money.hold(call(task_type="code"), choice(), "dec_1")
    assert hold.settle(Usage(1000, 200, 500), is_estimated=False) == 0.00255
    (found,) = await entries(money)
    assert (found.decision_id, found.caller, found.task_type) == ("dec_1", "owner", "code")
    assert (found.provider, found.model, found.cost_usd, found.is_estimated) == ("paid", "model", 0.00255, False)
    assert (found.input_tokens, found.output_tokens, found.cached_input_tokens, found.at) == (1000, 200, 500, clock.now)


async def test_settling_twice_costs_once(money_of):
    money = await money_of()
    hold = await money.hold(call(), choice(), "dec_1")
    assert [hold.settle(CENT, is_estimated=False), hold.settle(Usage(10**6, 10**6), is_estimated=False)] == [0.01, 0.01]
    hold.release()
    assert (await budget(money)).spent_usd == 0.01
    assert len(await entries(money)) == 1


async def test_a_call_that_failed_costs_nothing_and_its_fallback_is_paid(money_of):
    money = await money_of(
        switch_prices={"first/a": {"input": 1, "output": 10}, "second/b": {"input": 1, "output": 20}}
    )
    failed = await money.hold(call(), choice("first", "a"), "dec_1")
    failed.release()
    failed.settle(CENT, is_estimated=False)
    answered = await money.hold(call(), choice("second", "b"), "dec_1")
    answered.settle(CENT, is_estimated=False)
    assert [(one.provider, one.cost_usd) for one in await entries(money)] == [("second", 0.02)]
    assert (await budget(money)).reserved_usd == 0.0


async def test_a_stream_that_was_broken_off_costs_what_came_of_it(money_of):
    money = await money_of()
    asked = call(read=1000)
    hold = await money.hold(asked, choice(), "dec_1")
    streamed = StreamUsage()
    for _ in range(50):
        streamed.take(b'data: {"choices": [{"delta": {"content": "word"}}]}\n\n')
    usage, is_estimated = streamed.usage(asked.needs)
    assert hold.settle(usage, is_estimated=is_estimated) == pytest.approx(0.001 + 0.0005)
    (found,) = await entries(money)
    assert found.is_estimated


async def test_what_the_provider_says_that_it_cost_is_what_it_cost(money_of):
    money = await money_of()
    hold = await money.hold(call(), choice(), "dec_1")
    assert hold.settle(Usage(1000, 200, stated_nanousd=1_234_567), is_estimated=False) == 0.001234567
    nobody_knows = await money.hold(call(), choice("mock", "unknown"), "dec_2")
    assert nobody_knows.settle(Usage(1000, 200, stated_nanousd=5), is_estimated=False) == 0.000000005
    assert (await budget(money)).spent_usd == 0.001234572


async def test_a_provider_that_says_nothing_was_to_pay_is_not_believed_against_its_price(money_of):
    money = await money_of()
    hold = await money.hold(call(), choice(), "dec_1")
    assert hold.settle(Usage(0, 1000, stated_nanousd=0), is_estimated=False) == 0.01


async def test_a_model_without_a_price_is_asked_where_no_budget_is_set(money_of):
    money = await money_of()
    hold = await money.hold(call(), choice("mock", "unknown"), "dec_1")
    assert hold.settle(CENT, is_estimated=False) is None
    assert await entries(money) == []


@pytest.mark.parametrize("model", [choice(LOCAL, "smollm"), choice("ollama", "llama")])
async def test_this_machine_is_free_whatever_the_budget(money_of, db, model):
    if model.backend.name != LOCAL:
        model = type(model)(model.backend, model.model, type(model.facts)(price=FREE))
    money = await money_of(switch_budget_usd_per_day=0)
    hold = await money.hold(call(), model, "dec_1")
    assert hold.settle(CENT, is_estimated=False) == 0.0
    assert await rows(db) == []


# --- budgets ---------------------------------------------------------------------------------------------------------


async def test_a_budget_refuses_what_could_pass_it_and_says_which_and_until_when(money_of):
    money = await money_of(switch_budget_usd_per_day=0.015)
    (await money.hold(call(), choice(), "dec_1")).settle(CENT, is_estimated=False)
    failure = await refused(money)
    assert "the budget of the day (day: $0.015 a day) has $0.005000 left until 2026-11-23T00:00Z" in failure.detail
    assert "max_tokens" in failure.detail
    assert failure.retry_after_seconds == 12 * 3600
    (await money.hold(call(write=400), choice(), "dec_2")).release()  # a shorter answer fits


async def test_what_is_held_counts_until_it_is_released(money_of):
    money = await money_of(switch_budget_usd_per_day=0.011)
    first = await money.hold(call(), choice(), "dec_1")
    await refused(money)
    first.release()
    await money.hold(call(), choice(), "dec_2")


async def test_a_caller_s_budget_is_his_own(money_of):
    money = await money_of(switch_budgets={"token:tok_a": 0.005, "token:owner": 0.5})
    failure = await refused(money, asked=call("token:tok_a"))
    assert "this caller's budget (token:tok_a" in failure.detail
    await money.hold(call("token:tok_b"), choice(), "dec_1")
    await money.hold(call("owner"), choice(), "dec_2")


async def test_a_type_of_task_has_its_own_budget(money_of):
    money = await money_of(switch_budgets={"task:code": 0.005})
    assert "the budget for code (task:code" in (await refused(money, asked=call(task_type="code"))).detail
    await money.hold(call(task_type="chat"), choice(), "dec_1")


async def test_what_others_have_set_aside_and_do_not_use_is_taken_back_before_anybody_is_refused(money_of):
    money = await money_of(switch_budget_usd_per_day=0.1)
    for n in range(8):
        (await money.hold(call(f"token:{n}"), choice(), "dec_1")).release()
    holds = [await money.hold(call("owner"), choice(), "dec_2") for _ in range(9)]
    assert len(holds) == 9  # nine times 0.010016 and no more
    await refused(money)


async def test_many_at_once_never_hold_more_than_the_budget(money_of, db):
    money = await money_of(switch_budget_usd_per_day=0.1)
    asked = [money.hold(call(f"token:{n % 3}", f"task{n % 2}"), choice(), f"dec_{n}") for n in range(40)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    holds = [one for one in found if not isinstance(one, Failure)]
    assert 1 <= len(holds) <= 9
    assert sum(row.amount_nanousd for row in await rows(db)) <= 100_000_000
    for hold in holds:
        hold.settle(CENT, is_estimated=False)
    assert (await budget(money)).spent_usd == pytest.approx(len(holds) * 0.01)


async def test_two_switches_keep_one_budget(money_of, db):
    one, other = [await money_of(switch_budget_usd_per_day=0.1) for _ in range(2)]
    asked = [money.hold(call(f"token:{n}"), choice(), "dec") for n in range(12) for money in (one, other)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert 1 <= sum(not isinstance(hold, Failure) for hold in found) <= 9
    assert sum(row.amount_nanousd for row in await rows(db)) <= 100_000_000


async def test_a_call_that_costs_more_than_was_held_is_settled_in_full_and_the_next_is_refused(money_of, db):
    money = await money_of(switch_budget_usd_per_day=0.05)
    hold = await money.hold(call(), choice(), "dec_1")
    assert hold.settle(Usage(output_tokens=9000), is_estimated=False) == 0.09
    await money.flush()
    assert [row.amount_nanousd for row in await rows(db)] == [90_000_000]
    await refused(money)
    found = await budget(money)
    assert (found.spent_usd, found.reserved_usd, found.left_usd) == (0.09, 0.0, 0.0)


async def test_a_model_without_a_price_is_not_asked_under_a_budget(money_of):
    money = await money_of(switch_budget_usd_per_day=5)
    failure = await refused(money, model=choice("mock", "unknown"))
    assert "the price of mock/unknown is not known" in failure.detail
    assert "VX11_SWITCH_PRICES" in failure.detail
    priced = choice("mock", "unknown", price=Price(1.0, 10.0))
    assert (await money.hold(call(), priced, "dec_1")).settle(CENT, is_estimated=False) == 0.01


async def test_a_caller_who_may_overspend_is_counted_and_not_refused(money_of):
    money = await money_of(switch_budget_usd_per_day=0.001)
    hold = await money.hold(call(may_overspend=True), choice(), "dec_1")
    hold.settle(CENT, is_estimated=False)
    assert (await budget(money)).spent_usd == 0.01
    await refused(money)


@pytest.mark.parametrize(
    ("asked", "facts", "most"),
    [
        (call(write=None), {}, 0.08192),
        (call(write=None), {"output_tokens": 500}, 0.005),
        (call(write=900), {"output_tokens": 500}, 0.005),
        (call(read=1000), {}, 0.01 + 0.00125),
    ],
)
async def test_what_is_held_is_the_most_that_the_call_may_cost(money_of, asked, facts, most):
    money = await money_of()
    hold = await money.hold(asked, choice(**facts), "dec_1")
    assert hold.most_usd == pytest.approx(most + 0.000016)


async def test_every_answer_that_is_wanted_is_held_for(money_of):
    money = await money_of()
    asked = call()
    asked.body["n"] = 4
    assert (await money.hold(asked, choice(), "dec_1")).most_usd == pytest.approx(0.040016)


async def test_a_call_that_was_cancelled_while_money_was_set_aside_holds_nothing(money_of):
    money = await money_of(switch_budget_usd_per_day=0.0101)
    await money.hold(call(write=1), choice(), "dec_0")  # so that prices are loaded
    holding = asyncio.create_task(money.hold(call(), choice(), "dec_1"))
    await asyncio.sleep(0)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    await money.hold(call(), choice(), "dec_2")


# --- days ------------------------------------------------------------------------------------------------------------


async def test_a_new_day_has_a_new_budget(money_of, clock):
    money = await money_of(switch_budget_usd_per_day=0.011)
    late = await money.hold(call(), choice(), "dec_1")
    clock.advance(hours=12)
    (await money.hold(call(), choice(), "dec_2")).settle(CENT, is_estimated=False)
    late.settle(CENT, is_estimated=False)  # of the day on which it was held
    assert (await budget(money)).spent_usd == 0.01
    assert len(await entries(money, day="2026-11-22")) == len(await entries(money, day="2026-11-23")) == 1


# --- what is kept ----------------------------------------------------------------------------------------------------


async def test_money_is_in_the_database_before_the_call_and_closed_at_the_end(money_of, db):
    money = await money_of()
    hold = await money.hold(call(), choice(), "dec_1")
    (block,) = await rows(db)
    assert (block.state, block.caller, block.task_type, block.day) == ("open", "owner", "general", "2026-11-22")
    assert block.amount_nanousd >= 10_016_000
    hold.settle(CENT, is_estimated=False)
    await money.close()
    assert [(row.state, row.amount_nanousd) for row in await rows(db)] == [("closed", 10_000_000)]
    assert [row.amount_nanousd for row in await rows(db, "call")] == [10_000_000]


async def test_what_is_under_way_at_the_end_counts_as_spent(money_of, db):
    money = await money_of()
    await money.hold(call(), choice(), "dec_1")
    await money.close()
    assert [(row.state, row.amount_nanousd) for row in await rows(db)] == [("assumed", 10_016_000)]


async def test_what_was_settled_is_written_by_itself(money_of, db):
    money = await money_of()
    (await money.hold(call(), choice(), "dec_1")).settle(CENT, is_estimated=False)
    async with asyncio.timeout(60):
        while not await rows(db, "call"):
            await asyncio.sleep(0.02)


async def test_a_block_that_nobody_uses_is_closed_for_others_to_have(money_of, db, monkeypatch):
    monkeypatch.setattr(spend, "IDLE_SECONDS", 0.02)
    money = await money_of()
    hold = await money.hold(call(), choice(), "dec_1")
    hold.settle(CENT, is_estimated=False)
    async with asyncio.timeout(60):
        while [(row.state, row.amount_nanousd) for row in await rows(db)] != [("closed", 10_000_000)]:
            await asyncio.sleep(0.02)
    (await money.hold(call(), choice(), "dec_2")).settle(CENT, is_estimated=False)
    assert (await budget(money)).spent_usd == 0.02


async def test_blocks_of_others_who_live_are_left_to_them(money_of, db):
    one = await money_of()
    await one.hold(call(), choice(), "dec_1")
    await money_of()
    assert [row.state for row in await rows(db)] == ["open"]


async def test_settling_is_not_lost_while_the_database_cannot_be_written(money_of, db, monkeypatch):
    money = await money_of()
    hold = await money.hold(call(), choice(), "dec_1")
    hold.settle(CENT, is_estimated=False)
    with monkeypatch.context() as broken:
        broken.setattr("switch.money.repository.add", _fails)
        with pytest.raises(RuntimeError):
            await money.flush()
    assert len(await entries(money)) == 1


async def _fails(*_: object) -> None:
    raise RuntimeError("the disk is on fire")


# --- who sees what ---------------------------------------------------------------------------------------------------


async def test_the_owner_and_services_see_every_budget_and_others_their_own(money_of):
    money = await money_of(switch_budget_usd_per_day=1, switch_budgets={"token:tok_a": 0.5, "task:code": 0.25})
    (await money.hold(call("token:tok_a", "code"), choice(), "dec_1")).settle(CENT, is_estimated=False)
    for caller in (OWNER, SERVICE):
        found = {one.scope: (one.limit_usd, one.spent_usd) for one in await money.budgets(caller)}
        assert found == {"day": (1.0, 0.01), "token:tok_a": (0.5, 0.01), "task:code": (0.25, 0.01)}
    own = {one.scope: (one.limit_usd, one.spent_usd) for one in await money.budgets(Caller("token:tok_b"))}
    assert own == {"day": (1.0, 0.01), "token:tok_b": (None, 0.0)}


async def test_others_see_what_they_spent_themselves(money_of):
    money = await money_of()
    for name in ("token:tok_a", "token:tok_b"):
        (await money.hold(call(name), choice(), "dec_1")).settle(CENT, is_estimated=False)
    assert [one.caller for one in await entries(money, Caller("token:tok_a"))] == ["token:tok_a"]
    assert await entries(money, Caller("token:tok_a"), caller="token:tok_b") == []
    assert [one.caller for one in await entries(money, caller="token:tok_b")] == ["token:tok_b"]


async def test_a_refusal_is_in_the_audit_trail_once_a_minute(money_of, db):
    money = await money_of(switch_budget_usd_per_day=0.001)
    for n in range(30):
        await refused(money, asked=call(write=1000 + n))
    async with db.read() as session:
        found = list(await session.scalars(select(AuditRow).where(AuditRow.event == "money_refused")))
    assert [(row.subject, row.caller) for row in found] == [("day", "owner")]


async def test_needs_of_nothing_cost_nothing(money_of):
    money = await money_of(switch_prices={"paid/model": {"input": 0, "output": 0}}, switch_budget_usd_per_day=0)
    asked = call()
    asked.needs = Needs()
    assert (await money.hold(asked, choice(), "dec_1")).settle(CENT, is_estimated=False) == 0.0
    assert [one.cost_usd for one in await entries(money)] == [0.0]


async def test_a_call_out_of_a_block_waits_for_nothing(money_of):
    money = await money_of(switch_budget_usd_per_day=100)
    await money.hold(call(), choice(), "dec_1")
    with pytest.raises(StopIteration) as done:
        money.hold(call(), choice(), "dec_2").send(None)
    assert done.value.value.settle(CENT, is_estimated=False) == 0.01
