"""The simulation of `benchmarks/choosing.py`, smaller: switch finds the best model for each type of task, and notices when that changes."""

import statistics

from benchmarks.choosing import Ours, change, share_of_oracle

SEEDS = 4


def test_learning_earns_nearly_what_an_oracle_earns_and_not_learning_does_not():
    def mean(name):
        return statistics.mean(share_of_oracle(name, SEEDS))

    assert mean("switch") >= 0.88
    assert mean("static weights") < 0.88  # what is known beforehand is not enough
    assert mean("round robin") < 0.88


def test_a_model_that_collapses_is_avoided_and_found_again_when_it_has_recovered():
    seen = [change(seed, Ours, later=350) for seed in range(SEEDS)]
    assert max(one.avoided_after for one in seen) <= 20
    assert max(one.asked_later for one in seen) <= 0.05
    assert all(one.found_after is not None for one in seen)


def test_a_policy_that_does_not_learn_stays_with_the_model_that_collapsed():
    seen = [change(seed, lambda world: Ours(world, learns=False), later=50) for seed in range(SEEDS)]
    assert min(one.avoided_after for one in seen) > 20
