"""How to ask hermes_db."""

from typing import Any

from config.clients.service_client import ServiceClient
from config.contracts.common import Page


class HermesDbClient(ServiceClient):
    service = "hermes_db"

    async def models(self) -> Page[Any]:
        return await self._get("/hermes_db/models", Page[Any])

    async def clis(self) -> Page[Any]:
        return await self._get("/hermes_db/clis", Page[Any])
