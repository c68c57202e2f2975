"""Jobs that make audio files out of others, whatever their kind.

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
from shub import policy, repository
from shub.chaining import CHAIN
from shub.errors import AssetNotFound
from shub.kinds import Kind, MadeFile, Order, Request, inputs_in
from shub.mastering import MASTER
from shub.mixing import MIX
from shub.store import Store
from shub.work import Work

KINDS: tuple[Kind[Any], ...] = (CHAIN, MIX, MASTER)


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
        target = self._store.new_path()
        try:
            made = await self._work.make(kind.name, job.state, target, job.begin, job.progressed)
            async with self._store.lock:
                new = [await self._keep(file) for file in made["files"]]
                return await self._finish(kind, job, made, new=[sha256 for sha256 in new if sha256])
        finally:
            self._store.discard(target)

    async def _keep(self, file: MadeFile) -> str | None:
        """Put a finished file among the others; its hash, if the content is new."""
        sha256: str = file["sha256"]
        async with self._db.read() as session:
            is_new = await repository.asset_with(session, sha256) is None
        await self._store.keep(Path(file["path"]), sha256)
        return sha256 if is_new else None

    async def _finish(
        self, kind: Kind[Any], job: Assignment, made: dict[str, Any], *, new: list[str]
    ) -> dict[str, Any]:
        """The end of the job and the files that it made, in one transaction. Raises JobEnded when it was cancelled before."""
        try:
            async with self._db.write() as session:
                assets = []
                for file in made["files"]:
                    asset = await repository.asset_with(session, file["sha256"])
                    if asset is None:
                        asset = _asset_of(kind, job, made, file)
                        await repository.add_asset(session, asset, job.job_id)
                    assets.append(asset)
                result = kind.result_of(job.state, made, assets).model_dump(mode="json")
                await job.finish(session, result)
        except Exception:
            # Nothing was committed; after a cancellation that may be unclear, and the next start sweeps.
            for sha256 in new:
                await self._store.remove(sha256)
            raise
        return result


def _asset_of(kind: Kind[Any], job: Assignment, made: dict[str, Any], file: MadeFile) -> Asset:
    order = {name: value for name, value in job.state.items() if name not in ("inputs", "subject")}
    return Asset(
        asset_id=new_id("asset"),
        sha256=file["sha256"],
        name=policy.clean_name(file["name"], fallback=kind.name),
        size_bytes=file["size_bytes"],
        format=file["format"],
        encoding=file["encoding"],
        duration_seconds=file["duration_seconds"],
        sample_rate_hz=file["sample_rate_hz"],
        channels=file["channels"],
        provenance={
            "made_by": kind.name,
            "job_id": job.job_id,
            "inputs": job.state["inputs"],
            "order": order,
            "rendered": made.get("rendered"),
            "versions": made["versions"],
        },
        created_at=utc_now(),
    )
