"""Money set aside before it is spent, so that a budget holds whatever happens in between, a kill -9 of this process included.

A **block** is money that was set aside durably for one caller and one type of task on one day, in one short transaction that looked at
every budget. Calls take what they may cost out of a block and give back what they did not: in memory, without a lock or a statement. What
the calls did cost is written soon after, many at a time.

A block counts in full against its budgets from the moment it is set aside until it is closed; then what its calls cost counts. So a process
that dies leaves too much behind, never too little, and several processes with the same database keep the budgets together: each of them
sees the blocks of all. For that, three things hold at any moment, whatever was interrupted:

- the amount of a block in memory is never more than in the database;
- what its calls cost and may still cost is never more than that amount, but for a call that costs more than it may, which is made good
  within moments (`flush`);
- a block is closed only when no call draws on it any more.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import Clock, new_id
from config.database import Database
from config.errors import FleetError
from config.forensics import Trail
from switch.failures import Failure
from switch.money import owners, repository
from switch.money.budgets import Budget, growth, over_budget, tightest, usd
from switch.money.repository import Record

FLUSH_SECONDS: Final = 0.5
IDLE_SECONDS: Final = 30.0
"""A block that is not used for so long, or up to twice as long, is closed: others may want what it holds."""
ROWS_PER_TRANSACTION: Final = 1000
REFUSAL_SECONDS: Final = 1.0
"""How long a refusal stands without asking the database again, where nothing was given back meanwhile."""
AUDIT_SECONDS: Final = 60.0
"""At most one row in the audit trail for one caller and budget in so long."""
MOST_REMEMBERED: Final = 10_000

Key = tuple[str, str, str, bool]
"""Day, caller, type of task, and whether budgets bind the caller: what was set aside beyond them is not for calls that they bind."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Block:
    """Amounts in nano-dollars."""

    id: str
    key: Key
    amount: int = 0
    """What is set aside in the database."""
    held: int = 0
    """What calls that are under way may cost."""
    spent: int = 0
    """What calls did cost that have ended."""
    waiting: int = 0
    """What calls may cost that wait for the block to grow."""
    is_kept: bool = False
    """Whether it is in the database."""
    was_used: bool = True
    """Since somebody last looked for unused ones."""

    @property
    def left(self) -> int:
        return self.amount - self.held - self.spent


@dataclass(slots=True)
class Wish:
    """What a call needs, and for what. `is_abandoned` when nobody waits for it any more."""

    needed: int
    budgets: list[Budget]
    model: str
    decision_id: str
    most_output: int | None = None
    """Tokens of answer that are reckoned with, where the request does not say."""
    is_abandoned: bool = False


class Spend:
    """`draw` before a call, then `settle` or `release`. `start` and `close` go around it all."""

    def __init__(self, db: Database, trail: Trail, clock: Clock) -> None:
        self._db, self._trail, self._clock = db, trail, clock
        self._owner = ""
        self._blocks: dict[Key, Block] = {}
        self._leaving: list[Block] = []
        """Blocks that nobody draws on any more and that are not closed in the database yet."""
        self._done: deque[tuple[Block, Callable[[], Record]]] = deque()
        self._turn = asyncio.Lock()
        """Of whoever changes amounts in the database."""
        self._something = asyncio.Event()
        self._refused: dict[Key, tuple[tuple[int, str], float, Failure]] = {}
        self._audited: dict[tuple[str, str], float] = {}
        self._writing: asyncio.Task[None] | None = None

    # --- for every call --------------------------------------------------------------------------------------------

    def take(self, key: Key, needed: int) -> Block | None:
        """The block of this key, if there is enough in it for the call: that is held in it from now on. None where it has to grow."""
        block = self._blocks.get(key)
        if block is None or block.amount - block.held - block.spent < needed:
            return None
        block.held += needed
        block.was_used = True
        return block

    async def draw(self, key: Key, wish: Wish) -> Block:
        """The same, growing the block where there is not enough in it. Raises Failure when a budget does not allow that."""
        block = self._blocks.get(key) or self._begun(key)
        if block.left >= wish.needed:
            block.held += wish.needed
            block.was_used = True
            return block
        self._still_refused(key, wish)
        block.waiting += wish.needed
        growing = asyncio.create_task(self._grow(block, wish))
        try:
            await asyncio.shield(growing)  # what is written of amounts must be known here, whoever leaves meanwhile
        except asyncio.CancelledError:
            wish.is_abandoned = True
            growing.add_done_callback(_retrieved)
            if growing.done() and growing.exception() is None:
                self.release(block, wish.needed)
            raise
        return block

    def release(self, block: Block, held: int) -> None:
        """Nothing of it was spent."""
        block.held -= held
        if self._refused:
            self._refused.clear()

    def settle(self, block: Block, held: int, cost: int, record: Callable[[], Record]) -> None:
        """So much of it was spent; `record` gives the row of the call when it is written."""
        block.held -= held
        block.spent += cost
        block.was_used = True
        self._done.append((block, record))
        self._something.set()
        if self._refused:
            self._refused.clear()

    # --- setting money aside ---------------------------------------------------------------------------------------

    def _begun(self, key: Key) -> Block:
        block = self._blocks[key] = Block(new_id("block"), key)
        self._something.set()
        return block

    async def _grow(self, block: Block, wish: Wish) -> None:
        """Set aside in the block what the call may cost, and hold it; it waits no more then. Raises Failure."""
        try:
            async with self._turn:
                while block.left < wish.needed and not wish.is_abandoned:  # others draw on it while it grows
                    if (refusal := await self._set_aside(block, wish)) is not None:
                        raise refusal
                if not wish.is_abandoned:
                    block.held += wish.needed
                    block.was_used = True
        finally:
            block.waiting -= wish.needed

    async def _set_aside(self, block: Block, wish: Wish) -> Failure | None:
        (day, caller, task_type, may_overspend), now = block.key, self._clock()
        async with self._db.write(durable=True) as session:
            committed = await repository.committed(session, day, caller, task_type)
            found = None if may_overspend else tightest(wish.budgets, committed)
            if found is not None and found[1] < wish.needed - block.left and (lent := self._take_back(day)):
                for other in lent:
                    await repository.change_block(session, other.id, other.amount, "open", now)
                committed = await repository.committed(session, day, caller, task_type)
                found = tightest(wish.budgets, committed)
            short = wish.needed - block.left
            if found is not None and found[1] < short:
                budget, left = found
                refusal = over_budget(budget, left + block.left, wish.needed, now, wish.most_output)
                await self._audit(session, budget, left, caller, wish)
                self._remember(block.key, wish, refusal)
            else:
                refusal = None
                more = max(
                    0, growth(short, block.waiting - block.left, block.spent, None if found is None else found[1])
                )
                await self._keep(session, block, block.amount + more, now)
        if refusal is None:
            block.amount += more
            block.is_kept = True
        return refusal

    def _take_back(self, day: str) -> list[Block]:
        """Take out of our blocks what no call needs; returns those. In memory first: until it is written, it counts where it was."""
        lent = [block for block in self._blocks.values() if block.key[0] == day and block.is_kept and block.left > 0]
        for block in lent:
            block.amount -= block.left
        return lent

    async def _keep(self, session: AsyncSession, block: Block, amount: int, now: datetime) -> None:
        if block.is_kept:
            await repository.change_block(session, block.id, amount, "open", now)
            return
        day, caller, task_type, _ = block.key
        row: Record = {
            "id": block.id,
            "kind": "block",
            "state": "open",
            "owner": self._owner,
            "day": day,
            "caller": caller,
            "task_type": task_type,
            "amount_nanousd": amount,
            "created_at": now,
            "changed_at": now,
        }
        await repository.add(session, [row])

    def _still_refused(self, key: Key, wish: Wish) -> None:
        """The same again gets the same words again, for a moment; anything else is reckoned anew."""
        found = self._refused.get(key)
        if found is not None and (wish.needed, wish.model) == found[0] and time.monotonic() < found[1]:
            was = found[2]
            raise Failure(was.kind, was.detail, retry_after_seconds=was.retry_after_seconds)

    def _remember(self, key: Key, wish: Wish, refusal: Failure) -> None:
        if len(self._refused) >= MOST_REMEMBERED:
            self._refused.clear()
        self._refused[key] = ((wish.needed, wish.model), time.monotonic() + REFUSAL_SECONDS, refusal)

    async def _audit(self, session: AsyncSession, budget: Budget, left: int, caller: str, wish: Wish) -> None:
        now, name = time.monotonic(), (caller, budget.scope)
        if now < self._audited.get(name, 0.0):
            return
        if len(self._audited) >= MOST_REMEMBERED:
            self._audited.clear()
        self._audited[name] = now + AUDIT_SECONDS
        await self._trail.record(
            session,
            "money_refused",
            budget.scope,
            caller,
            decision_id=wish.decision_id,
            model=wish.model,
            limit_usd=usd(budget.limit_nanousd),
            left_usd=usd(max(0, left)),
            needed_usd=usd(wish.needed),
        )

    # --- writing down ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Count what dead processes of this host left in their blocks as spent, and begin to write."""
        self._owner = owners.me()
        async with self._db.read() as session:
            gone = [owner for owner in await repository.open_owners(session) if owners.is_gone(owner)]
        if gone:
            async with self._db.write() as session:
                blocks = await repository.assume(session, gone, self._clock())
            log.warning("money_assumed_spent", blocks=blocks, owners=gone)
        self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write what is left and close every block. What calls may cost that are still under way counts as spent."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        self._let_go(lambda _: True)
        try:
            await self.flush()
        except (SQLAlchemyError, FleetError) as exc:  # the blocks stay open, and the next start assumes them
            log.warning("money_left_behind", calls=len(self._done), blocks=len(self._leaving), error=repr(exc))

    async def flush(self) -> None:
        """Write down what was settled. Raises what the database raises; nothing is lost then."""
        async with self._turn:
            calls = len(self._done)  # what comes while this is written is for the next time: others wait for their turn
            while calls or self._leaving or self._overdrawn():
                done = [self._done[n] for n in range(min(ROWS_PER_TRANSACTION, calls))]
                calls -= len(done)
                await self._put_down(done, [] if calls else self._leaving[:])

    async def _put_down(self, done: list[tuple[Block, Callable[[], Record]]], leaving: list[Block]) -> None:
        now = self._clock()
        deeper = {block: block.held + block.spent for block in self._overdrawn()}
        async with self._db.write() as session:
            await repository.add(session, [record() for _, record in done])
            for block, amount in deeper.items():
                await self._keep(session, block, amount, now)
            for block in leaving:
                if block.is_kept or block in deeper:
                    state = "assumed" if block.held else "closed"
                    await repository.change_block(session, block.id, block.held + block.spent, state, now)
        for block, amount in deeper.items():
            block.amount, block.is_kept = amount, True
        for _ in done:
            self._done.popleft()
        self._leaving = [block for block in self._leaving if block not in leaving]

    def free_on(self, day: str) -> list[tuple[Key, int]]:
        """What is set aside and not needed by any call, so that it can be had when it is asked for."""
        return [(block.key, block.left) for block in self._blocks.values() if block.key[0] == day and block.left > 0]

    def _overdrawn(self) -> list[Block]:
        """Blocks whose calls cost more than was set aside in them."""
        return [one for one in (*self._blocks.values(), *self._leaving) if one.left < 0]

    async def _write(self) -> None:
        """Write until cancelled, at most a moment late. Sleeps while there is nothing to write."""
        look_at = time.monotonic() + IDLE_SECONDS
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._something.wait(), IDLE_SECONDS if self._blocks else None)
                await asyncio.sleep(FLUSH_SECONDS)
            self._something.clear()
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + IDLE_SECONDS
                self._let_go(self._is_idle)
            try:
                await self.flush()
            except Exception:
                log.exception("money_not_written")
                asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._something.set)

    def _is_idle(self, block: Block) -> bool:
        was_used, block.was_used = block.was_used, False
        return not (was_used or block.held or block.waiting)

    def _let_go(self, is_over: Callable[[Block], bool]) -> None:
        for block in [block for block in self._blocks.values() if is_over(block)]:
            del self._blocks[block.key]
            self._leaving.append(block)


def _retrieved(growing: asyncio.Task[None]) -> None:
    """Who waited for it has left."""
    if not growing.cancelled():
        growing.exception()
