"""How to ask madre."""

from config.clients.service_client import ServiceClient, segment
from config.contracts.spawner import DaughterResult


class MadreClient(ServiceClient):
    """Spawner tells madre how her daughters went."""

    service = "madre"

    async def daughter_ended(self, result: DaughterResult) -> None:
        """Tell that a daughter has ended; telling it again changes nothing. Raises DaughterNotFound for one madre never asked for.

        Only the outcome travels: what the process wrote is in the daughter's row, which must be closed before this is called.
        """
        told = result.model_copy(update={"spawn": None})
        path = f"/madre/daughters/{segment(result.daughter_task_id)}/result"
        await self._send("POST", path, json=told.model_dump(mode="json"))
