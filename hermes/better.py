"""Which found models are improvements on those kept. Pure: scores, sizes and counts in, verdicts out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.contracts.hermes import FoundModel
from config.contracts.hermes_db import Model, Specialty

SAME_SCORE = 0.02
"""Scores that differ by less are the same: a day of downloads moves them that much."""
MOST_PER_SPECIALTY = 3
"""Improvements that are reported for one specialty, the best."""


@dataclass(frozen=True)
class Rated:
    """A kept model with its score on the scale of those found."""

    model: Model
    score: float


@dataclass(frozen=True)
class Verdict:
    found: FoundModel
    instead_of: str | None
    reason: str


def best_of(kept: Sequence[Rated]) -> Rated | None:
    """The one that an improvement has to beat: the best score; of the same, the smallest."""
    if not kept:
        return None
    return min(kept, key=lambda one: (-one.score, _size(one.model.size_bytes), one.model.name))


def why_better(found: FoundModel, best: Rated) -> str | None:
    """Why a found model is better than the best kept one, or as good and smaller; None where it is neither."""
    ahead = found.score - best.score
    if ahead > SAME_SCORE:
        return f"its score is {found.score:.2f}, that of {best.model.name} {best.score:.2f}"
    is_smaller = (
        found.size_bytes is not None and best.model.size_bytes is not None and found.size_bytes < best.model.size_bytes
    )
    if ahead >= -SAME_SCORE and is_smaller:
        return f"as good as {best.model.name} ({found.score:.2f}) with {found.size_bytes} bytes instead of {best.model.size_bytes}"
    return None


def improvements(found: Sequence[FoundModel], kept: Sequence[Rated], *, specialty: str, missing: int) -> list[Verdict]:
    """The best of those found that this box could run, does not have, and that improve on what it has; or fill up what is missing."""
    usable = sorted(
        (one for one in found if not one.is_kept and not one.is_gated and one.fit.is_fitting),
        key=lambda one: (-one.score, _size(one.size_bytes), one.model_id),
    )
    best = best_of(kept)
    verdicts: list[Verdict] = []
    for one in usable:
        if best is not None and (reason := why_better(one, best)) is not None:
            verdicts.append(Verdict(one, best.model.name, reason))
        elif len(verdicts) < missing:
            verdicts.append(
                Verdict(
                    one, None, f"{specialty} has {missing} models fewer than VX11_HERMES_LEAST_PER_SPECIALTY asks for"
                )
            )
    return verdicts[: max(MOST_PER_SPECIALTY, missing)]


def missing_in(specialty: str, kept: Sequence[Model], tree: Mapping[str, Specialty], least: int) -> int:
    """How many models a specialty lacks; those of narrower ones below it count for it."""
    there = sum(1 for model in kept if model.specialty is not None and _is_below(model.specialty, specialty, tree))
    return max(0, least - there)


def _is_below(name: str, wide: str, tree: Mapping[str, Specialty]) -> bool:
    seen: set[str] = set()
    at: str | None = name
    while at is not None and at not in seen:
        if at == wide:
            return True
        seen.add(at)
        at = tree[at].parent if at in tree else None
    return False


def _size(size_bytes: int | None) -> int:
    return 2**63 if size_bytes is None else size_bytes
