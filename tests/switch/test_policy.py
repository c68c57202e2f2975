"""Verdicts of switch, without any I/O."""

import pytest

from config.clients.switch import (
    NoModelReachable,
    ProviderFailed,
    ProviderLimited,
    ProviderRefused,
    SwitchBusy,
    UnknownModel,
)
from config.errors import NotInFleet
from switch import policy
from switch.calls import Choice, Tried
from switch.failures import Failure, FailureKind
from switch.policy import Wanted


class Backend:
    tries = 1

    def __init__(self, name: str, *, is_cooling: bool = False) -> None:
        self.name, self.is_cooling = name, is_cooling


def tried(name: str, kind: FailureKind | None, model: str = "m") -> Tried:
    failure = None if kind is None else Failure(kind, f"{name} failed", retry_after_seconds=3.0)
    outcome = "answered" if failure is None else str(failure.kind)
    return Tried(Choice(Backend(name), model), outcome, "" if failure is None else failure.detail, 1.0, failure)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", Wanted()),
        ("auto:code", Wanted(task_type="code")),
        ("smol", Wanted("local", "smol")),
        ("local/smol", Wanted("local", "smol")),
        ("router/meta/llama-3:free", Wanted("router", "meta/llama-3:free")),
    ],
)
def test_a_model_is_read_by_its_form(name, expected):
    assert policy.wanted(name, local_model="smol", providers=["router"]) == expected


@pytest.mark.parametrize("name", ["", "smol2", "nobody/x", "router/", "auto:", "auto:two words", "local/other"])
def test_a_name_nobody_answers_to_is_refused(name):
    with pytest.raises(UnknownModel):
        policy.wanted(name, local_model="smol", providers=["router"])


def test_a_command_line_tool_is_not_in_the_fleet():
    with pytest.raises(NotInFleet):
        policy.wanted("cli/codex", local_model="smol", providers=[])


def test_those_that_cool_down_come_last_and_the_order_stays_otherwise():
    choices = [Choice(Backend(name, is_cooling=name in "ac"), "m") for name in "abcd"]
    assert [choice.backend.name for choice in policy.in_order(choices)] == ["b", "d", "a", "c"]


def test_a_preference_moves_names_that_hold_it_to_the_front():
    choices = [Choice(Backend("one"), "gpt"), Choice(Backend("two"), "Qwen-Coder")]
    assert policy.preferring(choices, "coder")[0].model == "Qwen-Coder"
    assert policy.preferring(choices, "nothing like that") == choices
    assert policy.preferring(choices, None) == choices


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureKind.KEY_REFUSED),
        (402, FailureKind.KEY_REFUSED),
        (403, FailureKind.KEY_REFUSED),
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
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("999999", 3600.0), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after_is_seconds_within_reason(value, seconds):
    assert policy.retry_after_seconds(value) == seconds


def test_a_provider_cools_as_long_as_it_asks_up_to_a_minute():
    limited = Failure(FailureKind.LIMITED, "", retry_after_seconds=40.0)
    assert policy.cooling_seconds(limited, usual=10.0) == 40.0
    assert policy.cooling_seconds(Failure(FailureKind.LIMITED, "", retry_after_seconds=4000.0), usual=10.0) == 60.0
    assert policy.cooling_seconds(Failure(FailureKind.SERVER_ERROR, ""), usual=10.0) == 10.0
    assert policy.cooling_seconds(Failure(FailureKind.NO_SUCH_MODEL, ""), usual=10.0) == 0.0


def test_restarts_wait_longer_after_every_death_up_to_a_cap():
    delays = [policy.restart_delay(deaths) for deaths in range(12)]
    assert delays[:4] == [0.0, 0.2, 0.4, 0.8]
    assert delays == sorted(delays)
    assert delays[-1] == 30.0
    assert policy.restart_delay(10_000) == 30.0


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
    assert "first in the settings" in policy.reason([good], good.choice, is_auto=True)
    local = tried("local", None, "smol")
    assert "local model" in policy.reason([local], local.choice, is_auto=True)
    assert policy.reason([bad], None, is_auto=True) == "nobody could answer"
