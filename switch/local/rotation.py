"""Which local model is loaded before anybody waits for it. No I/O."""

from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RotationRules:
    """Seconds, but for `warm_after_uses`. The values that the original documents give: 3 uses, 300 s, 30 s, 60 s."""

    warm_after_uses: int
    cooldown_seconds: float
    window_seconds: float
    guess_seconds: float


class Rotation:
    """Remembers which models were asked for and put away, and guesses from it. All times on one monotonic clock."""

    def __init__(self, rules: RotationRules) -> None:
        self._rules = rules
        self._uses: deque[tuple[float, str]] = deque()
        self._counted: Counter[str] = Counter()
        self._put_away_at: dict[str, float] = {}
        self._guess: tuple[float, str] | None = None

    def used(self, model: str, now: float) -> None:
        """Somebody asked for this model, whether it was there or not."""
        self._uses.append((now, model))
        self._counted[model] += 1
        self._forget(now)

    def put_away(self, model: str, now: float) -> None:
        """It was stopped, for another or because nobody asked it."""
        self._put_away_at[model] = now
        if self._guess is not None and self._guess[1] == model:
            self._guess = None

    def guess(self, residents: Collection[str], sizes: Mapping[str, int], free_bytes: int, now: float) -> str | None:
        """The model to load ahead, or None. It takes memory that is free, never another's.

        The one most asked for within the window that is not in memory (`sizes` has those that may be loaded, in bytes), was asked for
        often enough, fits, and was not put away a moment ago. A guess stands for a while: meanwhile there is no other.
        """
        self._forget(now)
        if self._guess is not None and now - self._guess[0] < self._rules.guess_seconds:
            model = self._guess[1]
            return model if model not in residents and sizes.get(model, free_bytes + 1) <= free_bytes else None
        for model, uses in self._counted.most_common():
            if uses < self._rules.warm_after_uses:
                return None
            if model in residents:
                continue
            rested = now - self._put_away_at.get(model, float("-inf")) >= self._rules.cooldown_seconds
            if rested and sizes.get(model, free_bytes + 1) <= free_bytes:
                self._guess = (now, model)
                return model
        return None

    def _forget(self, now: float) -> None:
        while self._uses and now - self._uses[0][0] > self._rules.window_seconds:
            model = self._uses.popleft()[1]
            self._counted[model] -= 1
            if not self._counted[model]:
                del self._counted[model]
