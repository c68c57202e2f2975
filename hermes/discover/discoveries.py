"""Discoveries as jobs: `POST /hermes/cli/discover`."""

from typing import Any

from config.auth import Caller
from config.contracts.common import Job
from config.contracts.hermes import DiscoverMethod, DiscoverRequest
from config.jobs.running import Assignment, Jobs
from hermes.discover.browser import find_browser, look_at_pages
from hermes.discover.registry import ask_registries
from hermes.settings import HermesSettings

KIND = "cli_discover"
AT_ONCE = 2


class Discoveries:
    """Looks for how tools are installed."""

    def __init__(self, settings: HermesSettings, jobs: Jobs) -> None:
        self._settings, self._jobs = settings, jobs
        jobs.offer(KIND, self._work, at_once=AT_ONCE)

    async def discover(self, request: DiscoverRequest, caller: Caller, key: str | None) -> Job:
        """A job for this, as it stands when it has ended or `wait_seconds` are over. Raises BrowserMissing, IdempotencyConflict."""
        order = request.model_dump(mode="json", exclude={"wait_seconds"})
        if request.method is DiscoverMethod.BROWSER:
            find_browser(self._settings)
        job = await self._jobs.order(KIND, order, caller, key)
        return await self._jobs.finished(job.job_id, request.wait_seconds)

    async def _work(self, assignment: Assignment) -> dict[str, Any]:
        request = DiscoverRequest.model_validate(assignment.request)
        ask = look_at_pages if request.method is DiscoverMethod.BROWSER else ask_registries
        found = await ask(request.cli_name, self._settings)
        return found.model_dump(mode="json")
