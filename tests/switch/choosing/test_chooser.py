"""Who comes first, and what makes it so."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.calls import Facts, Price
from switch.choosing import memory
from switch.choosing.chooser import Chooser
from switch.settings import SwitchSettings
from tests.switch.choosing.conftest import Clock, call, choice, names, teach


def test_the_weights_of_the_settings_are_the_parts_of_a_score(chooser):
    coder = choice("p/coder", specialties=frozenset({"code"}), performance=0.8, price=Price(1, 1))
    [ranked] = chooser.rank([coder], call())
    assert ranked.parts["specialty"] == pytest.approx(40)
    assert ranked.parts["performance"] == pytest.approx(24)
    assert ranked.parts["efficiency"] == pytest.approx(10)
    assert ranked.parts["availability"] == pytest.approx(10)
    assert ranked.score == pytest.approx(sum(ranked.parts.values()))


def test_of_equals_the_one_given_first_stays_first(chooser):
    choices = [choice(f"p{number}/m") for number in (3, 1, 2)]
    assert names(chooser.rank(choices, call())) == ["p3/m", "p1/m", "p2/m"]


def test_who_cannot_take_the_request_comes_last_with_the_reason(chooser):
    best = choice("p/best", specialties=frozenset({"code"}), tools=False)
    ranked = chooser.rank([best, choice("p/other")], call(tools=True))
    assert names(ranked) == ["p/other", "p/best"]
    assert (ranked[0].unfit, ranked[1].unfit) == (None, "it does not call tools")
    assert names(chooser.rank([best, choice("p/other")], call())) == ["p/best", "p/other"]


def test_who_should_be_left_alone_comes_after_those_who_need_not(chooser):
    best, other, unfit = choice("p/best", specialties=frozenset({"code"})), choice("q/m"), choice("r/m", tools=False)
    best.backend.available = 0.0
    assert names(chooser.rank([unfit, best, other], call(tools=True))) == ["q/m", "p/best", "r/m"]


def test_a_model_that_is_loaded_beats_its_twin_that_is_not(chooser):
    asleep, awake = choice("asleep"), choice("awake")
    asleep.backend.available = 0.4
    assert names(chooser.rank([asleep, awake], call())) == ["awake", "asleep"]


def test_what_is_preferred_wins_where_scores_are_close_and_only_there(chooser_of):
    chooser = chooser_of(switch_preferred=["mine/m", "yours"])
    nobodys, yours, mine = choice("nobodys/m"), choice("yours/m"), choice("mine/m")
    assert names(chooser.rank([nobodys, yours, mine], call())) == ["mine/m", "yours/m", "nobodys/m"]
    teach(chooser, nobodys, *[True] * 10)
    teach(chooser, mine, *[False] * 10)
    assert names(chooser.rank([nobodys, yours, mine], call()))[-1] == "mine/m"


def test_a_specialist_that_fails_does_not_stay_first_for_its_name(chooser):
    specialist, plain = choice("p/specialist", specialties=frozenset({"code"})), choice("q/plain")
    both = [specialist, plain]
    assert names(chooser.rank(both, call()))[0] == "p/specialist"
    teach(chooser, specialist, *[False] * 3)
    assert names(chooser.rank(both, call()))[0] == "q/plain"
    parts = chooser.rank(both, call())[1].parts
    assert parts["specialty"] < 20  # what was seen counts, not what is said


def test_what_is_learned_at_one_task_decides_there_and_only_hints_elsewhere(chooser):
    good, bad = choice("p/m"), choice("q/m")
    teach(chooser, good, *[True] * 10)
    teach(chooser, bad, *[False] * 3, *[True], *[False] * 7)
    code, other = (chooser.rank([bad, good], call(task_type)) for task_type in ("code", "translation"))
    assert names(code) == names(other) == ["p/m", "q/m"]
    assert code[0].score - code[1].score > 2 * (other[0].score - other[1].score) > 0


def test_faster_and_cheaper_wins_between_models_that_both_answer(chooser):
    dear, cheap = choice("p/dear"), choice("q/cheap")
    for _ in range(20):
        teach(chooser, dear, True, latency_ms=9000.0, cost_usd=0.05)
        teach(chooser, cheap, True, latency_ms=900.0, cost_usd=0.001)
    assert names(chooser.rank([dear, cheap], call())) == ["q/cheap", "p/dear"]


def test_a_model_that_is_slow_lately_does_not_fit_a_tight_limit_until_that_is_long_ago(chooser, clock):
    slow = choice("p/slow")
    teach(chooser, slow, True, True, latency_ms=4000.0)
    assert chooser.rank([slow], call(max_latency_ms=2000))[0].unfit is None  # too early to say
    teach(chooser, slow, True, latency_ms=4000.0)
    assert "4000 ms lately" in chooser.rank([slow], call(max_latency_ms=2000))[0].unfit
    assert chooser.rank([slow], call(max_latency_ms=5000))[0].unfit is None
    clock.now += 3600
    assert chooser.rank([slow], call(max_latency_ms=2000))[0].unfit is None


@pytest.mark.parametrize("latency_ms", [2_000.0, 15_000.0])
def test_everyday_questions_are_not_spent_on_finding_out_about_a_very_small_model(chooser, latency_ms):
    cloud, light = choice("cloud/large", price=Price(2.0, 10.0)), choice("light", parameters=135_000_000)
    for _ in range(600):
        assert names(chooser.rank([light, cloud], call("general")))[0] == "cloud/large"
        teach(chooser, cloud, True, task_type="general", latency_ms=latency_ms, cost_usd=0.01)
    cloud.backend.available = 0.0
    assert names(chooser.rank([light, cloud], call("general")))[0] == "light"


def test_without_a_weight_for_performance_nothing_is_learned(chooser_of):
    chooser = chooser_of(switch_weight_performance=0)
    specialist, plain = choice("p/specialist", specialties=frozenset({"code"})), choice("q/plain")
    teach(chooser, plain, *[True] * 5)
    teach(chooser, specialist, True, *[False] * 30)
    assert names(chooser.rank([plain, specialist], call()))[0] == "p/specialist"


def test_names_that_nobody_answers_to_are_not_remembered(chooser):
    for number in range(3000):
        chooser.learn(choice(f"p/made-up-{number}"), "code", success=False, latency_ms=1.0, cost_usd=None)
    assert not chooser.has_news
    assert chooser.learned("p/made-up-1") == []


def test_types_of_task_and_models_are_kept_within_bounds_and_the_newest_stay(chooser, monkeypatch):
    monkeypatch.setattr(memory, "MOST_MODELS", 20)
    monkeypatch.setattr(memory, "MOST_NAMES", 50)
    for number in range(100):
        teach(chooser, choice(f"p/m{number}"), True, task_type=f"task-{number}")
        teach(chooser, choice(f"p/m{number}"), True, task_type="code")
    assert len(chooser._memory.tasks) == memory.MOST_TASK_TYPES
    assert len(chooser._memory.models) == 50
    assert len(chooser._memory.tasks["code"].seats) == 20
    assert [one.task_type for one in chooser.learned("p/m99")] == ["code", "task-99"]
    assert chooser.learned("p/m0") == []


def test_a_type_of_task_that_is_only_asked_about_takes_no_place(chooser):
    for number in range(100):
        chooser.rank([choice("p/m")], call(f"task-{number}"))
    assert not chooser._memory.tasks


facts = st.builds(
    Facts,
    context_tokens=st.none() | st.integers(1, 10_000),
    tools=st.none() | st.booleans(),
    specialties=st.frozensets(st.sampled_from(["code", "audio", "general"])),
    price=st.none() | st.builds(Price, st.floats(0, 100), st.floats(0, 100)),
    performance=st.none() | st.floats(0, 1),
    size_bytes=st.none() | st.integers(0, 10**12),
)
outcomes = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["code", "audio"]),
        st.booleans(),
        st.floats(0, 1e6),
        st.none() | st.floats(0, 10),
    ),
    max_size=60,
)


@given(
    known=st.lists(facts, min_size=6, max_size=6),
    seen=outcomes,
    order=st.permutations(range(6)),
    needs=st.fixed_dictionaries(
        {"input_tokens": st.integers(0, 20_000), "tools": st.booleans(), "max_cost_usd": st.none() | st.floats(0, 1)}
    ),
)
@settings(max_examples=25, deadline=None)
def test_an_order_is_fair(known, seen, order, needs):
    """Unfit ones are never before fit ones, parts add up, and who is asked about first does not matter."""
    choices = [
        choice(f"p{number}/m" if number % 2 else f"m{number}", **_members(one)) for number, one in enumerate(known)
    ]

    def learned() -> Chooser:
        chooser = Chooser(SwitchSettings(_env_file=None), clock=Clock())
        for number, task_type, success, latency_ms, cost_usd in seen:
            chooser.learn(choices[number], task_type, success=success, latency_ms=latency_ms, cost_usd=cost_usd)
        return chooser

    one, other = learned(), learned()
    ranked = one.rank(choices, call(**needs))
    assert sorted(names(ranked)) == sorted(found.name for found in choices)
    is_unfit = [found.unfit is not None for found in ranked]
    assert is_unfit == sorted(is_unfit)
    for group in (False, True):
        scores = [found.score for found in ranked if (found.unfit is not None) is group]
        assert scores == sorted(scores, reverse=True)
    for found in ranked:
        assert found.score == pytest.approx(sum(found.parts.values()))
        assert all(part >= 0 for part in found.parts.values())
        assert found.parts["specialty"] <= 40
        assert found.parts["performance"] <= 90
    shuffled = other.rank([choices[number] for number in order], call(**needs))
    assert {found.choice.name: found.score for found in shuffled} == {
        found.choice.name: found.score for found in ranked
    }


def _members(facts: Facts) -> dict:
    return {name: getattr(facts, name) for name in Facts.__slots__}


@given(rewards=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), min_size=1, max_size=200))
@settings(max_examples=25, deadline=None)
def test_what_is_learned_stays_within_bounds_whatever_comes(rewards):
    chooser = Chooser(SwitchSettings(_env_file=None), clock=Clock())
    mine, other = choice("p/m"), choice("q/m")
    for success, pause in rewards:
        teach(chooser, mine, success)
        teach(chooser, other, *[True] * pause)
    arm, turn = chooser._memory.arm("code", "p/m")
    assert 0.0 <= arm.total <= arm.count <= 100.0
    assert arm.turn <= turn


def test_the_same_outcomes_make_the_same_order_every_time(chooser_of):
    def story() -> list[list[str]]:
        luck, chooser = random.Random(7), chooser_of()
        choices = [choice(f"p{number}/m") for number in range(5)]
        told = []
        for _ in range(200):
            ranked = chooser.rank(choices, call())
            told.append(names(ranked))
            teach(chooser, ranked[0].choice, luck.random() < 0.7)
        return told

    assert story() == story()
