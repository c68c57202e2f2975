"""How to ask switch."""

from config.clients.service_client import ServiceClient
from config.contracts.switch import RouteReply, RouteRequest


class SwitchClient(ServiceClient):
    service = "switch"

    async def route(
        self, prompt: str, *, task_type: str | None = None, max_latency_ms: int | None = None
    ) -> RouteReply:
        """Ask for an answer to a prompt; raises UpstreamUnavailable when switch is down or late."""
        body = RouteRequest(prompt=prompt, task_type=task_type, max_latency_ms=max_latency_ms)
        timeout_seconds = max_latency_ms / 1000 if max_latency_ms else None
        return await self._post("/switch/route", body, RouteReply, timeout_seconds=timeout_seconds)
