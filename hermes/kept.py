"""The models of this box: listed, read again, removed; and put right after a kill."""

import asyncio
import errno
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import structlog
from pydantic import AfterValidator, TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from config.auth import Caller
from config.clients.hermes_db import HermesDbClient
from config.clients.switch import SwitchClient
from config.clock import utc_now
from config.contracts.common import Job, StatusEnum, Wire
from config.contracts.hermes import Bytes, FilePath, KeptModels, ModelRemoved, Verification, VerifiedFile
from config.contracts.hermes_db import Active, Model, Sha256
from config.default_model import ModelUnusable, configured_model
from config.errors import Conflict, FleetError
from config.forensics import Trail
from config.grants import Gate
from config.jobs.running import Assignment, Jobs
from config.pages import PageQuery
from hermes import downloads
from hermes.errors import ModelInUse
from hermes.hashes import sha256_of
from hermes.registry import ModelRegistry
from hermes.settings import HermesSettings
from hermes.store import ModelStore
from hermes.versions import is_safe

REMOVAL = "removal"
DELETE = "hermes:delete_model"
VERIFIED_AT_ONCE = 2
SWITCH_SECONDS = 3.0  # a switch that takes longer to say what it holds is not asked on
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 30.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Loaded:
    """What switch holds in memory, and why it could not be asked."""

    files: set[Path]
    problem: FleetError | None = None

    @property
    def is_known(self) -> bool:
        """Where nobody listens there is no switch that could hold anything; one that is late or talks nonsense may hold every model."""
        return self.problem is None or isinstance(self.problem.__cause__, OSError)


class Models:
    """What hermes does with models that are here."""

    def __init__(
        self,
        settings: HermesSettings,
        gate: Gate,
        trail: Trail,
        store: ModelStore,
        registry: ModelRegistry,
        neighbours: tuple[HermesDbClient, SwitchClient],
        jobs: Jobs,
    ) -> None:
        self._settings, self._gate, self._trail = settings, gate, trail
        self._store, self._registry, self._jobs = store, registry, jobs
        self._hermes_db, self._switch = neighbours
        self._reading = asyncio.Semaphore(VERIFIED_AT_ONCE)
        jobs.offer(REMOVAL, self._remove)

    async def page(self, query: PageQuery) -> KeptModels:
        """The active models of the registry."""
        page = await self._hermes_db.models(limit=query.limit, cursor=query.cursor)
        stats = await self._hermes_db.stats(days=1)
        size = sum(model.size_bytes or 0 for model in page.items)
        return KeptModels(
            items=page.items, next_cursor=page.next_cursor, count=stats.active_models, total_size_bytes=size
        )

    async def verify(self, model_id: int) -> Verification:
        """Read every file of a model again; one that is not as it was fetched takes the model out of use.

        Raises ModelNotFound, and Conflict for a model without files on this box.
        """
        model = await self._registry.model(model_id)
        if model.path is None:
            raise Conflict(f"{model.name} has no files on this box")
        noted = _noted(self._store, model)
        async with self._reading:
            files = await asyncio.to_thread(lambda: [_read(*one) for one in noted])
        is_right = all(file.is_right for file in files)
        if not is_right and model.is_active:
            log.warning("model_wrong", model_id=model.id, files=[file.path for file in files if not file.is_right])
            model = await self._registry.deactivate(model_id)
        return Verification(model=model, is_right=is_right, files=files, verified_at=utc_now())

    async def delete(self, model_id: int, caller: Caller, grant: str | None, key: str | None) -> ModelRemoved:
        """Remove a model and its files; one whose file is not ours (the default model) is only taken out of use.

        Raises GrantRefused (and writes it to the audit trail) without a grant for exactly this model or a scope that names the operation,
        ModelNotFound, ModelInUse while it is loaded.
        """
        request = {"model_id": model_id}
        job = await self._jobs.earlier(REMOVAL, request, caller, key)
        if job is None:
            granted = await self._gate.check(caller, DELETE, request, grant, subject=f"model:{model_id}")
            model = await self._registry.model(model_id)

            async def also(session: AsyncSession) -> None:
                await self._gate.use(session, granted)
                plan_id = granted.plan_id if granted else None
                await self._record(session, model, caller.id, plan_id=plan_id, why="asked for")

            await self._require_unused(model)
            job = await self._order_removal(model, caller, key, also)
        return _removed(await self._jobs.finished(job.job_id))

    async def remove(self, model: Model, caller: Caller, why: str) -> ModelRemoved:
        """Remove a model that upkeep decided on. Raises ModelInUse."""

        async def also(session: AsyncSession) -> None:
            await self._record(session, model, caller.id, plan_id=None, why=why)

        await self._require_unused(model)
        job = await self._order_removal(model, caller, None, also)
        return _removed(await self._jobs.finished(job.job_id))

    async def loaded(self) -> Loaded:
        """The files that switch holds in memory; the local model's counts among them where switch cannot be asked."""
        try:
            status = await self._switch.status(timeout_seconds=SWITCH_SECONDS)
            return Loaded({Path(model.path) for model in status.loaded})
        except FleetError as error:
            try:
                return Loaded({configured_model(self._settings).path}, error)
            except ModelUnusable:
                return Loaded(set(), error)

    # --- removing --------------------------------------------------------------------------------------------------

    async def _require_unused(self, model: Model) -> None:
        """Raises ModelInUse."""
        loaded = await self.loaded()
        if not loaded.is_known and self._store.holds(model.path) is not None:
            raise ModelInUse(f"switch does not say whether {model.name} is loaded; try again when it answers")
        if model.path is not None and is_among(model, loaded.files, self._store):
            raise ModelInUse(f"{model.name} is loaded by switch; try again when it is not used any more")

    async def _order_removal(self, model: Model, caller: Caller, key: str | None, also: Any) -> Job:
        folder = self._store.holds(model.path)
        state = {
            "name": model.name,
            "folder": None if folder is None else str(folder),
            "size_bytes": 0 if folder is None else await asyncio.to_thread(self._store.size_of, folder),
        }
        subject = f"model:{model.id}"
        return await self._jobs.order(
            REMOVAL, {"model_id": model.id}, caller, key, state=state, subject=subject, also=also
        )

    async def _remove(self, job: Assignment) -> dict[str, Any]:
        """Out of use first, then out of sight in one step, then its bytes: a kill leaves nothing that is half there."""
        await job.settle()
        model_id, folder = int(job.request["model_id"]), job.state["folder"]
        async with self._store.lock:
            await self._registry.deactivate(model_id)
            if folder is not None:
                await asyncio.to_thread(self._store.remove, Path(folder))
        removed = ModelRemoved(model_id=model_id, name=job.state["name"], freed_bytes=job.state["size_bytes"])
        return removed.model_dump(mode="json")

    async def _record(self, session: AsyncSession, model: Model, caller: str, **details: Any) -> None:
        facts: dict[str, Any] = {
            "name": model.name,
            "path": model.path,
            "sha256": model.sha256,
            "size_bytes": model.size_bytes,
        }
        await self._trail.record(session, "model_removed", f"model:{model.id}", caller, **facts, **details)

    # --- after a start ---------------------------------------------------------------------------------------------

    async def put_right(self) -> None:
        """What a kill or a hand left: a folder the registry does not know is registered or removed; a row whose files are gone is taken
        out of use. Waits for hermes_db as long as it takes."""
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                await self._put_right()
                return
            except FleetError as error:
                log.warning("registry_not_compared", code=error.code, detail=error.detail)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_SECONDS)

    async def _put_right(self) -> None:
        async with self._store.lock:
            rows = await self._registry.models(Active.ALL)
            known = {self._store.holds(row.path) for row in rows}
            busy = {
                self._store.place_of(its["model_id"], its["revision"], its["label"])
                for its in await self._jobs.states(downloads.KIND)
                if its.get("model_id")
            }
            for folder, record in await asyncio.to_thread(lambda: list(self._store.kept())):
                if folder in known or folder in busy:
                    continue
                if await asyncio.to_thread(_is_complete, folder, record.metadata):
                    model = await self._registry.keep(record, is_name_chosen=False)
                    log.info("model_registered_again", model_id=model.id, path=model.path)
                else:
                    await asyncio.to_thread(self._store.remove, folder)
                    log.warning("incomplete_model_removed", path=str(folder))
            for row in rows:
                folder_of = self._store.holds(row.path)
                if not row.is_active or folder_of is None or row.path is None:
                    continue
                if not await asyncio.to_thread(Path(row.path).is_file):
                    await self._registry.deactivate(row.id)
                    log.warning("model_without_files", model_id=row.id, path=row.path)


def is_among(model: Model, files: set[Path], store: ModelStore) -> bool:
    """Whether one of the files is the model's."""
    if model.path is None:
        return False
    folder = store.holds(model.path)
    own = Path(model.path)
    return any(file == own or (folder is not None and file.is_relative_to(folder)) for file in files)


def _removed(job: Job) -> ModelRemoved:
    """The job's answer. Raises what the job ended with."""
    if job.status is not StatusEnum.DONE or job.result is None:
        code, _, detail = (job.error or "").partition(": ")
        raise FleetError.by_code.get(code, FleetError)(f"the model was not removed: {detail or job.status}")
    return ModelRemoved.model_validate(job.result)


def _require_safe(path: str) -> str:
    if not is_safe(path):
        raise ValueError("leads out of its folder")
    return path


def _is_complete(folder: Path, metadata: dict[str, Any]) -> bool:
    try:
        return all((folder / file["path"]).stat().st_size == file["size_bytes"] for file in metadata["files"])
    except (OSError, KeyError, TypeError):
        return False


class _Noted(Wire):
    path: Annotated[FilePath, AfterValidator(_require_safe)]
    size_bytes: Bytes
    sha256: Sha256


_NOTED = TypeAdapter(list[_Noted])


def _noted(store: ModelStore, model: Model) -> list[tuple[Path, str, int | None, str | None]]:
    """Place, name, size and hash of each file, as the registry has them. Raises Conflict for a list that is not hermes's own."""
    assert model.path is not None
    folder, listed = store.holds(model.path), model.metadata.get("files")
    if folder is None or not isinstance(listed, list):  # not one of ours: its one file, by its row
        own = Path(model.path)
        return [(own, own.name, model.size_bytes, model.sha256)]
    try:
        return [(folder / one.path, one.path, one.size_bytes, one.sha256) for one in _NOTED.validate_python(listed)]
    except ValidationError as exc:
        raise Conflict(f"what the registry notes of the files of {model.name} was changed: download it again") from exc


def _read(path: Path, name: str, size_bytes: int | None, expected: str | None) -> VerifiedFile:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # a device or a pipe may have no end
            raise OSError(errno.EINVAL, "not a file")
        found, size = sha256_of(path), facts.st_size
    except OSError as exc:
        return VerifiedFile(
            path=name,
            size_bytes=0,
            sha256=None,
            expected_sha256=expected,
            is_right=False,
            detail=exc.strerror or "unreadable",
        )
    detail = ""
    if expected is None:
        detail = "no hash is known to compare it with"
    elif found != expected:
        told = f"it has {size} bytes instead of {size_bytes}" if size != size_bytes else "its content changed"
        detail = f"{told}: download the model again, or delete it"
    return VerifiedFile(
        path=name,
        size_bytes=size,
        sha256=found,
        expected_sha256=expected,
        is_right=expected in (None, found),
        detail=detail,
    )
