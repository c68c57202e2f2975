"""Circuit breakers: who is left alone, for how long, and who finds out that it is well again."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from switch import breaker
from switch.breaker import LONGEST_COOL_DOWN_SECONDS, PROBE_SECONDS, Breakers
from switch.calls import Choice
from switch.failures import Failure, FailureKind

FAILURES, SECONDS = 3, 10.0


class Backend:
    tries = 1

    def __init__(self, name: str) -> None:
        self.name = name


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> Breakers:
    return Breakers(failures=FAILURES, seconds=SECONDS, clock=clock)


ONE, OTHER = Choice(Backend("p"), "one"), Choice(Backend("p"), "other")


def fail(breakers: Breakers, choice: Choice, kind: FailureKind, *, retry_after: float | None = None) -> bool:
    breakers.begin(choice)
    return breakers.failed(choice, Failure(kind, "it broke", retry_after_seconds=retry_after))


def test_a_model_that_fails_again_and_again_is_left_alone_and_its_neighbour_is_not(breakers, clock):
    assert [fail(breakers, ONE, FailureKind.SERVER_ERROR) for _ in range(3)] == [False, False, True]
    refused = breakers.refuses(ONE)
    assert refused is not None
    assert refused.kind is FailureKind.TRIPPED
    assert refused.retry_after_seconds == SECONDS
    assert "it broke" in refused.detail
    assert breakers.refuses(OTHER) is None
    clock.now += SECONDS
    assert breakers.refuses(ONE) is None


def test_failures_of_models_that_nobody_has_are_not_kept_for_ever(breakers, monkeypatch):
    monkeypatch.setattr(breaker, "MOST_KNOWN", 10)
    for _ in range(FAILURES):
        fail(breakers, ONE, FailureKind.SERVER_ERROR)
    for n in range(100):
        fail(breakers, Choice(Backend("p"), f"made up {n}"), FailureKind.SERVER_ERROR)
        assert len(breakers._known) <= 10
    assert breakers.refuses(ONE) is not None


def test_an_answer_in_between_starts_the_count_anew(breakers):
    for _ in range(10):
        fail(breakers, ONE, FailureKind.CUT)
        fail(breakers, ONE, FailureKind.CUT)
        breakers.succeeded(ONE)
    assert breakers.refuses(ONE) is None


def test_a_provider_that_cannot_be_reached_is_left_alone_with_all_its_models(breakers):
    for _ in range(3):
        fail(breakers, ONE, FailureKind.UNREACHABLE)
    assert breakers.refuses(OTHER) is not None


def test_a_key_that_is_not_accepted_opens_at_once(breakers):
    assert fail(breakers, ONE, FailureKind.KEY_REFUSED)
    assert breakers.refuses(OTHER) is not None
    breakers.forget("p")
    assert breakers.refuses(OTHER) is None


def test_a_model_that_our_key_is_not_for_is_left_alone_at_once_and_its_neighbour_is_not(breakers):
    assert fail(breakers, ONE, FailureKind.FORBIDDEN)
    assert breakers.refuses(ONE) is not None
    assert breakers.refuses(OTHER) is None


@pytest.mark.parametrize(("said", "seconds"), [(42.0, 42.0), (None, SECONDS), (1e9, LONGEST_COOL_DOWN_SECONDS)])
def test_who_asks_for_a_pause_gets_it(breakers, clock, said, seconds):
    fail(breakers, ONE, FailureKind.LIMITED, retry_after=said)
    clock.now += seconds - 0.001
    assert breakers.refuses(ONE) is not None
    clock.now += 0.001
    assert breakers.refuses(ONE) is None


def test_who_is_asked_for_by_name_is_asked_unless_it_wants_a_pause(breakers):
    for _ in range(3):
        fail(breakers, ONE, FailureKind.SERVER_ERROR)
    assert breakers.refuses(ONE, is_only=True) is None
    assert breakers.availability("p", "one") == 0.0
    fail(breakers, OTHER, FailureKind.LIMITED, retry_after=5.0)
    assert breakers.refuses(OTHER, is_only=True).kind is FailureKind.LIMITED


def test_after_the_pause_one_request_finds_out_and_the_others_wait_for_it(breakers, clock):
    for _ in range(3):
        fail(breakers, ONE, FailureKind.SERVER_ERROR)
    clock.now += SECONDS
    breakers.begin(ONE)
    assert breakers.refuses(ONE) is not None
    breakers.succeeded(ONE)
    assert breakers.refuses(ONE) is None


def test_a_probe_that_fails_leaves_it_alone_for_twice_as_long(breakers, clock):
    for _ in range(3):
        fail(breakers, ONE, FailureKind.SERVER_ERROR)
    clock.now += SECONDS
    fail(breakers, ONE, FailureKind.SERVER_ERROR)
    clock.now += 2 * SECONDS - 0.001
    assert breakers.refuses(ONE) is not None
    clock.now += 0.001
    assert breakers.refuses(ONE) is None


def test_a_probe_that_is_cancelled_or_never_heard_of_again_lets_the_next_one_through(breakers, clock):
    for _ in range(3):
        fail(breakers, ONE, FailureKind.SERVER_ERROR)
    clock.now += SECONDS
    breakers.begin(ONE)
    breakers.leave(ONE)
    assert breakers.refuses(ONE) is None
    breakers.begin(ONE)
    clock.now += PROBE_SECONDS + 0.001
    assert breakers.refuses(ONE) is None


def test_requests_under_way_when_it_opened_do_not_make_the_pause_longer(breakers, clock):
    for _ in range(20):
        fail(breakers, ONE, FailureKind.SERVER_ERROR)
    clock.now += SECONDS
    assert breakers.refuses(ONE) is None


@pytest.mark.parametrize("kind", [FailureKind.NO_SUCH_MODEL, FailureKind.OVER_BUDGET, FailureKind.TRIPPED])
def test_what_says_nothing_about_the_next_request_opens_nothing(breakers, kind):
    for _ in range(10):
        fail(breakers, ONE, kind)
    assert breakers.refuses(ONE) is None


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, a circuit opens for a reason, closes again, and lets one through at a time."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.breakers = Breakers(failures=FAILURES, seconds=SECONDS, clock=self.clock)
        self.in_a_row = self.under_way = 0

    @rule()
    def ask(self) -> None:
        if self.breakers.refuses(ONE) is None:
            self.breakers.begin(ONE)
            self.under_way += 1

    @precondition(lambda self: self.under_way)
    @rule(kind=st.sampled_from([FailureKind.SERVER_ERROR, FailureKind.CUT, FailureKind.GARBAGE]))
    def fails(self, kind: FailureKind) -> None:
        self.breakers.failed(ONE, Failure(kind, "broke"))
        self.under_way -= 1
        self.in_a_row += 1

    @precondition(lambda self: self.under_way)
    @rule()
    def answers(self) -> None:
        self.breakers.succeeded(ONE)
        self.under_way -= 1
        self.in_a_row = 0

    @precondition(lambda self: self.under_way)
    @rule()
    def is_cancelled(self) -> None:
        self.breakers.leave(ONE)
        self.under_way -= 1

    @rule(seconds=st.floats(0.1, 700))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_is_open_only_after_failures(self) -> None:
        if self.in_a_row < FAILURES:
            assert self.breakers.refuses(ONE) is None

    @invariant()
    def it_never_stays_open_for_ever(self) -> None:
        at = self.clock.now
        self.clock.now += LONGEST_COOL_DOWN_SECONDS
        assert self.breakers.refuses(ONE) is None
        self.clock.now = at


AnyOrder.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestAnyOrder = AnyOrder.TestCase
