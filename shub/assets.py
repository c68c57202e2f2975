"""Audio files: taken in, told about, given out, deleted."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi import Request

from config.auth import Caller
from config.clock import new_id, utc_now
from config.contracts.common import Page
from config.contracts.shub import Asset, AssetDeleted
from config.contracts.shub_analysis import AnalyzeRequest, AudioAnalysis
from config.database import Database
from config.forensics import Trail
from config.grants import Gate
from config.idempotency import Idempotency
from config.pages import PageQuery, page_of
from shub import policy, repository
from shub.errors import AssetInUse, AssetLost, AssetNotFound
from shub.roles import role_named
from shub.settings import ShubSettings
from shub.store import Received, Store
from shub.upload import Upload
from shub.work import Work

SERVICE = "shub"
DELETE = "shub:delete"


class Assets:
    """What shub does with files."""

    def __init__(
        self, settings: ShubSettings, db: Database, store: Store, work: Work, gate: Gate, trail: Trail
    ) -> None:
        self._limit_bytes = settings.shub_upload_limit_bytes
        self._db, self._store, self._work, self._gate, self._trail = db, store, work, gate, trail

    async def take_in(self, request: Request, name: str | None, caller: Caller, key: str | None) -> tuple[Asset, bool]:
        """The file in the body, and whether it is new; content that is here already gives the file that holds it.

        Raises UploadMissing, UploadBroken, BodyTooLarge, StorageFull, or an AudioProblem for what is no whole audio file.
        """
        upload = Upload(request, self._limit_bytes)
        async with self._store.receive(upload.chunks()) as received:
            called = policy.clean_name(name or upload.name, fallback="audio")
            once = Idempotency.of(SERVICE, caller.id, key, "upload", {"sha256": received.sha256, "name": called})
            async with self._db.read() as session:
                await once.earlier(session)
                known = await repository.asset_with(session, received.sha256)
            if known is not None:
                policy.refuse_false_name(called, known.format)
                return await self._keep_known(known, received, once)
            found = await self._work.probe(received.path, called)
            asset = Asset(
                asset_id=new_id("asset"),
                sha256=received.sha256,
                name=called,
                size_bytes=received.size_bytes,
                role=role_named(called),
                created_at=utc_now(),
                **found,
            )
            return await self._keep_new(asset, received, once, caller)

    async def asset(self, asset_id: str) -> Asset:
        """Raises AssetNotFound."""
        async with self._db.read() as session:
            found = await repository.asset(session, asset_id)
        if found is None:
            raise AssetNotFound(f"no audio file {asset_id}")
        return found

    async def content(self, asset_id: str) -> tuple[Asset, Path]:
        """A file and where its bytes are. Raises AssetNotFound, or AssetLost when the store does not hold what the database says."""
        asset = await self.asset(asset_id)
        path = self._store.path_of(asset.sha256)
        if not await asyncio.to_thread(path.is_file):
            raise AssetLost(f"the bytes of {asset_id} ({asset.name}) are gone from the store")
        return asset, path

    async def analyze(self, request: AnalyzeRequest) -> AudioAnalysis:
        """A file's measurements. Raises AssetNotFound, AssetLost, an AudioProblem, AnalysisTooSlow, AudioWorkerLost."""
        asset, _ = await self.content(request.asset_id)
        return await self._work.analyze(asset, request)

    async def page(self, query: PageQuery, *, name: str | None, format_: str | None) -> Page[Asset]:
        async with self._db.read() as session:
            found = await repository.assets(session, query, name=name, format_=format_)
        return page_of(found, query, cursor="asset_id")

    async def delete(self, asset_id: str, caller: Caller, grant: str | None, key: str | None) -> AssetDeleted:
        """Delete a file for good, its bytes too.

        Raises GrantRefused (and writes it to the audit trail) without a grant for exactly this file or a scope that names the operation,
        AssetNotFound, and AssetInUse while a job reads the file.
        """
        once = Idempotency.of(SERVICE, caller.id, key, "delete", {"asset_id": asset_id})
        async with self._db.read() as session:
            earlier = await once.earlier(session)
        if earlier is not None and earlier.answer is not None:
            return AssetDeleted.model_validate(earlier.answer)
        granted = await self._gate.check(caller, DELETE, {"asset_id": asset_id}, grant, subject=f"asset:{asset_id}")
        async with self._store.lock:
            async with self._db.write(durable=True) as session:
                found = await repository.asset(session, asset_id)
                if found is None:
                    raise AssetNotFound(f"no audio file {asset_id}")
                if users := await repository.jobs_using(session, asset_id):
                    raise AssetInUse(f"{found.name} is used by {', '.join(users)}; cancel that first")
                await self._gate.use(session, granted)
                deleted = AssetDeleted(asset_id=asset_id, sha256=found.sha256)
                await repository.remove_asset(session, asset_id)
                await once.claim(session, asset_id)
                await once.keep(session, 200, deleted.model_dump())
                details: dict[str, Any] = {"name": found.name, "sha256": found.sha256, "size_bytes": found.size_bytes}
                details["plan_id"] = granted.plan_id if granted else None
                await self._trail.record(session, "asset_deleted", f"asset:{asset_id}", caller.id, **details)
            await self._store.remove(found.sha256)
        return deleted

    async def _keep_known(self, known: Asset, received: Received, once: Idempotency) -> tuple[Asset, bool]:
        async with self._store.lock:
            if not await asyncio.to_thread(self._store.path_of(known.sha256).exists):
                await self._store.keep(received.path, known.sha256)  # its bytes were lost, and here they are again
            async with self._db.write() as session:
                if await repository.asset_with(session, known.sha256) is None:  # deleted meanwhile
                    raise AssetNotFound("this file was deleted while it was uploaded; send it again")
                if await once.earlier(session) is None:
                    await once.claim(session, known.asset_id)
        return known, False

    async def _keep_new(
        self, asset: Asset, received: Received, once: Idempotency, caller: Caller
    ) -> tuple[Asset, bool]:
        async with self._store.lock:
            async with self._db.read() as session:
                other = await repository.asset_with(session, asset.sha256)
            if other is not None:  # the same content came twice at once
                return other, False
            await self._store.keep(received.path, asset.sha256)
            try:
                async with self._db.write() as session:
                    await repository.add_asset(session, asset, caller.id)
                    if await once.earlier(session) is None:
                        await once.claim(session, asset.asset_id)
            except (
                Exception
            ):  # nothing was committed; where that is unclear (a kill, a cancellation) the next start sweeps
                await self._store.remove(asset.sha256)
                raise
        return asset, True
