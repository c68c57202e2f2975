"""Turns with command-line tools: taken before a tool is run, given back after, so that its limits hold whoever asks.

A limit is checked and the turn taken in one write transaction; there is one writer, so two that ask at once cannot both get the last turn.
"""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.clock import Clock, new_id
from config.contracts.hermes_db import Cli, Lease, LeaseNew, LeaseReturn, Use
from config.database import Database
from config.errors import Conflict, NotFound
from hermes_db import lease_repository as leases
from hermes_db import policy, repository
from hermes_db.once import module_of, once

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REMEMBERED = DAY
"""How long turns are kept that are over: as long as the longest limit looks back."""


class Leases:
    """Who uses which tool now, and how often it was used lately."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    async def take(self, name: str, new: LeaseNew, caller: Caller, key: str | None) -> Lease:
        """Raises NotFound; Conflict for a tool that is inactive, or of which a limit is zero; TooManyRequests naming the limit."""

        async def change(session: AsyncSession) -> Lease:
            cli, now = await _found(session, name), self._clock()
            await leases.forget(session, cli.id, now - REMEMBERED, now)
            await _require_room(session, cli, now)
            lease = Lease(
                lease_id=new_id("lease"),
                cli=name,
                taken_at=now,
                expires_at=now + timedelta(seconds=new.lease_seconds),
                returned_at=None,
            )
            await leases.add(session, lease, cli.id, caller.id)
            return lease

        return await once(self._db, caller, key, f"take_cli:{name}", new.model_dump(mode="json"), Lease, change)

    async def give_back(self, name: str, lease_id: str, how: LeaseReturn, caller: Caller) -> Lease:
        """End the turn, and count it as a use of the tool; a second time changes nothing. Raises NotFound.

        A turn that has expired was free for others already; its use is counted all the same.
        """
        async with self._db.write() as session:
            cli, now = await _found(session, name), self._clock()
            lease = await leases.lease(session, cli.id, name, lease_id)
            if lease is None:
                raise NotFound(f"there is no turn {lease_id!r} with {name!r}, or it was over a day ago")
            if lease.returned_at is not None:
                return lease
            await leases.give_back(session, lease_id, now)
            took_ms = max(0.0, (now - lease.taken_at) / timedelta(milliseconds=1))
            use = Use(
                module=how.module or module_of(caller),
                action_type=how.action_type,
                cli_id=cli.id,
                duration_ms=took_ms if how.duration_ms is None else how.duration_ms,
                success=how.success,
                error_message=how.error_message,
                at=now,
            )
            await repository.add_uses(session, [use], now)
            return lease.model_copy(update={"returned_at": now})


async def _found(session: AsyncSession, name: str) -> Cli:
    cli = await repository.cli_named(session, name)
    if cli is None:
        raise NotFound(f"no tool is called {name!r}")
    return cli


async def _require_room(session: AsyncSession, cli: Cli, now: datetime) -> None:
    if not cli.is_active:
        raise Conflict(f"{cli.name} is not active: PATCH with is_active true brings it back")
    limits = {name: getattr(cli, name) for name in ("rate_limit_per_hour", "rate_limit_per_day", "max_concurrent")}
    for name, limit in limits.items():
        if limit == 0:
            raise Conflict(f"{name} of {cli.name} is 0: it is not to be used")
    for name, span in (("rate_limit_per_hour", HOUR), ("rate_limit_per_day", DAY)):
        if limits[name] is not None:
            taken_at = await leases.nth_newest(session, cli.id, now - span, limits[name])
            if taken_at is not None:
                raise policy.lease_refusal(cli.name, name, limits[name], taken_at + span, now)
    if cli.max_concurrent is not None:
        ends_at = await leases.nth_longest(session, cli.id, now, cli.max_concurrent)
        if ends_at is not None:
            raise policy.lease_refusal(cli.name, "max_concurrent", cli.max_concurrent, ends_at, now)
