"""Who answers best: a score from what is known of a model, which gives way to what was seen of it at the type of task."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, sqrt

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from config.clock import utc_now
from config.contracts.switch import Learned
from config.database import on_commit
from switch.calls import GENERAL, LOCAL, Call, Choice
from switch.choosing import criteria, repository
from switch.choosing.arm import Arm, faded
from switch.choosing.memory import LONGEST_NAME, OVERALL, Memory, News, Seat, Task
from switch.choosing.reward import expected_quality, reward
from switch.choosing.specialties import Specialties
from switch.registry import Known
from switch.settings import SwitchSettings

PRIOR_COUNT = 2.0
"""Outcomes that the score from what is known weighs as much as."""
SPREAD = 0.4
"""Standard deviation of one outcome's reward, nearly the most that rewards from 0 to 1 have."""
PROBING = 100.0
"""Outcomes for each of which one whole reward may be spent on finding out: see `Chooser`."""
CLOSE = 0.05
"""Share of all weights by which the most preferred model may lie behind and still win."""
UNKNOWN_PERFORMANCE = 0.5
OVERALL_COUNT = 5.0  # outcomes of any type that hermes_db's score of a model weighs as much as
TIMED_AFTER = 3  # answers, before a limit on latency rules a model out
REMEMBERED_SECONDS = 600.0  # after so long without an answer nobody says that it is slow
FEEDBACK_WEIGHT = 2.0
"""What somebody says of an answer counts as much as two outcomes: that there was an answer says less."""
TASK = "task:"  # before the type of task that a budget is for
MOST_TOLD = 40  # types of task in the words of an error
LONGEST_FAILURE = 300  # characters

log = structlog.get_logger()


@dataclass(slots=True)
class Ranked:
    """A choice, its score, the parts which the score is the sum of, and why it cannot take the request, in a sentence."""

    choice: Choice
    score: float
    parts: dict[str, float]
    unfit: str | None


@dataclass(frozen=True, slots=True)
class Given:
    """Feedback as it was learned: its reward, and for each arm at which turn, after how many changes."""

    worth: float
    at: dict[str, tuple[int, int]] = field(default_factory=dict)


class Chooser:
    """`rank` before a request, `learn` after it.

    The score adds specialty, performance, efficiency and availability, each 0 to 1 times its weight in the settings (40, 30, 20, 10). What
    the first three say together is a guess of the reward (`reward.py`), as good as PRIOR_COUNT outcomes. With every outcome of the model at
    the type of task the guess counts less and the mean reward more, as performance: so a specialist that fails does not stay first for
    its name. `exploration` is what we would gain if the model were better than it looks: the standard error of the mean, and a little more
    for every outcome that others have had since its own. That little is such that looking again costs one whole reward in PROBING
    outcomes, however many models there are and however bad they look: nobody is forgotten, and a model that has recovered is found again.
    Of a very small model there is little to find out, by as much less as its answers can be worth: an everyday question is not spent on it.
    With a weight of 0 for performance nothing that was learned counts.

    Everything is in memory, and nothing is left to chance: the same outcomes make the same order. Ties keep the order given.
    """

    def __init__(self, settings: SwitchSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._weights = (
            settings.switch_weight_specialty,
            settings.switch_weight_performance,
            settings.switch_weight_efficiency,
            settings.switch_weight_availability,
        )
        preferred = list(dict.fromkeys(settings.switch_preferred))
        close = CLOSE * sum(self._weights)
        self._preference = {name: close * (1.0 - place / len(preferred)) for place, name in enumerate(preferred)}
        self._memory = Memory()
        self._sent = News()
        """What the last `save` wrote, until its transaction has ended well."""
        self._budgeted = frozenset(
            scope.removeprefix(TASK) for scope in settings.switch_budgets if scope.startswith(TASK)
        )

    # --- choosing --------------------------------------------------------------------------------------------------

    def why_no_task(self, task_type: str, choices: Callable[[], Sequence[Choice]]) -> str:
        """Why that is no type of task, in a sentence; empty for one that is.

        Types are the specialties of hermes_db and the fields related to them, what one of the choices is made for, and what there is a
        budget for.
        """
        known = self._memory.specialties
        if known.knows(task_type) or task_type in self._budgeted:
            return ""
        if any(task_type in one.facts.specialties or task_type in one.facts.adjacent for one in choices()):
            return ""
        types = ", ".join([GENERAL, *known.names][:MOST_TOLD])
        return (
            f"{task_type!r} is no type of task here, as these are: {types}. They are the specialties of hermes_db; a new one counts within "
            "a minute, or after POST /switch/registry/refresh"
        )

    def rank(self, choices: Sequence[Choice], call: Call) -> list[Ranked]:
        """The choices, best first: those that fit, those of them last that should be left alone for now; then those that do not fit."""
        memory, needs = self._memory, call.needs
        task = memory.tasks.get(call.task_type)
        if task is None:
            task = Task()  # kept once it has had an outcome: callers name types of task as they like
        else:
            memory.tasks.move_to_end(call.task_type)
        seats, turn = task.seats, task.turn
        wanted_output = needs.output_tokens or 0
        wanted_tokens = needs.input_tokens + wanted_output
        is_special = criteria.asks_for_more_than_words(needs)
        timed_since = None if needs.max_latency_ms is None else self._clock() - REMEMBERED_SECONDS
        probed_after = PROBING * len(choices)
        specialty_weight, performance_weight, efficiency_weight, availability_weight = self._weights
        guess_weight = specialty_weight + performance_weight + efficiency_weight
        learns = performance_weight > 0.0
        ready: list[Ranked] = []
        resting: list[Ranked] = []
        unfit: list[Ranked] = []
        for choice in choices:
            provider = choice.backend.name
            name = choice.model if provider == LOCAL else f"{provider}/{choice.model}"
            seat = seats.get(name)
            if seat is None or seat.facts is not choice.facts:
                seat = self._seated(task, name, call.task_type, choice)
            model, arm = seat.model, seat.arm
            performance = seat.performance
            overall = model.arm
            if overall.count and learns:
                left = faded(memory.turn - overall.turn)
                performance = (OVERALL_COUNT * performance + overall.total * left) / (
                    OVERALL_COUNT + overall.count * left
                )
            efficiency, known = seat.efficiency
            if model.speed is not None:
                efficiency, known = efficiency + model.speed, known + 1
            efficiency = efficiency / known if known else criteria.UNKNOWN
            available = choice.backend.availability(choice.model)
            guessed, learned, curiosity = 1.0, 0.0, 0.0
            if learns:
                if arm.count:
                    idle = (turn - arm.turn) / probed_after
                    count = arm.count * faded(turn - arm.turn)
                    guessed = PRIOR_COUNT / (PRIOR_COUNT + count)
                    learned = guess_weight * (1.0 - guessed) * arm.total / arm.count
                else:
                    idle = (turn - seat.born) / probed_after - model.patience
                    count = 0.0
                curiosity = SPREAD / sqrt(PRIOR_COUNT + count) + (0.0 if idle < 0.0 else 1.0 if idle > 1.0 else idle)
            specialty = specialty_weight * guessed * seat.specialty
            performance = performance_weight * guessed * performance + learned
            efficiency = efficiency_weight * guessed * efficiency
            availability = availability_weight * available
            exploration = guess_weight * seat.quality * curiosity
            preference = seat.preference
            parts = {
                "specialty": specialty,
                "performance": performance,
                "efficiency": efficiency,
                "availability": availability,
                "exploration": exploration,
                "preference": preference,
            }
            score = specialty + performance + efficiency + availability + exploration + preference
            why_not = None
            if is_special or wanted_tokens > seat.room or wanted_output > seat.most_output:
                is_timed = timed_since is not None and model.answers >= TIMED_AFTER and model.answered_at > timed_since
                why_not = criteria.unfit(choice, needs, model.latency_ms if is_timed else None)
            ranked = Ranked(choice, score, parts, why_not)
            (unfit if why_not is not None else ready if available > 0.0 else resting).append(ranked)
        for group in (ready, resting, unfit):
            group.sort(key=_score, reverse=True)  # stays stable: ties keep the order given
        return ready + resting + unfit

    def _seated(self, task: Task, name: str, task_type: str, choice: Choice) -> Seat:
        seat, facts = self._memory.seat(task, name, task_type), choice.facts
        seat.facts = facts
        quality = expected_quality(facts.parameters)  # what is too small is not good at it for being made for it
        seat.quality = quality
        seat.specialty = quality * self._memory.specialties.match(facts, task_type)
        seat.performance = quality * (UNKNOWN_PERFORMANCE if facts.performance is None else facts.performance)
        seat.efficiency = criteria.efficiency(facts, is_local=choice.is_local)
        seat.room = inf if facts.context_tokens is None else facts.context_tokens
        seat.most_output = inf if facts.output_tokens is None else facts.output_tokens
        seat.preference = max(self._preference.get(name, 0.0), self._preference.get(choice.backend.name, 0.0))
        return seat

    # --- learning --------------------------------------------------------------------------------------------------

    def learn(
        self,
        choice: Choice,
        task_type: str,
        *,
        success: bool,
        latency_ms: float,
        cost_usd: float | None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        failure: str = "",
    ) -> None:
        """Take in how asking a model went. `cost_usd` is None where the price is not known; `failure` holds nothing secret.

        What fails before it was ever ranked or answered is not remembered: callers name models as they like.
        """
        memory, name = self._memory, choice.name
        if len(name) > LONGEST_NAME or not (success or name in memory.models):
            return
        quality = expected_quality(choice.facts.parameters) if success else 0.0
        worth = reward(quality, latency_ms=latency_ms, cost_usd=cost_usd)
        memory.turn += 1
        task = memory.task(task_type)
        task.turn += 1
        memory.seat(task, name, task_type).arm.take(worth, task.turn)
        model = memory.model(name)
        model.arm.take(worth, memory.turn)
        memory.changed(task_type, name)
        memory.changed(OVERALL, name)
        tally, now = memory.news.tally(choice.backend.name, choice.model), utc_now()
        tally.asked += 1
        tally.input_tokens += input_tokens
        tally.output_tokens += output_tokens
        if success:
            model.answered(latency_ms, self._clock())
            tally.answered += 1
            tally.latency_ms_total += latency_ms
            tally.last_answered_at = now
        else:
            tally.failed += 1
            tally.last_failed_at, tally.last_failure = now, failure[:LONGEST_FAILURE] or None

    def feedback(self, name: str, task_type: str, worth: float, earlier: Given | None = None) -> Given:
        """Take in what somebody says of an answer, in place of what was said `earlier`. `worth` is its reward."""
        given = Given(worth)
        for kept in (task_type, OVERALL):
            arm, turn = self._memory.arm(kept, name)
            given.at[kept] = _told(arm, turn, kept, worth, earlier)
            self._memory.changed(kept, name)
        return given

    def learned(self, name: str, task_type: str | None = None) -> list[Learned]:
        """What outcomes have shown of a model, for each type of task that it was asked about."""
        found = []
        for kept, task in self._memory.tasks.items():
            seat = task.seats.get(name)
            if seat is not None and seat.arm.count and task_type in (None, kept):
                count = seat.arm.count * faded(task.turn - seat.arm.turn)
                found.append(Learned(task_type=kept, reward=seat.arm.total / seat.arm.count, outcomes=round(count, 3)))
        return sorted(found, key=lambda one: one.task_type)

    # --- keeping ---------------------------------------------------------------------------------------------------

    async def load(self, session: AsyncSession) -> None:
        """Go on from what the database knows. Called once, before anything is ranked."""
        memory = self._memory
        for name, stats in await repository.paces(session):
            memory.model(name).went_on(*stats)
        for kept, name, state in await repository.arms(session):
            try:
                arm = Arm.of(state)
            except (KeyError, TypeError, ValueError, IndexError) as exc:
                log.warning("learner_state_unreadable", task_type=kept, model=name, error=repr(exc))
                continue
            if kept == OVERALL:
                memory.model(name).arm, memory.turn = arm, max(memory.turn, arm.turn)
            else:
                task = memory.task(kept)
                memory.seat(task, name, kept).arm, task.turn = arm, max(task.turn, arm.turn)
        self._take(Specialties.of(await repository.specialties(session)))

    async def follow(self, known: Known) -> None:
        """Take the specialties as they are known now."""
        self._take(known.specialties)

    @property
    def has_news(self) -> bool:
        """Whether there is something to save."""
        return bool(self._sent or self._memory.news)

    async def save(self, session: AsyncSession) -> None:
        """Write what was learned since the last save; one at a time. It counts as written when the transaction has ended well."""
        self._sent.add(self._memory.news)
        sent, self._memory.news = self._sent, News()
        on_commit(session, self._arrived)
        if sent:
            await repository.forget(session, sent.forgotten)
            states = [(*one, state) for one in sent.arms if (state := self._memory.state(*one)) is not None]
            await repository.keep_arms(session, states)
            await repository.add_tallies(session, sent.tallies)

    async def keep_feedback(
        self, session: AsyncSession, name: str, task_type: str, worth: float, earlier: Given | None
    ) -> Given:
        """Write what `feedback` would make of what was learned; it is learned when the transaction has ended well."""
        given, written = Given(worth), []
        for kept in (task_type, OVERALL):
            live, turn = self._memory.arm(kept, name)
            arm = live.copy()
            given.at[kept] = _told(arm, turn, kept, worth, earlier)
            written.append((kept, name, arm.state()))
        await repository.keep_arms(session, written)

        async def learn() -> None:
            self.feedback(name, task_type, worth, earlier)

        on_commit(session, learn)
        return given

    async def _arrived(self) -> None:
        self._sent = News()

    def _take(self, found: Specialties) -> None:
        if found != self._memory.specialties:
            self._memory.specialties = found
            for task in self._memory.tasks.values():
                for seat in task.seats.values():
                    seat.facts = None  # matched anew with the next request


def _told(arm: Arm, turn: int, kept: str, worth: float, earlier: Given | None) -> tuple[int, int]:
    """Let the arm know of feedback. When it was first given, and how many changes the arm had been through: after another one what was
    given before does not count any more, so that it cannot be replaced."""
    if earlier is not None and kept in earlier.at:
        given_at, changes = earlier.at[kept]
        if changes == arm.changes and given_at <= turn:
            arm.replace(earlier.worth, worth, given_at, turn, FEEDBACK_WEIGHT)
            return given_at, changes
    arm.take(worth, turn, FEEDBACK_WEIGHT)
    return turn, arm.changes


def _score(ranked: Ranked) -> float:
    return ranked.score
