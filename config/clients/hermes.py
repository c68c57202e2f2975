"""How to ask hermes."""

from typing import Any

from config.clients.service_client import ServiceClient, segment
from config.contracts.common import Job, Page, StatusEnum
from config.contracts.hermes import (
    CliScan,
    DiscoverRequest,
    DownloadRequest,
    Improvements,
    KeptModels,
    ModelRemoved,
    SearchRequest,
    SearchResult,
    Upkeep,
    Verification,
)
from config.errors import Conflict, FleetError, InvalidRequest, NotFound


class HermesClient(ServiceClient):
    """Raises, beyond what every client raises, what `hermes.errors` names: a problem of the hub, or a file that is refused."""

    service = "hermes"

    async def search(self, request: SearchRequest) -> SearchResult:
        """Models on the hub and elsewhere, best first. A source that fails is a warning, unless no source answered."""
        return await self._post("/hermes/search", request, SearchResult, timeout_seconds=60.0)

    async def download(self, request: DownloadRequest, *, idempotency_key: str | None = None) -> Job:
        """Start to fetch a model; the job's `result` is the registered Model."""
        return await self._post("/hermes/download", request, Job, idempotency_key=idempotency_key, timeout_seconds=60.0)

    async def models(self, *, limit: int = 50, cursor: str | None = None) -> KeptModels:
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        return await self._get("/hermes/models", KeptModels, params=params)

    async def verify(self, model_id: int) -> Verification:
        """Read every file of a model again. Raises NotFound."""
        return await self._post(f"/hermes/models/{model_id}/verify", None, Verification, timeout_seconds=600.0)

    async def delete_model(
        self, model_id: int, *, grant: str | None = None, idempotency_key: str | None = None
    ) -> ModelRemoved:
        """Remove a model and its files. The grant is for `hermes:delete_model` with exactly `{"model_id": model_id}`.

        Raises GrantRefused, NotFound, and Conflict while it is loaded.
        """
        return await self._ask(
            "DELETE",
            f"/hermes/models/{model_id}",
            ModelRemoved,
            grant=grant,
            idempotency_key=idempotency_key,
            timeout_seconds=60.0,  # many files, or a registry that has to be waited for
        )

    async def maintenance(self, *, dry_run: bool = True, grant: str | None = None) -> Upkeep:
        """What keeping house would do, or does. Doing it needs a grant for `hermes:maintenance` with `{}`."""
        params = {"dry_run": str(dry_run).lower()}
        return await self._ask("POST", "/hermes/maintenance", Upkeep, params=params, grant=grant, timeout_seconds=60.0)

    async def improvements(self) -> Improvements:
        return await self._get("/hermes/improvements", Improvements)

    async def search_improvements(self, *, idempotency_key: str | None = None) -> Job:
        """Look for them now; the job's `result` is an Improvements."""
        return await self._post("/hermes/improvements/search", None, Job, idempotency_key=idempotency_key)

    async def clis(self) -> CliScan:
        """The tools of this box, by what was found last."""
        return await self._get("/hermes/clis", CliScan)

    async def scan_clis(self) -> CliScan:
        """Look for the tools again; versions that take long come later."""
        return await self._post("/hermes/clis/scan", None, CliScan)

    async def discover_cli(self, request: DiscoverRequest, *, idempotency_key: str | None = None) -> Job:
        """Look for how to install a tool; the job's `result` is a DiscoveredCli."""
        timeout = request.wait_seconds + 10.0
        return await self._post(
            "/hermes/cli/discover", request, Job, idempotency_key=idempotency_key, timeout_seconds=timeout
        )

    async def job(self, job_id: str) -> Job:
        return await self._get(f"/hermes/jobs/{segment(job_id)}", Job)

    async def jobs(self, *, statuses: list[StatusEnum] | None = None, limit: int = 50) -> Page[Job]:
        """Newest first."""
        params: dict[str, Any] = {"limit": limit} | ({"status": statuses} if statuses else {})
        return await self._get("/hermes/jobs", Page[Job], params=params)

    async def unfinished_jobs(self) -> list[Job]:
        """Every job that waits or runs, oldest last."""
        found: list[Job] = []
        params: dict[str, Any] = {"status": [StatusEnum.PENDING, StatusEnum.RUNNING], "limit": 200}
        while True:
            page = await self._get("/hermes/jobs", Page[Job], params=params)
            found += page.items
            if page.next_cursor is None:
                return found
            params["cursor"] = page.next_cursor

    async def cancel_job(self, job_id: str) -> Job:
        """Stop a job; a job that has ended stays as it is."""
        return await self._post(f"/hermes/jobs/{segment(job_id)}/cancel", None, Job)


class HubUnreachable(FleetError):
    """The hub is down, late, cuts the connection or answers 5xx; nothing was changed."""

    code, status, title = "hub_unreachable", 503, "The model hub cannot be reached"


class HubRateLimited(FleetError):
    """The hub wants to be asked less; `retry_after_seconds` is how long it asks to wait, where it says so."""

    code, status, title = "hub_rate_limited", 429, "The model hub wants to be asked less"

    @property
    def retry_after_seconds(self) -> float | None:
        return self.extra.get("retry_after_seconds")


class HubBroken(FleetError):
    """The hub answers something that cannot be a hub's answer, or sends us round in circles."""

    code, status, title = "hub_broken", 502, "The model hub answers nonsense"


class ModelNotOnHub(NotFound):
    """The hub has no model by that name, or hides it from whoever has no token for it."""

    code, status, title = "model_not_on_hub", 404, "The hub has no such model"


class RevisionNotFound(NotFound):
    """The model has no such revision."""

    code, status, title = "revision_not_found", 404, "The model has no such revision"


class FileNotOnHub(NotFound):
    """The revision of the model has no such file."""

    code, status, title = "file_not_on_hub", 404, "The hub has no such file"


class GatedModel(FleetError):
    """The model's licence has to be accepted on the hub first; the detail says where."""

    code, status, title = "gated_model", 403, "The licence of this model was not accepted"


class HubTokenRefused(FleetError):
    """The hub does not take our token; the detail says where it is set."""

    code, status, title = "hub_token_refused", 403, "The hub does not take our token"


class CatalogueUnavailable(FleetError):
    """OpenRouter's catalogue cannot be read: it is down, late or answers nonsense."""

    code, status, title = "catalogue_unavailable", 503, "The catalogue cannot be read"


class ModelNotFound(NotFound):
    """There is no model by that id."""

    code, status, title = "model_not_kept", 404, "There is no such model here"


class ModelInUse(Conflict):
    """The model is loaded, or a job works on it; nothing was removed."""

    code, status, title = "model_in_use", 409, "This model is in use"


class FileRefused(InvalidRequest):
    """A file of a kind that is never downloaded, or with a name that is not safe; the detail says which and why."""

    code, status, title = "file_refused", 422, "This file is not taken"


class FilesNotChosen(InvalidRequest):
    """The model offers several versions, or not the one that was asked for; `choices` lists them with their sizes."""

    code, status, title = "files_not_chosen", 422, "Say which version of the model is wanted"


class ModelTooLarge(InvalidRequest):
    """The files have more bytes than `hermes_download_limit_bytes`; nothing was kept."""

    code, status, title = "model_too_large", 422, "This model is larger than a download may be"


class HubFileWrong(FleetError):
    """What the hub sent is not what the hub says the file is, also when asked again; nothing was kept."""

    code, status, title = "hub_file_wrong", 502, "The hub sends a wrong file"


class DownloadBroken(FleetError):
    """The file could not be fetched to its end, also after waiting and asking again; asking later goes on where it stopped."""

    code, status, title = "download_broken", 503, "The download broke off"


class VirusFound(FileRefused):
    """The antivirus found something in a file; all of the download was removed."""

    code, status, title = "virus_found", 422, "The antivirus refuses this file"


class ScannerProblem(FleetError):
    """The antivirus that the settings name cannot be asked; without its word nothing is registered."""

    code, status, title = "scanner_problem", 503, "The antivirus cannot be asked"
