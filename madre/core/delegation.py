"""How madre asks the specialists: one function per operation of a step, over the typed clients.

A step's parameters may point at the result of an earlier step: `{"from": "s2", "key": "asset_id"}`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from pydantic import ValidationError

from config import grants
from config.clients.hermes import HermesClient, HubUnreachable
from config.clients.hermes_db import HermesDbClient
from config.clients.service_client import ServiceClient
from config.clients.shub import ShubClient
from config.clients.spawner import DaughterNotFound, SpawnerClient, SpawnNotFound
from config.clients.switch import SwitchClient
from config.contracts.common import Check, HealthState, Job, StatusEnum
from config.contracts.hermes import DownloadRequest, SearchRequest, SearchResult, Upkeep
from config.contracts.hermes_db import Model
from config.contracts.madre import Artifact
from config.contracts.shub import Asset, ChainRequest, MasterRequest, MixRequest
from config.contracts.shub_language import LONGEST_COMMAND, CommandContext, Interpretation, InterpretRequest
from config.contracts.spawner import SpawnSummary
from config.errors import Conflict, FleetError, NotFound, UpstreamContractError, UpstreamUnavailable
from config.secrets import FleetSecrets
from madre.settings import MadreSettings

log = structlog.get_logger()

Progress = Callable[[float], Awaitable[None]]
POLL_SECONDS = 0.1
SLOWEST_POLL_SECONDS = 1.0
OPEN = [StatusEnum.PENDING, StatusEnum.RUNNING]
MOST_OPEN_JOBS, MOST_JOBS_TOLD = 200, 10
LISTENING_SECONDS = 10.0
"""How long shub may take to read a command, with a model where its rules are unsure; then it is read as every other message."""
SEARCH_SECONDS = 45.0
"""How long a search may take: somebody waits for what comes of it."""


class JobFailed(FleetError):
    """A specialist's job ended without doing its work."""

    code, status, title = "job_failed", 502, "A specialist could not finish its job"


@dataclass(frozen=True)
class Order:
    """One step as its specialist is asked for it."""

    plan_id: str
    step_id: str
    operation: str
    params: dict[str, Any]
    key: str
    """The step's Idempotency-Key: asked twice, the specialist does it once."""
    is_confirmed: bool
    """Whether a person confirmed the plan; only then is a dangerous step granted."""
    progress: Progress


class HasJobs(Protocol):
    """A client of a service whose jobs are followed and cancelled."""

    service: str

    async def job(self, job_id: str) -> Job: ...
    async def cancel_job(self, job_id: str) -> Job: ...
    async def unfinished_jobs(self) -> list[Job]: ...


class Delegation:
    """Madre's neighbours. `ask` carries a step out and returns its result."""

    def __init__(
        self,
        settings: MadreSettings,
        secrets: FleetSecrets,
        *,
        shub: ShubClient,
        switch: SwitchClient,
        hermes_db: HermesDbClient,
        hermes: HermesClient,
        spawner: SpawnerClient,
    ) -> None:
        self._settings, self._secrets = settings, secrets
        self._shub, self._switch, self._spawner = shub, switch, spawner
        self._hermes_db, self._hermes = hermes_db, hermes
        self._jobs: dict[str, tuple[HasJobs, asyncio.Future[Job]]] = {}
        self._operations: dict[str, Callable[[Order], Awaitable[dict[str, Any]]]] = {
            "shub:inspect": self._inspect,
            "shub:mix": self._mix,
            "shub:chain": self._chain,
            "shub:master": self._master,
            "shub:measure": self._analyze,
            "shub:analyze": self._analyze,
            "shub:delete": self._delete,
            "switch:route": self._route,
            "hermes_db:models": self._models,
            "hermes:search": self._search,
            "hermes:download": self._download,
            "hermes:delete_model": self._delete_model,
            "hermes:maintenance": self._keep_house,
            "hermes:clis": self._clis,
            "spawner:list": self._list_jobs,
            "spawner:status": self._job_status,
            "spawner:kill": self._kill,
        }

    @property
    def switch(self) -> SwitchClient:
        return self._switch

    @property
    def neighbours(self) -> dict[str, ServiceClient]:
        return {
            "shub": self._shub,
            "switch": self._switch,
            "hermes_db": self._hermes_db,
            "hermes": self._hermes,
            "spawner": self._spawner,
        }

    async def ask(self, order: Order) -> dict[str, Any]:
        """Carry a step out. Raises UpstreamUnavailable when trying again makes sense, another FleetError when it does not."""
        return await self._operations[order.operation](order)

    async def check_dependencies(self) -> dict[str, Check]:
        """The health of every neighbour, asked at the same time."""
        names = list(self.neighbours)
        found = await asyncio.gather(*(self._check(self.neighbours[name]) for name in names))
        return dict(zip(names, found, strict=True))

    async def abandon(self, key: str) -> None:
        """Cancel the job that the step with this Idempotency-Key started, if it started one."""
        if (begun := self._jobs.pop(key, None)) is None:
            return
        client, posted = begun
        try:
            job = await posted
        except FleetError:
            return  # it never became a job
        await self._cancel(client, job.job_id)

    async def open_jobs(self, caller: str | None) -> list[SpawnSummary] | None:
        """The processes of one caller, or of everybody, that wait or run; None when spawner cannot say."""
        try:
            return (await self._spawner.spawns(status=OPEN, caller=caller, limit=MOST_OPEN_JOBS)).items
        except (UpstreamUnavailable, UpstreamContractError) as exc:
            log.warning("jobs_unknown", error=str(exc))
            return None

    async def find_models(self, request: SearchRequest) -> SearchResult:
        """What there is to download. Raises what HermesClient raises; HubUnreachable where it takes longer than a person waits."""
        try:
            async with asyncio.timeout(SEARCH_SECONDS):
                return await self._hermes.search(request)
        except TimeoutError as exc:
            raise HubUnreachable(f"no answer within {SEARCH_SECONDS:g} s") from exc

    async def planned_upkeep(self) -> Upkeep:
        """What keeping house would do now. Raises what HermesClient raises."""
        return await self._hermes.maintenance(dry_run=True)

    async def kept_models(self, specialty: str | None = None) -> list[Model]:
        """All active models of the registry. Raises what HermesDbClient raises."""
        found: list[Model] = []
        cursor: str | None = None
        while True:
            page = await self._hermes_db.models(specialty=specialty, limit=500, cursor=cursor)
            found += page.items
            if (cursor := page.next_cursor) is None:
                return found

    async def audio_files(self, asset_ids: list[str]) -> list[Asset] | None:
        """What shub knows of these files; None where it cannot say. One that is not there is left out: the step that needs it tells."""
        try:
            async with asyncio.timeout(LISTENING_SECONDS):
                found = await asyncio.gather(*(self._audio_file(asset_id) for asset_id in asset_ids))
        except (FleetError, TimeoutError) as exc:
            log.warning("audio_files_unknown", error=str(exc))
            return None
        return [asset for asset in found if asset is not None]

    async def _audio_file(self, asset_id: str) -> Asset | None:
        try:
            return await self._shub.asset(asset_id)
        except NotFound:
            return None

    async def interpret(self, command: str, context: CommandContext) -> Interpretation | None:
        """A message as the audio engineer reads it; None where shub cannot say, and for one that is longer than any command."""
        if len(command) > LONGEST_COMMAND:
            return None
        request = InterpretRequest(command=command, context=context)
        try:
            return await self._shub.interpret(request, timeout_seconds=LISTENING_SECONDS)
        except FleetError as exc:
            log.warning("command_not_interpreted", error=str(exc))
            return None

    async def wake_spawner(self) -> str | None:
        """Tell spawner that a daughter waits; returns what is wrong where it does not hear: it looks by itself when it is back."""
        try:
            await self._spawner.wake()
        except FleetError as exc:
            return exc.detail
        return None

    async def cancel_daughter(self, daughter_id: str) -> None:
        """End a daughter, queued or running. A spawner that is down sees by itself that her plan has ended."""
        try:
            await self._spawner.cancel_daughter(daughter_id)
        except DaughterNotFound:
            pass
        except FleetError as exc:
            log.warning("daughter_not_cancelled", daughter_id=daughter_id, error=str(exc))

    async def cancel_jobs(self) -> int:
        """Cancel every job that runs anywhere, for a halt; returns how many of shub's and hermes's there were. Daughters go on after
        the resume."""
        mixes, downloads, _ = await asyncio.gather(
            self._cancel_all(self._shub), self._cancel_all(self._hermes), self._kill_daughters()
        )
        return mixes + downloads

    async def _kill_daughters(self) -> None:
        try:
            await self._spawner.kill_daughters()
        except FleetError as exc:
            log.warning("daughters_not_killed", error=str(exc))

    async def _cancel_all(self, client: HasJobs) -> int:
        try:
            running = await client.unfinished_jobs()
        except FleetError as exc:
            log.warning("jobs_not_cancelled", service=client.service, error=str(exc))
            return 0
        await asyncio.gather(*(self._cancel(client, job.job_id) for job in running))
        return len(running)

    async def close(self) -> None:
        for client in self.neighbours.values():
            await client.close()

    async def _check(self, client: ServiceClient) -> Check:
        try:
            health = await client.health()
        except FleetError as exc:
            return Check(status=HealthState.DOWN, detail=exc.detail)
        worst = "; ".join(
            f"{name}: {check.detail}" for name, check in health.checks.items() if check.status is not HealthState.OK
        )
        return Check(status=health.status, detail=worst)

    async def _inspect(self, order: Order) -> dict[str, Any]:
        assets = [await self._shub.asset(asset_id) for asset_id in order.params["asset_ids"]]
        return {"assets": [asset.model_dump(mode="json") for asset in assets]}

    async def _mix(self, order: Order) -> dict[str, Any]:
        request = MixRequest.model_validate(order.params)
        return await self._made(order, self._shub.mix(request, idempotency_key=order.key))

    async def _chain(self, order: Order) -> dict[str, Any]:
        request = ChainRequest.model_validate(order.params)
        return await self._made(order, self._shub.chain(request, idempotency_key=order.key))

    async def _master(self, order: Order) -> dict[str, Any]:
        request = MasterRequest.model_validate(order.params)
        return await self._made(order, self._shub.master(request, idempotency_key=order.key))

    async def _made(self, order: Order, asking: Coroutine[Any, Any, Job]) -> dict[str, Any]:
        """The result of a job that makes a file."""
        result = await self._job(order, self._shub, asking)
        try:
            Artifact.model_validate(result)
        except ValidationError as exc:
            raise UpstreamContractError("the result of the job names no file") from exc
        return result

    async def _job(self, order: Order, client: HasJobs, asking: Coroutine[Any, Any, Job]) -> dict[str, Any]:
        """Start a job with the step's key, or find the one it stands for, and follow it to its end."""
        posted = asyncio.ensure_future(asking)
        self._jobs[order.key] = client, posted
        try:
            # shielded: an interrupt between sending and hearing back must not lose sight of the job (see abandon)
            result = await self._finish(client, await asyncio.shield(posted), order.progress)
        except (UpstreamUnavailable, UpstreamContractError):
            raise  # it may still run, and is asked for again; as after a cancellation it stays known, for abandon
        except FleetError:
            self._jobs.pop(order.key, None)
            raise
        self._jobs.pop(order.key, None)
        return result

    async def _analyze(self, order: Order) -> dict[str, Any]:
        timeout_seconds = self._settings.madre_step_timeout.total_seconds()
        target = order.params.get("target", "streaming")
        is_whole = order.operation == "shub:analyze"
        found = await self._shub.analyze(
            order.params["asset_id"], target=target, details=is_whole, timeout_seconds=timeout_seconds
        )
        return found.model_dump(mode="json")

    async def _delete(self, order: Order) -> dict[str, Any]:
        params = {"asset_id": order.params["asset_id"]}
        grant = self._grant(order, params)
        await self._shub.delete_asset(params["asset_id"], grant=grant, idempotency_key=order.key)
        return params

    async def _route(self, order: Order) -> dict[str, Any]:
        seconds = self._settings.madre_step_timeout.total_seconds()
        reply = await self._switch.route(
            order.params["prompt"],
            task_type=order.params.get("task_type"),
            max_latency_ms=int(seconds * 1000),
            idempotency_key=order.key,
        )
        return reply.model_dump(mode="json")

    async def _models(self, order: Order) -> dict[str, Any]:
        kept = await self.kept_models(order.params.get("specialty"))
        return {"items": [model.model_dump(mode="json") for model in kept]}

    async def _search(self, order: Order) -> dict[str, Any]:
        found = await self.find_models(SearchRequest.model_validate(order.params))
        return found.model_dump(mode="json", exclude={"items": {"__all__": {"files", "tags"}}})

    async def _download(self, order: Order) -> dict[str, Any]:
        request = DownloadRequest.model_validate(order.params["order"])
        asking = self._hermes.download(request, idempotency_key=order.key)
        result = await self._job(order, self._hermes, asking)
        try:
            model = Model.model_validate(result)
        except ValidationError as exc:
            raise UpstreamContractError("the result of the download is no model") from exc
        return {"model": model.model_dump(mode="json"), "quantization": request.quantization}

    async def _delete_model(self, order: Order) -> dict[str, Any]:
        params = {"model_id": order.params["model_id"]}
        grant = self._grant(order, params)
        removed = await self._hermes.delete_model(params["model_id"], grant=grant, idempotency_key=order.key)
        return removed.model_dump(mode="json")

    async def _keep_house(self, order: Order) -> dict[str, Any]:
        done = await self._hermes.maintenance(dry_run=False, grant=self._grant(order, {}))
        return done.model_dump(mode="json")

    async def _clis(self, _order: Order) -> dict[str, Any]:
        """The tools of this box by hermes's last look; the registered ones while hermes does not answer."""
        try:
            return (await self._hermes.clis()).model_dump(mode="json")
        except (UpstreamUnavailable, UpstreamContractError) as exc:
            items = (await self._hermes_db.clis(limit=500)).items
            return {"items": [cli.model_dump(mode="json") for cli in items], "unheard": exc.detail}

    async def _list_jobs(self, order: Order) -> dict[str, Any]:
        """Told even where spawner cannot be asked: the plans that are told with it are true all the same."""
        whose, name = order.params.get("caller"), order.params.get("name")
        try:
            going = (await self._spawner.spawns(status=OPEN, name=name, caller=whose, limit=MOST_OPEN_JOBS)).items
            last = (await self._spawner.spawns(name=name, caller=whose, limit=MOST_JOBS_TOLD)).items
        except (UpstreamUnavailable, UpstreamContractError) as exc:
            return {"jobs": [], "unheard": exc.detail}
        known = {job.spawn_id: job for job in (*going, *last)}
        return {"jobs": [job.model_dump(mode="json") for job in known.values()]}

    async def _job_status(self, order: Order) -> dict[str, Any]:
        spawn_id, whose = order.params["spawn_id"], order.params.get("caller")
        record = await self._spawner.spawn_record(spawn_id)
        if whose is not None and record.caller != whose:
            raise SpawnNotFound(f"there is no job {spawn_id}")
        return {"spawn": record.model_dump(mode="json")}

    async def _kill(self, order: Order) -> dict[str, Any]:
        """Whose job it is was looked at when the plan was made, and the plan cannot have changed since."""
        record = await self._spawner.kill(order.params["spawn_id"], idempotency_key=order.key)
        return {"spawn": record.model_dump(mode="json")}

    def _grant(self, order: Order, params: dict[str, Any]) -> str:
        if not order.is_confirmed:
            raise Conflict(f"{order.operation} is dangerous and its plan was not confirmed")
        return grants.issue(
            self._secrets, plan_id=order.plan_id, step_id=order.step_id, operation=order.operation, params=params
        )

    async def _finish(self, client: HasJobs, job: Job, progress: Progress) -> dict[str, Any]:
        """Follow a job to its end; a neighbour that goes away meanwhile is waited for by the step's retries."""
        pause = POLL_SECONDS
        while not job.status.is_final:
            await asyncio.sleep(pause)  # the interval of a poll, not work
            pause = min(pause * 1.3, SLOWEST_POLL_SECONDS)
            job = await client.job(job.job_id)
            await progress(job.progress)
        if job.status is not StatusEnum.DONE or job.result is None:
            raise JobFailed(job.error or f"the job was {job.status.lower()}")
        return job.result

    async def _cancel(self, client: HasJobs, job_id: str) -> None:
        try:
            await client.cancel_job(job_id)
        except FleetError as exc:
            log.warning("job_not_cancelled", service=client.service, job_id=job_id, error=str(exc))
