"""Whether the fleet is halted, as madre wrote it down: no job of spawner's, hermes's or shub's starts then."""

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from config.contracts.madre import HaltState
from config.database import connection_of
from config.db_schema import ContextRow
from config.errors import FleetHalted

WHERE = {"halt_scope": "madre", "halt_key": "halt"}
# Each job that is taken or begun looks here: built once, and run on the connection.
STATE = select(ContextRow.__table__.c.value).where(
    ContextRow.__table__.c.scope == bindparam("halt_scope"), ContextRow.__table__.c.key == bindparam("halt_key")
)
WHY = "the fleet was halted"
"""Detail of the jobs that a halt ended."""


async def state(session: AsyncSession) -> HaltState:
    """Not halted, where madre has never written anything."""
    found = (await (await connection_of(session)).execute(STATE, WHERE)).scalar_one_or_none()
    return HaltState.model_validate(found) if found else HaltState(halted=False)


async def is_halted(session: AsyncSession) -> bool:
    return (await state(session)).halted


async def refuse_if_halted(session: AsyncSession) -> None:
    """Raises FleetHalted, saying who halted it and what lets it go on."""
    found = await state(session)
    if found.halted:
        raise FleetHalted(
            f"{told(found)}; `vx11 resume` (POST /madre/resume) lets it go on, and then this can be asked for again"
        )


def told(found: HaltState) -> str:
    """A halt in words: who, since when, why."""
    if not found.halted:
        return "not halted"
    since = f" since {found.since:%Y-%m-%d %H:%M:%S} UTC" if found.since else ""
    why = f": {found.reason}" if found.reason else ""
    return f"halted by {found.by or 'somebody'}{since}{why}"
