"""What has been learned, as it is held while switch runs: for each type of task, for each model, and in all."""

import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from switch.calls import LOCAL, Facts
from switch.choosing.arm import Arm
from switch.choosing.criteria import speed
from switch.choosing.specialties import Specialties

MOST_TASK_TYPES = 32
MOST_MODELS = 500  # for each type of task
MOST_NAMES = 2000  # of models, in all
LONGEST_NAME = 200  # characters: what the tables hold
LATEST = 0.2  # share of the newest answer in how long answers take
OVERALL = "*"
"""In place of a type of task, whose names begin with a letter or a digit: all of them together."""


def name_of(provider: str, model: str) -> str:
    """What `Choice.name` is."""
    return model if provider == LOCAL else f"{provider}/{model}"


class Model:
    """A model, whatever it is asked: how it did at all types of task together, and how long its answers take, the latest ones most."""

    __slots__ = ("answered_at", "answers", "arm", "latency_ms", "patience", "speed")

    def __init__(self, name: str) -> None:
        self.arm = Arm()
        self.answers, self.latency_ms, self.answered_at = 0, 0.0, 0.0
        self.speed: float | None = None
        self.patience = zlib.crc32(name.encode()) / 2**32
        """0 to 1, by the name: so that models which nobody has tried do not all get their turn at the same time."""

    def answered(self, latency_ms: float, at: float) -> None:
        self.answers += 1
        self.latency_ms += max(LATEST, 1.0 / self.answers) * (latency_ms - self.latency_ms)
        self.answered_at, self.speed = at, speed(self.latency_ms)

    def went_on(self, answers: int, latency_ms_total: float, answered_at: float) -> None:
        """As it was before a restart."""
        self.answers, self.latency_ms, self.answered_at = answers, latency_ms_total / answers, answered_at
        self.speed = speed(self.latency_ms)


class Seat:
    """A model at a type of task: its arm, and what of its score is the same for every request while `facts` are the same."""

    __slots__ = (
        "arm",
        "born",
        "efficiency",
        "facts",
        "model",
        "most_output",
        "performance",
        "preference",
        "quality",
        "room",
        "specialty",
    )

    def __init__(self, model: Model, born: int) -> None:
        self.model, self.born, self.arm = model, born, Arm()
        self.facts: Facts | None = None
        self.specialty = self.performance = self.preference = 0.0
        self.quality = 1.0
        """What its answers can be worth, by its size."""
        self.efficiency = (0.0, 0)
        """Sum and number of what is known without asking."""
        self.room = self.most_output = 0.0
        """Tokens that it takes in all, and that it writes at most."""


class Task:
    """A type of task: how many outcomes it has had (`turn`), and the models that were considered for it."""

    __slots__ = ("seats", "turn")

    def __init__(self) -> None:
        self.turn = 0
        self.seats: dict[str, Seat] = {}


@dataclass(slots=True)
class Tally:
    """What is to be added to a row of `provider_stats`."""

    asked: int = 0
    answered: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms_total: float = 0.0
    last_answered_at: datetime | None = None
    last_failed_at: datetime | None = None
    last_failure: str | None = None

    def add(self, later: "Tally") -> None:
        self.asked += later.asked
        self.answered += later.answered
        self.failed += later.failed
        self.input_tokens += later.input_tokens
        self.output_tokens += later.output_tokens
        self.latency_ms_total += later.latency_ms_total
        self.last_answered_at = later.last_answered_at or self.last_answered_at
        self.last_failed_at = later.last_failed_at or self.last_failed_at
        self.last_failure = later.last_failure or self.last_failure


@dataclass(slots=True)
class News:
    """What the database does not know yet."""

    arms: set[tuple[str, str]] = field(default_factory=set)
    """Of which type of task and model."""
    forgotten: set[tuple[str, str]] = field(default_factory=set)
    """The same, of what is not kept any more."""
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """By provider and model."""

    def __bool__(self) -> bool:
        return bool(self.arms or self.forgotten or self.tallies)

    def add(self, later: "News") -> None:
        self.arms = (self.arms - later.forgotten) | later.arms
        self.forgotten = (self.forgotten - later.arms) | later.forgotten
        for key, tally in later.tallies.items():
            self.tally(*key).add(tally)

    def tally(self, provider: str, model: str) -> Tally:
        found = self.tallies.get((provider, model))
        if found is None:
            found = self.tallies[provider, model] = Tally()
        return found


class Memory:
    """Bounded: callers name types of task and models as they like. What was used least recently goes."""

    def __init__(self) -> None:
        self.tasks: OrderedDict[str, Task] = OrderedDict()
        self.models: dict[str, Model] = {}
        self.turn = 0
        """Outcomes of all types of task."""
        self.specialties = Specialties()
        self.news = News()

    def model(self, name: str) -> Model:
        """The model of that name, kept from now on, perhaps in place of another; a name longer than any model's is not kept."""
        found = self.models.get(name)
        if found is None:
            found = Model(name)
            if len(name) <= LONGEST_NAME:
                if len(self.models) >= MOST_NAMES:
                    oldest = min(self.models, key=lambda name: self.models[name].arm.turn)
                    del self.models[oldest]
                    self._forget(OVERALL, oldest)
                self.models[name] = found
        return found

    def task(self, task_type: str) -> Task:
        """The type of task, kept from now on, perhaps in place of another."""
        task = self.tasks.get(task_type)
        if task is not None:
            self.tasks.move_to_end(task_type)
        else:
            task = self.tasks[task_type] = Task()
            if len(self.tasks) > MOST_TASK_TYPES:
                oldest, left = self.tasks.popitem(last=False)
                for name in left.seats:
                    self._forget(oldest, name)
        return task

    def seat(self, task: Task, name: str, task_type: str) -> Seat:
        """The model at the type of task; likewise."""
        seat = task.seats.get(name)
        if seat is None:
            if len(task.seats) >= MOST_MODELS:
                oldest = min(task.seats, key=lambda name: task.seats[name].arm.turn)
                del task.seats[oldest]
                self._forget(task_type, oldest)
            seat = task.seats[name] = Seat(self.model(name), task.turn)
        return seat

    def arm(self, task_type: str, name: str) -> tuple[Arm, int]:
        """What was seen of a model at the type of task (OVERALL for all together), and how many outcomes that has had."""
        if task_type == OVERALL:
            return self.model(name).arm, self.turn
        task = self.task(task_type)
        return self.seat(task, name, task_type).arm, task.turn

    def state(self, task_type: str, name: str) -> dict[str, Any] | None:
        """The same for the database, without being a use of it; None for what is not kept."""
        if task_type == OVERALL:
            model = self.models.get(name)
            return None if model is None else model.arm.state()
        task = self.tasks.get(task_type)
        seat = None if task is None else task.seats.get(name)
        return None if seat is None else seat.arm.state()

    def changed(self, task_type: str, name: str) -> None:
        news = self.news
        news.arms.add((task_type, name))
        if news.forgotten:
            news.forgotten.discard((task_type, name))

    def _forget(self, task_type: str, name: str) -> None:
        self.news.arms.discard((task_type, name))
        self.news.forgotten.add((task_type, name))
