"""How to ask spawner."""

from typing import Any

from config.clients.service_client import TIMEOUT_SECONDS, ServiceClient, segment
from config.contracts.common import Page, StatusEnum
from config.contracts.spawner import Logs, SpawnRecord, SpawnRequest, SpawnSummary
from config.errors import Conflict, FleetError, NotFound, TooManyRequests


class SpawnerClient(ServiceClient):
    """Madre asks how processes are and ends them; she starts them through `daughter_tasks` alone. Switch starts tools
    that answer prompts."""

    service = "spawner"

    async def spawn(self, request: SpawnRequest, *, idempotency_key: str) -> SpawnRecord:
        """Start a process, or find the one that this key stands for; comes back at its end, or after `wait_seconds`.

        Raises CommandRefused, InputRefused (ProfileMissing), Forbidden for another's profile, ProtectionUnmet, QueueFull, FleetHalted.
        """
        return await self._post(
            "/spawner/spawn",
            request,
            SpawnRecord,
            idempotency_key=idempotency_key,
            timeout_seconds=TIMEOUT_SECONDS + request.wait_seconds,
        )

    async def logs(self, spawn_id: str, *, limit_bytes: int = 1024 * 1024) -> Logs:
        """What a job wrote, from the beginning. Raises SpawnNotFound, LogsGone."""
        return await self._get(f"/spawner/spawn/{segment(spawn_id)}/logs", Logs, params={"limit_bytes": limit_bytes})

    async def spawn_record(self, spawn_id: str) -> SpawnRecord:
        """A job and how it went. Raises SpawnNotFound."""
        return await self._get(f"/spawner/spawn/{segment(spawn_id)}/status", SpawnRecord)

    async def spawns(
        self,
        *,
        status: list[StatusEnum] | None = None,
        name: str | None = None,
        caller: str | None = None,
        limit: int = 50,
    ) -> Page[SpawnSummary]:
        """Jobs, newest first; those of one caller, or of everybody."""
        params: dict[str, Any] = {"limit": limit}
        if status:
            params["status"] = [str(one) for one in status]
        if name is not None:
            params["name"] = name
        if caller is not None:
            params["caller"] = caller
        return await self._get("/spawner/spawn/list", Page[SpawnSummary], params=params)

    async def kill(self, spawn_id: str, *, grant: str | None = None, idempotency_key: str | None = None) -> SpawnRecord:
        """End a job and all its processes; one that has ended stays as it is. Raises SpawnNotFound."""
        return await self._post(
            f"/spawner/spawn/{segment(spawn_id)}/kill", None, SpawnRecord, grant=grant, idempotency_key=idempotency_key
        )

    async def cancel_daughter(self, daughter_task_id: str) -> None:
        """End a daughter, queued or running; one that has ended stays as it is. Raises DaughterNotFound."""
        await self._send("POST", f"/spawner/daughters/{segment(daughter_task_id)}/cancel")

    async def wake(self) -> None:
        """Tell spawner that a daughter waits, so that it need not find out by looking."""
        await self._send("POST", "/spawner/daughters/wake", timeout_seconds=2.0)

    async def kill_daughters(self) -> None:
        """End everything that runs, because the fleet was halted: daughters are taken up again after the resume, other jobs are killed."""
        await self._send("POST", "/spawner/daughters/halt", timeout_seconds=5.0)


class SpawnNotFound(NotFound):
    """There is no job by that id, or it is another caller's."""

    code, status, title = "spawn_not_found", 404, "There is no such job"


class DaughterNotFound(NotFound):
    """There is no daughter by that id."""

    code, status, title = "daughter_not_found", 404, "There is no such daughter"


class ArtifactNotFound(NotFound):
    """The job left no such file, or its folder is gone."""

    code, status, title = "artifact_not_found", 404, "There is no such artifact"


class LogsGone(NotFound):
    """The job's folder was removed when its time was over."""

    code, status, title = "logs_gone", 404, "The output of this job is not kept any more"


class CommandRefused(FleetError):
    """The command is not one that may be run; nothing was started."""

    code, status, title = "command_refused", 422, "This command may not be run"


class InputRefused(FleetError):
    """A file, variable or limit of the request cannot be had; nothing was started."""

    code, status, title = "input_refused", 422, "This job cannot be run as asked for"


class ProfileMissing(InputRefused):
    """No profile of that name is in spawner's settings; nothing was started."""

    code, status, title = "profile_missing", 422, "There is no such profile"


class ProtectionUnmet(Conflict):
    """This machine cannot keep what `min_protection` asks for; nothing was started."""

    code, status, title = "protection_unmet", 409, "This machine cannot protect as well as that"


class QueueFull(TooManyRequests):
    """As many jobs wait as may; nothing was accepted."""

    code, status, title = "queue_full", 429, "Too many jobs wait"
