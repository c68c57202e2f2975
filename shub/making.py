"""Jobs that make one audio file out of others, whatever their kind.

What a job makes becomes visible in the transaction that ends it.
"""

from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.clock import new_id, utc_now
from config.contracts.common import Job
from config.contracts.shub import Asset
from config.database import Database
from config.jobs.running import Assignment, Jobs
from shub import repository
from shub.errors import AssetNotFound
from shub.kinds import Kind, Order, Request, inputs_in
from shub.mixing import MIX
from shub.store import Store
from shub.work import Work

KINDS: tuple[Kind[Any], ...] = (MIX,)


class Making:
    """Orders, and what is done for them."""

    def __init__(self, db: Database, store: Store, work: Work, jobs: Jobs) -> None:
        self._db, self._store, self._work, self._jobs = db, store, work, jobs
        for kind in KINDS:
            jobs.offer(kind.name, partial(self._make, kind), at_once=None)  # they wait for a worker's turn

    async def order(self, kind: Kind[Request], request: Request, caller: Caller, key: str | None) -> Job:
        """A new job for this request, or the one that this key stands for already.

        Raises AssetNotFound, InvalidRequest, IdempotencyConflict, FleetHalted.
        """

        async def resolve(session: AsyncSession) -> Order:
            ids = kind.inputs_of(request)
            found = {asset_id: await repository.asset(session, asset_id) for asset_id in dict.fromkeys(ids)}
            if missing := [asset_id for asset_id, asset in found.items() if asset is None]:
                raise AssetNotFound(f"no audio file {', '.join(missing)}")
            assets = [asset for asset_id in ids if (asset := found[asset_id]) is not None]
            return {**kind.order_of(request, assets), "inputs": inputs_in(assets)}

        return await self._jobs.order(kind.name, request.model_dump(mode="json"), caller, key, state=resolve)

    async def _make(self, kind: Kind[Any], job: Assignment) -> dict[str, Any]:
        order, target = job.state, self._store.new_path()
        try:
            made = await self._work.make(kind.name, order, target, job.begin, job.progressed)
            async with self._store.lock:
                is_new = await self._keep(target, made["sha256"])
                return await self._finish(kind, job, made, is_new=is_new)
        finally:
            self._store.discard(target)

    async def _keep(self, target: Path, sha256: str) -> bool:
        """Put the finished file among the others; whether its content is new."""
        async with self._db.read() as session:
            is_new = await repository.asset_with(session, sha256) is None
        await self._store.keep(target, sha256)
        return is_new

    async def _finish(self, kind: Kind[Any], job: Assignment, made: dict[str, Any], *, is_new: bool) -> dict[str, Any]:
        """The end of the job and the file that it made, in one transaction. Raises JobEnded when it was cancelled before."""
        try:
            async with self._db.write() as session:
                asset = await repository.asset_with(session, made["sha256"])
                if asset is None:
                    asset = _asset_of(kind, job, made)
                    await repository.add_asset(session, asset, job.job_id)
                result = kind.result_of(job.state, made, asset).model_dump(mode="json")
                await job.finish(session, result)
        except Exception:
            if is_new:  # nothing was committed; after a cancellation that may be unclear, and the next start sweeps
                await self._store.remove(made["sha256"])
            raise
        return result


def _asset_of(kind: Kind[Any], job: Assignment, made: dict[str, Any]) -> Asset:
    order = {name: value for name, value in job.state.items() if name not in ("inputs", "subject")}
    return Asset(
        asset_id=new_id("asset"),
        sha256=made["sha256"],
        name=order["name"],
        size_bytes=made["size_bytes"],
        format=order["format"],
        encoding=made["encoding"],
        duration_seconds=made["duration_seconds"],
        sample_rate_hz=made["sample_rate_hz"],
        channels=made["channels"],
        provenance={
            "made_by": kind.name,
            "job_id": job.job_id,
            "inputs": job.state["inputs"],
            "order": order,
            "versions": made["versions"],
        },
        created_at=utc_now(),
    )
