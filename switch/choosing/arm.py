"""What was seen of one model at one type of task: outcomes that fade, and a test for sudden change.

Source: discounted UCB (Garivier and Moulines, 2011, "On upper-confidence bound policies for switching bandit problems"); the fresh start
after a detected change is CUSUM-UCB's (Liu, Lee and Shroff, 2018, "A change-detection based framework for piecewise-stationary
multi-armed bandit problem"). Both without chance: the same outcomes make the same choice.
"""

from typing import Any

FADING = 0.99
"""What is left of an outcome after each later one of the same type of task: those of the last hundred or so count."""
SLACK = 0.1
"""Change of the mean reward that the test for change overlooks."""
ALARM = 2.0
"""Sum of unexpected reward, or of unexpected lack of it, at which a change is believed: some four failures in a row of a model that
used to answer."""
NOTHING = (0.0, 0.0)
TRUSTED_AFTER = 3.0  # outcomes; before them there is no mean to deviate from

_FADED = [FADING**turns for turns in range(1024)]


def faded(turns: int) -> float:
    """What is left of an outcome after so many later ones."""
    return _FADED[turns] if turns < len(_FADED) else 0.0


class Arm:
    """`count` outcomes with `total` reward, both as they had faded at `turn`: the number of outcomes of the task type until then."""

    __slots__ = ("_fall", "_rise", "_since_fall", "_since_rise", "changes", "count", "total", "turn")

    def __init__(self) -> None:
        self.turn, self.changes = 0, 0
        self.count = self.total = 0.0
        self._fall = self._rise = 0.0
        self._since_fall = self._since_rise = (0.0, 0.0)

    def take(self, reward: float, turn: int, weight: float = 1.0) -> None:
        """Learn of an outcome, `weight` times."""
        if turn > self.turn:
            self._fade(turn)
        if self.count >= TRUSTED_AFTER:
            self._test(reward, weight)
        self.count += weight
        self.total += weight * reward
        if self._fall > ALARM:
            self._start_anew(self._since_fall)
        elif self._rise > ALARM:
            self._start_anew(self._since_rise)

    def replace(self, old: float, new: float, given_at: int, turn: int, weight: float) -> None:
        """Make an outcome that was learned at `given_at` one of another reward."""
        if turn > self.turn:
            self._fade(turn)
        left = weight * faded(turn - given_at)
        self.total = min(max(self.total + left * (new - old), 0.0), self.count)

    def _fade(self, turn: int) -> None:
        turns, self.turn = turn - self.turn, turn
        left = _FADED[turns] if turns < len(_FADED) else 0.0
        self.count *= left
        self.total *= left

    def _test(self, reward: float, weight: float) -> None:
        """CUSUM both ways (Page, 1954), against the mean so far. What came since a sum left zero is what counts after an alarm."""
        surprise = reward - self.total / self.count
        fall, rise = self._fall - surprise - SLACK, self._rise + surprise - SLACK
        if fall > 0.0:
            count, total = self._since_fall
            self._fall, self._since_fall = fall, (count + weight, total + weight * reward)
        elif self._fall:
            self._fall, self._since_fall = 0.0, NOTHING
        if rise > 0.0:
            count, total = self._since_rise
            self._rise, self._since_rise = rise, (count + weight, total + weight * reward)
        elif self._rise:
            self._rise, self._since_rise = 0.0, NOTHING

    def _start_anew(self, since: tuple[float, float]) -> None:
        if since[0] < self.count:
            self.count, self.total = since
        self.changes += 1
        self._fall = self._rise = 0.0
        self._since_fall = self._since_rise = (0.0, 0.0)

    def state(self) -> dict[str, Any]:
        """For the database: all that `of` needs."""
        return {
            "turn": self.turn,
            "changes": self.changes,
            "count": self.count,
            "total": self.total,
            "fall": [self._fall, *self._since_fall],
            "rise": [self._rise, *self._since_rise],
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> "Arm":
        """The arm of a `state`. Raises KeyError, TypeError or ValueError for what is none."""
        arm = cls()
        arm.turn, arm.changes = int(state["turn"]), int(state["changes"])
        arm.count, arm.total = float(state["count"]), float(state["total"])
        arm._fall, *fall = (float(number) for number in state["fall"])
        arm._rise, *rise = (float(number) for number in state["rise"])
        arm._since_fall, arm._since_rise = (fall[0], fall[1]), (rise[0], rise[1])
        return arm

    def copy(self) -> "Arm":
        return Arm.of(self.state())
