"""How well switch chooses: a seeded simulation against an oracle, and the time that one choice takes.

    .venv/bin/python benchmarks/choosing.py

Six models, four types of task. How often a model succeeds at a type of task is drawn from 0.45 to 0.95; latency and cost are noisy. What
is known beforehand is of little help: prices are right, but what a model is said to be made for is drawn by lot. Every policy meets the
same luck. A reward is what `switch/choosing/reward.py` says.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from switch.calls import Call, Choice, Facts, Price
from switch.choosing.chooser import Chooser
from switch.choosing.reward import reward
from switch.settings import SwitchSettings

MODELS, TASKS, OUTCOMES, SEEDS = 6, ("code", "translation", "analysis", "summarization"), 500, 20
WARM_UP = 200
"""Outcomes of one type of task before the best model collapses, or recovers."""
AVOIDED = 10
"""Choices of others in a row after which a model counts as avoided."""
LIMITS = {"reward": 0.88, "outcomes to avoid": 20, "5 candidates (us)": 50.0, "200 candidates (us)": 1000.0}


class Named:
    """A backend that is only a name: nobody is asked here."""

    tries = 1

    def __init__(self, name: str) -> None:
        self.name = name

    def availability(self, model: str) -> float:
        return 1.0


@dataclass(frozen=True)
class Outcome:
    success: bool
    latency_ms: float
    cost_usd: float

    @property
    def reward(self) -> float:
        return reward(float(self.success), latency_ms=self.latency_ms, cost_usd=self.cost_usd)


class World:
    """The models, and what each would have made of every request: drawn beforehand, so that all policies meet the same."""

    def __init__(self, seed: int, *, models: int = MODELS, tasks: Sequence[str] = TASKS) -> None:
        self._chance = random.Random(seed)
        self.tasks = tasks
        self.success = [{task: self._chance.uniform(0.45, 0.95) for task in tasks} for _ in range(models)]
        self.latency_ms = [self._chance.uniform(500, 6000) for _ in range(models)]
        self.cost_usd = [self._chance.uniform(0.0002, 0.01) for _ in range(models)]
        self.choices: list[Choice] = [self._choice(number) for number in range(models)]

    def _choice(self, number: int) -> Choice:
        said = self._chance.choice(self.tasks)
        price = Price(self.cost_usd[number] * 400, self.cost_usd[number] * 1600)
        return Choice(Named(f"p{number}"), "m", Facts(specialties=frozenset({said}), price=price))  # type: ignore[arg-type]

    def task(self) -> str:
        return self._chance.choice(self.tasks)

    def outcomes(self, task: str) -> list[Outcome]:
        """What each model makes of one request."""
        luck, noise = self._chance.random(), self._chance.lognormvariate
        return [
            Outcome(
                luck < self.success[number][task],
                self.latency_ms[number] * noise(0.0, 0.4),
                self.cost_usd[number] * noise(0.0, 0.3),
            )
            for number in range(len(self.choices))
        ]

    def best(self, task: str) -> int:
        """The model of the highest expected reward; what an oracle asks."""
        return max(range(len(self.choices)), key=lambda number: self._expected(number, task))

    def _expected(self, number: int, task: str) -> float:
        worth = Outcome(True, self.latency_ms[number], self.cost_usd[number]).reward
        return self.success[number][task] * worth


class Policy(Protocol):
    def choose(self, task: str) -> int: ...

    def learn(self, task: str, number: int, outcome: Outcome) -> None: ...


class Ours:
    """Switch's own; without learning it is the score of the original documents."""

    def __init__(self, world: World, *, learns: bool = True) -> None:
        self.chooser = Chooser(SwitchSettings(_env_file=None), clock=lambda: 0.0)
        self._choices, self._learns = world.choices, learns
        self._number = {choice.name: number for number, choice in enumerate(world.choices)}

    def choose(self, task: str) -> int:
        return self._number[self.chooser.rank(self._choices, Call({}, task_type=task))[0].choice.name]

    def learn(self, task: str, number: int, outcome: Outcome) -> None:
        if self._learns:
            self.chooser.learn(
                self._choices[number],
                task,
                success=outcome.success,
                latency_ms=outcome.latency_ms,
                cost_usd=outcome.cost_usd,
            )


class RoundRobin:
    def __init__(self, world: World) -> None:
        self._models, self._turn = len(world.choices), 0

    def choose(self, task: str) -> int:
        self._turn += 1
        return self._turn % self._models

    def learn(self, task: str, number: int, outcome: Outcome) -> None:
        pass


class BestSoFar:
    """The highest mean reward at the type of task; each model once at first."""

    def __init__(self, world: World) -> None:
        self._seen: dict[str, list[tuple[int, float]]] = {task: [(0, 0.0)] * len(world.choices) for task in world.tasks}

    def choose(self, task: str) -> int:
        seen = self._seen[task]
        return max(range(len(seen)), key=lambda number: seen[number][1] / seen[number][0] if seen[number][0] else 2.0)

    def learn(self, task: str, number: int, outcome: Outcome) -> None:
        count, total = self._seen[task][number]
        self._seen[task][number] = count + 1, total + outcome.reward


class Oracle:
    def __init__(self, world: World) -> None:
        self._world = world

    def choose(self, task: str) -> int:
        return self._world.best(task)

    def learn(self, task: str, number: int, outcome: Outcome) -> None:
        pass


POLICIES: dict[str, Callable[[World], Policy]] = {
    "oracle": Oracle,
    "switch": Ours,
    "best so far": BestSoFar,
    "static weights": lambda world: Ours(world, learns=False),
    "round robin": RoundRobin,
}


def total_reward(
    seed: int, policy: Callable[[World], Policy], outcomes: int = OUTCOMES, *, is_changing: bool = False
) -> float:
    """With `is_changing` the best model of each type of task collapses half way."""
    world = World(seed)
    chooser, total = policy(world), 0.0
    for done in range(outcomes):
        if is_changing and done == outcomes // 2:
            for task in world.tasks:
                world.success[world.best(task)][task] = 0.05
        task = world.task()
        found = world.outcomes(task)
        number = chooser.choose(task)
        chooser.learn(task, number, found[number])
        total += found[number].reward
    return total


def share_of_oracle(
    name: str, seeds: int = SEEDS, outcomes: int = OUTCOMES, *, is_changing: bool = False
) -> list[float]:
    """Reward as a share of the oracle's, for each seed."""

    def total(seed: int, of: str) -> float:
        return total_reward(seed, POLICIES[of], outcomes, is_changing=is_changing)

    return [total(seed, name) / total(seed, "oracle") for seed in range(seeds)]


@dataclass(frozen=True)
class Change:
    """How a policy met the collapse and the recovery of the model that it asked most for one type of task, in outcomes of that type."""

    avoided_after: int
    """Until others were asked AVOIDED times in a row."""
    asked_later: float
    """Its share of the outcomes after that."""
    found_after: int | None
    """From its recovery until it was asked for most of ten; None if that did not come."""


def change(seed: int, policy: Callable[[World], Policy], *, later: int = 400) -> Change:
    world, task = World(seed), TASKS[0]
    chooser = policy(world)
    best = world.best(task)
    for number, success in enumerate(world.success):  # so that it is the best again when it has recovered
        success[task] = 0.95 if number == best else min(success[task], 0.8)

    def asked(outcomes: int) -> list[int]:
        chosen = []
        for _ in range(outcomes):
            found = world.outcomes(task)
            number = chooser.choose(task)
            chooser.learn(task, number, found[number])
            chosen.append(number)
        return chosen

    fallen = statistics.mode(asked(WARM_UP)[-AVOIDED:])
    world.success[fallen][task] = 0.0
    after = [number == fallen for number in asked(later)]
    away = next((at for at in range(later - AVOIDED) if not any(after[at : at + AVOIDED])), later)
    world.success[fallen][task] = 0.95
    again = [number == fallen for number in asked(2 * later)]
    found = next((at for at in range(len(again) - 10) if sum(again[at : at + 10]) > 5), None)
    return Change(away, sum(after[away:]) / max(1, later - away), found)


def microseconds(candidates: int) -> float:
    """CPU time of one choice among so many that have all been asked before; the best of several runs."""
    world = World(0, models=candidates)
    policy = Ours(world)
    for number in range(candidates):
        policy.learn(TASKS[0], number, world.outcomes(TASKS[0])[number])
    call, runs = Call({}, task_type=TASKS[0]), max(10, 20_000 // candidates)
    best = float("inf")
    for _ in range(7):
        started = time.process_time()
        for _ in range(runs):
            policy.chooser.rank(world.choices, call)
        best = min(best, (time.process_time() - started) / runs)
    return best * 1e6


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    arguments.add_argument("--seeds", type=int, default=SEEDS)
    arguments.add_argument("--outcomes", type=int, default=OUTCOMES)
    given: Any = arguments.parse_args()
    print(f"{MODELS} models, {len(TASKS)} types of task, {given.outcomes} outcomes, {given.seeds} seeds")
    print(f"{'policy':16} {'of the oracle':>14} {'worst seed':>11} {'best ones collapse half way':>28}")
    shares = {name: share_of_oracle(name, given.seeds, given.outcomes) for name in POLICIES}
    for name, share in shares.items():
        changing = share_of_oracle(name, given.seeds, given.outcomes, is_changing=True)
        print(f"{name:16} {statistics.mean(share):14.1%} {min(share):11.1%} {statistics.mean(changing):28.1%}")
    changes = [change(seed, Ours) for seed in range(given.seeds)]
    avoided = [one.avoided_after for one in changes]
    found = [one.found_after for one in changes]
    print(f"outcomes until a collapsed model is avoided: median {statistics.median(avoided):.0f}, most {max(avoided)}")
    print(f"  and after that in {statistics.mean(one.asked_later for one in changes):.1%} of the outcomes")
    again = sorted(one for one in found if one is not None)
    print(
        f"recovered model found again in {len(again)} of {len(found)}, after {statistics.median(again):.0f} (most {max(again)})"
    )
    times = {f"{number} candidates (us)": microseconds(number) for number in (5, 200)}
    for name, value in times.items():
        print(f"one choice, {name}: {value:.1f}")
    figures = {"reward": statistics.mean(shares["switch"]), "outcomes to avoid": max(avoided)} | times
    kept = all(figures[name] >= limit if name == "reward" else figures[name] <= limit for name, limit in LIMITS.items())
    print("all limits kept" if kept else f"NOT KEPT: {LIMITS}")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
