"""Who is served next, and which model is loaded for it: nobody lost, nobody starved, and no more loads than need be."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config.contracts.switch import PRIORITIES
from switch.failures import Failure, FailureKind
from switch.local.scheduling import Resident, who_goes
from tests.switch.local.machine import Machine

ABC = {"A": 10, "B": 10, "C": 10}


def names(machine: Machine) -> str:
    return "".join(ticket.model for ticket in machine.served)


def test_requests_for_one_model_are_served_together_so_three_loads_do_where_the_order_of_arrival_needs_seven():
    machine = Machine(ABC, budget=10)
    for model in "ABAACABC":
        machine.ask(model)
    machine.finish()
    assert machine.loads == ["A", "B", "C"]
    assert names(machine) == "AAAABBCC"


def test_nobody_is_overtaken_for_longer_than_patience_allows():
    machine = Machine(ABC, budget=10, patience=5.0)
    machine.ask("A")
    waiting = machine.ask("B")
    for _ in range(30):  # there is always another one for the model that is loaded
        machine.ask("A")
    machine.finish()
    first_overtaken = 3.0  # the load, and the first A, which came before it
    assert (
        machine.served_at[waiting.number] <= first_overtaken + 5.0 + 1.0 + 2.0
    )  # an answer that is under way, and a load
    assert machine.loads == ["A", "B", "A"]


def test_a_long_line_for_two_models_is_served_in_long_pieces_even_when_all_of_it_is_late():
    machine = Machine(ABC, budget=10, patience=10.0)
    for _ in range(50):
        machine.ask("A")
        machine.ask("B")
    machine.finish()
    assert len(machine.loads) <= 8


def test_an_urgent_request_for_another_model_does_not_wait_for_those_that_are_not():
    machine = Machine(ABC, budget=10)
    for _ in range(5):
        machine.ask("A", "BACKGROUND")
    machine.forward(2.5)
    urgent = machine.ask("B", "SYSTEM_CRITICAL")
    machine.finish()
    assert machine.served.index(urgent) == 1


def test_what_waits_becomes_more_urgent_so_that_background_work_is_not_starved():
    machine = Machine(ABC, budget=10, ageing=10.0)
    machine.ask("A")
    background = machine.ask("A", "BACKGROUND")
    for _ in range(40):
        machine.ask("A")
        machine.forward(machine.now + 1.0)
    assert background in machine.served
    assert machine.served_at[background.number] <= 2.0 + 2 * 10.0 + 3.0


def test_the_urgent_are_served_first_and_equals_as_they_came():
    machine = Machine(ABC, budget=10)
    machine.ask("A")
    machine.forward(2.0)
    asked = [machine.ask("A", one) for one in ("BACKGROUND", "USER_INTERACTIVE", "SYSTEM_CRITICAL", "USER_INTERACTIVE")]
    machine.finish()
    assert machine.served[1:] == [asked[2], asked[1], asked[3], asked[0]]


def test_two_models_that_fit_together_are_both_kept():
    machine = Machine(ABC, budget=20)
    for model in "ABABABAB":
        machine.ask(model)
    machine.finish()
    assert machine.loads == ["A", "B"]


def test_at_most_two_models_are_in_memory_however_small_they_are():
    machine = Machine(ABC, budget=1000)
    for model in "ABC":
        machine.ask(model)
    machine.finish()
    assert len(machine.loaded) == 2


def test_the_model_that_was_used_longest_ago_goes_and_a_busy_one_never():
    residents = [Resident("old", 10, 1.0), Resident("new", 10, 2.0)]
    assert who_goes(10, residents, set(), 20) == {"old"}
    assert who_goes(10, residents, {"old"}, 20) == {"new"}  # somebody waits for the other
    busy = [Resident("old", 10, 1.0, answering=1), Resident("new", 10, 2.0)]
    assert who_goes(10, busy, set(), 20) == {"new"}
    assert who_goes(20, busy, set(), 20) == {"old", "new"}  # and until the busy one is done nobody goes
    loading = [Resident("old", 10, 1.0, is_ready=False), Resident("new", 10, 2.0, is_stopping=True)]
    assert who_goes(10, loading, {"old"}, 20) is None
    assert who_goes(10, loading[:1], set(), 10) == {"old"}  # loaded ahead, and nobody waits for it


def test_when_it_is_full_the_newest_of_the_least_urgent_is_refused_whoever_that_is():
    machine = Machine(ABC, budget=10, limit=2)
    machine.ask("A")
    machine.forward(2.0)
    first = machine.ask("A", "BACKGROUND")
    machine.ask("A", "BACKGROUND")
    machine.ask("A", "USER_INTERACTIVE")  # pushes the second one out
    assert machine.queue.rejected == 1
    with pytest.raises(Failure) as refused:
        machine.ask("A", "BACKGROUND")
    assert refused.value.kind is FailureKind.BUSY
    assert refused.value.retry_after_seconds == 5.0
    status = machine.queue.status(loads=1)
    assert (status.waiting, status.limit, status.rejected, status.served) == (2, 2, 2, 1)
    assert status.by_priority == {
        "SYSTEM_CRITICAL": 0, "USER_INTERACTIVE": 1, "BATCH_PROCESSING": 0, "BACKGROUND": 1,
    }  # fmt: skip
    assert status.by_model == {"A": 2}
    machine.finish()
    assert first in machine.served


def test_one_that_has_waited_long_enough_is_not_the_one_to_be_refused():
    machine = Machine(ABC, budget=10, limit=1, ageing=10.0, answer_seconds=100.0)
    machine.ask("A")
    machine.forward(2.0)
    patient = machine.ask("A", "BACKGROUND")
    machine.forward(40.0)
    with pytest.raises(Failure):
        machine.ask("A", "USER_INTERACTIVE")
    assert patient in machine.queue.tickets


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from("ABCD"), st.sampled_from(PRIORITIES)),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, 3.0, 20.0]), st.none()),
        st.tuples(st.just("leave"), st.integers(0, 50), st.none()),
    ),
    max_size=60,
)


@hypothesis_settings(max_examples=50, deadline=None)
@given(
    steps=Steps,
    budget=st.sampled_from([10, 15, 20, 30]),
    places=st.integers(1, 2),
    ageing=st.sampled_from([0.0, 4.0, 30.0]),
    patience=st.sampled_from([0.0, 3.0, 30.0]),
    limit=st.sampled_from([3, 1000]),
)
def test_everybody_who_waits_is_served_once_in_order_and_in_time(steps, budget, places, ageing, patience, limit):
    machine = Machine(
        {"A": 10, "B": 10, "C": 5, "D": 5}, budget=budget, places=places, ageing=ageing, patience=patience, limit=limit
    )
    asked, left, refused = [], [], 0
    for what, which, priority in steps:
        if what == "ask":
            try:
                asked.append(machine.ask(which, priority))
            except Failure:
                refused += 1
        elif what == "wait":
            machine.forward(machine.now + which)
        elif machine.queue.tickets:
            ticket = machine.queue.tickets[which % len(machine.queue.tickets)]
            machine.queue.leave(ticket)
            left.append(ticket)
            machine.step()
        assert machine.queue.status(loads=0).waiting <= limit
    machine.finish()
    served = Counter(id(ticket) for ticket in machine.served)
    assert set(served.values()) <= {1}, "served twice"
    pushed_out = machine.queue.rejected - refused
    assert len(machine.served) + len(left) + pushed_out == len(asked), "lost"
    _same_class_and_model_in_order(machine)


def _same_class_and_model_in_order(machine: Machine) -> None:
    last: dict[tuple[str, int], int] = {}
    for ticket in machine.served:
        group = (ticket.model, ticket.priority)
        assert ticket.number > last.get(group, -1)
        last[group] = ticket.number


@hypothesis_settings(max_examples=60, deadline=None)
@given(steps=Steps, ageing=st.sampled_from([0.0, 4.0]), patience=st.sampled_from([0.5, 3.0, 10.0]))
def test_with_one_place_in_memory_nobody_is_overtaken_beyond_the_bound(steps, ageing, patience):
    """Once it is overdue nobody later is begun on another model, but the one for whom that model was loaded."""
    machine = Machine(dict.fromkeys("ABCD", 10), budget=10, ageing=ageing, patience=patience)
    for what, which, priority in steps:
        if what == "ask":
            machine.ask(which, priority)
        elif what == "wait":
            machine.forward(machine.now + which)
    machine.finish()
    order = [(ticket, machine.served_at[ticket.number]) for ticket in machine.served]
    for place, (late, _) in enumerate(order):
        if late.overtaken_at is None:
            continue
        begun = [
            (n, one)
            for n, (one, at) in enumerate(order[:place])
            if one.number > late.number and one.model != late.model and at >= late.overtaken_at + patience
        ]
        for n, one in begun:
            is_first_of_a_load = n == 0 or order[n - 1][0].model != one.model
            assert is_first_of_a_load, (late, one)
