"""How good a found model is likely to be, from what its source tells. Pure.

The score is a weighted sum of parts from 0 to 1, with the weights of the project's first design: what many use is what works (0.4); what
is liked by those who use it, what documents itself, and what is looked after weigh half as much each. Measured performance comes later,
when the model is kept.
"""

import math
from collections.abc import Collection
from datetime import datetime

from config.contracts.hermes import ScoreParts

POPULARITY, LIKE_RATIO, QUALITY_TAGS, RECENCY = 0.4, 0.2, 0.2, 0.2
"""Their weights; together 1."""
MOST_DOWNLOADS = 10_000_000
"""A month's downloads of the most wanted models: the end of the scale."""
LIKES_OF_THE_BEST = 0.1
"""Likes (of all time) per download (of the last month, which is what the hub counts); few models have more."""
FEW_DOWNLOADS = 1000
"""Added below the ratio, so that a few likes of a few downloads are no verdict."""
HALF_LIFE_DAYS = 180.0
"""After half a year without a change, recency counts half."""
UNKNOWN = 0.5
"""What a part counts that the source does not tell: neither for the model nor against it."""
_SIGNALS: tuple[tuple[str, ...], ...] = (
    ("arxiv", "paper", "doi"),  # a publication describes it
    ("eval-results", "model-index", "verified"),  # it was measured
    ("dataset",),  # it says what it learned from
    ("license",),  # it says what may be done with it
)


def score_of(parts: ScoreParts) -> float:
    """From 0 to 1, four digits."""
    weighted = (
        POPULARITY * parts.popularity
        + LIKE_RATIO * parts.like_ratio
        + QUALITY_TAGS * parts.quality_tags
        + RECENCY * parts.recency
    )
    return round(weighted, 4)


def parts_of(
    *,
    downloads: int | None,
    likes: int | None,
    tags: Collection[str] | None,
    changed_at: datetime | None,
    now: datetime,
) -> ScoreParts:
    """The parts of a model's score; None is what its source does not tell."""
    return ScoreParts(
        popularity=popularity(downloads),
        like_ratio=like_ratio(likes, downloads),
        quality_tags=quality_tags(tags),
        recency=recency(changed_at, now),
    )


def popularity(downloads: int | None) -> float:
    """log(1 + downloads) on the scale up to MOST_DOWNLOADS: ten times as many count the same step more everywhere."""
    if downloads is None:
        return UNKNOWN
    return round(min(1.0, math.log1p(downloads) / math.log1p(MOST_DOWNLOADS)), 4)


def like_ratio(likes: int | None, downloads: int | None) -> float:
    """likes / (downloads + FEW_DOWNLOADS), as a share of LIKES_OF_THE_BEST (additive smoothing)."""
    if likes is None or downloads is None:
        return UNKNOWN
    return round(min(1.0, likes / (downloads + FEW_DOWNLOADS) / LIKES_OF_THE_BEST), 4)


def quality_tags(tags: Collection[str] | None) -> float:
    """The share of the signs of care that its tags show: a publication, measurements, its data, its licence."""
    if tags is None:
        return UNKNOWN
    heads = {tag.lower().partition(":")[0] for tag in tags}
    return sum(any(word in heads for word in words) for words in _SIGNALS) / len(_SIGNALS)


def recency(changed_at: datetime | None, now: datetime) -> float:
    """2 ** (-days since the last change / HALF_LIFE_DAYS); a change in the future counts as one now."""
    if changed_at is None:
        return UNKNOWN
    days = max(0.0, (now - changed_at).total_seconds() / 86_400)
    return round(math.exp2(-days / HALF_LIFE_DAYS), 4)
