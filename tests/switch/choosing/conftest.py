"""Models that nobody asks, and a chooser whose clock stands where it is put."""

from collections.abc import Callable
from typing import Any

import pytest

from switch.calls import Call, Choice, Facts, Needs
from switch.choosing.chooser import Chooser, Ranked
from switch.settings import SwitchSettings


class Backend:
    """Somebody who has models, as far as choosing is concerned."""

    tries = 1

    def __init__(self, name: str) -> None:
        self.name, self.available = name, 1.0

    def availability(self, model: str) -> float:
        return self.available


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def choice(name: str, **facts: Any) -> Choice:
    """The model of that name, `<provider>/<model>` or local."""
    provider, slash, model = name.partition("/")
    return Choice(Backend(provider if slash else "local"), model or name, Facts(**facts))  # type: ignore[arg-type]


def call(task_type: str = "code", **needs: Any) -> Call:
    return Call({}, task_type=task_type, needs=Needs(**needs))


def names(ranked: list[Ranked]) -> list[str]:
    return [one.choice.name for one in ranked]


ChooserMaker = Callable[..., Chooser]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chooser_of(clock: Clock) -> ChooserMaker:
    return lambda **given: Chooser(SwitchSettings(_env_file=None, **given), clock=clock)


@pytest.fixture
def chooser(chooser_of: ChooserMaker) -> Chooser:
    return chooser_of()


def teach(chooser: Chooser, one: Choice, *outcomes: bool, task_type: str = "code", **more: Any) -> None:
    for success in outcomes:
        chooser.learn(one, task_type, **({"success": success, "latency_ms": 500.0, "cost_usd": 0.0} | more))
