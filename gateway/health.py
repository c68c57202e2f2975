"""The health of the fleet, asked of every service at once."""

import asyncio

from pydantic import ValidationError

from config import log as logs
from config.contracts.common import Check, Health, HealthState
from config.contracts.gateway import FleetHealth
from config.errors import FleetError, UpstreamContractError
from config.secrets import FleetSecrets
from gateway.upstream import Neighbour

MOST_BYTES = 1024 * 1024  # of one service's health; it has a few hundred


class FleetHealthCheck:
    """Adds the health of the services to the gateway's own."""

    def __init__(self, neighbours: dict[str, Neighbour], secrets: FleetSecrets, *, limit_seconds: float) -> None:
        self._neighbours, self._limit_seconds = neighbours, limit_seconds
        self._token = secrets.fleet.get_secret_value()

    async def complete(self, own: Health) -> FleetHealth:
        """The fleet's health. A service that is down, late or answers nonsense makes it degraded, never an error."""
        found = await asyncio.gather(*(self._of(neighbour) for neighbour in self._neighbours.values()))
        services = dict(zip(self._neighbours, found, strict=True))
        status = own.status
        if status is HealthState.OK and any(health.status is not HealthState.OK for health in found):
            status = HealthState.DEGRADED
        return FleetHealth(**{**own.model_dump(), "status": status}, services=services)

    async def _of(self, neighbour: Neighbour) -> Health:
        try:
            async with asyncio.timeout(self._limit_seconds):
                return await self._ask(neighbour)
        except TimeoutError:
            return _down(neighbour.name, f"did not answer within {self._limit_seconds:g} seconds")
        except FleetError as error:
            return _down(neighbour.name, error.detail)

    async def _ask(self, neighbour: Neighbour) -> Health:
        connection = await neighbour.connection()
        try:
            connection.start(
                f"GET /{neighbour.name}/health HTTP/1.1\r\nhost: {neighbour.authority}\r\n"
                f"x-vx11-token: {self._token}\r\nx-vx11-caller: gateway\r\nx-request-id: {logs.request_id.get()}\r\n\r\n".encode()
            )
            await connection.answered(self._limit_seconds)
            body = b""
            while len(body) <= MOST_BYTES and (data := await connection.more(self._limit_seconds)):
                body += data
        finally:
            connection.release()
        try:
            return Health.model_validate_json(body)
        except ValidationError as exc:
            raise UpstreamContractError(f"answered {connection.status} with something that is no health") from exc


def _down(service: str, detail: str) -> Health:
    return Health(
        status=HealthState.DOWN, service=service, checks={"reachable": Check(status=HealthState.DOWN, detail=detail)}
    )
