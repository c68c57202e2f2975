"""The way to the modules, and what becomes of trouble on it."""

from config.errors import FleetError, UpstreamContractError, UpstreamUnavailable
from config.outgoing import Connection, Peer, Trouble
from gateway.errors import ConnectionLost, UpstreamCut, UpstreamTimeout

IDLE_SECONDS = 60.0  # our services close a kept connection only after 120

Neighbour = Peer[Connection]


def neighbour(service: str, url: str, *, connect_seconds: float) -> Neighbour:
    return Peer(
        service, url, error_of=_error, link=Connection, connect_seconds=connect_seconds, idle_seconds=IDLE_SECONDS
    )


def _error(trouble: Trouble, what: str) -> FleetError:
    match trouble:
        case Trouble.UNREACHABLE:
            return UpstreamUnavailable(what, headers={"Retry-After": "1"})
        case Trouble.LOST:
            return ConnectionLost(what)
        case Trouble.LATE:
            return UpstreamTimeout(what)
        case Trouble.CUT:
            return UpstreamCut(what)
        case Trouble.GARBAGE:
            return UpstreamContractError(what)
