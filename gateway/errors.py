"""What only the door refuses, and what can happen on the way to a module."""

from config.errors import FleetError, UpstreamUnavailable


class UpstreamTimeout(FleetError):
    """The module took the request and did not answer, or did not go on answering, in time."""

    code, status, title = "upstream_timeout", 504, "A module did not answer in time"


class ConnectionLost(UpstreamUnavailable):
    """The module closed the connection before the first byte of an answer; what it did of the request is not known."""

    code = "connection_lost"


class UpstreamCut(UpstreamUnavailable):
    """The module broke its answer off in the middle."""

    code = "upstream_cut"


class ClientGone(FleetError):
    """The client left before its answer was there. Nobody reads this answer; it is what the metrics count."""

    code, status, title = "client_gone", 499, "The client closed the connection"


class ClientStalled(FleetError):
    """The client stopped sending in the middle of its request."""

    code, status, title = "client_stalled", 408, "The rest of the request did not come"


class UnclearPath(FleetError):
    """A path with `.` or `..` segments or backslashes: two programs might read it differently, so it is not passed on."""

    code, status, title = "unclear_path", 400, "This path could be read in more than one way"
