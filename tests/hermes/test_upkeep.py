"""Who goes when there are too many models: the pure decision."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.upkeep import GOOD_SCORE, LEAST_OF_A_SPECIALTY, USED_LATELY, Held, decide, in_turn

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)
DAYS_AGO = st.integers(0, 300).map(lambda days: NOW - timedelta(days=days))
OLD = Held(1, "old", 100, "code", 0.5, LONG_AGO, LONG_AGO, is_loaded=False)


def many(count: int, **values) -> list[Held]:
    return [replace(OLD, id=number + 1, name=f"m{number + 1}", **values) for number in range(count)]


def removed(held: list[Held], *, most: int = 30, budget: int = 10**9) -> list[int]:
    return [one.id for one in decide(held, most_models=most, budget_bytes=budget, now=NOW).removed]


def test_within_the_limits_nothing_goes_and_nothing_is_said():
    verdict = decide(many(5), most_models=5, budget_bytes=500, now=NOW)
    assert (verdict.removed, verdict.kept, verdict.count, verdict.size_bytes) == ([], [], 5, 500)


def test_only_as_many_go_as_are_too_many():
    assert len(removed(many(10), most=7)) == 3
    assert len(removed(many(10), budget=650)) == 4


def test_the_least_recently_used_and_worst_performing_go_first():
    held = many(4)
    held[2] = replace(held[2], score=0.1)
    held[0] = replace(held[0], last_used_at=LONG_AGO + timedelta(days=30), score=0.6)
    held[3] = replace(held[3], last_used_at=LONG_AGO + timedelta(days=20))
    assert [one.id for one in in_turn(held)] == [3, 2, 4, 1]
    assert removed(held, most=3) == [3]


@pytest.mark.parametrize(
    ("protected", "why"),
    [
        ({"is_loaded": True}, "loaded"),
        ({"last_used_at": NOW - USED_LATELY + timedelta(minutes=1)}, "used or added"),
        ({"added_at": NOW - timedelta(days=1), "last_used_at": None}, "used or added"),
        ({"score": GOOD_SCORE + 0.01}, "score 0.71"),
        ({"specialty": "vision"}, "last 2 of vision"),
    ],
)
def test_a_protected_model_stays_and_the_reason_is_told(protected, why):
    held = [replace(OLD, id=99, name="kept", **protected), *many(4)]
    verdict = decide(held, most_models=0, budget_bytes=0, now=NOW)
    assert 99 not in [one.id for one in verdict.removed]
    assert why in next(one.reason for one in verdict.kept if one.id == 99)


def test_the_limits_of_protection_are_exact():
    at_the_limit = [replace(OLD, id=98, score=GOOD_SCORE), replace(OLD, id=99, last_used_at=NOW - USED_LATELY)]
    assert set(removed([*at_the_limit, *many(2, is_loaded=True)], most=0)) == {98, 99}


def test_as_many_of_a_specialty_stay_as_the_setting_asks_for():
    verdict = decide(many(5), most_models=0, budget_bytes=0, now=NOW, least=3)
    assert verdict.count == 3
    assert "last 3 of code" in verdict.kept[0].reason


def test_models_that_are_not_ours_count_for_their_specialty():
    assert decide(many(2), most_models=0, budget_bytes=0, now=NOW, others={"code": 2}).count == 0
    assert decide(many(2), most_models=0, budget_bytes=0, now=NOW).count == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Held,
            id=st.integers(1, 10**6),
            name=st.just("m"),
            size_bytes=st.integers(0, 1000),
            specialty=st.sampled_from(["code", "vision", None]),
            score=st.floats(0, 1),
            last_used_at=st.none() | DAYS_AGO,
            added_at=DAYS_AGO,
            is_loaded=st.booleans(),
        ),
        max_size=12,
        unique_by=lambda one: one.id,
    ),
    st.integers(0, 6),
    st.integers(0, 4000),
)
def test_whatever_is_held_no_protected_model_goes_and_no_more_than_needed(held, most, budget):
    verdict = decide(held, most_models=most, budget_bytes=budget, now=NOW)
    gone = {one.id for one in verdict.removed}
    left = [one for one in held if one.id not in gone]
    for one in held:
        if one.id in gone:
            assert not one.is_loaded
            assert one.score <= GOOD_SCORE
            assert NOW - one.last_needed_at >= USED_LATELY
            assert sum(other.specialty == one.specialty for other in left) >= LEAST_OF_A_SPECIALTY
    assert (verdict.count, verdict.size_bytes) == (len(left), sum(one.size_bytes for one in left))
    if gone:  # the last one that went was still needed
        last = next(one for one in held if one.id == verdict.removed[-1].id)
        assert len(left) + 1 > most or verdict.size_bytes + last.size_bytes > budget
