"""Which models go when there are too many. Pure: what is kept in, what goes and what stays out.

Least recently used and worst performing first: models are ordered by the sum of their places in both lists, equal ones sharing a place.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.contracts.hermes import Removal

USED_LATELY = timedelta(days=7)
GOOD_SCORE = 0.7
LEAST_OF_A_SPECIALTY = 2


@dataclass(frozen=True)
class Held:
    """A model whose files hermes keeps."""

    id: int
    name: str
    size_bytes: int
    specialty: str | None
    score: float
    last_used_at: datetime | None
    added_at: datetime
    is_loaded: bool

    @property
    def last_needed_at(self) -> datetime:
        """A model that was just added counts as used then."""
        return max(self.added_at, self.last_used_at or self.added_at)


@dataclass(frozen=True)
class Verdict:
    """`kept` are those whose turn it was and that are protected. `count` and `size_bytes` are what is left."""

    removed: list[Removal]
    kept: list[Removal]
    count: int
    size_bytes: int


def decide(
    held: Iterable[Held],
    *,
    most_models: int,
    budget_bytes: int,
    now: datetime,
    others: Mapping[str | None, int] | None = None,
    least: int = LEAST_OF_A_SPECIALTY,
) -> Verdict:
    """Who goes until the rest is within both limits. `others` counts, by specialty, the active models whose files are not ours; of a
    specialty `least` stay."""
    models = in_turn(held)
    of_specialty = Counter(model.specialty for model in models) + Counter(others or {})
    count, size_bytes = len(models), sum(model.size_bytes for model in models)
    removed, kept = list[Removal](), list[Removal]()
    for model in models:
        if count <= most_models and size_bytes <= budget_bytes:
            break
        protection = _protection(model, of_specialty[model.specialty], least, now)
        if protection is not None:
            kept.append(_told(model, protection))
            continue
        why = (
            f"{count} models, {most_models} are kept"
            if count > most_models
            else f"{size_bytes} of {budget_bytes} bytes"
        )
        removed.append(_told(model, f"{why}; last needed {model.last_needed_at:%Y-%m-%d}, score {model.score:.2f}"))
        of_specialty[model.specialty] -= 1
        count, size_bytes = count - 1, size_bytes - model.size_bytes
    return Verdict(removed, kept, count, size_bytes)


def in_turn(held: Iterable[Held]) -> list[Held]:
    """The first to go first."""
    models = list(held)
    by_use = {when: place for place, when in enumerate(sorted({one.last_needed_at for one in models}))}
    by_score = {score: place for place, score in enumerate(sorted({one.score for one in models}))}

    def turn(one: Held) -> tuple[int, int, int]:
        return by_use[one.last_needed_at] + by_score[one.score], by_use[one.last_needed_at], one.id

    return sorted(models, key=turn)


def _protection(model: Held, of_specialty: int, least: int, now: datetime) -> str | None:
    if model.is_loaded:
        return "it is loaded, or switch does not say that it is not"
    if now - model.last_needed_at < USED_LATELY:
        return f"it was used or added in the last {USED_LATELY.days} days"
    if model.score > GOOD_SCORE:
        return f"its score {model.score:.2f} is above {GOOD_SCORE}"
    if of_specialty <= least:
        return f"it is among the last {least} of {model.specialty or 'those without a specialty'}"
    return None


def _told(model: Held, reason: str) -> Removal:
    return Removal(id=model.id, name=model.name, size_bytes=model.size_bytes, reason=reason)
