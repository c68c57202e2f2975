"""Verdicts of switch, without any I/O."""

import pytest

from config.clients.switch import (
    ModelRefused,
    NoModelReachable,
    ProviderFailed,
    ProviderLimited,
    ProviderRefused,
    SwitchBusy,
    UnknownModel,
)
from switch import policy
from switch.calls import Choice, Tried
from switch.failures import Failure, FailureKind
from switch.policy import Wanted


class Backend:
    tries = 1

    def __init__(self, name: str) -> None:
        self.name = name


def tried(name: str, kind: FailureKind | None, model: str = "m") -> Tried:
    failure = None if kind is None else Failure(kind, f"{name} failed", retry_after_seconds=3.0)
    outcome = "answered" if failure is None else str(failure.kind)
    return Tried(Choice(Backend(name), model), outcome, "" if failure is None else failure.detail, 1.0, failure)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", Wanted()),
        ("auto:code", Wanted(task_type="code")),
        ("smol", Wanted("smol")),
        ("router/meta/llama-3:free", Wanted("router/meta/llama-3:free")),
    ],
)
def test_a_model_is_read_by_its_form(name, expected):
    assert policy.wanted(name) == expected


@pytest.mark.parametrize("name", ["auto:", "auto:two words"])
def test_an_automatic_choice_needs_a_type_of_task_that_can_be_one(name):
    with pytest.raises(UnknownModel):
        policy.wanted(name)


def test_a_preference_holds_for_names_in_any_case():
    assert policy.is_preferred(Choice(Backend("two"), "Qwen-Coder"), "coder")
    assert not policy.is_preferred(Choice(Backend("one"), "gpt"), "coder")


@pytest.mark.parametrize(
    ("kind", "retry_after", "again"),
    [
        (FailureKind.UNREACHABLE, None, True),
        (FailureKind.SERVER_ERROR, None, True),
        (FailureKind.KEY_REFUSED, None, False),
        (FailureKind.LATE, None, False),
        (FailureKind.LIMITED, 0.5, True),
        (FailureKind.LIMITED, 30.0, False),
        (FailureKind.LIMITED, None, False),
        (FailureKind.OVER_BUDGET, None, False),
    ],
)
def test_only_what_may_be_gone_a_moment_later_is_asked_again(kind, retry_after, again):
    failure = Failure(kind, "broke", retry_after_seconds=retry_after)
    assert policy.is_worth_another_try(failure, pause=1.0) is again


def test_the_pause_doubles_up_to_a_limit():
    assert [policy.pause_seconds(n) for n in range(1, 8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureKind.KEY_REFUSED),
        (402, FailureKind.KEY_REFUSED),
        (403, FailureKind.FORBIDDEN),
        (404, FailureKind.NO_SUCH_MODEL),
        (408, FailureKind.SERVER_ERROR),
        (429, FailureKind.LIMITED),
        (500, FailureKind.SERVER_ERROR),
        (529, FailureKind.SERVER_ERROR),
        (400, None),
        (413, None),
        (422, None),
    ],
)
def test_a_status_says_whose_fault_it_is(status, kind):
    failure = policy.failure_of("x", status, "")
    assert (failure.kind if failure else None) == kind


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("999999", 3600.0), ("", None), ("tomorrow", None), ("nan", None)],
)
def test_retry_after_is_seconds_within_reason(value, seconds):
    assert policy.retry_after_seconds(value) == seconds


def test_a_pause_may_be_asked_for_until_a_date():
    def now() -> float:
        return 784_111_777.0 - 30  # the date of RFC 9110's example, half a minute before it

    assert policy.retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", now=now) == 30.0
    assert policy.retry_after_seconds("Sun, 06 Nov 1994 08:49:00 GMT", now=now) == 0.0


def test_restarts_wait_longer_after_every_death_up_to_a_cap():
    delays = [policy.restart_delay(deaths) for deaths in range(12)]
    assert delays[:4] == [0.0, 0.2, 0.4, 0.8]
    assert delays == sorted(delays)
    assert delays[-1] == 30.0
    assert policy.restart_delay(10_000) == 30.0


def test_a_request_that_nobody_can_take_is_refused_and_not_put_off():
    unfit = [Tried(tried("p", None).choice, "unfit", "it does not call tools") for _ in range(2)]
    refused = policy.refusal(unfit, is_auto=True)
    assert isinstance(refused, ModelRefused)
    assert "it does not call tools" in refused.detail
    assert isinstance(policy.refusal([*unfit, tried("q", FailureKind.LATE)], is_auto=True), NoModelReachable)


@pytest.mark.parametrize(
    ("kinds", "is_auto", "error"),
    [
        ([], True, NoModelReachable),
        ([FailureKind.KEY_REFUSED], False, ProviderRefused),
        ([FailureKind.LIMITED], False, ProviderLimited),
        ([FailureKind.LIMITED, FailureKind.LIMITED], True, ProviderLimited),
        ([FailureKind.LIMITED, FailureKind.UNUSABLE], True, NoModelReachable),
        ([FailureKind.CUT], False, ProviderFailed),
        ([FailureKind.LATE], False, NoModelReachable),
        ([FailureKind.UNUSABLE], True, NoModelReachable),
        ([FailureKind.BUSY], True, SwitchBusy),
    ],
)
def test_a_refusal_names_everyone_and_fits_what_went_wrong(kinds, is_auto, error):
    all_tried = [tried(f"p{n}", kind) for n, kind in enumerate(kinds)]
    found = policy.refusal(all_tried, is_auto=is_auto)
    assert type(found) is error
    assert all(f"p{n}/m: p{n} failed" in found.detail for n in range(len(kinds)))


def test_the_reason_tells_what_was_in_the_way():
    good, bad = tried("two", None), tried("one", FailureKind.LIMITED)
    assert policy.reason([bad, good], good.choice, is_auto=True) == "two/m answered after one/m (limited)"
    assert policy.reason([good], good.choice, is_auto=False) == "two/m was asked for"
    assert policy.reason([good], good.choice, is_auto=True) == "two/m is the only model"
    unfit = tried("three", None)
    unfit.outcome = "unfit"
    assert policy.reason([good, unfit], good.choice, is_auto=True) == "two/m is the only model that fits"
    good.score, good.parts = 61.5, {"specialty": 40.0, "availability": 21.5}
    other = tried("four", None)
    told = policy.reason([good, other], good.choice, is_auto=True)
    assert told == "two/m scores best of 2: 61.5 (specialty 40.0, availability 21.5)"
    assert policy.reason([bad], None, is_auto=True) == "nobody could answer"
