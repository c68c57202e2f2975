"""Shub's interpretation of an order about audio, where shub has one: it is looked for in what shub says of its own routes."""

from json import loads
from typing import Any

from config.clients.service_client import ServiceClient
from config.contracts.common import Wire
from config.errors import UpstreamContractError

PATH = "/shub/interpret"
ASK_SECONDS = 2.0


class InterpretedAction(Wire):
    """Something to be done, to what, with which effects and parameters."""

    action: str
    targets: list[str] = []
    effects: list[dict[str, Any]] = []
    params: dict[str, Any] = {}


class InterpretedWarning(Wire):
    code: str = ""
    text: str


class Interpretation(Wire):
    """As much of shub's answer as matters here."""

    actions: list[InterpretedAction] = []
    warnings: list[InterpretedWarning] = []
    recommendations: list[str] = []


class ShubInterpreter(ServiceClient):
    """Raises what every client raises."""

    service = "shub"

    async def interprets(self) -> bool:
        """Whether shub has the route."""
        answer = await self._send("GET", "/shub/openapi.json", timeout_seconds=ASK_SECONDS)
        try:
            return "post" in loads(answer.body)["paths"].get(PATH, {})
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise UpstreamContractError("shub's description of its routes cannot be read") from exc

    async def interpret(self, command: str) -> Interpretation:
        return await self._post(PATH, {"command": command}, Interpretation, timeout_seconds=ASK_SECONDS)
