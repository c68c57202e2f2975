"""Which module a path belongs to, and what must never pass. Pure: paths in, verdicts out.

Paths are judged as the modules will see them, with percent-escapes decoded; what is sent on is the path as it came.
"""

import re
from enum import Enum

from config.errors import Forbidden, NotFound, NotInFleet
from config.settings import SERVICES
from gateway.errors import UnclearPath

PLANNED = frozenset({"manifestator", "mcp", "hormiguero"})
"""Modules of the design that this fleet does not have yet."""
BEHIND_THE_DOOR = frozenset(SERVICES) - {"gateway"}

_DOTS = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")
_TOKEN_VALUE = re.compile(r"/hermes_db/+tokens/.*/value/*", re.IGNORECASE | re.DOTALL)


class Kind(Enum):
    """What sort of traffic a path carries; limits differ by it."""

    ORDINARY = "ordinary"
    GENERATION = "generation"
    UPLOAD = "upload"


def is_own(path: str) -> bool:
    """Whether the gateway answers this path itself."""
    return path in ("/health", "/metrics") or path.startswith("/gateway/")


def kind_of(path: str) -> Kind:
    if path.startswith(("/v1/", "/switch/")):
        return Kind.GENERATION
    return Kind.UPLOAD if path.rstrip("/") == "/shub/assets" else Kind.ORDINARY


def service_of(path: str) -> str:
    """The service behind a path.

    Raises NotInFleet for a module that this fleet does not have, NotFound for what is no module at all, UnclearPath for paths
    with `.` or `..` segments or backslashes, and Forbidden for the values of provider tokens.
    """
    if "\\" in path or ("." in path and _DOTS.search(path)):
        raise UnclearPath("`.` and `..` segments and backslashes are not taken; write the path out")
    first = path[1:].partition("/")[0]
    if first in BEHIND_THE_DOOR:
        if first == "hermes_db" and _TOKEN_VALUE.fullmatch(path):
            raise Forbidden(
                "the values of provider tokens can be read between services only, never through the gateway"
            )
        return first
    if first == "v1":
        return "switch"
    if first in PLANNED:
        raise NotInFleet(f"{first} is not part of this fleet; it has {', '.join(sorted(BEHIND_THE_DOOR))}")
    raise NotFound(
        f"no module answers {path[:200]}; there are {', '.join(f'/{name}/…' for name in sorted(BEHIND_THE_DOOR))} and /v1/…"
    )
