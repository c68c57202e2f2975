"""What planning has in common: what is known besides the message, the draft that comes out, and the check of parameters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from config.contracts.hermes import SearchResult, Upkeep
from config.contracts.hermes_db import Model
from config.contracts.shub import Asset
from config.contracts.spawner import SpawnSummary
from config.errors import FleetError, InvalidRequest
from config.projects import Project
from madre.core.models import IntentV2, StepType, StepV2


@dataclass(frozen=True)
class Known:
    """What the planner knows besides the message."""

    many_stems: int = 24
    projects: Mapping[str, Project] = field(default_factory=dict)
    whose: str | None = None
    """The caller whose jobs are spoken of; None for one that sees everybody's."""
    jobs: Sequence[SpawnSummary] | None = None
    """Those of these jobs that wait or run, where they matter; None where spawner could not say."""
    download_limit_bytes: int = 0
    listed: Sequence[str] = ()
    """The models of the hub that the session was shown last."""
    found: SearchResult | None = None
    """What the hub has of what a download asks for."""
    kept: Sequence[Model] | None = None
    """The models of the registry, where one of them is to be deleted."""
    upkeep: Upkeep | None = None
    """What keeping house would remove, where it is asked for."""
    files: Sequence[Asset] = ()
    """What shub knows of the files that are to be deleted."""
    unheard: FleetError | None = None
    """Why `found`, `kept` or `upkeep` could not be had."""


@dataclass(frozen=True)
class Draft:
    """What the planner made of an intent."""

    steps: list[StepV2] = field(default_factory=list)
    question: str | None = None
    missing: str | None = None
    """What the question asks for: `files`, `command`, `job`, `model`."""
    asked: dict[str, Any] | None = None
    """What of an order to the audio engineer is open: the order as it was read, and the `key` of the question."""
    refusal: str | None = None
    refusal_code: str = "not_in_fleet"
    warnings: list[str] = field(default_factory=list)
    takes_long: bool = False
    about: str | None = None
    """What exactly would be done: shown with the risk, so that a person knows what they confirm."""
    confirmation: str | None = None
    """How a MED plan asks for its yes, where it has words of its own."""


Shape = TypeVar("Shape", bound=BaseModel)
Planner = Callable[[IntentV2, str, list[str], Known], Draft]


def step(number: int, kind: StepType, operation: str, params: dict[str, Any]) -> StepV2:
    return StepV2(step_id=f"s{number}", type=kind, operation=operation, params=params)


def checked(shape: type[Shape], params: dict[str, Any]) -> Shape:
    """The parameters in their shape. Raises InvalidRequest naming each field that the specialist would refuse: better now than in
    the middle of a plan."""
    try:
        return shape.model_validate(params)
    except ValidationError as exc:
        errors = [{"field": ".".join(map(str, ("params", *one["loc"]))), "message": one["msg"]} for one in exc.errors()]
        raise InvalidRequest("; ".join(f"{one['field']}: {one['message']}" for one in errors), errors=errors) from exc
