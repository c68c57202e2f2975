"""A roster by itself, beside a hermes_db that is down."""

from collections.abc import Callable
from typing import Any

import pytest

from config.errors import UpstreamUnavailable
from switch.breaker import Breakers
from switch.providers.roster import Roster


class Down:
    """A hermes_db that is down."""

    async def tokens(self, **_: Any) -> Any:
        raise UpstreamUnavailable("hermes_db is not there")

    async def token_value(self, _service: str) -> Any:
        raise UpstreamUnavailable("hermes_db is not there")


RosterMaker = Callable[..., Roster]


@pytest.fixture
def roster_of(settings_of) -> RosterMaker:
    """`roster_of({"XAI_API_KEY": "k"}, providers=…)`: variables of the environment, then settings."""

    def make(variables: dict[str, str] | None = None, **given: Any) -> Roster:
        breakers = Breakers(failures=3, seconds=10.0)
        return Roster(settings_of(**given), Down(), breakers, variables=variables or {})

    return make
