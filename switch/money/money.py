"""What calls cost and may cost: money is held before a call, and settled or released when it has ended."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from config.auth import Caller
from config.clock import Clock, new_id, utc_now
from config.contracts.switch import BudgetStatus, SpendEntry
from config.database import Database
from config.forensics import Trail
from switch.calls import Call, Choice, Price
from switch.money import budgets, repository
from switch.money.budgets import DAY, TASK, Budgets, scope_of, usd
from switch.money.pricing import Priced, Prices
from switch.money.rates import most_read
from switch.money.repository import Filter, Record, Spent
from switch.money.spend import Block, Spend, Wish
from switch.money.usage import LONGEST_TIER, Usage
from switch.settings import MOST_USD, SwitchSettings

USUAL_OUTPUT_TOKENS: Final = 8192
"""The longest answer of a model of which nobody says how much it writes at most, where no budget has to be kept."""
LEAST_OUTPUT_TOKENS: Final = 256
"""An answer that may cost no more than the request allows is not made shorter than this: rather nobody is asked."""
SOME_TOKENS: Final = 1000
MOST_NANOUSD: Final = round(MOST_USD * budgets.NANO) + 1
"""More than any budget; what may cost more is not reckoned further, so that it fits into the database."""


class Money:
    """`start`, then `hold` before every call that may cost money; `close` at the end."""

    def __init__(self, settings: SwitchSettings, db: Database, trail: Trail, *, clock: Clock = utc_now) -> None:
        self._db, self._clock = db, clock
        self._prices = Prices(settings)
        self._budgets = Budgets(settings.switch_budget_usd_per_day, settings.switch_budgets)
        self._spend = Spend(db, trail, clock)
        self._most_output = settings.switch_budget_max_tokens

    async def start(self) -> None:
        await self._spend.start()

    async def load_prices(self) -> None:
        """Make the prices known before the first call that costs money waits for them: they take a fifth of a second."""
        await self._prices.load()

    async def close(self) -> None:
        """Call it when no call is under way any more: what is held by then counts as spent."""
        await self._spend.close()

    def price_of(self, choice: Choice) -> Price | None:
        """US dollars for a million tokens, for choosing. Before the first call that may cost money, as settings and catalogue have it."""
        return self._prices.price(choice)

    async def hold(self, call: Call, choice: Choice, decision_id: str) -> "Hold":
        """Set aside what the call may cost at most. Raises Failure (OVER_BUDGET) when a budget, or the request's own limit, does not allow
        that; nobody may be asked then.

        Does not suspend but for the first call of all and when a block is used up.
        """
        if choice.is_free:
            return Hold(self._spend, self._clock, call, choice, decision_id)
        if not self._prices.is_loaded:
            await self._prices.load()
        now = self._clock()
        priced = self._prices.of(choice)
        bounds = [] if call.may_overspend else self._budgets.applying(call.caller, call.task_type)
        if priced is None and bounds:
            raise budgets.price_unknown(choice.name, bounds, now)
        written = most_output = _told_to_write(call, choice, self._most_output) if bounds else None
        if written is None:
            written = _may_write(call, choice)
        if call.needs.max_cost_usd is not None:
            affordable = _affordable(call, choice, written, call.needs.max_cost_usd, priced, now)
            if affordable < written:
                written = most_output = affordable
        needed = 0 if priced is None else _most(call, written, priced, now)
        key = (now.date().isoformat(), call.caller, call.task_type, call.may_overspend)
        block = self._spend.take(key, needed)
        if block is None:
            block = await self._spend.draw(key, Wish(needed, bounds, choice.name, decision_id, most_output))
        return Hold(
            self._spend,
            self._clock,
            call,
            choice,
            decision_id,
            priced=priced,
            at=now,
            block=block,
            held=needed,
            most_output=most_output,
        )

    # --- telling ---------------------------------------------------------------------------------------------------

    async def budgets(self, caller: Caller) -> list[BudgetStatus]:
        """Every limit and how much of it is gone. Who is neither the owner nor a service sees the day's and his own."""
        now = self._clock()
        day = now.date().isoformat()
        await self._spend.flush()
        async with self._db.read() as session:
            spent = await repository.spent_on(session, day)
        spent += [Spent(who, task, 0, -free) for (_, who, task, _), free in self._spend.free_on(day)]
        limits = {DAY: None} | self._budgets.limits
        own = scope_of(caller.id)
        if not sees_all(caller):
            limits = {DAY: limits[DAY], own: limits.get(own)}
        return [
            _status(scope, limit, [one for one in spent if _counts(one, scope)], now) for scope, limit in limits.items()
        ]

    async def entries(self, caller: Caller, wanted: Filter, *, after: str | None, limit: int) -> list[SpendEntry]:
        """What calls cost, the newest first, and one more than `limit`. Who is neither the owner nor a service sees his own."""
        if not sees_all(caller):
            if wanted.caller not in (None, caller.id):
                return []
            wanted = Filter(wanted.day, caller.id, wanted.provider, wanted.model, wanted.task_type)
        await self._spend.flush()
        async with self._db.read() as session:
            return await repository.entries(session, wanted, after=after, limit=limit)

    async def flush(self) -> None:
        """Write down what was settled. It happens by itself, at most half a second late."""
        await self._spend.flush()


class Hold:
    """Money set aside for one call to one model. `settle` or `release` it; what comes after the first of them changes nothing."""

    __slots__ = (
        "_at",
        "_block",
        "_call",
        "_choice",
        "_clock",
        "_cost",
        "_decision_id",
        "_ended_at",
        "_held",
        "_is_estimated",
        "_is_over",
        "_priced",
        "_spend",
        "_usage",
        "most_output",
    )

    def __init__(
        self,
        spend: Spend,
        clock: Clock,
        call: Call,
        choice: Choice,
        decision_id: str,
        *,
        priced: Priced | None = None,
        at: datetime | None = None,
        block: Block | None = None,
        held: int = 0,
        most_output: int | None = None,
    ) -> None:
        self.most_output = most_output
        """Tokens of answer that it was set aside for, where money limits them and the request does not, or less."""
        self._spend, self._clock, self._call, self._choice = spend, clock, call, choice
        self._decision_id, self._priced, self._at, self._block, self._held = decision_id, priced, at, block, held
        self._usage = _NOTHING
        self._cost: int | None = 0 if block is None else None
        self._is_over = block is None
        self._is_estimated = False
        self._ended_at = at

    @property
    def most_usd(self) -> float | None:
        """What the call may cost at most, in US dollars; None where no price is known."""
        return usd(self._held) if self._priced is not None or self._block is None else None

    def settle(self, usage: Usage, *, is_estimated: bool) -> float | None:
        """What the call cost in US dollars: by the provider's word where it says so, else by its price; None where neither is known."""
        if not self._is_over:
            self._is_over = True
            assert self._block is not None
            assert self._at is not None
            self._cost = cost = _cost(usage, self._priced, self._at)
            if cost is None:
                self._spend.release(self._block, self._held)
            else:
                self._usage, self._is_estimated = usage, is_estimated
                self._ended_at = self._clock()
                self._spend.settle(self._block, self._held, cost, self._record)
        return None if self._cost is None else usd(self._cost)

    def release(self) -> None:
        """Nothing was spent."""
        if not self._is_over:
            self._is_over = True
            self._cost = 0
            assert self._block is not None
            self._spend.release(self._block, self._held)

    def _record(self) -> Record:
        assert self._block is not None
        day, caller, task_type, _ = self._block.key
        return {
            "id": new_id("spend"),
            "kind": "call",
            "state": "settled",
            "block_id": self._block.id,
            "day": day,
            "caller": caller,
            "task_type": task_type,
            "decision_id": self._decision_id[:64],
            "provider": self._choice.backend.name[:64],
            "model": self._choice.model[:200],
            "input_tokens": self._usage.input_tokens,
            "output_tokens": self._usage.output_tokens,
            "cached_input_tokens": self._usage.cached_input_tokens,
            "amount_nanousd": self._cost,
            "is_estimated": self._is_estimated,
            "created_at": self._ended_at,
            "changed_at": self._ended_at,
        }


_NOTHING = Usage()


def sees_all(caller: Caller) -> bool:
    return caller.is_service or "*" in caller.scopes


def _may_write(call: Call, choice: Choice) -> int:
    """Tokens of the longest answer."""
    wanted, most = call.needs.output_tokens, choice.facts.output_tokens
    if wanted is None:
        return USUAL_OUTPUT_TOKENS if most is None else most
    return wanted if most is None else min(wanted, most)


def _told_to_write(call: Call, choice: Choice, most: int) -> int | None:
    """Tokens that the model shall be told not to write beyond under a budget; None where the request says so itself, or nothing is
    written."""
    needs, facts = call.needs, choice.facts
    if needs.output_tokens is not None:
        return None
    if facts.output_tokens is not None:
        most = min(most, facts.output_tokens)
    if facts.context_tokens is not None:  # some refuse to promise more than fits behind the question
        most = min(most, max(1, facts.context_tokens - most_read(needs)))
    return most


def _affordable(
    call: Call, choice: Choice, written: int, limit_usd: float, priced: Priced | None, now: datetime
) -> int:
    """How many of the `written` tokens the request's own limit pays for. Raises Failure where that is no answer, or nobody knows."""
    if priced is None:
        raise budgets.beyond_the_request(choice.name, limit_usd, None)
    limit = budgets.nanousd(limit_usd)
    most = _most(call, written, priced, now)
    if most <= limit:
        return written
    unwritten, some = (_most(call, tokens, priced, now) for tokens in (0, SOME_TOKENS))
    affordable = (limit - unwritten) * SOME_TOKENS // max(1, some - unwritten)
    if affordable < min(written, LEAST_OUTPUT_TOKENS):
        raise budgets.beyond_the_request(choice.name, limit_usd, most)
    return affordable


def _most(call: Call, written: int, priced: Priced, now: datetime) -> int:
    """The most that the call may cost, in nano-dollars, if every answer has at most `written` tokens."""
    needs, body = call.needs, call.body
    answers = body.get("n")
    if answers is not None and isinstance(answers, int | float) and answers > 1:
        written *= int(answers)
    read, is_audio = most_read(needs), "audio" in needs.modalities or "audio" in body
    most = priced.rates(now).most_nanousd(read, written, is_audio=is_audio)
    tier = body.get("service_tier")
    if tier is not None and isinstance(tier, str) and len(tier) <= LONGEST_TIER:
        most = max(most, priced.rates(now, tier).most_nanousd(read, written, is_audio=is_audio))
    return most if most < MOST_NANOUSD else MOST_NANOUSD


def _cost(usage: Usage, priced: Priced | None, at: datetime) -> int | None:
    """In nano-dollars. A provider that says 0 is only believed where we do not know better."""
    if usage.stated_nanousd:
        return usage.stated_nanousd
    if priced is None:
        return usage.stated_nanousd
    return priced.rates(at, usage.service_tier).nanousd(usage)


def _counts(one: Spent, scope: str) -> bool:
    if scope == DAY:
        return True
    return one.task_type == scope.removeprefix(TASK) if scope.startswith(TASK) else scope_of(one.caller) == scope


def _status(scope: str, limit: int | None, parts: Iterable[Spent], now: datetime) -> BudgetStatus:
    spent = reserved = 0
    for part in parts:
        spent, reserved = spent + part.spent, reserved + part.reserved
    reserved = max(0, reserved)
    return BudgetStatus(
        scope=scope,
        limit_usd=None if limit is None else usd(limit),
        spent_usd=usd(spent),
        reserved_usd=usd(reserved),
        left_usd=None if limit is None else usd(max(0, limit - spent - reserved)),
        resets_at=budgets.resets_at(now),
    )
