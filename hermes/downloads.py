"""Fetching models: what was asked for is resolved and checked first, then a job fetches, proves, reads, scans, places and registers it."""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from config.auth import Caller
from config.contracts.common import Job
from config.contracts.hermes import DownloadRequest
from config.contracts.hermes_db import Active, Model, ModelNew
from config.errors import Conflict, FleetError, InvalidRequest
from config.jobs.running import Assignment, Jobs
from hermes.antivirus import Antivirus
from hermes.errors import FilesNotChosen, HubBroken, HubFileWrong, VirusFound
from hermes.fetch import Fetch, Wanted
from hermes.formats.reading import facts_of
from hermes.hashes import git_oid_of, sha256_of, sha256_of_list
from hermes.hub import Hub
from hermes.hub_model import HubModel
from hermes.line import Line
from hermes.registry import SOURCE, ModelRegistry
from hermes.selection import Choice, choose
from hermes.settings import HermesSettings
from hermes.specialties import TEXT, specialty_of
from hermes.store import ModelStore

KIND = "download"
LARGEST_LIST_BYTES = 40 * 1024
"""Of the files' hashes in the registry, whose metadata may have 64 KiB."""
LOOK_SECONDS = 0.25
"""How often a job's progress is looked at."""
_NOT_A_NAME = re.compile(r"[^a-z0-9._-]+")

Reply = TypeVar("Reply")


class Downloads:
    """Models, from the hub into the registry."""

    def __init__(
        self, settings: HermesSettings, store: ModelStore, hub: Hub, registry: ModelRegistry, jobs: Jobs
    ) -> None:
        self._settings, self._store, self._hub, self._registry, self._jobs = settings, store, hub, registry, jobs
        self._threads = ThreadPoolExecutor(settings.hermes_downloads, thread_name_prefix="download")
        jobs.offer(KIND, self._fetch, at_once=settings.hermes_downloads, clean_up=self._clean_up)

    async def order(self, request: DownloadRequest, caller: Caller, key: str | None) -> Job:
        """A job that fetches the model; one that is under way for the same files already; or one that is DONE because they are here.

        Raises what the hub raises, FileRefused, FileNotOnHub, FilesNotChosen, ModelTooLarge, StorageFull, Conflict for a name that is
        taken, InvalidRequest for an unknown specialty, IdempotencyConflict.
        """
        body = request.model_dump(mode="json")
        if (earlier := await self._jobs.earlier(KIND, body, caller, key)) is not None:
            return earlier
        model = await self._hub.info(request.model_id, request.revision)
        if model.sha is None:
            raise HubBroken(f"the hub tells no commit of {request.model_id}")
        limit = self._settings.hermes_download_limit_bytes
        choice = choose(model.model_id, model.files, request.files, request.quantization, limit_bytes=limit)
        target = self._store.place_of(model.model_id, model.sha, choice.label)
        known = await self._registry.models(Active.ALL)
        main_file = target / choice.weights[0].path
        kept = next((row for row in known if row.is_active and row.path == str(main_file)), None)
        if kept is not None and await asyncio.to_thread(main_file.is_file):
            return await self._jobs.order(KIND, body, caller, key, result=kept.model_dump(mode="json"))
        state = _state_of(request, model, choice, await self._specialty(request, model))
        self._refuse_taken(request, known, model.model_id)
        subject = str(state["subject"])
        there = await asyncio.to_thread(self._store.bytes_there, subject)
        await asyncio.to_thread(self._store.require_room, max(0, choice.size_bytes - there))
        return await self._jobs.order(KIND, body, caller, key, state=state, subject=subject)

    async def _specialty(self, request: DownloadRequest, model: HubModel) -> str | None:
        there = await self._registry.specialties()
        if request.specialty is not None:
            if request.specialty not in there:
                message = f"no specialty is called {request.specialty!r}; there are {', '.join(there)}"
                raise InvalidRequest(
                    f"body.specialty: {message}", errors=[{"field": "body.specialty", "message": message}]
                )
            return request.specialty
        guessed = specialty_of(model.model_id, model.tags, model.pipeline_tag) or TEXT
        return guessed if guessed in there else None

    @staticmethod
    def _refuse_taken(request: DownloadRequest, known: list[Model], model_id: str) -> None:
        for row in known:
            if row.name == request.name and (row.is_active or row.model_id != model_id):
                raise Conflict(f"a model named {request.name!r} exists: it has the id {row.id}; send another `name`")

    # --- the job ---------------------------------------------------------------------------------------------------

    async def _fetch(self, job: Assignment) -> dict[str, Any]:
        """Fetch, prove, read, scan, place, register; each step finds what an earlier attempt left."""
        state, subject = job.state, str(job.state["subject"])
        target = self._store.place_of(state["model_id"], state["revision"], state["label"])
        job.moved(0, state["size_bytes"])
        is_placed = bool(state.get("is_placing")) and await asyncio.to_thread(target.is_dir)
        if not is_placed:  # otherwise a kill came between the place and the registry
            record = await self._prepare(job, subject, target)
        async with self._store.lock:
            await job.settle()
            await job.keep(is_placing=True)
            if is_placed:
                record = await asyncio.to_thread(self._store.record_of, target)
            else:
                await asyncio.to_thread(self._store.place, subject, target, record)
            try:
                model = await self._registry.keep(record, is_name_chosen=state["is_name_chosen"])
            except FleetError:
                await asyncio.to_thread(self._store.take_back, target, subject)  # not visible without being known
                raise
        job.moved(state["size_bytes"], state["size_bytes"])
        return model.model_dump(mode="json")

    async def _prepare(self, job: Assignment, subject: str, target: Path) -> ModelNew:
        """A whole download that waits to be placed, and what the registry will be told of it."""
        try:
            if await asyncio.to_thread(target.is_dir):
                await self._take_back(job, subject, target)
            await self._bring(job, subject, job.state["files"])
            return await self._read(job, subject, target)
        except (VirusFound, HubFileWrong):
            await asyncio.to_thread(self._store.discard, subject)
            raise

    async def _take_back(self, job: Assignment, subject: str, target: Path) -> None:
        """A model that is here and not in use: of its files, those that are still right need not be fetched."""
        job.say("what is here of it is read again")
        await asyncio.to_thread(self._store.discard, subject)
        async with self._store.lock:
            await asyncio.to_thread(self._store.take_back, target, subject)
        await asyncio.to_thread(_remove_wrong, self._store.whole_of(subject), job.state["files"])
        job.say("")

    async def _bring(self, job: Assignment, subject: str, files: list[dict[str, Any]]) -> None:
        """All files, proved, under `whole/`."""
        total = sum(file["size_bytes"] for file in files)
        await asyncio.to_thread(self._store.begin, subject)
        there = await asyncio.to_thread(self._store.bytes_there, subject)
        await asyncio.to_thread(self._store.require_room, max(0, total - there))
        line = Line(self._settings.hermes_hub_timeout.total_seconds())
        before = 0
        for file in files:
            wanted = _wanted(file, self._hub.file_url(job.state["model_id"], job.state["revision"], file["path"]))
            if not await asyncio.to_thread(self._store.is_whole, subject, wanted.path, wanted.size_bytes):
                await self._bring_one(job, subject, wanted, line, before, total)
            before += wanted.size_bytes
            job.moved(before, total)

    async def _bring_one(
        self, job: Assignment, subject: str, wanted: Wanted, line: Line, before: int, total: int
    ) -> None:
        token = await self._hub.token()
        model_id, revision = job.state["model_id"], job.state["revision"]

        def refusal_of(status: int, headers: Mapping[str, str], path: str) -> FleetError:
            about = f"{model_id}/{path}"
            return self._hub.refusal_of(status, headers, about, token is not None, model_id=model_id, revision=revision)

        part = self._store.part_of(subject, wanted.content_id)
        fetch = Fetch(wanted, part, line, token=token, refusal_of=refusal_of)

        def look() -> None:
            job.moved(before + fetch.done_bytes, total)
            job.say(fetch.note)

        await self._in_thread(fetch.run, line.stop, look)
        job.say("")
        await asyncio.to_thread(self._store.keep_file, subject, wanted.content_id, wanted.path)

    async def _read(self, job: Assignment, subject: str, target: Path) -> ModelNew:
        """What the registry will be told: from the hub's list, and from the files themselves. The antivirus reads them too."""
        state, whole = job.state, self._store.whole_of(subject)
        files = [dict(file) for file in state["files"]]
        for file in files:
            file["sha256"] = file["sha256"] or await asyncio.to_thread(sha256_of, whole / file["path"])
        facts = await asyncio.to_thread(facts_of, whole, state["weights"])
        if self._settings.hermes_clamd_socket is not None:
            antivirus = Antivirus(self._settings.hermes_clamd_socket)
            for file in files:
                job.say(f"the antivirus reads {file['path']}")
                path, name = whole / file["path"], str(file["path"])
                await self._in_thread(partial(antivirus.require_clean, path, name), antivirus.stop)
            job.say("")
        return _record_of(state, files, facts, target)

    async def _in_thread(
        self, work: Callable[[], Reply], stop: Callable[[], None], look: Callable[[], None] | None = None
    ) -> Reply:
        """What `work` returns, with `look` called now and then. A cancellation stops it, and waits until it has stopped."""
        working = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            while not working.done():
                await asyncio.wait([working], timeout=LOOK_SECONDS)
                if look is not None:
                    look()
        except asyncio.CancelledError:
            stop()
            await asyncio.wait([working])
            working.exception()  # seen: it was told to stop
            raise
        return working.result()

    async def _clean_up(self, state: dict[str, Any]) -> None:
        if subject := state.get("subject"):
            await asyncio.to_thread(self._store.discard, subject)


# --- from the hub's words to ours ------------------------------------------------------------------------------------


def _state_of(request: DownloadRequest, model: HubModel, choice: Choice, specialty: str | None) -> dict[str, Any]:
    """All that the job needs: it asks the hub for nothing but the files. Raises FilesNotChosen for too long a list."""
    files = [
        {
            "path": file.path,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256,
            "git_oid": model.git_oids.get(file.path),
        }
        for file in choice.files
    ]
    unproved = [file["path"] for file in files if file["sha256"] is None and file["git_oid"] is None]
    if unproved:
        raise HubBroken(f"the hub tells no hash of {', '.join(map(str, unproved[:3]))}: it could not be verified")
    if len(json.dumps(files)) > LARGEST_LIST_BYTES:
        raise FilesNotChosen(
            f"these are {len(files)} files, more than one model's entry can list: name those that are needed"
        )
    identity = json.dumps([model.model_id, model.sha, choice.label, sorted(file.path for file in choice.files)])
    return {
        "subject": hashlib.sha256(identity.encode()).hexdigest()[:32],
        "model_id": model.model_id,
        "revision": model.sha,
        "label": choice.label,
        "name": request.name or made_up_name(model.model_id, choice),
        "is_name_chosen": request.name is not None,
        "files": files,
        "weights": [file.path for file in choice.weights],
        "size_bytes": choice.size_bytes,
        "model_type": choice.model_type,
        "quantization": choice.quantization,
        "specialty": specialty,
        "license": model.license,
        "tags": [tag for tag in model.tags if len(tag) <= 100 and tag.isprintable()][:64],
    }


def made_up_name(model_id: str, choice: Choice) -> str:
    """A name that can stand in `model` of a chat request: `owner/Tiny-GGUF` as Q4_K_M becomes `tiny-q4_k_m`."""
    base = re.sub(r"[-_.]gguf$", "", model_id.rpartition("/")[2].lower())
    version = choice.quantization or ("" if choice.label == choice.model_type else choice.label)
    return _NOT_A_NAME.sub("-", f"{base}-{version}".lower()).strip("-.")[:200] or "model"


def _wanted(file: dict[str, Any], url: str) -> Wanted:
    return Wanted(file["path"], url, file["size_bytes"], file["sha256"], file["git_oid"])


def _record_of(state: dict[str, Any], files: list[dict[str, Any]], facts: dict[str, Any], target: Path) -> ModelNew:
    weights = [file for file in files if file["path"] in state["weights"]]
    listed = [{name: file[name] for name in ("path", "size_bytes", "sha256")} for file in files]
    quantization = state["quantization"] or facts.get("quantization")
    metadata = (
        facts | {"files": listed, "label": state["label"]} | ({"quantization": quantization} if quantization else {})
    )
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > 60 * 1024:
        metadata.pop("chat_template", None)
    return ModelNew(
        name=state["name"],
        model_id=state["model_id"],
        source=SOURCE,
        path=str(target / state["weights"][0]),
        size_bytes=state["size_bytes"],
        sha256=weights[0]["sha256"] if len(weights) == 1 else sha256_of_list(listed),
        tags=state["tags"],
        specialty=state["specialty"],
        model_type=state["model_type"],
        license=(state["license"] or "")[:100] or None,
        revision=state["revision"],
        metadata=metadata,
    )


def _remove_wrong(folder: Path, files: list[dict[str, Any]]) -> None:
    """Remove what is not as the hub lists it, and what it does not list."""
    right = set[Path]()
    for file in files:
        path = folder / file["path"]
        with suppress(OSError):
            if path.is_file() and (
                sha256_of(path) == file["sha256"] if file["sha256"] else git_oid_of(path) == file["git_oid"]
            ):
                right.add(path)
    for path in folder.rglob("*"):
        if path not in right and not path.is_dir():
            path.unlink()
