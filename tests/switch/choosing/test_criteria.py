"""What a model is worth before anybody has seen it work, and what rules it out."""

import pytest

from switch.calls import Facts, Needs, Price
from switch.choosing import criteria
from switch.choosing.criteria import efficiency, unfit
from switch.choosing.reward import reward
from switch.choosing.specialties import ADJACENT, ELSEWHERE, EXACT, NEUTRAL, Specialties
from tests.switch.choosing.conftest import choice

TREE = Specialties.of(
    [
        (1, "audio", None, ["sound", "speech"]),
        (2, "music", 1, []),
        (3, "mixing", 2, []),
        (4, "code", None, ["programming"]),
        (5, "itself", 5, []),
    ]
)


@pytest.mark.parametrize(
    ("facts", "task_type", "match"),
    [
        (Facts(specialties=frozenset({"code"})), "code", EXACT),
        (Facts(specialties=frozenset({"audio"})), "mixing", ADJACENT),  # a wider one
        (Facts(specialties=frozenset({"mixing"})), "audio", ADJACENT),  # a narrower one
        (Facts(specialties=frozenset({"programming"})), "code", ADJACENT),
        (Facts(specialties=frozenset({"audio"}), adjacent=frozenset({"code"})), "code", ADJACENT),
        (Facts(specialties=frozenset({"code"})), "audio", ELSEWHERE),
        (Facts(specialties=frozenset({"text_generation"})), "code", NEUTRAL),
        (Facts(specialties=frozenset({"text_generation"})), "general", EXACT),
        (Facts(), "code", NEUTRAL),
        (Facts(specialties=frozenset({"whatever"})), "whatever", EXACT),
    ],
)
def test_a_model_made_for_the_task_is_told_from_its_neighbours(facts, task_type, match):
    assert TREE.match(facts, task_type) == match


@pytest.mark.parametrize(
    ("facts", "needs", "why"),
    [
        ({"context_tokens": 1000}, Needs(input_tokens=900, output_tokens=101), "do not fit into its context of 1000"),
        ({"output_tokens": 100}, Needs(output_tokens=101), "writes at most 100"),
        ({"modalities": frozenset({"image"})}, Needs(modalities=frozenset({"image", "pdf"})), "does not take pdf"),
        ({"tools": False}, Needs(tools=True), "does not call tools"),
        ({"schema": False}, Needs(schema=True), "JSON schema"),
        ({}, Needs(max_cost_usd=1.0), "price is not known"),
        ({"price": Price(1, 10)}, Needs(input_tokens=10, output_tokens=1000, max_cost_usd=0.01), "cost about 0.010010"),
        ({"price": Price(1, 10)}, Needs(max_cost_usd=0.005), "cost about"),  # an answer of 512 tokens
    ],
)
def test_what_rules_a_model_out_is_told_in_words(facts, needs, why):
    assert why in unfit(choice("p/m", **facts), needs, None)


@pytest.mark.parametrize(
    ("name", "facts", "needs"),
    [
        ("p/m", {"context_tokens": 1000}, Needs(input_tokens=900, output_tokens=100)),
        ("p/m", {}, Needs(10_000_000, 10_000, frozenset({"image"}), tools=True, schema=True, max_latency_ms=1)),
        ("p/m", {"price": Price(1, 10)}, Needs(input_tokens=10, output_tokens=1000, max_cost_usd=0.0101)),
        ("here", {}, Needs(max_cost_usd=0.0)),  # this machine costs nothing
    ],
)
def test_what_is_not_known_of_a_model_does_not_rule_it_out(name, facts, needs):
    assert unfit(choice(name, **facts), needs, None) is None


def test_cheap_and_small_models_are_the_efficient_ones():
    def value(is_local=False, **facts):
        total, known = efficiency(Facts(**facts), is_local=is_local)
        return total / known

    assert value(price=Price(0.1, 0.4)) > value(price=Price(3, 15)) > 0
    assert value(is_local=True, size_bytes=10**8) > value(is_local=True, size_bytes=10**10)
    assert value(is_local=True, parameters=10**8) > value(is_local=True, parameters=10**10)
    assert value(price=Price(1, 1)) == 0.5
    assert efficiency(Facts(size_bytes=10**9), is_local=False) == (0.0, 0)  # somebody else's memory
    assert criteria.speed(100) > criteria.speed(10_000)


def test_a_right_answer_is_worth_more_than_a_fast_and_free_wrong_one():
    assert reward(1.0, latency_ms=600_000, cost_usd=10) > reward(0.0, latency_ms=0, cost_usd=0) == 0.0
    assert reward(1.0, latency_ms=100, cost_usd=0) > reward(1.0, latency_ms=10_000, cost_usd=0)
    assert reward(1.0, latency_ms=0, cost_usd=0) > reward(1.0, latency_ms=0, cost_usd=None)
    assert reward(1.0, latency_ms=0, cost_usd=None) > reward(1.0, latency_ms=0, cost_usd=1)
